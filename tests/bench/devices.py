"""How long a device takes from its plug to its partition. Run by hand.

``python -m tests.bench.devices`` starts a laptop whose kernel is a process (``tests/kernel``), with both
partitions, and prints one line a figure. From the kernel's own uevent on: when udev was done with the device
(the time any desktop waits), when Twinhull had decided and had it authorised, when the partition's QEMU had
claimed it. System calls are slow in such a kernel, so only shares mean anything.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from tests.kernel import build
from tests.kernel.devices_inside import MOMENTS
from tests.kernel.laptop import laptop

PLUGS = 20


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as work, laptop(build.kernel(), Path(work)) as played:
        moments = [played.play_named(MOMENTS) for _ in range(PLUGS)]
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


if __name__ == "__main__":
    sys.exit(main())
