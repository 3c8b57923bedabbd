"""QEMU-LUKS overlays through qemu-img: made, and given another key.

Keys go to qemu-img in anonymous memory (memfd_create(2)), named by descriptor; none is in an argument, an
environment or a file. That format derives keys by PBKDF2 only, so a key slot of its holds nothing but a
random 256-bit key of ours, and iter-time is the least there is, as such a key needs no stretching.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from twinhull_hypervisor.run import Completed, run

QEMU_IMG_SECONDS = 60.0
ATTEMPTS = 8
UNMEASURED = b"Unable to get accurate CPU usage"
"""QEMU 7.2's crypto/pbkdf.c gives up when its benchmark fits between two accounting ticks."""
NO_ROOM = b"No space left on device"
PLAIN_FORMAT = "cluster_size=128k,extended_l2=on,lazy_refcounts=off,compat=1.1,preallocation=off"
FORMAT = (
    f"{PLAIN_FORMAT},"
    "encrypt.format=luks,encrypt.key-secret=key,encrypt.cipher-alg=aes-256,encrypt.cipher-mode=xts,"
    "encrypt.ivgen-alg=plain64,encrypt.hash-alg=sha256,encrypt.iter-time=10"
)


class _Slot(msgspec.Struct):
    active: bool


class _Encryption(msgspec.Struct):
    slots: list[_Slot]


class _Data(msgspec.Struct):
    encrypt: _Encryption


class _Specific(msgspec.Struct):
    data: _Data


class _Info(msgspec.Struct):
    """The part of ``qemu-img info --output json`` that is read here."""

    specific: _Specific = msgspec.field(name="format-specific")


def make(path: Path, base: Path, disk_gib: int, key: bytes) -> Completed:
    """Make an overlay over ``base``, opened by ``key`` in its key slot 0; the caller judges the result.

    The base is not opened (-u): its header was checked when it came, and core parses no disk image.
    """
    command: list[str | Path] = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base]
    return _run(command, {"key": key}, ["-o", FORMAT, path, f"{disk_gib}G"])


def make_plain(path: Path, base: Path, disk_gib: int) -> Completed:
    """As :func:`make`, without a key: for a place that is encrypted itself."""
    command: list[str | Path] = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base]
    return _run(command, {}, ["-o", PLAIN_FORMAT, path, f"{disk_gib}G"])


def add_key(path: Path, key: bytes, new: bytes, slot: int) -> Completed:
    """Have ``new`` open the overlay too, in a key slot that is empty; the caller judges the result."""
    options = f"encrypt.state=active,encrypt.new-secret=new,encrypt.keyslot={slot},encrypt.iter-time=10"
    return _run(["qemu-img", "amend", "-q"], {"key": key, "new": new}, ["-o", options, _opened(path)])


def erase_key(path: Path, key: bytes, slot: int) -> Completed:
    """Overwrite a key slot that is in use and not ``key``'s own; the caller judges the result."""
    options = f"encrypt.state=inactive,encrypt.keyslot={slot}"
    return _run(["qemu-img", "amend", "-q"], {"key": key}, ["-o", options, _opened(path)])


def open_once(path: Path, key: bytes) -> Completed:
    """Open an overlay with a key, to read, and close it; the caller judges the result."""
    return _run(["qemu-io", "-r"], {"key": key}, ["-c", "quit", _opened(path)])


def keys_in_use(path: Path) -> list[bool]:
    """Which of the overlay's eight key slots hold a key. Raises ProgramFailed, msgspec.DecodeError."""
    shown = run(["qemu-img", "info", "--output", "json", "-f", "qcow2", path], timeout=QEMU_IMG_SECONDS)
    return [slot.active for slot in msgspec.json.decode(shown.stdout, type=_Info).specific.data.encrypt.slots]


def _opened(path: Path) -> str:
    """The overlay by itself, its key called "key": whatever its header names as a base stays closed."""
    file = {"driver": "file", "filename": str(path)}
    encryption = {"format": "luks", "key-secret": "key"}
    return "json:" + json.dumps({"driver": "qcow2", "backing": None, "file": file, "encrypt": encryption})


def _run(
    command: Sequence[str | Path],
    secrets: Mapping[str, bytes],
    rest: Sequence[str | Path],
) -> Completed:
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            fds = {name: stack.enter_context(_in_memory(value)) for name, value in secrets.items()}
            objects: list[str] = []
            for name, fd in fds.items():
                objects += ["--object", f"secret,id={name},file=/proc/self/fd/{fd},format=raw"]
            completed = run(
                [*command, *objects, *rest],
                timeout=QEMU_IMG_SECONDS,
                pass_fds=list(fds.values()),
                check=False,
            )
        if UNMEASURED not in completed.stderr:
            break
    return completed


@contextmanager
def _in_memory(value: bytes) -> Iterator[int]:
    """A descriptor of anonymous memory that holds ``value``; overwritten and closed on leaving."""
    fd = os.memfd_create("twinhull", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, value, 0)
        yield fd
    finally:
        os.pwrite(fd, bytes(len(value)), 0)
        os.close(fd)
