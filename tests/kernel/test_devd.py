"""twinhull-devd on a real kernel, its drivers and emulated devices: each scene in a kernel of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.source import ROOT

from .devd_inside import SCENES
from .machine import booted

MODULE = "tests.kernel.devd_inside"
MEMORY = 512

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_devd(kernel_program: Path, scene: Callable[[], None]) -> None:
    parts = (ROOT, *(ROOT / part for part in ("policy", "hypervisor", "installer")))
    environment = {"PYTHONPATH": ":".join(map(str, parts)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", MODULE, scene.__name__]
    with booted(kernel_program, command, environment=environment, memory=MEMORY) as kernel:
        assert kernel.wait() == 0, kernel.said + kernel.console[-2000:]
