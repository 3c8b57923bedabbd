"""The state of the corporate tunnel, as a table from what is observed to what it is called.

netd looks at the kernel each time and reads the first row that fits. Two things are remembered, that the
network was built and that a canary failed, and they count for the very namespace they are about
(:mod:`.memory`): so a namespace which `down` emptied is told from one that lost its contents. Fail closed
means that every row but those that say so keeps the guest's link down, and that no row needs netd to be
alive: without a tunnel the namespace has no route out, whoever is running.

:func:`as_markdown` is the table in docs/network.md; tests/api/test_netd_states.py compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from twinhull_policy.api.types import VpnState

HANDSHAKE_STALE_SECONDS = 190.0
"""WireGuard forgets a session after REJECT_AFTER_TIME, 180 s (WireGuard white paper, section 6.1); with our
keepalive a live one is renewed every 120 s. Ten seconds of grace."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen of the corporate namespace at one moment.

    Attributes:
        built: the namespace is there, and it was built or holds anything beside lo.
        confined: it holds nothing but lo, the tap and the tunnel; every route, address and setting in it is
            Twinhull's or the policy's.
        firewall: its nftables tables are exactly as they were loaded.
        proven: no canary has failed since the last run in which all passed.
        tunnel: the tunnel interface is in it, up, and has something live behind it.
        answered: the gateway answered within HANDSHAKE_STALE_SECONDS.
    """

    built: bool
    confined: bool
    firewall: bool
    proven: bool
    tunnel: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; None matches either way."""

    built: bool | None
    confined: bool | None
    firewall: bool | None
    proven: bool | None
    tunnel: bool | None
    answered: bool | None
    state: VpnState
    guest_link: bool
    """Whether the guest's link may be up in this state; where it may not, it is pulled."""
    reason: str


_ANY = None
_NO_FILTER = "The corporate network's packet filter is missing or was changed."
TABLE: tuple[Row, ...] = (
    Row(False, _ANY, _ANY, _ANY, _ANY, _ANY, "down", False, "The corporate network is not built."),
    Row(True, False, _ANY, _ANY, _ANY, _ANY, "error", False, "The corporate network holds more than it may."),
    Row(True, True, False, _ANY, _ANY, _ANY, "error", False, _NO_FILTER),
    Row(True, True, True, False, _ANY, _ANY, "blocked", False, "A leak canary failed."),
    Row(True, True, True, True, False, _ANY, "blocked", False, "The tunnel is gone; nothing can leave."),
    Row(True, True, True, True, True, False, "connecting", True, "Waiting for the gateway to answer."),
    Row(True, True, True, True, True, True, "up", True, ""),
)


def decide(facts: Facts) -> Row:
    """The first row that fits. The table is total: tests/api/test_netd_states.py tries every combination."""
    for row in TABLE:
        if all(getattr(row, f.name) in (None, getattr(facts, f.name)) for f in fields(Facts)):
            return row
    raise AssertionError("the state table is not total")


def as_markdown() -> str:
    """The table as the documentation shows it."""
    names = [f.name for f in fields(Facts)]
    words = {None: "", True: "yes", False: "no"}
    lines = [
        f"| {' | '.join(names)} | state | guest's link | what is said |",
        f"|{'---|' * (len(names) + 3)}",
        *(
            f"| {' | '.join(words[getattr(row, name)] for name in names)} | **{row.state}** "
            f"| {'may be up' if row.guest_link else 'down'} | {row.reason} |"
            for row in TABLE
        ),
    ]
    return "\n".join(lines) + "\n"
