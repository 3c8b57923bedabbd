"""Plug in a device by hand: ``python -m tests.lab.usb_peer storage /run/x.sock --file disk.img``.

It prints the QMP commands that connect QEMU to it, then reads lines: ``plug``, ``pull``, ``reset``,
``record``, ``type TEXT`` and, at the end of input, stops.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .descriptors import descriptors
from .hid import Keyboard
from .kinds import KINDS, storage, typing_stick, uas_storage
from .malformed import MALFORMED
from .plug import Peer, qmp_plug
from .storage import File

_WITH_MEDIUM = {"storage": storage, "uas-storage": uas_storage, "typing-stick": typing_stick}


def main() -> int:
    """The command; returns its exit status."""
    every = {**KINDS, **MALFORMED}
    parser = argparse.ArgumentParser(prog="usb_peer", description="Plug an emulated USB device into QEMU.")
    parser.add_argument("kind", choices=sorted(every), metavar="KIND", help=", ".join(sorted(every)))
    parser.add_argument("socket", type=Path, nargs="?", help="left out: print the descriptors, in hex")
    parser.add_argument("--file", type=Path, help=f"disk image, for {', '.join(_WITH_MEDIUM)}")
    parser.add_argument("--rate", type=float, default=20, help="keys a second")
    options = parser.parse_args()
    if options.file and options.kind not in _WITH_MEDIUM:
        parser.error(f"{options.kind} has no medium")
    device = _WITH_MEDIUM[options.kind](File(options.file)) if options.file else every[options.kind]()
    if options.socket is None:
        sys.stdout.write(descriptors(device.model).hex(" ") + "\n")
        return 0
    with Peer(options.socket, device) as peer:
        for command in qmp_plug(options.kind, options.socket.resolve()):
            sys.stdout.write(json.dumps(command) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            _obey(peer, line.rstrip("\n"), options.rate)
        sys.stdout.write(json.dumps(peer.record.summary()) + "\n")
    return 0


def _obey(peer: Peer, line: str, rate: float) -> None:
    word, _, rest = line.partition(" ")
    try:
        match word:
            case "plug":
                peer.connect()
            case "pull":
                peer.disconnect()
            case "reset":
                peer.reset()
            case "type":
                peer.device.find(Keyboard).type(rest, rate)
            case "record":
                sys.stdout.write(json.dumps(peer.record.summary()) + "\n")
            case _:
                sys.stdout.write("plug, pull, reset, record or type TEXT\n")
    except (LookupError, ValueError) as error:
        sys.stdout.write(f"{error}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
