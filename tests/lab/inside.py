"""Runs inside the virtual laptop, in Twinhull's own environment, and answers questions line by line.

A program that starts anew for each question takes seconds under emulation; this one is asked again and again.
A line of JSON in, ``[question, argument...]``; a line of JSON out, ``{"answer": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt  # type: ignore[import-untyped]
import libvirt_qemu  # type: ignore[import-untyped]
import msgspec
from twinhull_client import bus
from twinhull_hypervisor.domain.hostdev import holdings
from twinhull_policy.names import Partition

DEVICES = Path("/sys/bus/usb/devices")


def devices() -> Any:
    """What ``twinhull device list --json`` says."""
    return msgspec.to_builtins(bus.run(lambda daemon: daemon.devices()))


def status() -> Any:
    """What ``twinhull status --json`` says."""
    return msgspec.to_builtins(bus.run(lambda daemon: daemon.status()))


def forget(port: str) -> None:
    """``twinhull device forget``."""
    bus.run(lambda daemon: daemon.forget_device(port))


def usb() -> dict[str, Any]:
    """Every USB device in sysfs by port, root hubs left out."""
    found = {}
    for path in DEVICES.glob("[0-9]*-*"):
        if ":" in path.name:
            continue
        try:
            links = [interface / "driver" for interface in sorted(path.glob(f"{path.name}:*"))]
            found[path.name] = {
                "authorized": (path / "authorized").read_text().strip(),
                "devnum": int((path / "devnum").read_text()),
                "drivers": [link.resolve().name if link.exists() else "" for link in links],
            }
        except (FileNotFoundError, OSError):
            continue  # pulled meanwhile
    return found


def guests() -> dict[str, Any]:
    """What each running machine has on USB: as its QEMU says, and the ports that libvirt keeps."""
    connection = libvirt.open("qemu:///system")
    try:
        found = {}
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            name = domain.name().removeprefix("twinhull-")
            flags = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
            said = libvirt_qemu.qemuMonitorCommand(domain, "info usb", flags)
            kept = [held.port for held in holdings(Partition(name), domain.XMLDesc(0))]
            found[name] = {"qemu": said, "libvirt": kept, "id": domain.ID()}
        return found
    finally:
        connection.close()


def run(*words: str) -> dict[str, Any]:
    """Run a program to its end."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    return {"status": done.returncode, "output": done.stdout, "error": done.stderr}


def listen(port: str) -> None:
    """Note from now on when the device of a port goes through which hands; :func:`heard` says."""
    global _listening
    _listening = Moments(port)


def heard() -> dict[str, float]:
    """Seconds since the kernel said that the device is there, by what happened then."""
    assert _listening is not None
    _listening.join(timeout=60)
    began = _listening.at["kernel"]
    return {name: at - began for name, at in _listening.at.items()}


class Moments(threading.Thread):
    """Watches the kernel's and udev's events (netlink groups 1 and 2) and the device's own directory."""

    def __init__(self, port: str) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.at: dict[str, float] = {}
        self._sockets = {name: self._socket(group) for name, group in (("kernel", 1), ("udev", 2))}
        self.start()

    @staticmethod
    def _socket(group: int) -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)  # NETLINK_KOBJECT_UEVENT
        made.bind((0, group))
        made.setblocking(False)
        return made

    def run(self) -> None:
        """Until a process holds the interface."""
        device = DEVICES / self._port
        while "claimed" not in self.at or "udev" not in self.at:
            for name, one in self._sockets.items():
                with suppress(BlockingIOError):
                    said = one.recv(16384)
                    if (
                        b"DEVTYPE=usb_device" in said
                        and f"/{self._port}\0".encode() in said
                        and b"add" in said
                    ):
                        self.at.setdefault(name, time.monotonic())
            with suppress(OSError):
                if "authorised" not in self.at and (device / "authorized").read_text().strip() == "1":
                    self.at["authorised"] = time.monotonic()
                if (device / f"{self._port}:1.0/driver").exists():
                    self.at.setdefault("claimed", time.monotonic())
            time.sleep(0.002)
        for one in self._sockets.values():
            one.close()


_listening: Moments | None = None


def write(path: str, text: str) -> None:
    """Make a file that everybody may read."""
    Path(path).write_text(text)
    Path(path).chmod(0o644)


QUESTIONS: dict[str, Callable[..., Any]] = {
    "devices": devices,
    "status": status,
    "forget": forget,
    "usb": usb,
    "guests": guests,
    "run": run,
    "listen": listen,
    "heard": heard,
    "write": write,
}


def main() -> None:
    """Answer until the end of input."""
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        try:
            said = {"answer": QUESTIONS[question](*arguments)}
        except Exception as error:  # whatever it is, the test is told
            said = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
