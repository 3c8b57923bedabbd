"""The tunnel of the corporate side, whatever it speaks: made, kept, described, ended.

Who confines knows only that its interface was born in the underlay. WireGuard is the one kind so far; another
one is another module with :mod:`.wireguard`'s functions.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path as File

from . import hardening, links, underlay, wireguard
from .arguments import IPV6_LEAST_MTU, CorporatePlan, Gateway
from .keeper import IDLE_SECONDS, Keeper
from .keeping import BUSY_TICK_SECONDS, SETTLING_SECONDS, Pulse, Seen, Step
from .plan import TUNNEL
from .results import TunnelKind, TunnelStatus
from .returning import Move, Return

logger = logging.getLogger(__name__)

LEAST_MTU = 576
"""Bytes that any IPv4 host takes (RFC 791)."""


class Tunnel:
    """The tunnel into one namespace.

    Args:
        outside: the underlay namespace.
        inside: the namespace whose only way out it is.
        state_dir: where its key is kept.
        lock: held by whoever changes anything; the tunnel's own thread takes it for each look.
    """

    def __init__(self, outside: str, inside: str, state_dir: File, lock: threading.RLock) -> None:
        self._outside = outside
        self._inside = inside
        self._lock = lock
        self.key = wireguard.Key(state_dir / "wireguard.key")
        self._plan: CorporatePlan | None = None
        self._chosen = 0
        self._pulse = Pulse()
        self._return = Return()
        self._settled_at = 0.0
        self._next_key = False
        """Whether the tunnel was last started over with the next key."""
        self._keeper: Keeper | None = None

    def up(self, plan: CorporatePlan) -> None:
        """Make it, or bring it to a plan, and keep it; a session in use goes on. Raises TunnelFailed."""
        gateway = self._plan.gateways[self._chosen] if self._plan is not None else None
        self._chosen = plan.gateways.index(gateway) if gateway in plan.gateways else 0
        fresh = not wireguard.kind(self._inside)
        if fresh:
            self._chosen = 0
            self._pulse = Pulse()
            self._return = Return()
            wireguard.create(self._outside, self._inside)
        self._return.started_over(time.monotonic())
        self._plan = plan
        way = underlay.path(self._outside, self._gateway(plan).address)
        wireguard.configure(self._inside, plan, self._gateway(plan), self._private_key(), fresh=fresh)
        hardening.harden(self._inside, (TUNNEL,), ipv6=plan.ipv6)
        # /32 and /128, so that an address brings no route of its own.
        links.set_addresses(self._inside, TUNNEL, [links.alone(address) for address in plan.addresses])
        links.set_state(self._inside, TUNNEL, up=True, mtu=fitting(plan, self._gateway(plan), way))
        links.set_routes(self._inside, TUNNEL, dict.fromkeys(plan.routes))
        self.keep(plan)

    def keep(self, plan: CorporatePlan) -> None:
        """Look after a tunnel that is there, also one that an earlier netd made."""
        if self._plan is None:
            self._chosen = self._in_use(plan)
        self._plan = plan
        if self._keeper is None:
            self._keeper = Keeper(self._outside, self._look)
        else:
            self._keeper.wake()

    def kind(self) -> TunnelKind:
        """What is behind the interface; empty when it is not there or dead."""
        return wireguard.kind(self._inside)

    def status(self) -> TunnelStatus:
        """What it reports; the empty status when there is none."""
        return wireguard.status(self._inside)

    def remove(self) -> None:
        """End it and all that belongs to it."""
        self._plan = None
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        wireguard.remove(self._outside, self._inside)

    def _gateway(self, plan: CorporatePlan) -> Gateway:
        return plan.gateways[self._chosen]

    def _in_use(self, plan: CorporatePlan) -> int:
        """Which gateway a tunnel that an earlier netd made goes to; the first when that cannot be told."""
        for peer in wireguard.peers(self._inside)[:1]:
            keys = [n for n, gateway in enumerate(plan.gateways) if gateway.public_key == peer.public_key]
            same = [n for n in keys if plan.gateways[n].endpoint == peer.endpoint]
            return next(iter(same or keys), 0)
        return 0

    def _look(self, changed: bool) -> float:
        """One look, and what it calls for; how many seconds until the next at the latest."""
        with self._lock:
            plan = self._plan
            if plan is None or not self.kind():
                return IDLE_SECONDS
            way = underlay.path(self._outside, self._gateway(plan).address)
            if way is None and (reachable := self._reachable(plan)) is not None:
                self._chosen = reachable
                self._start_over(plan, "it cannot be reached from here")
                way = underlay.path(self._outside, self._gateway(plan).address)
            seen = _seen(plan, way, self.status(), rotating=self.key.rotating())
            step, seconds = self._pulse.judge(seen)
            if self._next_key and seen.answer_age is not None and step is Step.NOTHING:
                logger.info("the gateway takes the next key; the one before is gone")
                self.key.advance()
                self._next_key = False
            if step is Step.NEXT:
                self._chosen = (self._chosen + 1) % len(plan.gateways)
                self._start_over(plan, "the one before does not answer")
                way = underlay.path(self._outside, self._gateway(plan).address)
            elif step is Step.RENEW:
                self._next_key = self.key.rotating() and not self._next_key
                self._start_over(plan, "")
            else:
                seconds = min(seconds, self._go_back(plan, answers=seen.answer_age is not None))
                way = underlay.path(self._outside, self._gateway(plan).address)
            if changed:
                self._settled_at = time.monotonic() + SETTLING_SECONDS
            if way is not None and self._settled_at > time.monotonic():
                wireguard.route_anew(self._inside, self._gateway(plan))
                seconds = min(seconds, BUSY_TICK_SECONDS)
            mtu = fitting(plan, self._gateway(plan), way)
            link = links.links(self._inside).get(TUNNEL)
            if link is not None and link.mtu != mtu:
                logger.info("the tunnel's MTU is %d from now on", mtu)
                links.set_state(self._inside, TUNNEL, up=True, mtu=mtu)
            if link is not None and link.up:
                # That somebody deleted, or a netd that died while it built had not come to.
                for network in links.add_missing_routes(self._inside, TUNNEL, plan.routes):
                    logger.info("the tunnel has its route to %s again", network)
            return seconds

    def _go_back(self, plan: CorporatePlan, *, answers: bool) -> float:
        """Look for a gateway before the one in use, and go back to it; seconds until the next look."""
        earlier = self._earlier(plan) if answers and not self.key.rotating() else {}
        answered: set[str] = set()
        if self._return.asking:
            answered = {peer.public_key for peer in wireguard.peers(self._inside) if peer.last_handshake}
        move, chosen, seconds = self._return.judge(
            time.monotonic(),
            self._chosen,
            frozenset(earlier),
            frozenset(number for number, gateway in earlier.items() if gateway.public_key in answered),
        )
        if move is Move.ASK:
            wireguard.ask(self._inside, list(earlier.values()))
        elif move is Move.GO_BACK:
            logger.info("going back to the gateway %s, which answers again", plan.gateways[chosen].endpoint)
            wireguard.hand_over(self._inside, plan, plan.gateways[chosen])
            self._chosen = chosen
            self._pulse = Pulse()
        elif move is not Move.NOTHING:
            wireguard.stop_asking(self._inside)
        return BUSY_TICK_SECONDS if self._return.asking else max(seconds, BUSY_TICK_SECONDS)

    def _earlier(self, plan: CorporatePlan) -> dict[int, Gateway]:
        """Those before the one in use that can be asked beside it: each key once, with a way to it."""
        found: dict[int, Gateway] = {}
        keys = {self._gateway(plan).public_key}
        for number, gateway in enumerate(plan.gateways[: self._chosen]):
            if gateway.public_key not in keys and underlay.path(self._outside, gateway.address) is not None:
                found[number] = gateway
                keys.add(gateway.public_key)
        return found

    def _private_key(self) -> str:
        return self.key.private(next=self._next_key)

    def _reachable(self, plan: CorporatePlan) -> int | None:
        for index, gateway in enumerate(plan.gateways):
            if underlay.path(self._outside, gateway.address) is not None:
                return index
        return None

    def _start_over(self, plan: CorporatePlan, why: str) -> None:
        gateway = self._gateway(plan)
        if why:
            logger.info("going on with the gateway %s: %s", gateway.endpoint, why)
        wireguard.configure(self._inside, plan, gateway, self._private_key(), fresh=True)
        self._return.started_over(time.monotonic())


def _seen(plan: CorporatePlan, way: underlay.Path | None, status: TunnelStatus, *, rotating: bool) -> Seen:
    return Seen(
        now=time.monotonic(),
        asleep=time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic(),
        path=way,
        answer_age=time.time() - status.last_handshake if status.last_handshake else None,
        received=status.received_bytes,
        sent=status.sent_bytes,
        gateways=len(plan.gateways),
        rotating=rotating,
    )


def fitting(plan: CorporatePlan, gateway: Gateway, way: underlay.Path | None) -> int:
    """The tunnel's MTU, bytes: the policy's, or what the path carries when that is less.

    Never less than the families inside need; then the outer packets are fragmented.
    """
    if way is None:
        return plan.mtu
    least = IPV6_LEAST_MTU if plan.ipv6 else LEAST_MTU
    return min(plan.mtu, max(least, way.mtu - wireguard.OVERHEAD[gateway.address.version]))
