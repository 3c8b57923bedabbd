"""A lab with the demonstration company, twinhull-netd with its two capabilities, and stand-in guests."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinhull_hypervisor.network.client import NetdClient
from twinhull_hypervisor.network.plan import SIDES
from twinhull_policy.names import Partition

from tests.support.network_lab import NETD_CAPABILITIES, ROOT, Lab, Running, wait_until

ADDRESS = "10.77.1.5"
INTRANET = "http://10.77.0.80/"
INTERNET = "http://198.51.100.1/"
ADDRESS6 = "fd77::1:5"
INTRANET6 = "http://[fd77::80]/"
INTERNET6 = "http://[2001:db8:100::1]/"
LINKS6 = (  # as the demonstration company's IPv4: namespace, interface, address; the router is ::1
    ("th-underlay", "uplink0", "2001:db8:100::2/64"),
    ("th-internet", "laptop0", "2001:db8:100::1/64"),
    ("th-internet", "company0", "2001:db8:113::1/64"),
    ("th-internet", "laptop0", "fe80::1/64"),
    ("th-internet", "company0", "fe80::1/64"),
    ("th-gateway", "uplink0", "2001:db8:113::2/64"),
)
GATEWAY6 = "[2001:db8:113::2]:51820"
GATEWAY_RULES6 = """
table ip6 demo6
delete table ip6 demo6
table ip6 demo6 {
    chain translate {
        type nat hook postrouting priority srcnat; policy accept;
        ip6 saddr fd77::/32 oifname "uplink0" masquerade
    }
}
"""
PAGES = ROOT / "installer" / "corporate_side" / "pages.py"
GUEST_SCRIPT = Path(__file__).with_name("tap_guest.py")
GUESTS = {Partition.CORPORATE: "guest-corp", Partition.PERSONAL: "guest-pers"}

FETCH = """
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])) as answer:
        sys.stdout.write(answer.read().decode())
except OSError as error:
    sys.stdout.write(f"failed: {error}")
"""
RESOLVE = """
import os, socket, struct, sys
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[2].split(".")) + b"\\0"
query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
    resolver.settimeout(float(sys.argv[3]))
    try:
        resolver.sendto(query, (sys.argv[1], 53))
        sys.stdout.write(socket.inet_ntoa(resolver.recv(512)[-4:]))
    except OSError as error:
        sys.stdout.write(f"failed: {error}")
"""
STREAM = """
import os, socket, time
with socket.create_connection(("10.77.0.1", 7777), timeout=60) as stream:
    os.write(1, b"ready\\n")
    while True:
        stream.sendall(b".")
        if stream.recv(1) != b".":
            raise SystemExit("the stream ended")
        time.sleep(0.05)
"""
ECHO = """
import os, socket
with socket.create_server(("10.77.0.1", 7777)) as server:
    os.write(1, b"ready\\n")
    while True:
        stream, _ = server.accept()
        with stream:
            while data := stream.recv(1):
                stream.sendall(data)
