"""Everything that crosses a bus, in a file."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOON = 60.0


@contextmanager
def watched_bus(into: Path) -> Iterator[None]:
    """Write every message of the bus that ``DBUS_SYSTEM_BUS_ADDRESS`` names into a file, byte for byte."""
    with into.open("wb") as file:
        process = subprocess.Popen(
            ["/usr/bin/dbus-monitor", "--address", os.environ["DBUS_SYSTEM_BUS_ADDRESS"], "--binary"],
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + SOON
        while into.stat().st_size == 0:
            if time.monotonic() > deadline:
                raise RuntimeError("dbus-monitor hears nothing")
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(timeout=SOON)
