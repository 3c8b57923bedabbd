"""The personal side: a namespace of its own with a way to the internet and to nothing else."""

from __future__ import annotations

import threading
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import msgspec

from . import clearing, hardening, links, namespaces, priority, rules, taps
from .arguments import Address, Interface, Network, PersonalArguments, PersonalPlan, personal_plan
from .errors import NetworkDown, NotConfined
from .keeper import IDLE_SECONDS, Keeper
from .memory import Memory
from .plan import (
    LINK_LOCAL,
    PERSONAL,
    VETH_INSIDE,
    VETH_INSIDE_ADDRESS,
    VETH_INSIDE_ADDRESS6,
    VETH_LINK_LOCAL,
    VETH_OUTSIDE,
    VETH_OUTSIDE_ADDRESS,
    VETH_OUTSIDE_ADDRESS6,
)
from .priority import Speed
from .results import SideStatus
from .underlay import Neighbours, neighbours
from .watch import DriftWatch

ALLOWED = frozenset({"lo", PERSONAL.tap, VETH_INSIDE})
NAMESPACE = PERSONAL.namespace
IPV6 = Path("/proc/sys/net/ipv6")


class _Underlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the underlay was like before.

    Attributes:
        forwarded: whether it forwarded IPv4.
        forwarded6: whether it forwarded IPv6.
        heeding: the interfaces that took their addresses from router advertisements, which the kernel does
            not do any more where it forwards, unless told so (ip-sysctl, accept_ra).
    """

    forwarded: bool
    forwarded6: bool
    heeding: list[str]


class PersonalSide:
    """Builds, checks, describes and empties ``th-personal``, and its door in the underlay."""

    def __init__(self, underlay: str, state_dir: Path, lock: threading.RLock, speed: Speed) -> None:
        self.underlay = underlay
        self._lock = lock
        self._speed = speed
        self._neighbours = Neighbours()
        self._keeper: Keeper | None = None
        self._memory = Memory(state_dir / "personal.json", PersonalArguments, NAMESPACE)
        self._underlay_before = Memory(state_dir / "underlay.json", _Underlay, underlay)
        self._watch: DriftWatch | None = None
        self._turn = threading.RLock()

    def up(self, arguments: PersonalArguments) -> None:
        """Build it, or bring it to these arguments. Idempotent."""
        plan = personal_plan(arguments)
        if self._memory.recall() is None:
            self._empty()
            namespaces.create(NAMESPACE)
        self.resume()
        namespaces.sysctl(NAMESPACE, {"ipv4/ip_forward": 1})
        if IPV6.exists():
            namespaces.sysctl(NAMESPACE, {"ipv6/conf/all/forwarding": 1})
        hardening.harden(NAMESPACE, ipv6=True)
        rules.apply(NAMESPACE, rules.personal(plan))
        self._open_underlay(plan)
        self._connect()
        priority.apply(self.underlay, self._neighbours.leading_out, self._speed)
        self._memory.remember(arguments)
        if PERSONAL.tap in links.links(NAMESPACE):
            self.adopt()

    def built(self) -> bool:
        """Whether there is more than an empty namespace, or should be."""
        return self._memory.recall() is not None or not clearing.is_empty(NAMESPACE)

    def adopt(self) -> None:
        """Connect the guest, if and only if the namespace holds what it may."""
        if not self.built():
            raise NetworkDown(partition=PERSONAL.partition)
        with self._turn:
            taps.adopt(PERSONAL, self._check, ipv6=True)
        self.resume()

    def resume(self) -> None:
        """Watch for drift if there is a guest link to pull, and the local network; also after a restart."""
        if self._keeper is None and self._memory.recall() is not None and namespaces.exists(self.underlay):
            self._keeper = Keeper(self.underlay, self._look)
        if self._watch is not None and not self._watch.alive():
            self._watch.stop()
            self._watch = None
        if self._watch is None and PERSONAL.tap in links.links(NAMESPACE):
            self._watch = DriftWatch(NAMESPACE, PERSONAL.tap, self._why_pulled, self._turn)

    def status(self) -> SideStatus:
        """The namespace as it is now."""
        if not self.built():
            return SideStatus(built=False, why_not="it is not built")
        why_not = self._why_not(ALLOWED)
        return SideStatus(
            built=True,
            interfaces=sorted(links.links(NAMESPACE)),
            routes=[str(route) for route in links.routes(NAMESPACE) if route.interface != PERSONAL.tap],
            addresses=[str(address) for address in links.addresses(NAMESPACE, VETH_INSIDE)],
            guest_link=taps.is_up(PERSONAL),
            confined=not why_not,
            why_not=why_not,
        )

    def down(self) -> None:
        """Empty the namespace, the guest's link first, and leave the underlay as it was. Idempotent."""
        taps.remove(PERSONAL)
        self._memory.forget()
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        if namespaces.exists(self.underlay):
            links.delete(self.underlay, VETH_OUTSIDE)
            priority.remove(self.underlay)
            rules.remove(self.underlay)
            before = self._underlay_before.recall()
            if before is not None:
                self._restore(before)
        self._underlay_before.forget()
        self._empty()

    def _empty(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        links.delete(NAMESPACE, PERSONAL.tap)
        clearing.empty(NAMESPACE)

    def _look(self, _: bool) -> float:
        """The local network may be another one: close that to the guest, and order its queue."""
        with self._lock:
            built = self._memory.recall()
            before = self._underlay_before.recall()
            if built is not None and before is not None and namespaces.exists(self.underlay):
                self._close(personal_plan(built), before)
                priority.apply(self.underlay, self._neighbours.leading_out, self._speed)
        return IDLE_SECONDS

    def _close(self, plan: PersonalPlan, before: _Underlay, *, anew: bool = False) -> None:
        now = neighbours(self.underlay)
        if anew or now != self._neighbours or not rules.present(self.underlay):
            others = {4: before.forwarded, 6: before.forwarded6}
            rules.apply(self.underlay, rules.underlay(plan, now, forward_others=others))
            self._neighbours = now

    def _open_underlay(self, plan: PersonalPlan) -> None:
        """Rules first, then forwarding: there is no moment at which more is forwarded than may be."""
        before = self._underlay_before.recall()
        if before is None:
            before = self._as_it_is()
            self._underlay_before.remember(before)
        self._close(plan, before, anew=True)
        if not before.forwarded:
            namespaces.sysctl(self.underlay, {"ipv4/ip_forward": 1})
        if IPV6.exists() and not before.forwarded6:
            heeding = {f"ipv6/conf/{name}/accept_ra": 2 for name in before.heeding}
            namespaces.sysctl(self.underlay, {**heeding, "ipv6/conf/all/forwarding": 1})

    def _as_it_is(self) -> _Underlay:
        forwarded = namespaces.read_sysctl(self.underlay, "ipv4/ip_forward") == 1
        if not IPV6.exists():
            return _Underlay(forwarded, False, [])
        heeding = [
            name
            for name in links.links(self.underlay)
            if namespaces.read_sysctl(self.underlay, f"ipv6/conf/{name}/accept_ra", missing=0) == 1
        ]
        forwarded6 = namespaces.read_sysctl(self.underlay, "ipv6/conf/all/forwarding") == 1
        return _Underlay(forwarded, forwarded6, heeding)

    def _restore(self, before: _Underlay) -> None:
        if not before.forwarded:
            namespaces.sysctl(self.underlay, {"ipv4/ip_forward": 0})
        if IPV6.exists() and not before.forwarded6:
            present = links.links(self.underlay)
            heeding = {f"ipv6/conf/{name}/accept_ra": 1 for name in before.heeding if name in present}
            namespaces.sysctl(self.underlay, {"ipv6/conf/all/forwarding": 0, **heeding})

    def _connect(self) -> None:
        inside, outside = links.links(NAMESPACE), links.links(self.underlay)
        if VETH_INSIDE not in inside or VETH_OUTSIDE not in outside:
            links.delete(NAMESPACE, VETH_INSIDE)
            links.delete(self.underlay, VETH_OUTSIDE)
            links.add_veth(self.underlay, VETH_OUTSIDE, VETH_INSIDE, NAMESPACE)
        hardening.harden(self.underlay, (VETH_OUTSIDE,), ipv6=True)
        ends: tuple[tuple[str, str, list[Interface]], ...] = (
            (self.underlay, VETH_OUTSIDE, [VETH_OUTSIDE_ADDRESS, VETH_OUTSIDE_ADDRESS6, LINK_LOCAL]),
            (NAMESPACE, VETH_INSIDE, [VETH_INSIDE_ADDRESS, VETH_INSIDE_ADDRESS6, VETH_LINK_LOCAL]),
        )
        for place, name, own in ends:
            links.set_addresses(place, name, own)
            links.set_state(place, name, up=True)
        guest: dict[Network, Address | None] = {
            PERSONAL.gateway.network: VETH_INSIDE_ADDRESS.ip,
            PERSONAL.gateway6.network: VETH_INSIDE_ADDRESS6.ip,
        }
        links.set_routes(self.underlay, VETH_OUTSIDE, guest)
        out: dict[Network, Address | None] = {
            IPv4Network((0, 0)): VETH_OUTSIDE_ADDRESS.ip,
            IPv6Network((0, 0)): VETH_OUTSIDE_ADDRESS6.ip,
        }
        links.set_routes(NAMESPACE, VETH_INSIDE, out)

    def _check(self, besides: frozenset[str]) -> None:
        reason = self._why_not(frozenset({"lo", VETH_INSIDE}) | besides)
        if reason:
            raise NotConfined(partition=PERSONAL.partition, reason=reason)

    def _why_pulled(self) -> str:
        return self._why_not(frozenset({"lo", VETH_INSIDE}))

    def _why_not(self, wanted: frozenset[str]) -> str:
        present = frozenset(links.links(NAMESPACE))
        strangers = sorted(present - ALLOWED)
        if strangers:
            return f"it holds {', '.join(strangers)}"
        absent = sorted(wanted - present)
        if absent:
            return f"{', '.join(absent)} is not in it"
        for place in (NAMESPACE, self.underlay):
            if not rules.present(place):
                return "its packet filter is missing"
        return ""
