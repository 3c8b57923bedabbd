"""Storage through passthrough against the same disk on the emulated controller. Run by hand.

``python -m tests.bench.storage`` boots the virtual laptop bare, with two equal sticks on its controller. The
laptop reads one itself; a guest in it reads the other, passed through as a partition gets one, and a third
that the guest's own QEMU emulates. All is emulated, the guest twice, so only ratios mean anything, and they
are no figures of a real laptop.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.lab.installed import booted
from tests.lab.machine import Machine
from tests.lab.usb_peer.machine import boot_files

ROUNDS = 7
MEBIBYTES = 2
INSIDE = Path(__file__).resolve().parent / "storage_inside.py"
MEASURE_SECONDS = 1800.0


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        machine = booted(Path(directory) / "laptop", _say)
        try:
            said = _measure(machine)
        finally:
            machine.cut_power()
    for name, values in said.items():
        speeds = [MEBIBYTES / one for one in values]
        low, middle, high = min(speeds), statistics.median(speeds), max(speeds)
        sys.stdout.write(f"{name}: median {middle:.2f} MiB/s ({low:.2f} to {high:.2f}, {ROUNDS} rounds)\n")
    for other in ("emulated", "host"):
        ratios = [there / here for here, there in zip(said["passed"], said[other], strict=True)]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        sys.stdout.write(f"passed through, of '{other}': {middle:.2f} ({low:.2f} to {high:.2f})\n")
    return 0


def _measure(machine: Machine) -> dict[str, list[float]]:
    kernel, ramdisk = boot_files()
    for source, place in ((kernel, "/root/kernel"), (ramdisk, "/root/ramdisk")):
        content = base64.b64encode(source.read_bytes()).decode()
        machine.ssh("sh", "-c", f"base64 -d >{place}", stdin=content, timeout=300)
    machine.ssh("sh", "-c", "head -c 64M /dev/zero >/root/stick")
    for port in (1, 2):
        machine.plug("usb-storage", port=port)
    arguments = ["/root/kernel", "/root/ramdisk", "/root/stick", str(ROUNDS), str(MEBIBYTES)]
    script = INSIDE.read_text()
    said: dict[str, list[float]] = json.loads(
        machine.ssh("python3", "-", *arguments, stdin=script, timeout=MEASURE_SECONDS)
    )
    return said


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
