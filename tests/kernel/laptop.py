"""A laptop whose kernel is a process: systemd, libvirt, Twinhull, and both partitions with idle guests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinhull_installer import paths

from tests.lab.payload import golden_images
from tests.lab.tiny import tiny_images
from tests.leaks.inside import Played
from tests.support.source import ROOT
from tests.systemd.container import SOURCE, root

from .devices_inside import MODULE
from .machine import booted

MEMORY = 6 * 1024
"""MiB; pages that are never touched cost this machine nothing."""
DISK = 8 * 1024**3
"""Bytes; neither do those of the disk that are never written."""
LATER = ("usbcore.authorized_default=0",)
"""What Twinhull asks of a host's command line: docs/devices.md."""


def say(sentence: str) -> None:
    """Progress past pytest's capture: making the laptop's files takes minutes the first time."""
    print(sentence, file=sys.__stderr__, flush=True)


@contextmanager
def laptop(kernel_program: Path, work: Path) -> Iterator[Played]:
    """One with Twinhull installed, and guests that do nothing."""
    images, disk = golden_images(), work / "disk"
    if not disk.exists():
        tiny_images(images, work / "images" / images.name)
        with disk.open("wb") as file:
            file.truncate(DISK)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    parts = (SOURCE, *(f"{SOURCE}/{part}" for part in ("policy", "hypervisor", "client", "installer")))
    with booted(
        kernel_program,
        [sys.executable, "-m", MODULE],
        environment={
            "PYTHONPATH": ":".join((*parts, f"{SOURCE}/installer/images")),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        directory=Path(SOURCE),
        root=root(say),
        disks=[disk],
        placed={
            SOURCE: ROOT,
            str(paths.CACHE / "images"): work / "images",
            str(paths.CACHE / "test-venv"): paths.CACHE / "test-venv",
        },
        memory=MEMORY,
        options=LATER,
    ) as machine:
        played = Played(
            lambda text: machine.stdin.write(text.encode()), lambda: machine.read_line() + "\n", machine.wake
        )
        yield played
        played.end()
        assert machine.wait() == 0
