"""Where a scenario plays: the private machine, its uplinks, its guests, and the captures.

Scenario functions use nothing but this, so that they play in any machine that a Lab can be made in.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

from twinhull_hypervisor.network.plan import SIDES
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.support.netd_lab import GUESTS, NetdLab, netd_lab
from tests.support.network_lab import Lab

from . import frames
from .guest import HostileGuest
from .scenario import Family, Scenario
from .verdict import Laws, Packet, joined, leak
from .watch import Watch, inject

CORPORATE, PERSONAL = Partition.CORPORATE, Partition.PERSONAL
UNDERLAY, INTERNET, GATEWAY = "th-underlay", "th-internet", "th-gateway"
INTRANET = {4: "10.77.0.80", 6: "2001:db8:77::80"}
"""A machine of the company; its IPv6 address is the company's in name only until the tunnel carries IPv6."""
GUEST = {4: "10.137.0.2", 6: "fd54:7769:6e68:1::2"}
PERSONAL_GUEST = {4: "10.138.0.2", 6: "fd54:7769:6e68:2::2"}
ROUTER = {4: "198.51.100.1", 6: "2001:db8:1::1"}
LAPTOP = {4: "198.51.100.2", 6: "2001:db8:1::2"}
SECOND_ROUTER = {4: "192.0.2.1", 6: "2001:db8:2::1"}
SECOND_LAPTOP = {4: "192.0.2.2", 6: "2001:db8:2::2"}
ROAMED = "198.51.100.3"
LAN_MACHINE = {4: "198.51.100.77", 6: "2001:db8:1::77"}
"""Another machine of the laptop's network, played by the router."""
UPLINKS = {
    "uplink0": ("laptop0", LAPTOP, ROUTER),
    "uplink1": ("laptop1", SECOND_LAPTOP, SECOND_ROUTER),
}
ON_LINK = ("198.51.100.0/24", "192.0.2.0/24", "2001:db8:1::/64", "2001:db8:2::/64")
CORPORATE_NETWORKS = ("10.77.0.0/16", "10.137.0.0/30", "2001:db8:77::/64", "fd54:7769:6e68:1::/64")
SPLIT, FULL = ["10.77.0.0/16"], ["0.0.0.0/0"]
SMALLEST_MTU = 1280
AS_A_DESKTOP = (
    ("ipv6/conf/{}/accept_ra", "2"),
    ("ipv6/conf/{}/accept_ra_rt_info_max_plen", "64"),
    ("ipv6/conf/{}/accept_redirects", "1"),
    ("ipv4/conf/{}/accept_redirects", "1"),
    ("ipv4/conf/{}/secure_redirects", "0"),
)
"""The host's own network listens to routers, as a person's laptop does; only the partitions must not."""
COMPANY_RULES = """
table inet company {
    chain forward {
        type filter hook forward priority filter; policy accept;
        iifname "th-gw0" ip daddr { 198.51.100.2, 192.0.2.2 } drop
    }
}
"""
"""What went through the tunnel to the laptop's own address does not come back to it over the internet."""
PORTAL_RULES = """
table inet portal {
    chain names { type nat hook prerouting priority dstnat; tcp dport 80 counter redirect to :80; }
    chain gate { type filter hook forward priority filter; policy drop; }
}
"""
TUNNEL_MTU = 1420
CANARY_BYTES = 16
SEARCHED_BYTES = 8
"""Of a canary; it is repeated in each payload, so that a fragment of a packet still holds that much of it."""
WEB_PORT = 80


