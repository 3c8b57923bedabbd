"""Confinement broken on purpose, to show that the rows would say so. Each is really done, on the wire or in
netd; none of them touches what a row looks at or how it judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from twinhull_policy.names import Partition

from tests.support.netd_lab import NetdLab, netd_lab

from .guest import HostileGuest
from .machine import CORPORATE, UNDERLAY, UPLINKS
from .scenario import Scenario
from .stage import Stage
from .table import ROWS
from .watch import inject


class CopiedOut(Stage):
    """Whatever a guest's tap takes leaves by the laptop's uplinks as well, as it is."""

    _arriving = False

    def start_guest(self, partition: Partition) -> HostileGuest:
        """Start a guest whose tap has a hole."""
        guest = super().start_guest(partition)
        write = guest.write

        def leaking(frame: bytes) -> bool:
            taken = write(frame)
            if taken and not self._arriving:
                for uplink in UPLINKS:
                    with suppress(OSError):  # it is down, or the frame too long for it
                        self.lab.inside(UNDERLAY, partial(inject, uplink, frame))
            return taken

        guest.write = leaking  # type: ignore[method-assign]  # the hole
        return guest

    def arrives(self, seconds: float = 40) -> None:
        """What only shows that the tunnel works stays whole, so that a row fails for what it tries."""
        self._arriving = True
        try:
            super().arrives(seconds)
        finally:
            self._arriving = False


class CopiedIn(Stage):
    """Whatever a machine of the laptop's network, or the company, says reaches the guest as well."""

    def lan_says(self, frame: bytes, link: str = "laptop0") -> None:
        """Say it to both."""
        super().lan_says(frame, link)
        self._to_guest(frame)

    def company_says(self, source: str, near: int, target: str, far: int, payload: bytes) -> None:
        """Say it to both."""
        super().company_says(source, near, target, far, payload)
        self._to_guest(bytes(14) + payload)

    def _to_guest(self, frame: bytes) -> None:
        guest = self.need(CORPORATE)
        self.lab.inside(guest.namespace, lambda: inject("eth0", frame))


class Heeding(Stage):
    """The corporate namespace takes a route of whatever is said to it."""

    _asked = False

    def routing(self) -> str:
        """The second time a row asks, it has taken one."""
        if self._asked:
            self.ip("th-corporate", "route replace 203.0.113.77/32 dev th-wg0")
            self.breaks()
        self._asked = True
        return super().routing()

    def play(self, row: Scenario) -> None:
        """Each row asks anew."""
        self._asked = False
        super().play(row)


BLIND = """
from twinhull_hypervisor.network import confinement, filters, watch
confinement.breach = lambda plan: ""
filters.Filter.intact = lambda self, fingerprint: True
watch.DriftWatch._pull = lambda self, why: None
"""
IN_VAIN_SECONDS = 5.0


class Unwatched(Stage):
    """netd looks at nothing it built (:data:`BLIND`), so no row waits long for what it will not do."""

    def __init__(self, net: NetdLab) -> None:
        super().__init__(net)
        until = self.watch.until
        self.watch.until = lambda condition, what, *_: until(  # type: ignore[method-assign]  # see above
            condition, what, IN_VAIN_SECONDS
        )


Line = tuple[str, str]
"""A line of the table: its event and its name."""


@dataclass(frozen=True)
class Mutation:
    """One way to break it.

    Attributes:
        name: in the page and in test names.
        what: is broken, in a sentence.
        kind: the stage that does it.
        complaint: what the failing row says, a pattern; None where it only asserts.
        prelude: what netd's process runs first.
        only: the lines it makes fail; all when there are none.
        apart: those it does not, of all.
    """

    name: str
    what: str
    kind: type[Stage]
    complaint: str | None = None
    prelude: str = ""
    only: frozenset[Line] = frozenset()
    apart: frozenset[Line] = frozenset()

    def rows(self) -> list[Scenario]:
        """The first row of each line that it makes fail."""
        firsts: dict[Line, Scenario] = {}
        for row in ROWS:
            firsts.setdefault((row.event, row.name), row)
        wanted = (self.only or firsts.keys()) - self.apart
        return [row for line, row in firsts.items() if line in wanted]


def _alone(*events: str) -> frozenset[Line]:
    return frozenset((event, event) for event in events)


FROM_OUTSIDE = _alone("probes from the LAN", "forged WireGuard", "company to the guest") | {
    ("DHCP option 121", "offers to the guest")
}
"""Rows in which the guest says nothing."""
MUTATIONS = (
    Mutation(
        "copied out",
        "whatever a guest's tap takes also leaves by the laptop's uplinks, as it is",
        CopiedOut,
        complaint="left by|in clear on",
        apart=FROM_OUTSIDE,
    ),
    Mutation(
        "copied in",
        "what the laptop's network or the company says also reaches the guest",
        CopiedIn,
        complaint="came to the guest",
        only=FROM_OUTSIDE | {("rogue RA", "on the LAN")},
    ),
    Mutation(
        "heeding",
        "the corporate namespace takes a route from what is said",
        Heeding,
        only=_alone("company to the guest")
        | {("DHCP option 121", name) for name in ("option 121", "option 249", "option 3")}
        | {
            (event, name)
            for event in ("rogue RA", "ICMP redirect")
            for name in ("on the LAN", "by the guest")
        },
    ),
    Mutation(
        "unwatched",
        "netd takes everything it finds for its own, and pulls nothing",
        Unwatched,
        prelude=BLIND,
        only=frozenset(
            {
                ("nftables flushed", "in the corporate namespace"),
                ("nftables rules inserted", "netd's own chain changed"),
                ("foreign interface moved in", "a cable to the underlay"),
                ("foreign interface moved in", "a second face of the uplink"),
            }
        ),
    ),
)


@contextmanager
def broken(mutation: Mutation) -> Iterator[Stage]:
    """A stage with it."""
    with netd_lab(prelude=mutation.prelude) as net:
        playing = mutation.kind(net)
        try:
            yield playing
        finally:
            playing.close()
