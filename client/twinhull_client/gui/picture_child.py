"""Turns an untrusted PNG into plain pixels, where nothing can be lost: run in the sandbox of pictures.py.

Standard input is the PNG; standard output is width and height (32 bits each, little endian) and then RGBA,
four bytes a pixel, rows without padding. Anything else, and any limit that is reached, ends it with status 1.
"""

from __future__ import annotations

import ctypes
import errno
import resource
import struct
import sys

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QImageReader

MOST_BYTES = 4 * 1024 * 1024
MOST_SIDE = 8192
MOST_PIXELS = 16 * 1024 * 1024
MEMORY = 1024**3
SECONDS = 10
SIGNATURE = b"\x89PNG\r\n\x1a\n"

ALLOWED = (
    "brk munmap mremap madvise futex write lseek fstat close clock_gettime getrandom "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group"
)
"""The system calls that decoding takes, beside memory that is never executable."""
STRIPE = 65536
"""Most pixels converted at once: Qt would start threads for more, which the filter forbids."""
PROT_EXEC = 4
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_CMP_MASKED_EQ = 0x7FFF0000, 0x00050000, 7
"""seccomp.h of libseccomp."""


class _Comparison(ctypes.Structure):
    """scmp_arg_cmp of libseccomp's seccomp.h."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def confine() -> None:
    """Give up every other system call for good: they fail with EPERM. Raises OSError where that fails.

    By ctypes, because libseccomp's own binding is the system Python's, and Qt is this one's.
    """
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO | errno.EPERM)))
    allow = ctypes.c_uint32(SCMP_ACT_ALLOW)

    def add(name: str, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        several = (_Comparison * len(comparisons))(*comparisons)
        if library.seccomp_rule_add_array(context, allow, number, len(comparisons), several) != 0:
            raise OSError(errno.EINVAL, "no filter for system calls")

    for name in ALLOWED.split():
        add(name)
    add("mmap", _Comparison(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
    add("mprotect", _Comparison(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
    if not context or library.seccomp_load(context) != 0:
        raise OSError(errno.EINVAL, "no filter for system calls")


def pixels(untrusted: bytes) -> bytes | None:
    """What is written to standard output; None for what is no PNG or larger than the limits."""
    if len(untrusted) > MOST_BYTES or not untrusted.startswith(SIGNATURE):
        return None
    buffer = QBuffer()
    buffer.setData(QByteArray(untrusted))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(b"png"))
    size = reader.size()
    width, height = size.width(), size.height()
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE and width * height <= MOST_PIXELS):
        return None
    image = reader.read()
    if image.isNull() or (image.width(), image.height()) != (width, height):
        return None
    written = bytearray(struct.pack("<II", width, height))
    step = STRIPE // width
    for top in range(0, height, step):
        stripe = image.copy(0, top, width, min(step, height - top))
        stripe = stripe.convertToFormat(QImage.Format.Format_RGBA8888)
        written += stripe.constBits()[: stripe.width() * stripe.height() * 4]  # so no row is padded
    return bytes(written)


def main() -> int:
    """Read, decode, write."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    untrusted = sys.stdin.buffer.read(MOST_BYTES + 1)
    confine()
    written = pixels(untrusted)
    if written is None:
        return 1
    sys.stdout.buffer.write(written)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
