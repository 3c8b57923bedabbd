"""A diagnostics bundle: one text file that a person can read before sending it to whoever helps.

It says what this computer and its two partitions are doing, and leaves out what nobody who helps needs: the
owner's phrase, which proves the screen genuine; what identifies a device beyond its model; the computer's
name. Of the personal partition it has the state alone, and of devices none that went there.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from twinhull_policy.api.types import DeviceInfo, Finding, Log, PartitionInfo, Status
from twinhull_policy.errors import TwinhullError, printable

from twinhull_client.bus import Daemon, run

T = TypeVar("T")
SECTION_BYTES = 256 * 1024
"""Most of one section; of what is longer the end is kept, which is what happened last."""
LOG_ENTRIES = 200
JOURNAL_LINES = 500
COMMAND_SECONDS = 20.0
LINE = 2000
"""Most characters of one line."""
UNITS = "twinhull*"
SYSTEMCTL = "/usr/bin/systemctl"
JOURNALCTL = "/usr/bin/journalctl"
ABOUT_THE_PERSONAL_SIDE = frozenset({"partition-personal", "sign-in"})
"""What needs attention and is nobody else's business."""
OS_RELEASE = Path("/etc/os-release")
KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Told:
    """What the daemon answered; the error where it did not."""

    status: Status | TwinhullError
    devices: list[DeviceInfo] | TwinhullError
    log: Log | TwinhullError


def bundle(told: Told, programs: Callable[[list[str]], str], found: Sequence[Finding] = ()) -> str:
    """The file's text.

    Args:
        told: the daemon's answers.
        programs: runs a program and returns what it printed, or why it did not.
        found: what needs attention.
    """
    sections = [
        ("This file", _PREFACE),
        ("Computer", _computer()),
        ("Services", programs([SYSTEMCTL, "--no-pager", "--full", "list-units", "--all", UNITS])),
        ("Attention", _attention(found)),
        ("Status", _status(told.status)),
        ("Devices", _devices(told.devices)),
        ("Log", _log(told.log)),
        (
            "Journal",
            programs(
                [
                    *(JOURNALCTL, "--no-pager", "--quiet", "--boot", "--output=short-iso", "--no-hostname"),
                    f"--lines={JOURNAL_LINES}",
                    f"--unit={UNITS}",
                ]
            ),
        ),
    ]
    return "\n".join(f"== {title}\n{_bounded(text)}\n" for title, text in sections)


def ask() -> Told:
    """The daemon's answers, each on its own: one that fails does not hide the others."""
    return Told(
        status=_asked(lambda daemon: daemon.status()),
        devices=_asked(lambda daemon: daemon.devices()),
        log=_asked(lambda daemon: daemon.log(LOG_ENTRIES)),
    )


def _asked(operation: Callable[[Daemon], Awaitable[T]]) -> T | TwinhullError:
    try:
        return run(operation)
    except TwinhullError as error:
        return error


def run_program(command: list[str]) -> str:
    """What a program prints, or a sentence that says why it does not."""
    if not Path(command[0]).exists():
        return f"(there is no {command[0]} here)"
    try:
        done = subprocess.run(  # noqa: S603 - one of the two lists above
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({command[0]} gave no answer: {type(error).__name__})"
    return done.stdout.decode(errors="replace") or "(nothing that you may read; with sudo there may be more)"


def _bounded(untrusted_text: str) -> str:
    """Printable lines, and of too many the last ones."""
    lines = [printable(line, LINE) for line in untrusted_text.splitlines()]
    kept: list[str] = []
    room = SECTION_BYTES
    for line in reversed(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            kept.append("(what was before is left out)")
            break
        kept.append(line)
    return "\n".join(reversed(kept))


_PREFACE = """\
Made by 'twinhull doctor --bundle'. Read it before you send it, and delete what you do not want to tell.
Left out: your phrase, serial numbers, this computer's name, what your personal partition is made of and its
devices. The log and the journal say when it was started and stopped.
"""


def _computer() -> str:
    release = dict(
        line.split("=", 1)
        for line in (OS_RELEASE.read_text().splitlines() if OS_RELEASE.exists() else [])
        if "=" in line
    )
    facts = {
        "system": release.get("PRETTY_NAME", "unknown").strip('"'),
        "kernel": platform.release(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "/dev/kvm": "there" if KVM.exists() else "missing",
        "systemd": "yes" if Path("/run/systemd/system").is_dir() else "no",
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


def _status(status: Status | TwinhullError) -> str:
    if isinstance(status, TwinhullError):
        return _problem(status)
    partitions = [
        part if part.name == "corporate" else PartitionInfo(name=part.name, state=part.state)
        for part in status.partitions
    ]
    images = [image for image in status.images if image.partition == "corporate"]
    return _json(msgspec.structs.replace(status, owner_phrase="", partitions=partitions, images=images))


def _attention(found: Sequence[Finding]) -> str:
    kept = [finding for finding in found if finding.name not in ABOUT_THE_PERSONAL_SIDE]
    return "\n".join(f"{finding.name}: {finding.problem}" for finding in kept) or "(nothing)"


def _devices(devices: list[DeviceInfo] | TwinhullError) -> str:
    if isinstance(devices, TwinhullError):
        return _problem(devices)
    rows = [
        f"{device.id} {device.kind} {device.model} {','.join(device.interfaces)}: "
        f"{device.verdict} by {device.rule}, {device.state}; {device.reason}"
        for device in devices
        if "personal" not in (device.attached_to, device.verdict)
    ]
    return "\n".join(rows) or "(none but what the personal partition has)"


def _log(log: Log | TwinhullError) -> str:
    if isinstance(log, TwinhullError):
        return _problem(log)
    return "\n".join(f"{entry.at:.0f} {entry.kind} {entry.text}" for entry in log.entries)


def _problem(error: TwinhullError) -> str:
    report = error.report()
    return f"({report.message} {report.code})"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
