"""SIGKILL of the real diskd before the transitions of what it does, on real dm-crypt, while the core goes on.

tests/kernel/diskd_killed_inside.py is what runs in the kernel, and judges after each kill. ``--long`` tries
every transition, else the one before which the kernel has the key and nothing is mounted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT

from .machine import booted
from .test_volumes import MEMORY, empty_disk

MODULE = "tests.kernel.diskd_killed_inside"
LEAST = {"create": 15, "unlock": 8, "lock": 2, "rotate": 12, "wipe": 5}
"""So many transitions each change has at least, so that none is lost unseen."""

pytestmark = pytest.mark.timeout(1800)


def test_diskd_is_killed_and_the_core_goes_on(
    kernel_program: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    every = request.config.getoption("--long")
    parts = (ROOT, *(ROOT / part for part in ("policy", "hypervisor")))
    environment = {"PYTHONPATH": ":".join(map(str, parts)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", MODULE, "every" if every else "some"]
    disk = empty_disk(tmp_path / "disk")
    with booted(kernel_program, command, environment=environment, disks=[disk], memory=MEMORY) as kernel:
        assert kernel.wait() == 0, kernel.said
        (line,) = [line for line in kernel.said.splitlines() if line.startswith("{")]
        killed = json.loads(line)
    if not every:
        assert killed == {"unlock": ["subprocess.Popen mount"]}
        return
    assert {change: len(killed[change]) >= least for change, least in LEAST.items()} == dict.fromkeys(
        LEAST, True
    )
