"""A virtual laptop with Twinhull installed and both partitions up, as a saved running state.

Installing takes minutes and is done once for each state of the sources; a test then has such a laptop in
seconds, and whatever it does to it is gone afterwards.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .emulator_build import CACHE
from .image import base_image
from .machine import Disks, LaptopFailed, Machine
from .payload import PLACE, payload

SOURCE = "/usr/src/twinhull"
QUICKSTART = f"{SOURCE}/installer/quickstart"
INSTALL_SECONDS = 1500.0


def booted(directory: Path, say: Callable[[str], None]) -> Machine:
    """A laptop that was just switched on, with Twinhull's sources and not installed yet."""
    machine = Machine(directory)
    machine.start(Disks(base_image(say), payload(say)))
    machine.wait_for_ssh()
    machine.ssh("sh", "-c", f"mountpoint -q {PLACE} || mount {PLACE}")
    machine.ssh("mkdir", "-p", "/var/cache/twinhull/images")
    machine.ssh("cp", "-a", f"{PLACE}/repository", SOURCE)
    machine.ssh("sh", "-c", f"ln -s {PLACE}/images/* /var/cache/twinhull/images/")
    return machine


def install(machine: Machine) -> str:
    """Run the quickstart in it; returns what that printed. Raises LaptopFailed."""
    done = machine.try_ssh(QUICKSTART, "--small", "--headless", "--yes", timeout=INSTALL_SECONDS)
    if done.returncode != 0:
        raise LaptopFailed(
            f"the quickstart ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def installed(say: Callable[[str], None]) -> Disks:
    """What to start laptops with Twinhull from; made where it is not there yet (minutes)."""
    disks = Disks(base_image(say), payload(say))
    assert disks.payload is not None
    state = (
        CACHE
        / f"installed-{disks.base.stem.removeprefix('base-')}-{disks.payload.stem.removeprefix('payload-')}"
    )
    if not state.exists():
        for old in CACHE.glob("installed-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
            say("Booting the laptop")
            machine = booted(Path(name) / "laptop", say)
            try:
                say("Installing Twinhull in it")
                printed = install(machine)
                say("Saving it")
                machine.save(Path(name) / "saved")
                (Path(name) / "saved/quickstart.txt").write_text(printed)
            finally:
                if machine.running():
                    machine.cut_power()
            (Path(name) / "saved").rename(state)
    return Disks(disks.base, disks.payload, state)


@contextmanager
def laptop(directory: Path, disks: Disks) -> Iterator[Machine]:
    """A laptop of its own from ``disks``, switched off at the end."""
    machine = Machine(directory)
    machine.start(disks)
    try:
        machine.wait_for_ssh()
        if disks.state is not None:
            machine.set_clock()
        yield machine
    finally:
        if machine.running():
            machine.cut_power()
        machine.close()
