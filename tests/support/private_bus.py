"""A D-Bus daemon of a test's own, in place of the system bus."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = "/usr/bin/dbus-daemon"
ADDRESS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"

CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def private_bus(directory: Path) -> Iterator[str]:
    """Run dbus-daemon with its socket in ``directory`` and point ``DBUS_SYSTEM_BUS_ADDRESS`` at it.

    Yields the address. Any user may connect and own any name. Ends the daemon and restores the environment.
    """
    configuration = directory / "bus.conf"
    configuration.write_text(CONFIGURATION.format(socket=directory / "bus.sock"))
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as reader:
        with os.fdopen(write_end, "w"):
            process = subprocess.Popen(
                [PROGRAM, "--nofork", f"--config-file={configuration}", f"--print-address={write_end}"],
                pass_fds=[write_end],
                stderr=subprocess.DEVNULL,
            )
        address = reader.readline().strip()
    before = os.environ.get(ADDRESS_VARIABLE)
    os.environ[ADDRESS_VARIABLE] = address
    try:
        if not address:
            raise RuntimeError("dbus-daemon did not start")
        yield address
    finally:
        if before is None:
            os.environ.pop(ADDRESS_VARIABLE, None)
        else:
            os.environ[ADDRESS_VARIABLE] = before
        process.terminate()
        process.wait(timeout=10)
