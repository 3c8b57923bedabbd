"""A network namespace has nothing in it that the kernel put there by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT

from .machine import booted

MODULES = "sit0", "tunl0", "gre0"
"""Fallback devices of what this kernel has built in: a kernel with modules gets them when one is loaded."""
LINKS = """
import subprocess
from twinhull_hypervisor.network import namespaces
%s
namespaces.create("tried")
print(subprocess.run(["ip", "-n", "tried", "-o", "link"], capture_output=True, text=True, check=True).stdout)
"""
AS_IT_IS = ""
UNASKED = "namespaces.refuse_fallback_tunnels = lambda: None"

pytestmark = pytest.mark.timeout(1800)


def links(kernel_program: Path, before: str) -> set[str]:
    """The names of a new namespace's links, in a kernel that just booted."""
    path = ":".join(str(ROOT / part) for part in ("policy", "hypervisor"))
    with booted(
        kernel_program, [sys.executable, "-c", LINKS % before], environment={"PYTHONPATH": path}
    ) as machine:
        assert machine.wait() == 0, machine.said
        return {
            line.split()[1].rstrip(":").split("@")[0] for line in machine.said.splitlines() if line.strip()
        }


def test_a_new_namespace_has_loopback_alone(kernel_program: Path) -> None:
    assert links(kernel_program, AS_IT_IS) == {"lo"}


def test_the_kernel_would_have_put_tunnels_there(kernel_program: Path) -> None:
    assert links(kernel_program, UNASKED) >= {"lo", *MODULES}
