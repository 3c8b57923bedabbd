"""A machine that boots in seconds and has nothing but USB: Debian's kernel, busybox, and a command line.

Kernel and modules come from Debian's linux-image package, unpacked once and kept by content; QEMU emulates
it, so it needs no KVM. For what a whole laptop does there is the virtual laptop.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinhull_installer import paths

from .plug import qmp_plug, qmp_unplug

CACHE = paths.CACHE / "usb-machine"
PACKAGES = (paths.CACHE / "packages", CACHE)
"""Where Debian packages may lie already; the last is where one is put that has to be fetched."""
BUSYBOX = Path("/bin/busybox")
MODULES = ("xhci_pci", "usb_storage", "uas", "sd_mod", "usbhid", "hid_generic", "evdev")
CONTROLLERS = 4
"""Of 15 ports each: the kernel reads one device after another on each, and on all at the same time."""
BOOT_SECONDS = 60
_ANSWER = re.compile(rb"\x04([0-9]+)\n\Z")
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
printf '\\0040\\n'
while read -r line; do
    eval "$line"
    printf '\\004%d\\n' "$?"
done
poweroff -f
"""
"""It obeys the second serial port, line by line, and ends each answer with an EOT and the exit status."""


class MachineError(Exception):
    """The machine cannot be made, or does not do what it should."""


class Qmp:
    """QEMU's monitor."""

    def __init__(self, path: Path) -> None:
        self._socket = _connect(path)
        self._file = self._socket.makefile("rb")
        json.loads(self._file.readline())
        self({"execute": "qmp_capabilities"})

    def __call__(self, command: dict[str, Any]) -> Any:
        """Run one command.

        Raises:
            MachineError: QEMU refused it.
        """
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        while line := self._file.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise MachineError(f"{command['execute']}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise MachineError(f"{command['execute']}: QEMU ended")

    def close(self) -> None:
        """Let go of the monitor."""
        self._file.close()
        self._socket.close()


class Machine:
    """A running machine."""

    def __init__(self, directory: Path, seconds: float = BOOT_SECONDS) -> None:
        self._plugs = 0
        self.qmp = Qmp(directory / "qmp")
        self._line = _connect(directory / "line")
        self._answer(seconds)

    def run(self, command: str, seconds: float = 20.0) -> str:
        """What a shell command in the machine printed.

        Raises:
            MachineError: it failed, or took longer than ``seconds``.
        """
        self._line.sendall(command.encode() + b"\n")
        status, output = self._answer(seconds)
        if status:
            raise MachineError(f"{command!r} ended with {status}: {output}")
        return output

    def plug(self, name: str, path: Path) -> None:
        """Give the machine an end of a cable, on the next controller."""
        for command in qmp_plug(name, path, bus=f"xhci{self._plugs % CONTROLLERS}.0"):
            self.qmp(command)
        self._plugs += 1

    def unplug(self, name: str) -> None:
        """Take that end away."""
        for command in qmp_unplug(name):
            self.qmp(command)

    def usb(self) -> dict[str, bytes]:
        """The descriptors of each USB device by port, root hubs left out."""
        listed = self.run(
            "cd /sys/bus/usb/devices && for d in [0-9]*-*; do case $d in *:*|*'*') ;; *) "
            "echo $d $(od -An -v -tx1 $d/descriptors 2>&- | tr -d ' \\n');; esac; done; cd /"
        )
        return {
            port: bytes.fromhex(blob) for port, _, blob in (li.partition(" ") for li in listed.splitlines())
        }

    def wait(self, command: str, seconds: float = 20.0) -> str:
        """Repeat a command until it succeeds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.run(command)
            except MachineError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Let go of its lines; QEMU goes on."""
        self._line.close()
        self.qmp.close()

    def _answer(self, seconds: float) -> tuple[int, str]:
        deadline = time.monotonic() + seconds
        received = b""
        while not (end := _ANSWER.search(received)):
            self._line.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = self._line.recv(65536)
            except TimeoutError as error:
                raise MachineError(f"no answer within {seconds} s, but {received!r}") from error
            if not chunk:
                raise MachineError("the machine ended")
            received += chunk
        return int(end[1]), received[: end.start()].decode()


@contextmanager
def machine(directory: Path, arguments: str = "") -> Iterator[Machine]:
    """A machine, up and waiting for commands.

    Args:
        directory: for its sockets and its console's text, ``console.txt``.
        arguments: for its kernel, as ``usbcore.authorized_default=0``.

    Raises:
        MachineError: it cannot be made, or does not come up.
    """
    kernel, ramdisk = boot_files()
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "256", "-nodefaults", "-no-reboot"]
    command += ["-display", "none", "-kernel", str(kernel), "-initrd", str(ramdisk)]
    command += ["-append", f"console=ttyS0 quiet panic=-1 {arguments}"]
    for number in range(CONTROLLERS):
        command += ["-device", f"qemu-xhci,id=xhci{number},p2=15,p3=0"]
    with started(directory, command) as running:
        yield running


