"""The host and the corporate partition have processors and memory before the personal one, on a real kernel.

tests/kernel/guarantees.py is what runs in it; each finding is beside the same without our settings.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import ROOT

from .machine import booted

MEMORY = 256
"""MiB."""
MIB = 1024 * 1024
PATHS = ("", "policy", "hypervisor")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def found(kernel_program: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen in a kernel with MEMORY."""
    directory = tmp_path_factory.mktemp("guarantees")
    files = {"held": 40, "burnt": 2 * MEMORY, "disk": 16}
    for name, size in files.items():
        with (directory / name).open("wb") as file:
            os.truncate(file.fileno(), size * MIB)
    with booted(
        kernel_program,
        [sys.executable, "-m", "tests.kernel.guarantees", directory / "held", directory / "burnt"],
        environment={
            "PYTHONPATH": ":".join(str(ROOT / part) for part in PATHS),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        disks=[directory / "disk"],
        shared=[directory],
        memory=MEMORY,
    ) as machine:
        assert machine.wait() == 0, machine.said
        result: dict[str, Any] = json.loads(machine.said.splitlines()[-1])
        return result


def test_what_the_corporate_partition_holds_in_memory_stays(found: dict[str, Any]) -> None:
    assert found["kept"] > 0.95
    assert found["kept unprotected"] < 0.5


def test_the_corporate_partition_has_five_times_the_processor(
    found: dict[str, Any],
) -> None:
    assert 3.5 < found["shares"] < 7
    assert 0.6 < found["shares unweighted"] < 1.6


def test_the_kernel_ends_the_personal_partition_first(found: dict[str, Any]) -> None:
    assert found["ended"] == "personal"
    assert found["ended without the hook"] == "corporate"


def test_the_computers_own_disks_get_the_scheduler_that_knows_weights(found: dict[str, Any]) -> None:
    assert found["scheduler"] == "bfq"
    assert found["of a loop"] != "bfq"
