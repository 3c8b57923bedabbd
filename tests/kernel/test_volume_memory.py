"""What all memory of a laptop holds of a volume's keys: while it is open, and once it is locked.

Of what was typed a copy stays with the core (docs/known-issues.md).
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

import pytest

from .machine import Kernel
from .test_volumes import Asked, empty_disk, laptop

TYPED = b"the quick fox that nobody else has ever typed"
WIPING = ("init_on_free=1",)
"""As 'twinhull doctor' wants it of a laptop: what is freed is wiped."""

pytestmark = pytest.mark.timeout(1800)


def hidden(content: bytes) -> str:
    """As ``volumes_inside.hide``: told so, it is not in the memory that is searched."""
    return bytes(byte ^ 0x5A for byte in content).hex()


def shown(text: str) -> bytes:
    """What was hidden."""
    return bytes(byte ^ 0x5A for byte in bytes.fromhex(text))


def found(kernel: Kernel, needles: Mapping[str, bytes]) -> set[str]:
    """Which of them are anywhere in memory."""
    with (
        kernel.frozen_memory() as path,
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory,
    ):
        return {name for name, needle in needles.items() if memory.find(needle) >= 0}


def opened(inside: Asked, kernels: bytes) -> dict[str, bytes]:
    """Open it as a person does; the keys that nobody may find afterwards."""
    slot = shown(inside.typed(hidden(TYPED)))
    keys = {"slot": slot, "first half": kernels[:32], "second half": kernels[32:]}
    return keys | {f"{name} in text": key.hex().encode() for name, key in keys.items()}


def test_a_locked_volume_leaves_no_key_in_memory(kernel_program: Path, tmp_path: Path) -> None:
    disk = empty_disk(tmp_path / "disk")
    with laptop(kernel_program, disk, cut=None) as inside:
        inside.create(TYPED.decode())
        kernels = shown(inside.kernels_key())
        inside.end()
    with laptop(kernel_program, disk, cut=None, options=WIPING) as inside:
        keys = opened(inside, kernels)
        # The search finds what is there: in the kernel alone, and what the person's own program still holds.
        there = found(inside.kernel, {**keys, "typed": TYPED})
        assert there == {"typed", "first half", "second half"}
        inside.left_alone()
        inside.lock()
        assert found(inside.kernel, keys) == set()
        inside.end()
