"""Reading descriptors where there is nothing to lose: a child that has given everything up.

It runs as nobody, without groups, with little memory and time, may open nothing, and after that only a dozen
system calls are left to it (seccomp_filter.rst). What it answers is one byte a device, and the worst that a
device which takes it over can get is to be called a keyboard, which is what its descriptors may say anyway.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import select
import signal
import struct
from collections.abc import Sequence

from twinhull_policy.descriptors import MalformedDescriptors, parse_usb_descriptors
from twinhull_policy.safety import safety_verdict

NOBODY = 65534
SECONDS = 5.0
"""All descriptors of a machine are read in milliseconds."""
MEMORY_BYTES = 512 * 1024 * 1024
"""Of address space: what Python has mapped already, and room for the descriptors."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
"""SECCOMP_RET_KILL_PROCESS and SECCOMP_RET_ALLOW (linux/seccomp.h)."""
_CALLS = {
    # name: x86_64, aarch64 (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigreturn": (15, 139),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "exit_group": (231, 94),
}
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""AUDIT_ARCH_* (linux/audit.h) and the column above."""


def host_devices(untrusted_descriptors: Sequence[bytes]) -> list[bool]:
    """For each blob, whether the safety rules leave the device to the host: a boot keyboard, pointer or hub.

    A child that does not answer in time, or otherwise than it should, gets nothing through: all False.
    """
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(down_write)
            os.close(up_read)
            _give_everything_up()
            os.write(up_write, _judge(_read_all(down_read)))
            os._exit(0)
        os._exit(1)
    try:
        os.close(down_read)
        os.close(up_write)
        with contextlib.suppress(BrokenPipeError), os.fdopen(down_write, "wb") as pipe:
            for blob in untrusted_descriptors:
                pipe.write(struct.pack("<I", len(blob)) + blob)
        untrusted_answer = b""
        if select.select([up_read], [], [], SECONDS)[0]:
            untrusted_answer = os.read(up_read, len(untrusted_descriptors) + 1)
    finally:
        os.close(up_read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if len(untrusted_answer) != len(untrusted_descriptors):
        return [False] * len(untrusted_descriptors)
    return [byte == 1 for byte in untrusted_answer]


def _judge(content: bytes) -> bytes:
    answer = bytearray()
    while content:
        (length,) = struct.unpack_from("<I", content)
        blob, content = content[4 : 4 + length], content[4 + length :]
        try:
            verdict = safety_verdict(parse_usb_descriptors(blob))
        except MalformedDescriptors:
            verdict = None
        answer.append(verdict is not None and verdict.verdict == "host")
    return bytes(answer)


def _read_all(fd: int) -> bytes:
    content = b""
    while chunk := os.read(fd, 1 << 16):
        content += chunk
    return content


def _give_everything_up() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(SECONDS)),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    _filter_system_calls()


def _filter_system_calls() -> None:
    """Leave what Python needs to compute with memory it has and to answer; anything else ends the child."""
    architecture, column = _ARCHITECTURES[platform.machine()]
    calls = [numbers[column] for numbers in _CALLS.values()]
    program = [
        (0x20, 0, 0, 4),  # load seccomp_data.arch
        (0x15, 1, 0, architecture),  # go on if it is ours
        (0x06, 0, 0, _KILL),
        (0x20, 0, 0, 0),  # load seccomp_data.nr; x32 calls have bit 30 and match nothing below
        *((0x15, len(calls) - place, 0, call) for place, call in enumerate(calls)),
        (0x06, 0, 0, _KILL),
        (0x06, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("<HBBI", *line) for line in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: count, padding, pointer (linux/filter.h).
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0),
    ):
        if libc.prctl(*(ctypes.c_ulong(value) for value in arguments)) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
