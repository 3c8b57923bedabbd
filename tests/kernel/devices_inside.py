"""The table of devices, played row by row on a laptop whose kernel is a process.

Runs in it under systemd: installs Twinhull there with the quickstart, with guests that do nothing, then says
how many seconds that took, and plays each row whose name it reads, in the words of :mod:`tests.leaks.inside`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.lab.desk import PYTHON, SOON, Cable, Desk
from tests.lab.device_events import STORAGE, answers_again
from tests.lab.device_table import TABLE, UNPROVEN, name, play
from tests.lab.usb_peer.device import Device
from tests.lab.usb_peer.kinds import storage
from tests.lab.usb_peer.usbip import KernelPeer, buses

MODULE = "tests.kernel.devices_inside"
MOMENTS = "moments"
"""Asks when what happened to a stick that was plugged in, instead of a row."""
MOUNTS = "mounts"
"""Asks what is mounted."""
QUICKSTART = Path(__file__).resolve().parents[1] / "lab/light_inside.py"
INSTALL_SECONDS = 1500.0
NAP_SECONDS = 3.0


class KernelSockets:
    """Those of the kernel's virtual controller, which takes no hubs; see :class:`tests.lab.desk.Sockets`."""

    at_the_screen = ("Environment=XDG_SEAT=seat0",)
    """Such a kernel has no virtual terminals, and a seat without them is whose session comes last."""

    def plug(self, device: Device, socket: str) -> tuple[Cable, str]:
        """Plug a device in."""
        peer = KernelPeer(device, int(socket))
        return peer, peer.port

    def port(self, socket: int) -> str:
        """What Linux calls a socket."""
        return f"{buses()[0]}-{socket}"

    def unplug(self, port: str) -> None:
        """Nothing is left of a cable that was pulled."""

    def python(self, program: Path) -> list[str]:
        """The words that run a program in Twinhull's own environment."""
        return [PYTHON, "-u", str(program)]

    def plug_hub(self, socket: int) -> str:
        """Not here. Raises NotImplementedError."""
        raise NotImplementedError

    def pull_hub(self) -> None:
        """Not here. Raises NotImplementedError."""
        raise NotImplementedError

    def sleep(self, desk: Desk) -> None:
        """Have the computer sleep; whoever runs it wakes it."""
        _say({"asleep": NAP_SECONDS})
        desk.root("systemctl", "suspend")
        desk.until(lambda: "suspend exit" in desk.root("dmesg"), "the computer to wake", seconds=2 * SOON)

    def close(self) -> None:
        """There is nothing to forget."""


def main() -> int:
    """Play until the empty line."""
    began = time.monotonic()
    words: list[str | Path] = ["/usr/bin/python3", "-P", QUICKSTART]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        _say({"error": f"{done.stdout[-3000:]}{done.stderr[-1000:]}"})
        return 1
    rows = {name(row): row for row in (*TABLE, *UNPROVEN)}
    sockets = KernelSockets()
    with Desk(sockets) as desk:
        answers_again(desk)
        _say({"answer": time.monotonic() - began})
        while asked := sys.stdin.readline().rstrip("\n"):
            began = time.monotonic()
            try:
                if asked == MOMENTS:
                    said: dict[str, object] = {"answer": _moments(desk, sockets.port(1))}
                elif asked == MOUNTS:
                    said = {"answer": desk.root("cat", "/proc/mounts")}
                else:
                    play(desk, rows[asked])
                    said = {"answer": time.monotonic() - began}
            except Exception:  # whatever it is, the test is told
                said = {"error": traceback.format_exc(limit=-4)[-4000:]}
            desk.clear()
            _say(said)
    return 0


def _moments(desk: Desk, port: str) -> dict[str, float]:
    """When what happened to a stick that a rule sends to a partition, in seconds from the kernel's event."""
    desk.rules(STORAGE)
    desk.eyes.ask("listen", port)
    plugged = desk.plug(storage(), 1)
    desk.becomes(plugged.port, "attached", "personal")
    moments: dict[str, float] = desk.eyes.ask("heard")
    return moments


def _say(said: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
