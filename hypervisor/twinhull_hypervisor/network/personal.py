"""The personal side: a namespace of its own with a way to the internet and to nothing else."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from . import clearing, hardening, links, namespaces, rules, taps
from .arguments import Address, PersonalArguments, personal_dns
from .errors import NetworkDown, NotConfined
from .memory import Memory
from .plan import PERSONAL, VETH_INSIDE, VETH_INSIDE_ADDRESS, VETH_OUTSIDE, VETH_OUTSIDE_ADDRESS
from .results import SideStatus
from .watch import DriftWatch

ALLOWED = frozenset({"lo", PERSONAL.tap, VETH_INSIDE})
NAMESPACE = PERSONAL.namespace
EVERYWHERE = IPv4Network((0, 0))


class _Underlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``forwarded`` is what ip_forward of the underlay was before Twinhull turned it on."""

    forwarded: bool


class PersonalSide:
    """Builds, checks, describes and empties ``th-personal``, and its door in the underlay."""

    def __init__(self, underlay: str, state_dir: Path) -> None:
        self.underlay = underlay
        self._memory = Memory(state_dir / "personal.json", PersonalArguments, NAMESPACE)
        self._underlay_before = Memory(state_dir / "underlay.json", _Underlay, underlay)
        self._watch: DriftWatch | None = None
        self._turn = threading.RLock()

    def up(self, arguments: PersonalArguments) -> None:
        """Build it, or bring it to these arguments. Idempotent."""
        dns = personal_dns(arguments)
        if self._memory.recall() is None:
            self._empty()
            namespaces.create(NAMESPACE)
        self.resume()
        namespaces.sysctl(NAMESPACE, {"ipv4/ip_forward": 1})
        hardening.harden(NAMESPACE, ipv6=False)
        rules.apply(NAMESPACE, rules.personal(dns))
        self._open_underlay(dns)
        self._connect()
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
            taps.adopt(PERSONAL, self._check, ipv6=False)
        self.resume()

    def resume(self) -> None:
        """Watch for drift if there is a guest link to pull; also after a restart of netd."""
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
        if namespaces.exists(self.underlay):
            links.delete(self.underlay, VETH_OUTSIDE)
            rules.remove(self.underlay)
            before = self._underlay_before.recall()
            if before is not None and not before.forwarded:
                namespaces.sysctl(self.underlay, {"ipv4/ip_forward": 0})
        self._underlay_before.forget()
        self._empty()

    def _empty(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        links.delete(NAMESPACE, PERSONAL.tap)
        clearing.empty(NAMESPACE)

    def _open_underlay(self, dns: Sequence[Address]) -> None:
        """Rules first, then forwarding: there is no moment at which more is forwarded than may be."""
        before = self._underlay_before.recall()
        if before is None:
            before = _Underlay(namespaces.read_sysctl(self.underlay, "ipv4/ip_forward") == 1)
            self._underlay_before.remember(before)
        forwarded = before.forwarded
        rules.apply(self.underlay, rules.underlay(dns, forward_others=forwarded))
        if not forwarded:
            namespaces.sysctl(self.underlay, {"ipv4/ip_forward": 1})

    def _connect(self) -> None:
        inside, outside = links.links(NAMESPACE), links.links(self.underlay)
        if VETH_INSIDE not in inside or VETH_OUTSIDE not in outside:
            links.delete(NAMESPACE, VETH_INSIDE)
            links.delete(self.underlay, VETH_OUTSIDE)
            links.add_veth(self.underlay, VETH_OUTSIDE, VETH_INSIDE, NAMESPACE)
        hardening.harden(self.underlay, (VETH_OUTSIDE,), ipv6=False)
        links.set_addresses(self.underlay, VETH_OUTSIDE, [VETH_OUTSIDE_ADDRESS])
        links.set_addresses(NAMESPACE, VETH_INSIDE, [VETH_INSIDE_ADDRESS])
        links.set_state(self.underlay, VETH_OUTSIDE, up=True)
        links.set_state(NAMESPACE, VETH_INSIDE, up=True)
        links.set_routes(self.underlay, VETH_OUTSIDE, {PERSONAL.gateway.network: VETH_INSIDE_ADDRESS.ip})
        links.set_routes(NAMESPACE, VETH_INSIDE, {EVERYWHERE: VETH_OUTSIDE_ADDRESS.ip})

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
