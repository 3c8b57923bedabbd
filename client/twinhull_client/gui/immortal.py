"""None, True and False that cannot be deallocated, for Pythons before 3.12.

PySide6 6.12's binaries return these singletons without a reference of the caller's own. Python 3.12 allows
that, because there they are immortal (PEP 683). On Debian 12's Python 3.11 every Qt call that returns nothing
takes a reference from None, and after some thousand calls the interpreter ends: "deallocating None".
"""

from __future__ import annotations

import ctypes
import sys

IMMORTAL = 1 << 60
"""More references than any process can drop in its life; ob_refcnt is a signed 64-bit number."""
FIRST_WITHOUT_NEED = (3, 12)


def keep_singletons() -> None:
    """Give the singletons so many references that they last; does nothing where they are immortal already."""
    if sys.version_info >= FIRST_WITHOUT_NEED:
        return
    for singleton in (None, True, False, NotImplemented, ...):
        count = ctypes.c_ssize_t.from_address(id(singleton))  # ob_refcnt is an object's first field
        if count.value < IMMORTAL // 2:
            count.value += IMMORTAL
