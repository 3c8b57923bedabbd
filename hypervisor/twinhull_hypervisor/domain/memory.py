"""How much memory the personal partition has: what the host and the corporate one leave of it. Pure.

The corporate machine's memory is never asked back. What its guest does not use is the host's again by free
page reporting, and so is lent to the personal one; when it is wanted, the personal one's balloon gives it up.
All amounts are in MiB.
"""

from __future__ import annotations

from dataclasses import dataclass

RESERVE_MIB = 512
"""What the host keeps available, so that others find some before a balloon moves."""
SLACK_MIB = 256
"""So much more has to be available before any is given, so that it is not asked back at once."""
LEAST_PART = 4
"""The personal partition keeps this part of its memory, a quarter, whatever others want."""


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """What a machine has.

    Attributes:
        most: what it was started with, above 0; a balloon only takes from it.
        now: what its balloon leaves it, at most ``most``.
        used: what its guest says it cannot do without, at least 0; None while its driver says nothing. It is
            the guest's word, and no more than a request.
    """

    most: int
    now: int
    used: int | None = None


def least(guest: GuestMemory) -> int:
    """What it is left with, however short others are: a quarter, or what it uses and an eighth of that.

    To take what a guest uses would gain nothing: its driver takes that back (deflate-on-oom). One that says
    it uses all of it keeps it, until the kernel ends it for that (installer/config/host/libvirt-hook).
    """
    used = guest.used or 0
    return min(guest.most, max(guest.most // LEAST_PART, used + used // 8))


def target(guest: GuestMemory, available: int, wanted: int = 0) -> int:
    """What the personal machine's balloon should leave it, from ``least(guest)`` to ``guest.most``.

    Args:
        guest: the personal machine.
        available: what the host could give without taking from anybody (MemAvailable of /proc/meminfo).
        wanted: what another machine is about to need.
    """
    spare = available - RESERVE_MIB - wanted
    if spare < 0:
        return min(guest.now, max(least(guest), guest.now + spare))
    return min(guest.most, guest.now + max(0, spare - SLACK_MIB))
