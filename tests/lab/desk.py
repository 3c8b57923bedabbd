"""The virtual laptop on a desk: devices go into its eight sockets, and what came of it is looked at.

What Twinhull says of a device is held against what is true: sysfs, the QEMU of each partition, libvirt, and
what the device itself was asked for.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from .machine import LaptopFailed
from .usb_peer.device import Device, Record
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


class Cable(Protocol):
    """What an emulated device hangs on: see :class:`.usb_peer.plug.Peer`."""

    device: Device

    @property
    def record(self) -> Record:
        """What the laptop did with the device so far."""

    def connect(self) -> None:
        """Plug the device in."""

    def disconnect(self) -> None:
        """Pull it."""

    def reset(self) -> None:
        """It drops off the bus and comes back."""

    def wait(self, condition: Callable[[Record], object]) -> bool:
        """Wait until something holds of the record; whether it came to that."""

    def close(self) -> None:
        """Pull it for good."""


class Sockets(Protocol):
    """The laptop that the desk has, as far as its sockets and its programs go.

    Attributes:
        at_the_screen: properties of a unit whose process is at this computer's screen (pam_systemd(8)).
    """

    @property
    def at_the_screen(self) -> tuple[str, ...]: ...

    def plug(self, device: Device, socket: str) -> tuple[Cable, str]:
        """Plug a device in; its cable, and what Linux calls the socket."""

    def unplug(self, port: str) -> None:
        """Take the cable away that was plugged in there."""

    def python(self, program: Path) -> list[str]:
        """The words that run a program there, in Twinhull's own environment."""

    def plug_hub(self, socket: int) -> str:
        """Plug a hub in; its port."""

    def pull_hub(self) -> None:
        """Pull the hub that was plugged in last."""

    def sleep(self, desk: Desk) -> None:
        """Have the computer sleep, and be woken soon."""

    def close(self) -> None:
        """Nothing more is plugged in."""


class Eyes:
    """A program in the laptop that answers questions; see :mod:`inside`."""

    def __init__(self, words: list[str]) -> None:
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

    def __init__(self, desk: Desk, peer: Cable, port: str) -> None:
        self._desk = desk
        self.peer = peer
        self.port = port

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
        self._desk.sockets.unplug(self.port)
        self.peer.close()


class Desk:
    """A running laptop and the devices in it."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self._plugged: list[Plugged] = []
        self._hubs = 0
        self._ruled = False

    @cached_property
    def eyes(self) -> Eyes:
        """Asked for when the laptop runs; see :meth:`close_eyes`."""
        return Eyes(self.sockets.python(INSIDE))

    def close_eyes(self) -> None:
        """Before the laptop is switched off."""
        self.eyes.close()
        del self.eyes

    # Hands

    def plug(self, device: Device, socket: str | int = 1) -> Plugged:
        """Plug a device into a socket, ``1`` to ``8``, or ``1.2`` behind a hub."""
        plugged = Plugged(self, *self.sockets.plug(device, str(socket)))
        self._plugged.append(plugged)
        return plugged

    def plug_hub(self, socket: int) -> str:
        """Plug a real hub in; its port."""
        self._hubs += 1
        return self.sockets.plug_hub(socket)

    def pull_hub(self) -> None:
        """Pull the hub that was plugged in last, with everything in it."""
        self._hubs -= 1
        self.sockets.pull_hub()

    def clear(self) -> None:
        """Everything out, and what was said about it forgotten."""
        ports = list(dict.fromkeys(plugged.port for plugged in self._plugged))
        for port in ports:  # one with a serial number is known by that as long as it is there
            self.eyes.ask("forget", port)
        for plugged in self._plugged:
            plugged.remove()
        self._plugged = []
        while self._hubs:
            self.pull_hub()
        self.until(lambda: not self.usb(), "nothing to be plugged in")
        for port in ports:  # one without is known by where it was
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
        self.sockets.close()

    def __enter__(self) -> Self:
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
