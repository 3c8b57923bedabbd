"""A virtual laptop with Twinhull installed and both partitions up, as a saved running state.

Installing takes minutes and is done once for each state of the sources; a test then has such a laptop in
seconds, and whatever it does to it is gone afterwards. A light one has no KVM and
guests that do nothing; it is kept for as long as its disk is, and goes over to the sources as they are now.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .emulator_build import CACHE
from .image import REPOSITORY, base_image, base_key
from .machine import Disks, LaptopFailed, Machine
from .payload import PLACE, golden_images, payload, payload_key, source_files
from .tiny import halting_program, tiny_images

SOURCE = "/usr/src/twinhull"
QUICKSTART = f"{SOURCE}/installer/quickstart"
INSTALL_SECONDS = 1500.0


LIGHT_SECONDS = 1500.0
INSIDE = Path(__file__).resolve().parent / "light_inside.py"
PARTS = ("policy", "hypervisor", "client")
UNITS = ("twinhull-devd.service", "twinhulld.service")
LIGHT = "/root/light_inside.py"
IMAGES = "/var/cache/twinhull/images"


def booted(directory: Path, say: Callable[[str], None]) -> Machine:
    """A laptop that was just switched on, with Twinhull's sources and not installed yet."""
    machine = Machine(directory)
    machine.start(Disks(base_image(say), payload(say)))
    machine.wait_for_ssh()
    machine.ssh("sh", "-c", f"mountpoint -q {PLACE} || mount {PLACE}")
    machine.ssh("mkdir", "-p", IMAGES)
    machine.ssh("cp", "-a", f"{PLACE}/repository", SOURCE)
    machine.ssh("sh", "-c", f"ln -s {PLACE}/images/* {IMAGES}/")
    return machine


def install(machine: Machine) -> str:
    """Run the quickstart in it; returns what that printed. Raises LaptopFailed."""
    return _quickstart(machine, INSTALL_SECONDS, QUICKSTART, "--small", "--headless", "--yes")


def install_light(machine: Machine) -> str:
    """Run the quickstart in it with guests that do nothing. Raises LaptopFailed."""
    machine.ssh("sh", "-c", "echo blacklist kvm_amd >/etc/modprobe.d/light.conf; rmmod kvm_amd || true")
    with tempfile.TemporaryDirectory() as name:
        images = golden_images()
        tiny_images(images, Path(name) / images.name)
        packed = subprocess.run(
            ["tar", "-C", name, "-cz", images.name], stdout=subprocess.PIPE, check=True
        ).stdout
    place = f"{IMAGES}/{images.name}"
    unpack = f"rm {place} && base64 -d | tar -C {IMAGES} -xz"
    machine.ssh("sh", "-c", unpack, stdin=b64encode(packed).decode())
    machine.ssh("sh", "-c", f"cat >{LIGHT}", stdin=INSIDE.read_text())
    return _quickstart(machine, LIGHT_SECONDS, "/usr/bin/python3", "-P", LIGHT)


def _quickstart(machine: Machine, seconds: float, *words: str) -> str:
    done = machine.try_ssh(*words, timeout=seconds)
    if done.returncode != 0:
        raise LaptopFailed(
            f"the quickstart ended with {done.returncode}: {done.stdout[-4000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def installed(say: Callable[[str], None]) -> Disks:
    """What to start laptops with Twinhull from; made where it is not there yet (minutes)."""
    return _saved("installed", install, say)


def light(say: Callable[[str], None]) -> Disks:
    """The same with guests that do nothing, emulated: devices need no more of them.

    What is there may have an older Twinhull in it: see :func:`renew`.
    """
    base = base_image(say)
    for state in CACHE.glob(f"{_light_kind()}-{base.stem.removeprefix('base-')}-*"):
        disk = CACHE / f"payload-{state.name.rpartition('-')[2]}.raw"
        if disk.exists():
            return Disks(base, disk, state)
    return _saved(_light_kind(), install_light, say)


def _light_kind() -> str:
    """Another guest, another laptop."""
    return f"light-{hashlib.sha256(halting_program()).hexdigest()[:8]}"


def light_is_there() -> bool:
    """Whether :func:`light` takes seconds."""
    return any(CACHE.glob(f"{_light_kind()}-{base_key()}-*"))


def renew(machine: Machine, disks: Disks, *, short: bool = False) -> None:
    """Bring a light laptop's Twinhull to what the working tree has.

    Args:
        machine: a light laptop that runs.
        disks: what it was started from.
        short: put the program's files in the place of the old ones and start again what deals with devices,
            in a minute or two; else as its owner would, with the quickstart, in several.

    Raises:
        LaptopFailed: that ended otherwise than well.
    """
    assert disks.payload is not None
    if disks.payload.stem == f"payload-{payload_key()}":
        return
    if short:
        _unpack(machine, [path for path in source_files() if path.suffix == ".py"], "/root/fresh")
        copy = "".join(f"cp -r /root/fresh/{part}/twinhull_{part} $site/; " for part in PARTS)
        place = "site=$(echo /opt/twinhull/venv/lib/python3*/site-packages); "
        # On a loaded machine Python's start alone takes longer than systemd waits by itself.
        wait = "".join(
            f"mkdir -p /run/systemd/system/{unit}.d; "
            f"printf '[Service]\\nTimeoutStartSec=600\\n' >/run/systemd/system/{unit}.d/slow.conf; "
            for unit in UNITS
        )
        again = f"systemctl daemon-reload; systemctl restart {' '.join(UNITS)}"
        machine.ssh("sh", "-ec", f"{place}{copy}{wait}{again}", timeout=700)
        return
    machine.ssh("rm", "-rf", SOURCE)
    _unpack(machine, source_files(), SOURCE)
    machine.ssh("sh", "-c", f"cat >{LIGHT}", stdin=INSIDE.read_text())
    _quickstart(machine, LIGHT_SECONDS, "/usr/bin/python3", "-P", LIGHT)


def _unpack(machine: Machine, files: list[Path], place: str) -> None:
    """Put files of the working tree into a directory of the laptop."""
    names = "\0".join(str(path.relative_to(REPOSITORY)) for path in files)
    words = ["tar", "-C", str(REPOSITORY), "-cz", "--no-recursion", "--null", "--files-from=-"]
    packed = subprocess.run(words, input=names.encode(), stdout=subprocess.PIPE, check=True).stdout
    unpack = f"mkdir -p {place} && base64 -d | tar -C {place} -xz --no-same-owner"
    machine.ssh("sh", "-c", unpack, stdin=b64encode(packed).decode())


def _saved(kind: str, by: Callable[[Machine], str], say: Callable[[str], None]) -> Disks:
    disks = Disks(base_image(say), payload(say))
    assert disks.payload is not None
    key = f"{disks.base.stem.removeprefix('base-')}-{disks.payload.stem.removeprefix('payload-')}"
    state = CACHE / f"{kind}-{key}"
    if not state.exists():
        for old in CACHE.glob(f"{kind.partition('-')[0]}-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
            say("Booting the laptop")
            machine = booted(Path(name) / "laptop", say)
            try:
                say("Installing Twinhull in it")
                printed = by(machine)
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
