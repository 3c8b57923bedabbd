"""The virtual laptop on a desk: devices go into its eight sockets, and what came of it is looked at.

What Twinhull says of a device is held against what is true: sysfs, the QEMU of each partition, libvirt, and
what the device itself was asked for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu.qmp import QMPError

from .machine import LaptopFailed, Machine
from .usb_peer.device import Device
from .usb_peer.plug import Peer
from .usb_peer.storage import INQUIRY

INSIDE = Path(__file__).resolve().parent / "inside.py"
PYTHON = "/opt/twinhull/venv/bin/python"
OWNER = "twinhull-owner"
SOCKETS = 8
SOON = 60.0
"""Seconds after which what was waited for does not come any more; the laptop is emulated."""
POLL = 0.25
LET_IN = ("host", "attached", "admission")
"""States in which a device is used by somebody."""

Info = dict[str, Any]


class Eyes:
    """A program in the laptop that answers questions; see :mod:`inside`."""

    def __init__(self, machine: Machine) -> None:
        machine.ssh("sh", "-c", "cat >/root/inside.py", stdin=INSIDE.read_text())
        words = [*machine.ssh_command(), "--", PYTHON, "-u", "/root/inside.py"]
        self._lock = threading.Lock()
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *question: str) -> Any:
        """The answer to one question. Raises LaptopFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise LaptopFailed("the laptop stopped answering")
        said = json.loads(line)
        if "error" in said:
            raise LaptopFailed(said["error"])
        return said["answer"]

    def close(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.communicate()


class Plugged:
    """A device in a socket.

    Attributes:
        port: what Linux and Twinhull call the socket: ``1-3``.
        peer: the device and what was done with it.
    """

    def __init__(self, desk: Desk, peer: Peer, name: str, socket: str) -> None:
        self._desk = desk
        self._name = name
        self.peer = peer
        self.port = f"1-{socket}"

    def pull(self) -> None:
        """Pull it out; :meth:`put_back` plugs the same device in again."""
        self.peer.disconnect()
        self._desk.until(lambda: self.port not in self._desk.usb(), f"{self.port} to be gone")

    def put_back(self) -> None:
        """Plug it in again."""
        self.peer.connect()

    def remove(self) -> None:
        """Take it away for good."""
        self.peer.disconnect()
        with suppress(QMPError):
            self._desk.machine.command("device_del", id=self._name)
        self.peer.close()


class Desk:
    """A running laptop and the devices in it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        # Paths of sockets are at most 108 bytes, and pytest's directories are long.
        self._directory = Path(tempfile.mkdtemp(prefix="desk-"))
        self._plugged: list[Plugged] = []
        self._hubs: list[str] = []
        self._count = 0
        self._ruled = False

    @cached_property
    def eyes(self) -> Eyes:
        """Asked for when the laptop runs; see :meth:`close_eyes`."""
        return Eyes(self.machine)

    def close_eyes(self) -> None:
        """Before the laptop is switched off."""
        self.eyes.close()
        del self.eyes

    # Hands

    def plug(self, device: Device, socket: str | int = 1) -> Plugged:
        """Plug a device into a socket, ``1`` to ``8``, or ``1.2`` behind a hub."""
        self._count += 1
        name = f"d{self._count}"
        peer = Peer(self._directory / name, device)
        address = {"type": "unix", "data": {"path": str(peer.path)}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        self.machine.command("chardev-add", id=f"{name}-cable", backend=backend)
        self.machine.command(
            "device_add", driver="usb-redir", id=name, chardev=f"{name}-cable", bus="usb.0", port=str(socket)
        )
        plugged = Plugged(self, peer, name, str(socket))
        self._plugged.append(plugged)
        return plugged

    def plug_hub(self, socket: int) -> str:
        """Plug a real hub in; its port."""
        self._hubs.append(self.machine.plug("usb-hub", port=socket))
        return f"1-{socket}"

    def pull_hub(self) -> None:
        """Pull the hub that was plugged in last, with everything in it."""
        self.machine.unplug(self._hubs.pop())

    def clear(self) -> None:
        """Everything out, and what was said about it forgotten."""
        ports = [plugged.port for plugged in self._plugged]
        for plugged in self._plugged:
            plugged.remove()
        self._plugged = []
        while self._hubs:
            self.pull_hub()
        self.until(lambda: not self.usb(), "nothing to be plugged in")
        for port in dict.fromkeys(ports):
            self.eyes.ask("forget", port)
        if self._ruled:
            self.rules()

    def owner(self, *words: str, refused: str = "") -> str:
        """Run ``twinhull`` as the owner; what it printed. ``refused`` is the code it has to fail with."""
        done = self.eyes.ask("run", "runuser", "-u", OWNER, "--", "twinhull", *words)
        said = f"{done['output']}{done['error']}"
        assert (refused in said) if refused else done["status"] == 0, (words, done)
        assert bool(refused) == (done["status"] != 0), (words, done)
        return str(done["output"])

    def root(self, *words: str) -> str:
        """Run a program as root that has to succeed; returns what it printed."""
        done = self.eyes.ask("run", *words)
        assert done["status"] == 0, (words, done)
        return str(done["output"])

    def rules(self, *rules: dict[str, Any]) -> None:
        """Put the owner's own rules before nothing else; without any, the defaults are back."""
        self._ruled = bool(rules)
        if not rules:
            self.owner("device", "rules", "--defaults")
            return
        document = {"schema": "twinhull.owner/1", "devices": list(rules)}
        self.eyes.ask("write", "/run/rules.json", json.dumps(document))
        self.owner("device", "rules", "--set", "/run/rules.json")

    def publish(self, devices: list[dict[str, Any]]) -> None:
        """Have the company publish a policy with these device rules, and wait until it is in force."""
        before = self.eyes.ask("status")["policy"]
        document = {**json.loads(before["document"]), "devices": devices}
        self.eyes.ask("write", "/run/policy.json", json.dumps(document))
        self.root("twinhull-server", "policy", "publish", "/run/policy.json")
        self.until(lambda: self._sequence() > before["sequence"], "the new policy")

    def _sequence(self) -> int:
        return int(self.eyes.ask("status")["policy"]["sequence"])

    # Eyes

    def usb(self) -> dict[str, Any]:
        """The USB devices in sysfs by port."""
        found: dict[str, Any] = self.eyes.ask("usb")
        return found

    def info(self, port: str) -> Info | None:
        """What Twinhull says of a port."""
        listed: list[Info] = self.eyes.ask("devices")
        return next((info for info in listed if info["port"] == port), None)

    def becomes(self, port: str, state: str, partition: str = "", rule: str = "") -> Info:
        """Wait until Twinhull says that of a port; what it says then."""
        last: list[Info | None] = [None]

        def there() -> bool:
            info = last[0] = self.info(port)
            return (
                info is not None
                and (info["state"], info["attached_to"]) == (state, partition)
                and rule in ("", info["rule"])
            )

        self.until(there, f"{port} to be {state} {partition} {rule}", lambda: last[0])
        assert last[0] is not None
        return last[0]

    def until(
        self,
        true: Callable[[], object],
        what: str,
        detail: Callable[[], object] = lambda: "",
        seconds: float = SOON,
    ) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"waited in vain for {what}: {detail()}"
            time.sleep(POLL)

    def holders(self, port: str) -> list[str]:
        """The partitions whose QEMU has the device of a port, as QEMU itself says."""
        return [name for name, guest in self.eyes.ask("guests").items() if _has(guest["qemu"], port)]

    def holds_true(self, plugged: Plugged, state: str, partition: str = "") -> None:
        """What is true of a device, whatever Twinhull says, if it is in that state."""
        usb = self.usb()[plugged.port]
        guests = self.eyes.ask("guests")
        expected = [partition] if state == "attached" else []
        assert [name for name in guests if _has(guests[name]["qemu"], plugged.port)] == expected, guests
        assert [name for name in guests if plugged.port in guests[name]["libvirt"]] == expected, guests
        drivers = {driver for driver in usb["drivers"] if driver}
        if state == "host":
            assert drivers
            assert "usbfs" not in drivers
        else:
            assert drivers <= {"usbfs"}, usb
        assert usb["authorized"] == ("1" if state in LET_IN else "0"), usb

    def never_used(self, plugged: Plugged) -> None:
        """Nobody ever did more with it than read what it says of itself."""
        record = plugged.peer.record
        assert not record.bound, record.summary()
        assert not any(record.configured), record.summary()
        assert not record.scsi[INQUIRY]

    def close(self) -> None:
        """Pull everything and stop looking."""
        for plugged in self._plugged:
            plugged.remove()
        self.eyes.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _has(info_usb: str, port: str) -> bool:
    """Whether ``info usb`` of QEMU lists the device of a port: the line ends with the name it was given."""
    return any(
        line.rstrip().endswith(f"ID: ua-usb-{port.replace('.', '_')}") for line in info_usb.splitlines()
    )
