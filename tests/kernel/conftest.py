"""The kernel, for the tests that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import build


@pytest.fixture(scope="session")
def kernel_program() -> Path:
    """The kernel as a program; built if that was not done yet (minutes)."""
    return build.kernel()
