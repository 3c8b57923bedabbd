"""Where a scenario plays: the private machine, its uplinks, its guests, and the captures.

Scenario functions use nothing but this, so that they play in any machine that a Lab can be made in.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_network
from typing import Any

from twinhull_hypervisor.network.plan import SIDES, VETH_OUTSIDE, VETH_OUTSIDE_ADDRESS, VETH_OUTSIDE_ADDRESS6
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.support.netd_lab import ADDRESS, ADDRESS6, GUESTS, NetdLab, netd_lab

from . import frames
from .guest import HostileGuest
from .machine import (
    COMPANY,
    CORPORATE,
    GATEWAY,
    GATEWAY_PORT,
    GUEST,
    INTERNET,
    INTRANET,
    LAN_MACHINE,
    LAPTOP,
    ON_LINK,
    PERSONAL,
    PERSONAL_GUEST,
    PORTAL_RULES,
    ROAMED,
    ROUTER,
    SECOND_ROUTER,
    UNDERLAY,
    UPLINKS,
    Machine,
)
from .scenario import Family, Scenario
from .verdict import Laws, Packet, joined, leak, parse
from .watch import Watch, inject, interfaces_up

CORPORATE_NETWORKS = ("10.77.0.0/16", "10.137.0.0/30", "fd77::/32", "fd74:7768:137::/48")
SPLIT, FULL = ["10.77.0.0/16", "fd77::/32"], ["0.0.0.0/0", "::/0"]
SMALLEST_MTU = 1280
TUNNEL_MTU = 1420
CANARY_BYTES = 16
SEARCHED_BYTES = 8
"""Of a canary; it is repeated in each payload, so that a fragment of a packet still holds that much of it."""
WEB_PORT = 80
SHOUT_SECONDS = 0.03


class Stage(Machine):
    """The machine and what plays on it.

    Attributes:
        watch: the captures.
        corporate: the corporate guest, if there is one.
        personal: the personal guest, if there is one.
        canary: bytes that the corporate guest says in this row; nobody outside may ever see them.
        poison: bytes that the network says in this row; the corporate guest may never see them.
        personal_speaks: the canary is said by the personal guest, so it may come as far as its own door.
        online: whether the gateway can be reached over this underlay.
        also: which packets of the personal side may leave in this row.
    """

    def __init__(self, net: NetdLab) -> None:
        super().__init__(net)
        self.corporate: HostileGuest | None = None
        self.personal: HostileGuest | None = None
        self.canary = self.poison = b""
        self.also: Callable[[Packet], bool] = lambda packet: False
        self.online, self.personal_speaks = True, False
        self._underlay = ""
        self._way = (SPLIT, 4)
        self._broken, self._fresh = True, False
        identifier = bytearray(frames.mac(self.mac_of(UNDERLAY, "uplink0")))
        identifier[0] ^= 2  # EUI-64 (RFC 4291, appendix A)
        host = bytes(identifier[:3]) + b"\xff\xfe" + bytes(identifier[3:])
        self._autoconfigured = ip_address(ip_address("2001:db8:bad::").packed[:8] + host)
        """What a rogue router may have the laptop's uplink call itself."""
        self.watch = Watch(net.lab, {"the host": "", "the underlay": UNDERLAY, "the gateway": GATEWAY})

    def close(self) -> None:
        """End guests and captures."""
        for partition in Partition:
            self.stop_guest(partition)
        self.watch.close()

    # -- what a scenario uses -----------------------------------------------------------------------------

    def laws(self) -> Laws:
        """What may leave now."""
        own = [ip_address(a) for _, laptop, _ in UPLINKS.values() for a in laptop.values()]
        own += [ip_address(ROAMED), VETH_OUTSIDE_ADDRESS.ip, VETH_OUTSIDE_ADDRESS6.ip, self._autoconfigured]
        return Laws(
            frozenset((ip_address(host), GATEWAY_PORT) for host in COMPANY.values()),
            frozenset(own),
            tuple(ip_network(network) for network in ON_LINK),
            tuple(ip_network(network) for network in CORPORATE_NETWORKS),
            TUNNEL_MTU,
            self.also,
        )

    def corporate_up(self, **changes: Any) -> None:
        """As core asks for it, with the routes of this underlay."""
        routes, outer = self._way
        host = f"[{COMPANY[6]}]" if outer == 6 else COMPANY[4]
        arguments = {
            "addresses": [ADDRESS, ADDRESS6],
            "gateways": [(f"{host}:{GATEWAY_PORT}", self.net.gateway_key)],
            "routes": routes,
        }
        self.net.corporate_up(**{**arguments, **changes})

    def start_guest(self, partition: Partition) -> HostileGuest:
        """Start a guest, its tap still where QEMU opened it, down; :meth:`adopt` connects it."""
        self.net.client.tap(partition)
        guest = HostileGuest(self.lab, SIDES[partition], GUESTS[partition])
        self.watch.add(f"the {partition.value} guest", guest.namespace)
        if partition is CORPORATE:
            self.corporate = guest
        else:
            self.personal = guest
        return guest

    def adopt(self, partition: Partition) -> bool:
        """Ask netd to connect it; whether it did."""
        try:
            self.net.client.adopt(partition)
        except TwinhullError:
            return False
        return True

    def stop_guest(self, partition: Partition) -> None:
        """End a guest; nothing if there is none."""
        guest = self.corporate if partition is CORPORATE else self.personal
        if guest is None:
            return
        self.watch.remove(f"the {partition.value} guest")
        guest.close()
        if partition is CORPORATE:
            self.corporate = None
        else:
            self.personal = None

    def need(self, partition: Partition) -> HostileGuest:
        """The guest, connected."""
        guest = self.corporate if partition is CORPORATE else self.personal
        if guest is None:
            guest = self.start_guest(partition)
            self.net.client.adopt(partition)
        return guest

    def tear_down(self) -> None:
        """End both guests and empty both namespaces, as after a shutdown."""
        for partition in Partition:
            self.stop_guest(partition)
            self.net.client.down(partition)
        self.breaks()

    def personal_up(self) -> HostileGuest:
        """The personal guest, connected; its network is built if need be."""
        if self.personal is None:
            self.net.client.personal_up([ROUTER[4]])
            self.need(PERSONAL)
        assert self.personal is not None
        return self.personal

    def browses(self) -> None:
        """The personal guest still reaches the internet, so its silence elsewhere means something."""
        guest, mark = self.personal_up(), self.watch.mark()
        near_router = (SECOND_ROUTER if self._underlay == "roamed" else ROUTER)[4]
        router = ip_address(near_router)
        ends = ((router, WEB_PORT),)
        self.also = lambda packet: (
            packet.protocol == frames.TCP
            and ((packet.target, packet.far) in ends or (packet.source, packet.near) in ends)
        )
        near = 20000 + os.urandom(1)[0]
        said = frames.tcp(PERSONAL_GUEST[4], near_router, WEB_PORT, b"", near=near)
        packet = frames.ip(said, frames.TCP, PERSONAL_GUEST[4], near_router)
        self.tries([self.frame(packet, 4, guest)], guest)

        def answered() -> bool:
            found = (parse(s) for s in self.watch.since(mark) if s.place == "the personal guest")
            return any((p.source, p.near, p.far) == (router, WEB_PORT, near) for p in found)

        self.watch.until(answered, "the internet answers the personal guest")

    def breaks(self, *, session: bool = False) -> None:
        """Say that this row leaves the corporate side to be mended, or its session lost."""
        self._broken = True
        self._fresh = self._fresh or session

    def guest_says(self, guest: HostileGuest, target: str, payload: bytes) -> None:
        """A datagram to the discard port (RFC 863) from a guest's own network stack."""
        family = socket.AF_INET6 if ":" in target else socket.AF_INET

        def say() -> None:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.sendto(payload, (target, 9))

        self.lab.inside(guest.namespace, say)

    def said(self, length: int = 64) -> bytes:
        """A payload that is the canary over and over."""
        return (self.canary * (length // CANARY_BYTES + 1))[:length]

    def frame(self, packet: bytes, family: Family, guest: HostileGuest | None = None) -> bytes:
        """An IP packet in a frame from the corporate guest, or another, to its gateway."""
        sender = guest or self.need(CORPORATE)
        kind = frames.IPV4 if family == 4 else frames.IPV6
        return frames.ethernet(packet, kind, sender.mac, sender.gateway_mac)

    def datagram(
        self,
        target: str,
        port: int,
        *,
        source: str = "",
        near: int = 40000,
        guest: HostileGuest | None = None,
    ) -> bytes:
        """A frame with a UDP datagram of the corporate guest, or another, that says the canary."""
        family: Family = 6 if ip_address(target).version == 6 else 4
        sender = source or self.address(guest, family)
        packet = frames.udp(sender, target, port, self.said(), near=near)
        return self.frame(frames.ip(packet, frames.UDP, sender, target), family, guest)

    def opening(
        self, target: str, port: int, *, source: str = "", guest: HostileGuest | None = None
    ) -> bytes:
        """A frame with a TCP opening of the corporate guest, or another, that says the canary."""
        family: Family = 6 if ip_address(target).version == 6 else 4
        sender = source or self.address(guest, family)
        packet = frames.tcp(sender, target, port, self.said())
        return self.frame(frames.ip(packet, frames.TCP, sender, target), family, guest)

    def address(self, guest: HostileGuest | None, family: Family) -> str:
        """What a guest is called; the corporate one if none is given."""
        personal = guest is not None and guest.side.partition is PERSONAL
        return (PERSONAL_GUEST if personal else GUEST)[family]

    def tries(self, attempts: Sequence[bytes], guest: HostileGuest | None = None) -> None:
        """Write frames into the tap, which has to take them all."""
        sender = guest or self.need(CORPORATE)
        taken = [sender.write(frame) for frame in attempts]
        assert attempts, "nothing was tried"
        assert all(taken), f"the tap took {sum(taken)} of {len(taken)} frames"

    def tries_in_vain(self, attempts: Sequence[bytes]) -> None:
        """Write frames into a tap whose link is down: it takes none."""
        assert self.corporate is not None
        assert not any(self.corporate.write(frame) for frame in attempts)

    @contextmanager
    def shouting(self, family: Family) -> Iterator[None]:
        """The corporate guest writes without pause while the block runs; some of it has to be taken."""
        guest, attempts, done = self.need(CORPORATE), self.shouts(family), threading.Event()
        taken = 0

        def shout() -> None:
            nonlocal taken
            while not done.wait(SHOUT_SECONDS):
                taken += sum(guest.write(frame) for frame in attempts)

        taken = sum(guest.write(frame) for frame in attempts)
        thread = threading.Thread(target=shout, name="shouting", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        assert taken, "the tap took none of the guest's frames"

    def shouts(self, family: Family) -> list[bytes]:
        """The usual attempt: company, router, LAN, laptop, broadcast, by ports often let through."""
        everyone = "255.255.255.255" if family == 4 else "ff02::1"
        targets = (INTRANET[family], ROUTER[family], LAN_MACHINE[family], LAPTOP[family], everyone)
        return [
            *(self.datagram(target, port) for target in targets for port in (9, 53, 123, 443, 51820)),
            *(self.opening(target, port) for target in targets[:-1] for port in (53, 80, 443)),
        ]

    def arrives(self, seconds: float = 40) -> None:
        """The guest's bytes of both families come out of the tunnel: so silence elsewhere means something."""
        mark, words = self.watch.mark(), {family: os.urandom(CANARY_BYTES) for family in (4, 6)}
        sent = []
        for family, word in words.items():
            near, far = GUEST[family], INTRANET[family]
            packet = frames.ip(frames.udp(near, far, 9, word), frames.UDP, near, far)
            sent.append(self.frame(packet, 4 if family == 4 else 6))

        def there() -> bool:
            return all(self.watch.holds(mark, "the gateway", word) for word in words.values())

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:  # without a session, WireGuard keeps only so many packets
            self.tries(sent)
            if self.watch.within(there, 1):
                return
        raise AssertionError("the guest no longer reaches the company through the tunnel")

    def tunnelless(self, family: Family) -> None:
        """The guest writes while there is no tunnel; whether its link is still up or not is netd's to say."""
        guest = self.need(CORPORATE)
        for frame in self.shouts(family):
            guest.write(frame)

    def relay(self) -> None:
        """Say that this row leaves the uplinks changed."""
        self._underlay = ""

    def link_is_up(self) -> bool:
        """Whether the corporate guest's link is."""
        return "th-corp0" in self.lab.inside("th-corporate", interfaces_up)

    def lan_says(self, frame: bytes, link: str = "laptop0") -> None:
        """A frame from another machine of the laptop's network, until it has reached the laptop."""
        mark = self.watch.mark()
        self.lab.inside(INTERNET, lambda: inject(link, frame))
        self.watch.until(
            lambda: self.watch.holds(mark, "the underlay", frame), "the frame reached the laptop"
        )

    # -- one row ------------------------------------------------------------------------------------------

    def play(self, row: Scenario) -> None:
        """Play a row: the captures shown to see, the event, the captures shown to see, the verdict."""
        self.canary, self.poison = os.urandom(CANARY_BYTES), os.urandom(CANARY_BYTES)
        self.also, self.personal_speaks = (lambda packet: False), False
        self.lay(row.underlay)
        try:
            before, _ = self.watch.plant(self._points(), self.laws())
            row.act(self, row.family)
            planted, _ = self.watch.plant(self._points(), self.laws())
        except BaseException:
            self.breaks()
            raise
        self.verdict(before, planted)

    def verdict(self, begin: int, end: int) -> None:
        """Every packet between two marks was allowed where it was seen."""
        laws = self.laws()
        needle = self.canary[:SEARCHED_BYTES]
        found = []
        for seen in joined(self.watch.since(begin)[: end - begin]):
            if seen.place == "the gateway":
                continue
            if seen.place == "the corporate guest":
                if self.poison in seen.frame:
                    found.append("what the network sent came to the guest")
                continue
            if seen.place in ("the underlay", "the host"):
                reason = "" if seen.frame in self.watch.planted else leak(seen, laws)
                if reason:
                    found.append(reason)
            its_own = seen.place == "the personal guest" or (
                seen.interface == VETH_OUTSIDE and not seen.outgoing
            )
            if needle in seen.frame and not (its_own and self.personal_speaks):
                found.append(f"the canary in clear on {seen.interface} of {seen.place}")
        assert not found, found[:10]
        assert not self.watch.failure, self.watch.failure

    def _points(self) -> list[Any]:
        return [*self.watch.points("the underlay"), *self.watch.points("the host")]

    # -- the underlays ------------------------------------------------------------------------------------

    def lay(self, underlay: str) -> None:
        """Bring the uplinks to an underlay, and the corporate side to its ordinary state on it."""
        way = (FULL if underlay == "full tunnel" else SPLIT, 6 if underlay == "IPv6 only" else 4)
        changed = underlay != self._underlay
        if changed or self._broken:
            self.plain_underlay()
        if self._broken or way != self._way:
            self._way = way
            self._rebuild()
        if changed or self._broken:
            self._change_underlay(underlay)
        self._underlay, self._broken = underlay, False
        self.online = underlay not in ("captive", "no network")

    def _rebuild(self) -> None:
        self.stop_guest(PERSONAL)
        self.net.client.down(PERSONAL)
        fresh, self._fresh = self._fresh, False
        if self.corporate is not None and not fresh and self._mended():
            return self.arrives()
        self.stop_guest(CORPORATE)
        self.net.client.down(CORPORATE)
        self.corporate_up()
        self.need(CORPORATE)
        return self.arrives()

    def _mended(self) -> bool:
        """Whether netd can bring the network to what it should be under the guest; else it is built anew."""
        with suppress(TwinhullError):
            self.corporate_up()
        return self.link_is_up()

    def _change_underlay(self, underlay: str) -> None:
        if underlay == "roamed":
            self.arrives()
            self.default_over("uplink1")
            self.arrives()
        elif underlay == "small MTU":
            self.ip(UNDERLAY, f"link set uplink0 mtu {SMALLEST_MTU}")
            self.ip(INTERNET, f"link set laptop0 mtu {SMALLEST_MTU}")
        elif underlay == "IPv6 only":
            self.ip(
                UNDERLAY, *(f"address delete {own[4]}/24 dev {link}" for link, (_, own, _) in UPLINKS.items())
            )
        elif underlay == "captive":
            self.run("nft", "-f", "-", namespace=INTERNET, input=PORTAL_RULES)
        elif underlay == "no network":
            self.ip(UNDERLAY, *(f"link set {uplink} down" for uplink in UPLINKS))


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage for as long as the table plays."""
    with netd_lab() as net:
        playing = Stage(net)
        try:
            yield playing
        finally:
            playing.close()
