"""The laptop's uplinks, the internet and the company around it, in a private machine."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinhull_hypervisor.network.plan import SIDES
from twinhull_policy.names import Partition

from tests.support.netd_lab import ADDRESS, ADDRESS6, NetdLab

CORPORATE, PERSONAL = Partition.CORPORATE, Partition.PERSONAL
UNDERLAY, INTERNET, GATEWAY = "th-underlay", "th-internet", "th-gateway"
INTRANET = {4: "10.77.0.80", 6: "fd77::80"}
IN_TUNNEL = {4: ADDRESS, 6: ADDRESS6}
GUEST = {4: str(SIDES[CORPORATE].guest), 6: str(SIDES[CORPORATE].guest6)}
TAP = {4: str(SIDES[CORPORATE].gateway.ip), 6: str(SIDES[CORPORATE].gateway6.ip)}
PERSONAL_TAP = {4: str(SIDES[PERSONAL].gateway.ip), 6: str(SIDES[PERSONAL].gateway6.ip)}
PERSONAL_GUEST = {4: str(SIDES[PERSONAL].guest), 6: str(SIDES[PERSONAL].guest6)}
COMPANY = {4: "203.0.113.2", 6: "2001:db8:113::2"}
"""The gateway, on the internet."""
GATEWAY_PORT = 51820
ROUTER = {4: "198.51.100.1", 6: "2001:db8:100::1"}
LAPTOP = {4: "198.51.100.2", 6: "2001:db8:100::2"}
SECOND_ROUTER = {4: "192.0.2.1", 6: "2001:db8:2::1"}
SECOND_LAPTOP = {4: "192.0.2.2", 6: "2001:db8:2::2"}
ROAMED = "198.51.100.3"
LAN_MACHINE = {4: "198.51.100.77", 6: "2001:db8:100::77"}
"""Another machine of the laptop's network, played by the router."""
UPLINKS = {
    "uplink0": ("laptop0", LAPTOP, ROUTER),
    "uplink1": ("laptop1", SECOND_LAPTOP, SECOND_ROUTER),
}
ON_LINK = (
    "2001:db8:bad::/64",
    "10.138.0.4/30",
    "fd74:7768:138:1::/64",
    "198.51.100.0/24",
    "192.0.2.0/24",
    "2001:db8:100::/64",
    "2001:db8:2::/64",
)
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
        iifname "th-gw0" ip daddr { 198.51.100.2, 198.51.100.3, 192.0.2.2 } drop
        iifname "th-gw0" ip6 daddr { 2001:db8:100::2, 2001:db8:2::2 } drop
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


SLEEP = Path("/sys/power/state")