class Stage:
    """The machine and what plays on it.

    Attributes:
        net: netd, its client, and the company.
        lab: the private machine.
        watch: the captures.
        corporate: the corporate guest, if there is one.
        personal: the personal guest, if there is one.
        canary: bytes that the corporate guest says in this row; nobody outside may ever see them.
        poison: bytes that the network says in this row; the corporate guest may never see them.
        online: whether the gateway can be reached over this underlay.
        also: which packets of the personal side may leave in this row.
    """

    def __init__(self, net: NetdLab) -> None:
        self.net = net
        self.lab: Lab = net.lab
        self.corporate: HostileGuest | None = None
        self.personal: HostileGuest | None = None
        self.canary = self.poison = b""
        self.also: Callable[[Packet], bool] = lambda packet: False
        self.online = True
        self._underlay = ""
        self._routes = SPLIT
        self._broken, self._fresh = True, False
        self._second_uplink()
        self.watch = Watch(net.lab, {"the host": "", "the underlay": UNDERLAY, "the gateway": GATEWAY})

    def close(self) -> None:
        """End guests and captures."""
        for partition in Partition:
            self.stop_guest(partition)
        self.watch.close()

    # -- what a scenario uses -----------------------------------------------------------------------------

    def laws(self) -> Laws:
        """What may leave now."""
        own = [
            ip_address(ROAMED),
            *(ip_address(a) for _, laptop, _ in UPLINKS.values() for a in laptop.values()),
        ]
        return Laws(
            frozenset({(ip_address("203.0.113.2"), 51820)}),
            frozenset(own),
            tuple(ip_network(network) for network in ON_LINK),
            tuple(ip_network(network) for network in CORPORATE_NETWORKS),
            TUNNEL_MTU,
            self.also,
        )

    def run(self, *words: str, namespace: str = "", check: bool = True, input: str = "") -> str:
        """A program in one of the machine's namespaces."""
        return self.lab.run(*words, namespace=namespace, check=check, input=input)

    def sysctl(self, namespace: str, name: str, value: str) -> None:
        """Set something below /proc/sys/net."""
        self.run("tee", f"/proc/sys/net/{name}", namespace=namespace, input=value)

    def corporate_up(self, **changes: Any) -> None:
        """As core asks for it, with the routes of this underlay."""
        self.net.corporate_up(**{"routes": self._routes, **changes})

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

    def breaks(self, *, session: bool = False) -> None:
        """Say that this row leaves the corporate side to be mended, or its session lost."""
        self._broken = True
        self._fresh = self._fresh or session

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
            while not done.wait(0.005):
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
        """The guest's bytes reach the company through the tunnel: so its silence means something."""
        mark = self.watch.mark()
        self.tries([self.datagram(INTRANET[4], 9)])

        def there() -> bool:
            return self.watch.holds(mark, "the gateway", self.canary)

        if not self.watch.within(there, 1):  # no session yet: the first packets may be too many to keep
            for _ in range(int(seconds)):
                self.tries([self.datagram(INTRANET[4], 9)])
                if self.watch.within(there, 1):
                    return
            raise AssertionError("the guest no longer reaches the company through the tunnel")

    def tunnelless(self, family: Family) -> None:
        """The guest writes while there is no tunnel; whether its link is still up or not is netd's to say."""
        guest = self.need(CORPORATE)
        for frame in self.shouts(family):
            guest.write(frame)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """netd and wireguard-go stand still, as all processes do in a suspend, while the block runs."""
        tunnel = [str(pid) for pid in self.net.wireguard_pids()]
        self.net.netd.pause()
        self.run("kill", "-STOP", *tunnel)
        try:
            yield
        finally:
            self.run("kill", "-CONT", *tunnel)
            self.net.netd.resume()

    def end_netd(self, how: signal.Signals) -> None:
        """End netd by a signal and wait until it has gone."""
        os.kill(self.net.netd.pid, how)
        self.net.netd.wait()

    def hang_up(self, request: bytes) -> None:
        """Connect to netd, send bytes, and go away without waiting for an answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(self.net.socket))
            if request:
                connection.send(request)

    def relay(self) -> None:
        """Say that this row leaves the uplinks changed."""
        self._underlay = ""

    def link_is_up(self) -> bool:
        """Whether the corporate guest's link is."""
        return self.lab.links("th-corporate").get("th-corp0", False)

    def lan_says(self, frame: bytes, link: str = "laptop0") -> None:
        """A frame from another machine of the laptop's network, until it has reached the laptop."""
        mark = self.watch.mark()
        self.lab.inside(INTERNET, lambda: inject(link, frame))
        self.watch.until(
            lambda: self.watch.holds(mark, "the underlay", frame), "the frame reached the laptop"
        )

    def mac_of(self, namespace: str, interface: str) -> str:
        """The link-layer address of an interface."""
        words = self.run("ip", "-o", "link", "show", interface, namespace=namespace).split()
        return words[words.index("link/ether") + 1]

    def routing(self) -> str:
        """Addresses, routes and rules of the corporate namespace: what no network may change."""
        listed = [
            self.run("ip", "-o", "address", namespace="th-corporate"),
            self.run("ip", "-4", "route", "show", "table", "all", namespace="th-corporate"),
            self.run("ip", "-6", "route", "show", "table", "all", namespace="th-corporate"),
            self.run("ip", "rule", namespace="th-corporate"),
        ]
        return "\n".join(line.split("expires")[0] for text in listed for line in text.splitlines())

    # -- one row ------------------------------------------------------------------------------------------

    def play(self, row: Scenario) -> None:
        """Play a row: the captures shown to see, the event, the captures shown to see, the verdict."""
        self.canary, self.poison = os.urandom(CANARY_BYTES), os.urandom(CANARY_BYTES)
        self.also = lambda packet: False
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
            if needle in seen.frame:
                found.append(f"the canary in clear on {seen.interface} of {seen.place}")
        assert not found, found[:10]
        assert not self.watch.failure, self.watch.failure

    def _points(self) -> list[Any]:
        return [*self.watch.points("the underlay"), *self.watch.points("the host")]

    # -- the underlays ------------------------------------------------------------------------------------

    def lay(self, underlay: str) -> None:
        """Bring the uplinks to an underlay, and the corporate side to its ordinary state on it."""
        routes = FULL if underlay == "full tunnel" else SPLIT
        changed = underlay != self._underlay
        if changed or self._broken:
            self._plain_underlay()
        if self._broken or routes is not self._routes:
            self._routes = routes
            self._rebuild()
        if changed or self._broken:
            self._change_underlay(underlay)
        self._underlay, self._broken = underlay, False
        self.online = underlay not in ("captive", "no network")

    def _rebuild(self) -> None:
        self.stop_guest(PERSONAL)
        self.net.client.down(PERSONAL)
        fresh, self._fresh = self._fresh, False
        if self.corporate is not None and not fresh:
            self.corporate_up()
            if self.link_is_up():
                return self.arrives()
        self.stop_guest(CORPORATE)
        self.net.client.down(CORPORATE)
        self.corporate_up()
        self.need(CORPORATE)
        return self.arrives()

    def _second_uplink(self) -> None:
        """Another uplink, IPv6 on both, and a network that a desktop's host would listen to."""
        peer = ("type", "veth", "peer", "name", "laptop1", "netns", INTERNET)
        self.run("ip", "link", "add", "uplink1", "netns", UNDERLAY, *peer)
        for namespace, links in ((UNDERLAY, tuple(UPLINKS)), (INTERNET, ("laptop0", "laptop1"))):
            for scope in ("all", "default", *links):
                self.sysctl(namespace, f"ipv6/conf/{scope}/disable_ipv6", "0")
                self.sysctl(namespace, f"ipv6/conf/{scope}/accept_dad", "0")
        self.sysctl(INTERNET, "ipv6/conf/all/forwarding", "1")
        for uplink in UPLINKS:
            for name, value in AS_A_DESKTOP:
                self.sysctl(UNDERLAY, name.format(uplink), value)
        commands = [f"address replace {LAN_MACHINE[4]}/32 dev laptop0"]
        commands += [f"address replace {LAN_MACHINE[6]}/128 dev laptop0"]
        for far, _, router in UPLINKS.values():
            commands += [
                f"address replace {router[4]}/24 dev {far}",
                f"address replace {router[6]}/64 dev {far}",
            ]
            commands += [f"link set {far} up"]
        self.ip(INTERNET, *commands)
        self.run("nft", "-f", "-", namespace=GATEWAY, input=COMPANY_RULES)

    def ip(self, namespace: str, *commands: str) -> None:
        self.run("ip", "-batch", "-", namespace=namespace, input="".join(f"{line}\n" for line in commands))

    def _plain_underlay(self) -> None:
        """Both uplinks up and full-sized, the default routes over the first."""
        self.run("nft", "-f", "-", namespace=INTERNET, input="table inet portal\ndelete table inet portal\n")
        commands = []
        for uplink, (_, laptop, _) in UPLINKS.items():
            commands += [f"link set {uplink} up mtu 1500"]
            commands += [f"address replace {laptop[4]}/24 dev {uplink}"]
            commands += [f"address replace {laptop[6]}/64 dev {uplink}"]
        self.ip(UNDERLAY, *commands)
        self.ip(INTERNET, "link set laptop0 mtu 1500")
        self.default_over("uplink0")

    def default_over(self, uplink: str) -> None:
        """The laptop's default routes over one uplink alone."""
        router = UPLINKS[uplink][2]
        self.ip(UNDERLAY, *(f"route replace default via {router[family]} dev {uplink}" for family in (4, 6)))

    def _change_underlay(self, underlay: str) -> None:
        if underlay == "roamed":
            self.arrives()
            self.default_over("uplink1")
            self.arrives()
        elif underlay == "small MTU":
            self.ip(UNDERLAY, f"link set uplink0 mtu {SMALLEST_MTU}")
            self.ip(INTERNET, f"link set laptop0 mtu {SMALLEST_MTU}")
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
