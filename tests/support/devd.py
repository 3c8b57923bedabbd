"""A real twinhull-devd over its socket, on this machine's sysfs or on a bus that umockdev makes up."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinhull_hypervisor.devices.client import DevdClient

from tests.support.source import ROOT

BENCH = Path(__file__).with_name("usb_bench.py")
_MAIN = "from twinhull_hypervisor.devices.main import main; raise SystemExit(main())"
_PATIENCE = 30.0


class Bus:
    """The made-up bus: one method a command of tests/support/usb_bench.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.root = str(self._answer())

    def plug(self, port: str, descriptors: bytes, devnum: int = 5, **strings: str) -> None:
        """Plug in a device; it is not authorised."""
        blob = base64.b64encode(descriptors).decode()
        self.do("plug", port=port, descriptors=blob, devnum=devnum, **strings)

    def do(self, command: str, **arguments: Any) -> Any:
        """Any command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def usb_bus() -> Iterator[Bus]:
    """A made-up bus with one controller, gone afterwards."""
    command = ["umockdev-wrapper", "/usr/bin/python3", "-P", str(BENCH)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        bus = Bus(process)
        try:
            bus.do("controller", number=1)
            yield bus
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_PATIENCE)
            # umockdev removes it only where every object of its own was let go of.
            shutil.rmtree(bus.root, ignore_errors=True)


def run_devd(*options: str) -> int:
    """Run it to its end, for an errand; its exit status."""
    command = [sys.executable, "-c", _MAIN, *options]
    return subprocess.run(command, env=_environment(), check=False, timeout=60).returncode


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / name) for name in ("policy", "hypervisor"))
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def running_devd(directory: Path, bus: Bus | None = None) -> Iterator[DevdClient]:
    """devd until the context ends.

    Args:
        directory: for its socket and its record.
        bus: the bus it is to see; None for this machine's own.
    """
    path = directory / "devd.sock"
    wrapper = ["umockdev-wrapper"] if bus else []
    environment = _environment()
    if bus:
        environment["UMOCKDEV_DIR"] = bus.root
    command = [*wrapper, sys.executable, "-c", _MAIN, "--socket", str(path)]
    process = subprocess.Popen([*command, "--record", str(directory / "run/boot.json")], env=environment)
    try:
        until = time.monotonic() + _PATIENCE
        while not path.exists():
            assert process.poll() is None and time.monotonic() < until, "devd does not come up"
            time.sleep(0.02)
        yield DevdClient(path)
    finally:
        process.terminate()
        process.wait(_PATIENCE)
        path.unlink(missing_ok=True)
