"""The corporate side: a namespace with exactly lo, the tap and the tunnel in it."""

from __future__ import annotations

import time
from ipaddress import IPv4Interface
from pathlib import Path

from . import clearing, links, namespaces, rules, taps, wireguard
from .arguments import CorporateArguments, CorporatePlan, corporate_plan
from .errors import NetworkDown, NotConfined
from .memory import Memory
from .plan import CORPORATE, TUNNEL
from .results import SideStatus, TunnelStatus
from .states import HANDSHAKE_STALE_SECONDS, Facts, Row, decide
from .watch import DriftWatch

ALLOWED = frozenset({"lo", CORPORATE.tap, TUNNEL})
NAMESPACE = CORPORATE.namespace


class CorporateSide:
    """Builds, checks, describes and empties ``th-corporate``.

    Everything is read from the kernel each time; what is remembered is the last plan, for status and proofs,
    and with it that the network was built.
    """

    def __init__(self, underlay: str, state_dir: Path) -> None:
        self.underlay = underlay
        self.key = wireguard.Key(state_dir / "wireguard.key")
        self._memory = Memory(state_dir / "corporate.json", CorporateArguments, NAMESPACE)
        self._watch: DriftWatch | None = None

    def up(self, arguments: CorporateArguments) -> None:
        """Build it, or bring it to these arguments, or mend it under a running guest. Idempotent."""
        plan = corporate_plan(arguments)
        if self._memory.recall() is None:
            self._empty()
            namespaces.create(NAMESPACE)
        self.resume()
        namespaces.sysctl(NAMESPACE, {"ipv4/ip_forward": 1})
        namespaces.harden(NAMESPACE)
        rules.apply(NAMESPACE, rules.corporate(plan))
        fresh = not wireguard.kind(NAMESPACE)
        if fresh:
            wireguard.create(self.underlay, NAMESPACE)
        wireguard.configure(NAMESPACE, plan, self.key, fresh=fresh)
        # /32, so that an address brings no route of its own.
        own = [IPv4Interface(address) for address in plan.addresses]
        links.set_addresses(NAMESPACE, TUNNEL, own)
        links.set_state(NAMESPACE, TUNNEL, up=True, mtu=plan.mtu)
        links.set_routes(NAMESPACE, TUNNEL, plan.routes)
        self._memory.remember(arguments)
        if CORPORATE.tap in links.links(NAMESPACE):
            self.adopt()

    def plan(self) -> CorporatePlan | None:
        """The plan last put in force; None unless the network was built."""
        arguments = self._memory.recall()
        return None if arguments is None else corporate_plan(arguments)

    def built(self) -> bool:
        """Whether there is more than an empty namespace, or should be."""
        return self._memory.recall() is not None or not clearing.is_empty(NAMESPACE)

    def adopt(self) -> None:
        """Connect the guest, if and only if the namespace is confined."""
        if not self.built():
            raise NetworkDown(partition=CORPORATE.partition)
        taps.adopt(CORPORATE, self._check)
        self.resume()

    def resume(self) -> None:
        """Watch for drift if there is a guest link to pull; also after a restart of netd."""
        if self._watch is not None and not self._watch.alive():
            self._watch.stop()
            self._watch = None
        if self._watch is None and CORPORATE.tap in links.links(NAMESPACE):
            self._watch = DriftWatch(NAMESPACE, CORPORATE.tap, ALLOWED)

    def status(self) -> tuple[Row, SideStatus, TunnelStatus]:
        """State and reason, the namespace, and the tunnel."""
        if not self.built():
            row = decide(Facts(False, False, False, False, False))
            return row, SideStatus(built=False, why_not="it is not built"), TunnelStatus()
        tunnel = wireguard.status(NAMESPACE)
        row = decide(self._facts(tunnel))
        why_not = foreign() or _missing(ALLOWED) or ("" if row.guest_link else row.reason)
        side = SideStatus(
            built=True,
            interfaces=sorted(links.links(NAMESPACE)),
            routes=[str(route) for route in links.routes(NAMESPACE) if route.interface != CORPORATE.tap],
            addresses=[str(address) for address in links.addresses(NAMESPACE, TUNNEL)],
            guest_link=taps.is_up(CORPORATE),
            confined=not why_not,
            why_not=why_not,
        )
        return row, side, tunnel

    def down(self) -> None:
        """Empty the namespace: the guest's link first, then the tunnel, then all else. Idempotent."""
        taps.remove(CORPORATE)
        self._memory.forget()
        self._empty()

    def _empty(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        links.delete(NAMESPACE, CORPORATE.tap)
        wireguard.remove(self.underlay, NAMESPACE)
        clearing.empty(NAMESPACE)

    def _check(self, besides: frozenset[str]) -> None:
        """Raises NotConfined unless the namespace holds what it may, in a state that allows a guest."""
        row = decide(self._facts(wireguard.status(NAMESPACE)))
        reason = foreign() or _missing(frozenset({"lo", TUNNEL}) | besides)
        if not row.guest_link:
            reason = reason or row.reason.rstrip(".")
        if reason:
            raise NotConfined(partition=CORPORATE.partition, reason=reason)

    def _facts(self, tunnel: TunnelStatus) -> Facts:
        link = links.links(NAMESPACE).get(TUNNEL)
        age = time.time() - tunnel.last_handshake
        return Facts(
            built=True,
            confined=not foreign(),
            firewall=rules.present(NAMESPACE),
            tunnel=bool(tunnel.kind) and link is not None and link.up,
            handshake=tunnel.last_handshake > 0 and age < HANDSHAKE_STALE_SECONDS,
        )


def foreign() -> str:
    """What the namespace holds that it may not, in words; empty when nothing."""
    present = links.links(NAMESPACE)
    strangers = sorted(set(present) - ALLOWED)
    if strangers:
        return f"it holds {', '.join(strangers)}"
    for name in (CORPORATE.tap, TUNNEL):
        link = present.get(name)
        if link is not None and link.kind not in ("tun", "wireguard"):
            return f"{name} is of kind {link.kind or 'unknown'}"
    for route in links.routes(NAMESPACE):
        inside = route.interface == TUNNEL
        own = route.interface == CORPORATE.tap and route.network == CORPORATE.gateway.network
        if not inside and not own:
            return f"it has the route {route.network} over {route.interface}"
    return ""


def _missing(wanted: frozenset[str]) -> str:
    absent = sorted(wanted - set(links.links(NAMESPACE)))
    return f"{', '.join(absent)} is not in it" if absent else ""