@contextmanager
def started(directory: Path, command: Sequence[str], seconds: float = BOOT_SECONDS) -> Iterator[Machine]:
    """The machine that a QEMU is, given its lines; ended afterwards.

    Args:
        directory: for its sockets and its console's text.
        command: QEMU's, without what the machine is spoken to by.
        seconds: how long it may take to boot.

    Raises:
        MachineError: it does not come up.
    """
    words = [*command, "-serial", f"file:{directory}/console.txt"]
    words += ["-serial", f"unix:{directory}/line,server=on,wait=off"]
    words += ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
    log = (directory / "qemu.txt").open("wb")
    with log, subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
        try:
            running = Machine(directory, seconds)
            try:
                yield running
            finally:
                running.close()
        finally:
            process.kill()


def boot_files(modules: Sequence[str] = MODULES, init: str = _INIT) -> tuple[Path, Path]:
    """The kernel and the initial ramdisk, made at the first call.

    Args:
        modules: what is to be loaded.
        init: the shell script that is the first process.

    Raises:
        MachineError: busybox, QEMU or the kernel's package is not to be had.
    """
    if not BUSYBOX.exists() or shutil.which("qemu-system-x86_64") is None:
        raise MachineError("busybox-static and qemu-system-x86 must be installed")
    package = _kernel_package()
    asked = "\n".join([init, *modules]).encode()
    made_of = (package.name.encode(), BUSYBOX.read_bytes(), Path(__file__).read_bytes(), asked)
    key = "".join(hashlib.sha256(one).hexdigest() for one in made_of)
    place = CACHE / hashlib.sha256(key.encode()).hexdigest()[:32]
    if not (place / "ramdisk").exists():
        place.mkdir(parents=True, exist_ok=True)
        kernel, found = _unpack(package)
        (place / "kernel").write_bytes(kernel)
        unfinished = place / "ramdisk.new"
        unfinished.write_bytes(_archive(_in_order(modules, found), found, init))
        unfinished.rename(place / "ramdisk")
    return place / "kernel", place / "ramdisk"


def _kernel_package() -> Path:
    depends = _output("apt-cache", "depends", "--important", "linux-image-amd64")
    named = re.search(r"Depends: (linux-image-[0-9][^\s]*-amd64)", depends)
    if named is None:
        raise MachineError("the package sources have no linux-image-amd64")
    for place in PACKAGES:
        found = sorted(place.glob(f"{named[1]}_*.deb"))
        if found:
            return found[-1]
    CACHE.mkdir(parents=True, exist_ok=True)
    _output("apt-get", "download", "-q", named[1], cwd=CACHE)
    return sorted(CACHE.glob(f"{named[1]}_*.deb"))[-1]


def _unpack(package: Path) -> tuple[bytes, dict[str, bytes]]:
    """The kernel, and every module by name as ``depends`` in modules has it."""
    kernel, modules = b"", {}
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            name = Path(member.name)
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            if name.name.startswith("vmlinuz-"):
                kernel = file.read()
            elif name.suffix == ".ko":
                modules[name.stem.replace("-", "_")] = file.read()
    if process.returncode or not kernel:
        raise MachineError(f"{package.name} cannot be unpacked")
    return kernel, modules


def _archive(order: Sequence[str], modules: dict[str, bytes], init: str) -> bytes:
    """An initial ramdisk (cpio, "newc": Documentation/driver-api/early-userspace/buffer-format.rst)."""
    files: list[tuple[str, int, bytes]] = [
        (name, 0o040755, b"") for name in ("bin", "dev", "proc", "sys", "tmp", "modules")
    ]
    files += [("init", 0o100755, init.encode()), ("bin/busybox", 0o100755, BUSYBOX.read_bytes())]
    files += [(f"modules/{name}", 0o100644, modules[name]) for name in order]
    files += [("modules/order", 0o100644, "".join(f"{name}\n" for name in order).encode())]
    archive = io.BytesIO()
    for number, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        archive.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0")
        archive.write(bytes(-archive.tell() % 4))
        archive.write(content + bytes(-len(content) % 4))
    return archive.getvalue()


def _in_order(wanted: Iterable[str], modules: dict[str, bytes]) -> list[str]:
    """``wanted`` and what they depend on, each after what it depends on."""
    order: list[str] = []

    def add(name: str) -> None:
        depends = re.search(rb"\0depends=([^\0]*)\0", b"\0" + modules[name])
        for needed in depends[1].decode().split(",") if depends and depends[1] else []:
            add(needed.replace("-", "_"))
        if name not in order:
            order.append(name)

    for name in wanted:
        add(name)
    return order


def _output(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise MachineError(f"{argv[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _connect(path: Path) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError as error:
            connection.close()
            if time.monotonic() > deadline:
                raise MachineError("QEMU does not start; see qemu.txt") from error
            time.sleep(0.05)
        else:
            return connection
