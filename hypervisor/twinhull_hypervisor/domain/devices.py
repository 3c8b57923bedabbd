"""Which device models a running QEMU has been given: the list tests hold against the golden one (R2)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec

from twinhull_hypervisor.domain.errors import NoMachine


def qemu_pid(name: str, proc: Path = Path("/proc")) -> int:
    """The process running the domain ``name``, found by its ``-name guest=`` argument.

    Raises:
        NoMachine: there is none.
    """
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            argv = arguments(entry)
            if any(a == "-name" and b.split(",")[0] == f"guest={name}" for a, b in pairwise(argv)):
                return int(entry.name)
    raise NoMachine(partition=name)


def arguments(process: Path) -> list[str]:
    """The argument list of a process, empty when it has gone."""
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def device_models(argv: list[str]) -> list[str]:
    """The model of each ``-device`` on a QEMU command line, sorted, repeats kept.

    Args:
        argv: as from :func:`arguments`. Both of QEMU's notations are read: JSON, and ``model,key=value``.
    """
    models = []
    for option, value in pairwise(argv):
        if option == "-device":
            driver = msgspec.json.decode(value)["driver"] if value.startswith("{") else value.split(",")[0]
            models.append(str(driver))
    return sorted(models)
