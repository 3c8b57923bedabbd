"""A USB bus that umockdev makes up, driven by commands; run by Debian's Python under umockdev-wrapper.

sysfs and uevents are umockdev's, and so are keyboards' answers to usbfs ioctls. What the kernel does when a
device is authorised, making its interfaces, happens on the command ``configure``.

Each line of standard input is a JSON object with ``do`` and what that takes; each is answered by one line.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # type: ignore[import-not-found] # noqa: E402

CONTROL, BULK, CLAIM, RELEASE = 0xC0185500, 0xC0185502, 0x8004550F, 0x80045510
ETIMEDOUT, ENODEV, ENOTTY = 110, 19, 25


class Bench:
    """The bus and the commands on it."""

    def __init__(self) -> None:
        self.testbed = UMockdev.Testbed.new()
        self.root = Path(self.testbed.get_root_dir())
        self.paths: dict[str, str] = {}
        self.reports: list[bytes] = []
        self.requests: list[list[int]] = []
        self.claimed: list[int] = []
        self.pulled = False
        self.keyboards: list[Any] = []

    def controller(self, number: int) -> None:
        """A root hub."""
        name = f"usb{number}"
        values = ["authorized_default", "1", "interface_authorized_default", "1"]
        self.paths[name] = self.testbed.add_device("usb", name, None, values, ["DEVTYPE", "usb_device"])
        (self.root / "sys/bus/usb/drivers_probe").write_text("")

    def plug(self, port: str, descriptors: str, devnum: int, **strings: str) -> None:
        """A device that is not authorised; the uevent follows."""
        bus = int(port.partition("-")[0])
        attributes = {"authorized": "0", "busnum": str(bus), "devnum": str(devnum), **strings}
        flat = [part for pair in attributes.items() for part in pair]
        attributes["dev"] = f"189:{(bus - 1) * 128 + devnum - 1}"
        node = f"/dev/bus/usb/{bus:03}/{devnum:03}"
        properties = ["DEVTYPE", "usb_device", "DEVNAME", node]
        flat += ["dev", attributes["dev"]]
        path = self.testbed.add_device("usb", port, self.paths[f"usb{bus}"], flat, properties)
        self.testbed.set_attribute_binary(path, "descriptors", base64.b64decode(descriptors))
        (self.root / node[1:]).parent.mkdir(parents=True, exist_ok=True)
        (self.root / node[1:]).touch()
        self.paths[port] = path

    def pull(self, port: str) -> None:
        """It is gone, then the uevent."""
        path = self.paths.pop(port)
        self.pulled = True
        self.testbed.uevent(path, "remove")
        self.testbed.remove_device(path)

    def configure(self, port: str, triples: list[str]) -> None:
        """The interfaces that an authorised device has, each with an interrupt endpoint."""
        for number, triple in enumerate(triples):
            kind, sub, protocol = triple.split(":")
            directory = self.root / self.paths[port][1:] / f"{port}:1.{number}"
            values = {
                "authorized": "0",
                "bInterfaceNumber": f"{number:02x}",
                "bInterfaceClass": kind,
                "bInterfaceSubClass": sub,
                "bInterfaceProtocol": protocol,
                "ep_81/type": "Interrupt",
                "ep_81/direction": "in",
                "ep_81/bEndpointAddress": "81",
                "ep_81/wMaxPacketSize": "0008",
            }
            for name, value in values.items():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_text(f"{value}\n")

    def keyboard(self, port: str) -> None:
        """Answer usbfs for a device: reports come from ``type``."""
        handler = UMockdev.IoctlBase()
        handler.connect("handle-ioctl", self._ioctl)
        self.keyboards.append(handler)
        bus = int(port.partition("-")[0])
        devnum = int(self.read(port, "devnum"))
        self.testbed.attach_ioctl(f"/dev/bus/usb/{bus:03}/{devnum:03}", handler)

    def type(self, reports: list[str]) -> None:
        """Boot reports, hex, to be read one by one."""
        self.reports += [bytes.fromhex(report) for report in reports]

    def read(self, name: str, attribute: str) -> str:
        """An attribute as it is now."""
        return (self.root / self.paths[name][1:] / attribute).read_text().strip()

    def seen(self) -> dict[str, Any]:
        """What drivers and usbfs were asked for."""
        probed = (self.root / "sys/bus/usb/drivers_probe").read_text()
        return {"probed": probed, "requests": self.requests, "claimed": self.claimed}

    def _ioctl(self, _: Any, client: Any) -> bool:
        request = client.get_request()
        argument = client.get_arg()
        if self.pulled:
            client.complete(-1, ENODEV)
        elif request in (CLAIM, RELEASE):
            (number,) = struct.unpack("I", bytes(argument.resolve(0, 4).retrieve()))
            self.claimed.append(number if request == CLAIM else -1 - number)
            client.complete(0, 0)
        elif request == CONTROL:
            self.requests.append(list(struct.unpack("BBHHH", bytes(argument.resolve(0, 24).retrieve())[:8])))
            client.complete(0, 0)
        elif request == BULK:
            self._bulk(client, argument)
        else:
            client.complete(-1, ENOTTY)
        return True

    def _bulk(self, client: Any, argument: Any) -> None:
        transfer = argument.resolve(0, 24)
        endpoint, length, _ = struct.unpack("III", bytes(transfer.retrieve())[:12])
        if not self.reports or endpoint != 0x81:
            # Sooner than the transfer's own time: this loop is the only one.
            GLib.timeout_add(20, lambda: client.complete(-1, ETIMEDOUT))
            return
        report = self.reports.pop(0)[:length]
        transfer.resolve(16, length).update(0, list(report))
        client.complete(len(report), 0)


def main() -> None:
    """Read commands until standard input ends."""
    bench = Bench()
    loop = GLib.MainLoop()

    def on_command(*_: Any) -> bool:
        line = sys.stdin.readline()
        if not line:
            loop.quit()
            return False
        command = json.loads(line)
        answer = getattr(bench, command.pop("do"))(**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, on_command)
    sys.stdout.write(json.dumps(str(bench.root)) + "\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main()
