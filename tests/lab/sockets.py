"""The virtual laptop's eight sockets: emulated devices go in over QMP."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from qemu.qmp import QMPError

from .desk import PYTHON, SOON, Cable, Desk
from .machine import Machine
from .usb_peer.device import Device
from .usb_peer.plug import Peer

NAP_SECONDS = "20"


class LaptopSockets:
    """Those of a running machine, one controller for all; see :class:`.desk.Sockets`."""

    at_the_screen = ("TTYPath=/dev/tty3", "StandardInput=tty")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        # Paths of sockets are at most 108 bytes, and pytest's directories are long.
        self._directory = Path(tempfile.mkdtemp(prefix="desk-"))
        self._names: dict[str, str] = {}
        self._hubs: list[str] = []
        self._count = 0

    def plug(self, device: Device, socket: str) -> tuple[Cable, str]:
        """Plug a device in, also behind a hub: ``1.2``."""
        self._count += 1
        name = f"d{self._count}"
        peer = Peer(self._directory / name, device)
        address = {"type": "unix", "data": {"path": str(peer.path)}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        self._machine.command("chardev-add", id=f"{name}-cable", backend=backend)
        self._machine.command(
            "device_add", driver="usb-redir", id=name, chardev=f"{name}-cable", bus="usb.0", port=socket
        )
        self._names[f"1-{socket}"] = name
        return peer, f"1-{socket}"

    def unplug(self, port: str) -> None:
        """Take QEMU's end of the cable away."""
        with suppress(QMPError):
            self._machine.command("device_del", id=self._names[port])

    def python(self, program: Path) -> list[str]:
        """The words that run a program in it, in Twinhull's own environment."""
        self._machine.ssh("sh", "-c", f"cat >/root/{program.name}", stdin=program.read_text())
        return [*self._machine.ssh_command(), "--", PYTHON, "-u", f"/root/{program.name}"]

    def plug_hub(self, socket: int) -> str:
        """Plug a real hub in; its port."""
        self._hubs.append(self._machine.plug("usb-hub", port=socket))
        return f"1-{socket}"

    def pull_hub(self) -> None:
        """Pull the hub that was plugged in last, with everything in it."""
        self._machine.unplug(self._hubs.pop())

    def sleep(self, desk: Desk) -> None:
        """Have the computer sleep; its clock wakes it."""
        desk.root("rtcwake", "-m", "no", "-s", NAP_SECONDS)
        desk.root("systemctl", "suspend")
        desk.until(lambda: "suspend exit" in desk.root("dmesg"), "the computer to wake", seconds=2 * SOON)

    def close(self) -> None:
        """Forget the cables' ends."""
        shutil.rmtree(self._directory, ignore_errors=True)


class LaptopDesk(Desk):
    """The virtual laptop on a desk."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(LaptopSockets(machine))
        self.machine = machine
