"""The virtual laptop by hand: ``tests/lab/laptop up|ssh|plug|unplug|screen|cut|down …`` (CONTRIBUTING.md)."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from qemu.qmp import QMPError
from twinhull_images.run import CommandFailed as BuildFailed
from twinhull_installer.errors import InstallerError

from .emulator_build import CACHE
from .image import base_image
from .installed import booted, installed
from .machine import Disks, LaptopFailed, Machine

HAND = CACHE / "by-hand"
"""The one laptop that is driven by hand."""
SIMPLE = (
    "usb-kbd",
    "usb-mouse",
    "usb-tablet",
    "usb-hub",
    "usb-serial",
    "usb-ccid",
    "usb-audio",
    "usb-storage",
)


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="tests/lab/laptop", description="A virtual laptop, driven by hand.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="switch it on, with Twinhull installed")
    up.add_argument("--bare", action="store_true", help="Debian alone, Twinhull's sources beside it")
    verbs.add_parser("ssh", help="a shell in it, as root, or one command").add_argument("words", nargs="*")
    plug = verbs.add_parser("plug", help="plug a USB device in: " + ", ".join(SIMPLE))
    plug.add_argument("kind", choices=SIMPLE)
    plug.add_argument("--port", type=int, choices=range(1, 9), help="which of the eight sockets")
    verbs.add_parser("unplug", help="pull a USB device out").add_argument("name")
    verbs.add_parser("screen", help="a picture of its screen").add_argument("file", type=Path)
    verbs.add_parser("console", help="what it wrote to its serial line")
    verbs.add_parser("cut", help="take its power away; 'up' then boots what is on its disk")
    verbs.add_parser("down", help="switch it off and forget it")
    options = parser.parse_args(arguments)
    try:
        return _do(options)
    except (LaptopFailed, QMPError, InstallerError, BuildFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _do(options: argparse.Namespace) -> int:
    machine = Machine(HAND)
    if options.verb == "up":
        return _up(machine, bare=options.bare)
    if options.verb == "down":
        if machine.running():
            machine.cut_power()
        shutil.rmtree(HAND, ignore_errors=True)
        return 0
    if not machine.running():
        raise LaptopFailed("it is not switched on; run 'tests/lab/laptop up' first")
    if options.verb == "ssh":
        words = machine.ssh_command(*(() if options.words else ("-t",)))
        os.execvp(words[0], [*words, *options.words])  # noqa: S606 - argument list
    if options.verb == "console":
        sys.stdout.write(machine.console())
        return 0
    machine.attach()
    if options.verb == "plug":
        name = machine.plug(options.kind, port=options.port)
        sys.stdout.write(f"{name}\n")
    elif options.verb == "unplug":
        machine.unplug(options.name)
    elif options.verb == "screen":
        machine.screenshot(options.file.absolute())
    elif options.verb == "cut":
        machine.cut_power()
    machine.close()
    return 0


def _up(machine: Machine, *, bare: bool) -> int:
    def say(sentence: str) -> None:
        sys.stderr.write(f"{sentence}\n")

    if machine.running():
        say("It is switched on already.")
        return 0
    if (HAND / "disk.qcow2").exists():
        machine.start(Disks(base_image(say)))
        machine.wait_for_ssh()
    elif bare:
        booted(HAND, say)
    else:
        machine.start(installed(say))
        machine.wait_for_ssh()
        machine.set_clock()
    say("It is up: tests/lab/laptop ssh")
    return 0
