"""One caller as a process: becomes a user, connects, says so, and calls all when told to."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from sdbus import SdBus, sd_bus_open_system
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, DaemonError, DaemonInterface

from .table import METHODS, PIPE


async def _call(daemon: DaemonInterface, name: str) -> str:
    """The code a call ended with, empty for an answer."""
    reading, writing = os.pipe()
    os.close(writing)
    arguments = [reading if argument is PIPE else argument for argument in METHODS[name].arguments]
    try:
        await getattr(daemon, name)(*arguments)
    except DaemonError as error:
        return str(json.loads(str(error))["code"])
    finally:
        os.close(reading)
    return ""


async def _calls(bus: SdBus) -> dict[str, str]:
    daemon = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, bus)
    return {name: await _call(daemon, name) for name in METHODS}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """``caller UID``; everything is imported by now, which that user could perhaps not read."""
    uid = int(sys.argv[1])
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    bus = sd_bus_open_system()
    _say("connected")
    sys.stdin.readline()
    _say(json.dumps(asyncio.run(_calls(bus))))
    sys.stdin.readline()


if __name__ == "__main__":
    main()