def _asleep() -> float:
    """Seconds this computer has slept since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


class Machine:
    """Two uplinks with both families, and what other programs and people do to them.

    Attributes:
        net: netd, its client, and the company.
        lab: the private machine.
    """

    def __init__(self, net: NetdLab) -> None:
        self.net = net
        self.lab = net.lab
        self._second_uplink()

    def run(self, *words: str, namespace: str = "", check: bool = True, input: str = "") -> str:
        """A program in one of the machine's namespaces."""
        return self.lab.run(*words, namespace=namespace, check=check, input=input)

    def sysctl(self, namespace: str, name: str, value: str) -> None:
        """Set something below /proc/sys/net."""
        self.run("tee", f"/proc/sys/net/{name}", namespace=namespace, input=value)

    def ip(self, namespace: str, *commands: str) -> None:
        self.run("ip", "-batch", "-", namespace=namespace, input="".join(f"{line}\n" for line in commands))

    def mac_of(self, namespace: str, interface: str) -> str:
        """The link-layer address of an interface."""
        words = self.run("ip", "-o", "link", "show", interface, namespace=namespace).split()
        return words[words.index("link/ether") + 1]

    def link_local(self, namespace: str, interface: str) -> str:
        """The link-local address of an interface."""
        words = self.run(
            "ip", "-6", "-o", "address", "show", "dev", interface, "scope", "link", namespace=namespace
        )
        return words.split()[3].partition("/")[0]

    def company_says(self, source: str, near: int, target: str, far: int, payload: bytes) -> None:
        """A datagram of the company into the tunnel; what the gateway's own kernel sends."""
        family = socket.AF_INET6 if ":" in source else socket.AF_INET

        def say() -> None:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sender.bind((source, near))
                sender.sendto(payload, (target, far))

        self.lab.inside(GATEWAY, say)

    @contextmanager
    def company_routes_to_guest(self) -> Iterator[None]:
        """A gateway that means harm has the guest's own addresses lead into the tunnel."""
        self._company_ipv6(*GUEST.values())
        for family in (4, 6):
            self.ip(GATEWAY, f"route replace {GUEST[family]} dev th-gw0")
        try:
            yield
        finally:
            self._company_ipv6()

    def routing(self) -> str:
        """Addresses, routes and rules of the corporate namespace: what no network may change."""
        listed = [
            self.run("ip", "-o", "address", namespace="th-corporate"),
            self.run("ip", "-4", "route", "show", "table", "all", namespace="th-corporate"),
            self.run("ip", "-6", "route", "show", "table", "all", namespace="th-corporate"),
            self.run("ip", "rule", namespace="th-corporate"),
        ]
        return "\n".join(line.split("expires")[0] for text in listed for line in text.splitlines())

    def default_over(self, uplink: str) -> None:
        """The laptop's default routes over one uplink alone."""
        router = UPLINKS[uplink][2]
        self.ip(UNDERLAY, *(f"route replace default via {router[family]} dev {uplink}" for family in (4, 6)))

    def as_a_desktop(self) -> None:
        """Have the uplinks listen to routers."""
        for uplink in UPLINKS:
            for name, value in AS_A_DESKTOP:
                self.sysctl(UNDERLAY, name.format(uplink), value)

    def start_gateway(self) -> None:
        """Bring the gateway back after ``stop-gateway``, with both families."""
        self.lab.demo("start-gateway")
        self._company_ipv6()

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """netd and, if it is there, wireguard-go stand still, as in a suspend, while the block runs."""
        tunnel = [str(pid) for pid in self.net.wireguard_pids()]
        self.net.netd.pause()
        if tunnel:
            self.run("kill", "-STOP", *tunnel)
        try:
            yield
        finally:
            if tunnel:
                self.run("kill", "-CONT", *tunnel)
            self.net.netd.resume()

    def suspend(self, seconds: int) -> None:
        """Suspend the whole machine, which has to be one of its own, until :meth:`wake_me` has had it woken.

        Args:
            seconds: how long at least.
        """
        asleep = _asleep()
        self.wake_me(seconds)
        SLEEP.write_text("mem")
        assert _asleep() - asleep > seconds - 1, "the machine did not sleep"

    def wake_me(self, seconds: int) -> None:
        """Ask whoever can to wake the machine up in some seconds; where nobody can, it may not sleep."""
        raise AssertionError("nobody would wake this machine up")

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

    def _second_uplink(self) -> None:
        """Another uplink, IPv6 on both, and a network that a desktop's host would listen to."""
        peer = ("type", "veth", "peer", "name", "laptop1", "netns", INTERNET)
        self.run("ip", "link", "add", "uplink1", "netns", UNDERLAY, *peer)
        for namespace, links in ((UNDERLAY, tuple(UPLINKS)), (INTERNET, ("laptop0", "laptop1"))):
            for scope in ("all", "default", *links):
                self.sysctl(namespace, f"ipv6/conf/{scope}/disable_ipv6", "0")
                self.sysctl(namespace, f"ipv6/conf/{scope}/dad_transmits", "0")
        self.as_a_desktop()
        commands = [f"address replace {LAN_MACHINE[4]}/32 dev laptop0"]
        commands += [f"address replace {LAN_MACHINE[6]}/128 dev laptop0"]
        for far, _, router in UPLINKS.values():
            commands += [
                f"address replace {router[4]}/24 dev {far}",
                f"address replace {router[6]}/64 dev {far}",
            ]
            commands += [f"link set {far} up"]
        self.ip(INTERNET, *commands)
        for namespace in (INTERNET, GATEWAY):
            self.sysctl(namespace, "ipv6/conf/all/forwarding", "1")
        for namespace, link in ((INTERNET, "company0"), (GATEWAY, "uplink0")):
            self.sysctl(namespace, f"ipv6/conf/{link}/disable_ipv6", "0")
        self.ip(INTERNET, "address replace 2001:db8:113::1/64 dev company0 nodad")
        self.ip(GATEWAY, f"address replace {COMPANY[6]}/64 dev uplink0 nodad")
        self.ip(GATEWAY, "route replace default via 2001:db8:113::1")
        self._company_ipv6()
        self.run("nft", "-f", "-", namespace=GATEWAY, input=COMPANY_RULES)

    def _company_ipv6(self, *also: str) -> None:
        self.sysctl(GATEWAY, "ipv6/conf/th-gw0/disable_ipv6", "0")
        self.ip(
            GATEWAY, f"address replace {INTRANET[6]}/128 dev th-gw0", "route replace fd77::/32 dev th-gw0"
        )
        allowed = ("allowed-ips", ",".join((ADDRESS, ADDRESS6, *also)))
        self.run("wg", "set", "th-gw0", "peer", self.net.client.identity(), *allowed, namespace=GATEWAY)

    def plain_underlay(self) -> None:
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