"""
"""One connection that has to outlive what is done to the tunnel: a byte to and fro, many times a second."""


class NetdLab:
    """The lab and what runs in it.

    Attributes:
        lab: the private machine.
        client: netd's client, as the core uses it.
        gateway_key: the company gateway's WireGuard key.
    """

    def __init__(self, lab: Lab, directory: Path, *, as_systemd: bool, prelude: str) -> None:
        self.lab = lab
        self._as_systemd = as_systemd
        self._prelude = prelude
        self.directory = directory
        self.socket = directory / "netd.sock"
        self.client = NetdClient(self.socket)
        self.gateway_key = lab.demo("up").splitlines()[-1]
        (directory / "host.json").write_text(
            '{"underlay_namespace": "th-underlay", "personal_dns": ["198.51.100.1"]}'
        )
        if as_systemd:
            for side in SIDES.values():
                lab.run("ip", "netns", "add", side.namespace)
        self.netd = self.start_netd()
        lab.demo("peer", self.client.identity(), ADDRESS)
        self.guests: dict[Partition, Running] = {}

    def start_netd(self, prelude: str = "") -> Running:
        """Start netd with exactly its two capabilities; as systemd does, if the lab is like that.

        ``prelude`` is Python that this one runs first, besides the lab's own.
        """
        code = (
            "import os, socket, sys, threading, time\n"
            "from twinhull_hypervisor.network import netd\n"
            f"{self._prelude}\n{prelude}\n"
            "def tell():\n"
            "    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:\n"
            "        while probe.connect_ex(sys.argv[2]): time.sleep(0.02)\n"
            "    os.write(1, b'ready\\n')\n"
            "threading.Thread(target=tell).start()\n"
            "netd.main()\n"
        )
        # systemd gives a service that has ProtectSystem= slaves of the host's mounts (systemd.exec(5)).
        apart = ("unshare", "--mount", "--propagation", "slave", "--") if self._as_systemd else ()
        self.netd = self.lab.start(
            *apart,
            *(
                "setpriv",
                f"--bounding-set={NETD_CAPABILITIES}",
                "--inh-caps=-all",
                sys.executable,
                "-c",
                code,
            ),
            *("--socket", str(self.socket), "--state-dir", str(self.directory / "state")),
            *("--settings", str(self.directory / "host.json")),
        )
        return self.netd

    def corporate_up(self, **changes: Any) -> None:
        """`corporate_up` for the demonstration company."""
        arguments: dict[str, Any] = {
            "addresses": [ADDRESS],
            "gateways": [("203.0.113.2:51820", self.gateway_key)],
            "routes": ["10.77.0.0/16"],
            "dns": ["10.77.0.1"],
            "mtu": 1420,
        }
        self.client.corporate_up(**{**arguments, **changes})

    def dual_stack(self) -> None:
        """Give the demonstration company and the underlay IPv6, outside and inside the tunnel."""
        self.ipv6_addresses()
        for namespace, address, page in (
            ("th-gateway", "fd77::80", "intranet"),
            ("th-internet", "2001:db8:100::1", "internet"),
        ):
            self.lab.start("/usr/bin/python3", "-I", str(PAGES), address, "80", page, namespace=namespace)

    def ipv6_addresses(self) -> None:
        """All of that but the pages; again after the gateway was restarted."""
        lab = self.lab
        for namespace, link, address in LINKS6:
            self._ipv6_on(namespace, link)
            lab.run("ip", "address", "replace", address, "dev", link, "nodad", namespace=namespace)
        for namespace, router in (("th-underlay", "2001:db8:100::1"), ("th-gateway", "2001:db8:113::1")):
            lab.run("ip", "-6", "route", "replace", "default", "via", router, namespace=namespace)
        for namespace in ("th-internet", "th-gateway"):
            lab.run("tee", "/proc/sys/net/ipv6/conf/all/forwarding", namespace=namespace, input="1")
        self._ipv6_on("th-gateway", "th-gw0")
        for address in ("fd77::1/64", "fd77::80/128"):
            lab.run("ip", "address", "replace", address, "dev", "th-gw0", "nodad", namespace="th-gateway")
        lab.run("ip", "-6", "route", "replace", "fd77::/32", "dev", "th-gw0", namespace="th-gateway")
        allowed = f"{ADDRESS}/32,{ADDRESS6}/128"
        peer = ("peer", self.client.identity(), "allowed-ips", allowed)
        lab.run("wg", "set", "th-gw0", *peer, namespace="th-gateway")
        lab.run("nft", "-f", "-", namespace="th-gateway", input=GATEWAY_RULES6)

    def _ipv6_on(self, namespace: str, link: str) -> None:
        """Without link-local addresses and the like, so that the wire is quiet of itself."""
        for name, value in (("addr_gen_mode", "1"), ("router_solicitations", "0"), ("disable_ipv6", "0")):
            path = f"/proc/sys/net/ipv6/conf/{link}/{name}"
            self.lab.run("tee", path, namespace=namespace, input=value)

    def guest(self, partition: Partition) -> str:
        """Start a stand-in guest and connect it as the core does; its network namespace."""
        side = SIDES[partition]
        self.client.tap(partition)
        self.guests[partition] = self.lab.start(
            *("/usr/bin/python3", str(GUEST_SCRIPT), side.tap, GUESTS[partition]),
            *(f"{side.guest}/30", str(side.gateway.ip), f"{side.guest6}/64", str(side.gateway6.ip)),
        )
        self.client.adopt(partition)
        return GUESTS[partition]

    def stop_guest(self, partition: Partition) -> None:
        """End the stand-in guest as a VM ends: its descriptor closes."""
        guest = self.guests.pop(partition, None)
        if guest is not None:
            guest.kill()
            self.lab.run("ip", "netns", "delete", GUESTS[partition])

    def fetch(self, namespace: str, url: str, seconds: float = 20) -> str:
        """A page as a guest gets it, or ``failed: …``."""
        return self.lab.python(FETCH, url, str(seconds), namespace=namespace)

    def resolve(self, namespace: str, server: str, name: str, seconds: float = 20) -> str:
        """A name as a guest resolves it, or ``failed: …``."""
        return self.lab.python(RESOLVE, server, name, str(seconds), namespace=namespace)

    def wireguard_pids(self) -> list[int]:
        """The lab's process ids of netd's wireguard-go."""
        return [int(pid) for pid in self.lab.run("pgrep", "-f", "^wireguard-go th-wg0", check=False).split()]

    def kill_wireguard(self) -> None:
        """kill -9 it and wait until its interface has gone."""
        (pid,) = self.wireguard_pids()
        self.lab.run("kill", "-9", str(pid))
        wait_until(lambda: "th-wg0" not in self.lab.links("th-corporate"), "the tunnel is gone")

    def reset(self) -> None:
        """Everything of both partitions gone, netd and the gateway running."""
        for partition in Partition:
            self.stop_guest(partition)
            self.client.down(partition)


AS_SEEN_FROM_INSIDE = (
    ("ip", "-o", "address"),
    ("ip", "rule"),
    ("ip", "-6", "rule"),
    ("ip", "route", "show", "table", "all"),
    ("nft", "list", "ruleset"),
    ("cat", "/proc/sys/net/ipv4/ip_forward"),
    ("cat", "/proc/sys/net/netfilter/nf_conntrack_count"),
)


def assert_as_new(net: NetdLab, namespace: str) -> None:
    """The namespace is there and cannot be told from one just made."""
    assert net.lab.links(namespace) == {"lo": False}
    net.lab.run("ip", "netns", "add", "th-new")
    try:
        for words in AS_SEEN_FROM_INSIDE:
            seen, new = (net.lab.run(*words, namespace=place) for place in (namespace, "th-new"))
            assert seen == new, words
    finally:
        net.lab.run("ip", "netns", "delete", "th-new")


@contextmanager
def netd_lab(*, as_systemd: bool = False, prelude: str = "") -> Iterator[NetdLab]:
    """A lab for as long as a module's tests run; nothing of it is left afterwards.

    Args:
        as_systemd: netd runs as its unit has it run, in a mount namespace of its own, and both partitions'
            namespaces are there before it.
        prelude: Python that netd's process runs first, to shorten a wait of minutes.
    """
    lab = Lab()
    try:
        with tempfile.TemporaryDirectory(prefix="th-") as directory:
            yield NetdLab(lab, Path(directory), as_systemd=as_systemd, prelude=prelude)
            lab.demo("down")
    finally:
        lab.close()
