"""Runs inside the virtual laptop, for :mod:`storage`: reads sticks as host and as guest; prints seconds.

Arguments: kernel, RAM disk, the file behind the guest's own emulated stick, rounds, MiB a round.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USB = Path("/sys/bus/usb/devices")
HOST_PORT, GUEST_PORT = "1-1", "1-2"
BOOT_SECONDS = 900.0
_ANSWER = re.compile(rb"\x04([0-9]+)\n\Z")


class Guest:
    """The machine of tests/lab/usb_peer/machine.py: it obeys a serial line, and ends each answer with EOT."""

    def __init__(self, kernel: str, ramdisk: str, stick: str, directory: Path) -> None:
        node = USB / GUEST_PORT
        place = f"hostbus={_number(node / 'busnum')},hostaddr={_number(node / 'devnum')}"
        words = [
            "qemu-system-x86_64",
            "-M",
            "q35",
            "-accel",
            "tcg",
            "-m",
            "256",
            "-nodefaults",
            "-display",
            "none",
        ]
        words += [
            "-kernel",
            kernel,
            "-initrd",
            ramdisk,
            "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off",
        ]
        words += ["-device", "qemu-xhci,id=x", "-device", f"usb-host,bus=x.0,port=1,{place}"]
        words += ["-drive", f"if=none,id=d,format=raw,file={stick}"]
        words += ["-device", "usb-storage,bus=x.0,port=2,drive=d"]
        words += [
            "-serial",
            f"file:{directory}/console",
            "-serial",
            f"unix:{directory}/line,server=on,wait=on",
        ]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        self._line = socket.socket(socket.AF_UNIX)
        while not (directory / "line").exists():
            time.sleep(0.1)
        self._line.connect(str(directory / "line"))
        self._answer()

    def run(self, command: str) -> str:
        """What a shell command printed."""
        self._line.sendall(command.encode() + b"\n")
        return self._answer()

    def _answer(self) -> str:
        self._line.settimeout(BOOT_SECONDS)
        received = b""
        while not (end := _ANSWER.search(received)):
            received += self._line.recv(65536)
        if end[1] != b"0":
            raise RuntimeError(received.decode())
        return received[: end.start()].decode()


def _number(path: Path) -> int:
    return int(path.read_text())


def _appears(check: str, run: object) -> str:
    deadline = time.monotonic() + BOOT_SECONDS
    while not (found := run(check).strip()):  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError(f"{check}: nothing")
        time.sleep(0.5)
    return str(found)


def _shell(command: str) -> str:
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout


def _disk(port: str) -> str:
    """A shell command that prints the disk behind a USB port, or nothing."""
    blocks = f"/sys/bus/usb/devices/{port}/{port}:1.0/host*/target*/*/block/*"
    return f"ls -d {blocks} 2>/dev/null | sed s,.*/,, || true"


def main(kernel: str, ramdisk: str, stick: str, rounds: str, mebibytes: str) -> None:
    """Measure, one after the other in each round, and print."""
    _shell("modprobe usb-storage && modprobe sd_mod")
    (USB / HOST_PORT / "authorized").write_text("1")
    here = _appears(_disk(HOST_PORT), _shell)
    # The other's driver is the guest's alone, as Twinhull has it.
    (USB.parent / "drivers_autoprobe").write_text("0")
    (USB / GUEST_PORT / "authorized").write_text("1")
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        guest = Guest(kernel, ramdisk, stick, Path(directory))
        passed, emulated = (_appears(_disk(port), guest.run) for port in GUEST_PORTS)
        sys.stderr.write(f"the guest took {time.monotonic() - began:.0f} s\n")
        seconds: dict[str, list[float]] = {"host": [], "passed": [], "emulated": []}
        size = int(mebibytes)
        for number in range(int(rounds)):
            read = f"dd of=/dev/null bs=128k count={size * 8} skip={number * size * 8} if=/dev/"
            for name, run, disk in (
                ("host", _shell, here),
                ("passed", guest.run, passed),
                ("emulated", guest.run, emulated),
            ):
                began = time.monotonic()
                run(f"{read}{disk} 2>/dev/null")
                seconds[name].append(time.monotonic() - began)
        guest.process.kill()
    sys.stdout.write(json.dumps(seconds) + "\n")


GUEST_PORTS = ("1-1", "1-2")
"""In the guest: what was passed through, and what its QEMU emulates."""

if __name__ == "__main__":
    main(*sys.argv[1:])
