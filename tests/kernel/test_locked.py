"""What a lock by the company, or the end of its lease, leaves of the corporate volume's key: nothing.

The core, diskd, dm-crypt and the signatures are real; the machines are libvirt's test driver's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_volume_memory import WIPING, found, shown
from .test_volumes import Asked, empty_disk, laptop

MODULE = "tests.kernel.locked_inside"
FIRST, SECOND = "correct horse battery", "another staple entirely"
OPEN, CLOSED = ["twinhull-corporate", "twinhull-personal"], ["twinhull-personal"]

pytestmark = pytest.mark.timeout(1800)


def keys_of(inside: Asked, name: str, passphrase: str) -> dict[str, bytes]:
    """Make a volume; what is a key of it in memory."""
    slot, kernels = (shown(key) for key in inside.create(name, passphrase))
    return {
        f"{name} slot": slot,
        f"{name} first half": kernels[:32],
        f"{name} second half": kernels[32:],
    }


def test_no_key_outlives_a_lock_or_a_lease(kernel_program: Path, tmp_path: Path) -> None:
    with laptop(kernel_program, empty_disk(tmp_path / "disk"), module=MODULE, options=WIPING) as inside:
        corporate = keys_of(inside, "corporate", FIRST)
        personal = keys_of(inside, "personal", SECOND)
        halves = {f"{name} {half} half" for name in ("corporate", "personal") for half in ("first", "second")}
        assert found(inside.kernel, corporate | personal) >= halves, "the search finds what is there"
        # A command, while the partition has stopped and its volume is open.
        inside.machine("corporate", "off")
        assert (inside.states(), inside.mappings()) == (["unlocked", "unlocked"], OPEN)
        inside.command("lock")
        assert (inside.states(), inside.mappings()) == (["locked", "unlocked"], CLOSED)
        assert found(inside.kernel, corporate | personal) == {
            "personal first half",
            "personal second half",
        }
        assert inside.refusal("unlock", "corporate", FIRST) == "TH-PAR-021"
        inside.command("unlock")
        inside.unlock("corporate", FIRST)
        # A lease that ends, while the partition runs.
        inside.machine("corporate", "running")
        assert (inside.machines(), inside.mappings()) == (["running", "running"], OPEN)
        inside.passes(200)
        assert (inside.machines(), inside.mappings()) == (["absent", "running"], CLOSED)
        assert found(inside.kernel, corporate | personal) == {
            "personal first half",
            "personal second half",
        }
        assert inside.refusal("unlock", "corporate", FIRST) == "TH-PAR-020"
        inside.end()
