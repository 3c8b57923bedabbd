"""The state of the corporate tunnel, as a table from what is observed to what it is called.

netd looks at the kernel each time and reads the first row that fits. One thing is remembered, that the
network was built, and that counts for the very namespace it was built in (:mod:`.memory`): so a namespace
which `down` emptied is told from one that lost its contents. Fail closed means that every row but those that
say so keeps the guest's link down, and that no row needs netd to be alive: without a tunnel the namespace has
no route out, whoever is running.
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
        confined: it holds nothing but lo, the tap and the tunnel, and every route out is the policy's.
        firewall: its nftables table is in place.
        tunnel: the tunnel interface is in it, up, and has a live WireGuard behind it.
        handshake: the gateway answered within HANDSHAKE_STALE_SECONDS.
    """

    built: bool
    confined: bool
    firewall: bool
    tunnel: bool
    handshake: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; None matches either way."""

    built: bool | None
    confined: bool | None
    firewall: bool | None
    tunnel: bool | None
    handshake: bool | None
    state: VpnState
    guest_link: bool
    """Whether the guest's link may be brought up in this state."""
    reason: str


TABLE: tuple[Row, ...] = (
    Row(False, None, None, None, None, "down", False, "The corporate network is not built."),
    Row(True, False, None, None, None, "error", False, "The corporate network holds more than it may."),
    Row(True, True, False, None, None, "error", False, "The corporate network's packet filter is missing."),
    Row(True, True, True, False, None, "blocked", False, "The tunnel is gone; nothing can leave."),
    Row(True, True, True, True, False, "connecting", True, "Waiting for the gateway to answer."),
    Row(True, True, True, True, True, "up", True, ""),
)


def decide(facts: Facts) -> Row:
    """The first row that fits. The table is total: tests/api/test_netd_states.py tries every combination."""
    for row in TABLE:
        if all(getattr(row, f.name) in (None, getattr(facts, f.name)) for f in fields(Facts)):
            return row
    raise AssertionError("the state table is not total")
