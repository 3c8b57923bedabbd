"""How long a device takes from its plug to its partition. Run by hand.

``python -m tests.bench.devices`` starts the virtual laptop and prints one line a figure. From the kernel's
own uevent on: when udev was done with the device (the time any desktop waits), when Twinhull had decided and
had it authorised, when the partition's QEMU had claimed it. All is emulated, so only shares mean anything.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from tests.lab.desk import Desk
from tests.lab.device_events import STORAGE
from tests.lab.installed import laptop, light, renew
from tests.lab.usb_peer.kinds import storage

PLUGS = 10
MIB = 1024 * 1024


def main() -> int:
    """Measure and print."""
    disks = light(_say)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        laptop(Path(directory) / "laptop", disks) as machine,
    ):
        renew(machine, disks)
        with Desk(machine) as desk:
            moments = [_plug(desk) for _ in range(PLUGS)]
    udev = [one["udev"] for one in moments]
    ours = [one["authorised"] for one in moments]
    theirs = [one["claimed"] - one["authorised"] for one in moments]
    whole = [one["claimed"] for one in moments]
    for name, values in (
        ("udev settled after", udev),
        ("Twinhull decided and authorised after", ours),
        ("libvirt and QEMU then took", theirs),
        ("plug to attached", whole),
    ):
        low, middle, high = min(values), statistics.median(values), max(values)
        sys.stdout.write(f"{name}: median {middle:.3f} s ({low:.3f} to {high:.3f}, {PLUGS} plugs)\n")
    ratio = statistics.median(ours) / statistics.median(udev)
    share = statistics.median(ours) / statistics.median(whole)
    sys.stdout.write(f"ours: {100 * ratio:.0f} % of udev's settle, {100 * share:.0f} % of plug to attached\n")
    return 0


def _plug(desk: Desk) -> dict[str, float]:
    desk.rules(STORAGE)
    desk.eyes.ask("listen", "1-1")
    plugged = desk.plug(storage(), 1)
    desk.becomes(plugged.port, "attached", "personal")
    moments: dict[str, float] = desk.eyes.ask("heard")
    desk.clear()
    return moments


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
