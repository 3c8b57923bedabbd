"""Brings the demonstration up and takes it down, step by step and each step idempotent.

    th-underlay 198.51.100.2 ---- 198.51.100.1 th-internet 203.0.113.1 ---- 203.0.113.2 th-gateway
    (the laptop's network)        router, DNS, www.example                  WireGuard, 10.77.0.1, intranet

Addresses are of the documentation blocks (RFC 5737). Nothing of it is connected to the machine's own network.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .commands import CommandError, Ledger, Process, inside, leave_running, run

STATE = Path("/run/twinhull-demo")
NAMESPACES = Path("/run/netns")
"""Where ip-netns(8) keeps names."""
UNDERLAY, INTERNET, GATEWAY = "th-underlay", "th-internet", "th-gateway"
UNDERLAY_ADDRESS = "198.51.100.2"
ROUTER_ADDRESS = "198.51.100.1"
ROUTER_GATEWAY_SIDE = "203.0.113.1"
GATEWAY_ADDRESS = "203.0.113.2"
GATEWAY_PORT = 51820
TUNNEL_SUBNET = "10.77.0.0/16"
TUNNEL_DNS = "10.77.0.1"
INTRANET_ADDRESS = "10.77.0.80"
TUNNEL = "th-gw0"
UAPI_SOCKET = Path("/var/run/wireguard") / f"{TUNNEL}.sock"
NAMES_OUTSIDE = ("www.example", "connectivity-check.example", "detectportal.example", "connectivity.example")
NAMES_INSIDE = {"intranet.corp.example": INTRANET_ADDRESS, "gateway.corp.example": TUNNEL_DNS}
PROCESSES = {
    INTERNET: ("internet", "internet-dns"),
    GATEWAY: ("gateway", "gateway-dns", "intranet"),
}
"""What runs in a namespace; "gateway" is missing where the kernel has WireGuard."""
LINKS = (  # namespace, interface, address, peer's namespace, interface, address; each /24
    (UNDERLAY, "uplink0", UNDERLAY_ADDRESS, INTERNET, "laptop0", ROUTER_ADDRESS),
    (GATEWAY, "uplink0", GATEWAY_ADDRESS, INTERNET, "company0", ROUTER_GATEWAY_SIDE),
)

GATEWAY_RULES = f"""
table inet demo
delete table inet demo
table inet demo {{
    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        iifname != {{ "{TUNNEL}", "lo" }} ip daddr {TUNNEL_SUBNET} drop
        iifname != {{ "{TUNNEL}", "lo" }} ip saddr {TUNNEL_SUBNET} drop
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {TUNNEL_SUBNET} oifname "uplink0" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    }}
}}
"""


@dataclass(frozen=True)
class Demo:
    """The demonstration, with its state (keys, process ids, logs) in one directory."""

    state: Path = STATE

    @property
    def ledger(self) -> Ledger:
        """Its processes."""
        return Ledger(self.state / "processes.json")

    def up(self) -> str:
        """Bring everything up; return the gateway's WireGuard public key."""
        self.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        for namespace in (UNDERLAY, INTERNET, GATEWAY):
            self._namespace(namespace)
        for namespace in PROCESSES:
            self._end_strays(namespace)
        for link in LINKS:
            _connect(*link)
        run(inside(UNDERLAY, "ip", "route", "replace", "default", "via", ROUTER_ADDRESS))
        run(inside(GATEWAY, "ip", "route", "replace", "default", "via", ROUTER_GATEWAY_SIDE))
        for namespace in (INTERNET, GATEWAY):
            run(inside(namespace, "tee", "/proc/sys/net/ipv4/ip_forward"), input="1")
        self._page("internet", INTERNET, ROUTER_ADDRESS)
        names = dict.fromkeys(NAMES_OUTSIDE, ROUTER_ADDRESS)
        self._names("internet-dns", INTERNET, [ROUTER_ADDRESS], names, upstream="")
        self.start_gateway()
        (self.state / "up").touch()
        return self.public_key()

    def down(self) -> None:
        """End the processes, remove the namespaces and the state: what up made and nothing else."""
        for name in self.ledger.names():
            self.ledger.end(name)
        for namespace in PROCESSES:
            if (self.state / f"made-{namespace}").exists():
                self._end_strays(namespace)
        UAPI_SOCKET.unlink(missing_ok=True)
        present = _namespaces()
        for namespace in (GATEWAY, INTERNET, UNDERLAY):
            if namespace in present and (self.state / f"made-{namespace}").exists():
                run(["ip", "netns", "delete", namespace])
        if self.state.is_dir():
            for path in self.state.iterdir():
                path.unlink()
            self.state.rmdir()

    def start_gateway(self) -> None:
        """Start the company's side, with the peers it knew before."""
        self._tunnel()
        run(inside(GATEWAY, "nft", "-f", "-"), input=GATEWAY_RULES)
        self._names("gateway-dns", GATEWAY, [TUNNEL_DNS], NAMES_INSIDE, upstream=ROUTER_ADDRESS)
        self._page("intranet", GATEWAY, INTRANET_ADDRESS)

    def stop_gateway(self) -> None:
        """Take the company's side away as a crash would: no tunnel, no names, no page."""
        for name in ("intranet", "gateway-dns", "gateway"):
            self.ledger.end(name)
        if _has_link(GATEWAY, TUNNEL):
            run(inside(GATEWAY, "ip", "link", "delete", TUNNEL))
        UAPI_SOCKET.unlink(missing_ok=True)

    def peer(self, public_key: str, address: str) -> None:
        """Let a laptop in: its WireGuard key and its one address in the tunnel. Kept across restarts.

        Whoever had the address before is out: a laptop's key was rotated.
        """
        peers = self.state / "peers"
        former = [line.split()[0] for line in self._peers() if line.split()[1] == address]
        lines = [line for line in self._peers() if line.split()[0] not in (public_key, *former)]
        temporary = peers.with_suffix(".new")
        temporary.write_text("".join(f"{line}\n" for line in [*lines, f"{public_key} {address}"]))
        temporary.replace(peers)
        if _has_link(GATEWAY, TUNNEL):
            for key in set(former) - {public_key}:
                run(inside(GATEWAY, "wg", "set", TUNNEL, "peer", key, "remove"))
            self._admit(public_key, address)

    def public_key(self) -> str:
        """The gateway's WireGuard public key."""
        return run(["wg", "pubkey"], input=self._key()).strip()

    def status(self) -> dict[str, object]:
        """What is there, for people and ``--json``."""
        present = _namespaces()
        running = [name for name in self.ledger.names() if self.ledger.get(name)]
        return {
            "up": (self.state / "up").exists() and GATEWAY in present and self._whole(running),
            "namespaces": [name for name in (UNDERLAY, INTERNET, GATEWAY) if name in present],
            "running": running,
            "gateway": f"{GATEWAY_ADDRESS}:{GATEWAY_PORT}",
            "public_key": self.public_key() if (self.state / "gateway.key").exists() else "",
            "peers": self._peers(),
        }

    def _namespace(self, name: str) -> None:
        """Make it, and a note that it is ours to remove, first: a crash between leaves the note alone."""
        if name not in _namespaces():
            (self.state / f"made-{name}").touch()
            # What is left of an interrupted "ip netns add" is a name without a namespace.
            (NAMESPACES / name).unlink(missing_ok=True)
            run(["ip", "netns", "add", name])
        # IPv4 only, and so nothing on these wires that the demonstration did not send.
        ipv6 = "/proc/sys/net/ipv6/conf"
        if Path(ipv6).exists():
            run(inside(name, "tee", f"{ipv6}/all/disable_ipv6", f"{ipv6}/default/disable_ipv6"), input="1")
        run(inside(name, "ip", "link", "set", "lo", "up"))

    def _whole(self, running: list[str]) -> bool:
        """Whether every part is there."""
        wanted = {name for names in PROCESSES.values() for name in names} - {"gateway"}
        return wanted <= set(running) and self._has_key()

    def _end_strays(self, namespace: str) -> None:
        """End what we left running there and did not come to note: an interruption fell between the two."""
        noted = {process.pid for name in self.ledger.names() if (process := self.ledger.get(name))}
        for pid in run(["ip", "netns", "pids", namespace], check=False).split():
            if int(pid) not in noted:
                with contextlib.suppress(ProcessLookupError):
                    Process.of(int(pid)).end()

    def _has_key(self) -> bool:
        """Whether the tunnel is there and has its key."""
        shown = run(inside(GATEWAY, "wg", "show", TUNNEL, "public-key"), check=False).strip()
        return shown == self.public_key()

    def _tunnel(self) -> None:
        try:
            if not self._has_key():
                self._make_tunnel()
            self._configure_tunnel()
        except CommandError:
            self.stop_gateway()  # so that the next attempt starts from nothing
            raise

    def _make_tunnel(self) -> None:
        self.stop_gateway()
        try:
            run(inside(GATEWAY, "ip", "link", "add", TUNNEL, "type", "wireguard"))
        except CommandError:  # no WireGuard in this kernel
            run(inside(GATEWAY, "wireguard-go", TUNNEL))
            # Its daemon half is not to be told from others before it runs; it answers once it does.
            run(inside(GATEWAY, "wg", "show", TUNNEL, "listen-port"))
            self.ledger.put("gateway", _holder_of(TUNNEL))
        run(
            inside(GATEWAY, "wg", "setconf", TUNNEL, "/dev/stdin"),
            input=f"[Interface]\nPrivateKey = {self._key()}\nListenPort = {GATEWAY_PORT}\n",
        )

    def _configure_tunnel(self) -> None:
        for address in (f"{TUNNEL_DNS}/16", f"{INTRANET_ADDRESS}/32"):
            run(inside(GATEWAY, "ip", "address", "replace", address, "dev", TUNNEL))
        run(inside(GATEWAY, "ip", "link", "set", TUNNEL, "mtu", "1420", "up"))
        for line in self._peers():
            self._admit(*line.split())

    def _admit(self, public_key: str, address: str) -> None:
        run(
            inside(
                GATEWAY, "wg", "set", TUNNEL, "peer", public_key, "allowed-ips", f"{address.split('/')[0]}/32"
            )
        )

    def _key(self) -> str:
        path = self.state / "gateway.key"
        if not path.exists():
            key = run(["wg", "genkey"])
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(key)
        return path.read_text().strip()

    def _peers(self) -> list[str]:
        path = self.state / "peers"
        return path.read_text().splitlines() if path.exists() else []

    def _page(self, name: str, namespace: str, address: str) -> None:
        if self.ledger.get(name):
            return
        program = Path(__file__).with_name("pages.py")
        argv = inside(namespace, sys.executable, "-I", str(program), address, "80", name)
        self.ledger.put(name, leave_running(argv, ready=b"ready", log=self.state / f"{name}.log"))

    def _names(
        self, name: str, namespace: str, listen: list[str], hosts: dict[str, str], *, upstream: str
    ) -> None:
        if self.ledger.get(name):
            return
        pid_file = self.state / f"{name}.pid"
        forward = [f"--server={upstream}"] if upstream else []
        run(
            inside(
                namespace,
                "dnsmasq",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                f"--pid-file={pid_file}",
                "--user=nobody",
                *(f"--listen-address={address}" for address in listen),
                *(f"--host-record={host},{address}" for host, address in hosts.items()),
                *forward,
            )
        )
        self.ledger.put(name, Process.of(int(pid_file.read_text())))


def _namespaces() -> set[str]:
    """The names that a namespace is mounted under, as ``ip netns`` does; not those of plain files."""
    if not NAMESPACES.is_dir():
        return set()
    here = NAMESPACES.stat().st_dev
    return {path.name for path in NAMESPACES.iterdir() if path.stat().st_dev != here}


def _has_link(namespace: str, name: str) -> bool:
    return any(
        line.split(":")[1].strip().partition("@")[0] == name
        for line in run(inside(namespace, "ip", "-o", "link", "show")).splitlines()
    )


def _connect(near: str, near_link: str, near_address: str, far: str, far_link: str, far_address: str) -> None:
    if not _has_link(near, near_link):
        peer = ["peer", "name", far_link, "netns", far]
        run(["ip", "link", "add", near_link, "netns", near, "type", "veth", *peer])
    for namespace, link, address in ((near, near_link, near_address), (far, far_link, far_address)):
        run(inside(namespace, "ip", "address", "replace", f"{address}/24", "dev", link))
        run(inside(namespace, "ip", "link", "set", link, "up"))


def _holder_of(tunnel: str) -> Process:
    """The wireguard-go that holds a tunnel open; it daemonises and tells nobody its pid."""
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            argv = (directory / "cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(argv[0])).name != "wireguard-go" or tunnel.encode() not in argv:
                continue
            if _has_open(directory, tunnel):
                return Process.of(int(directory.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise CommandError("wireguard-go did not start")


def _has_open(process: Path, tunnel: str) -> bool:
    """Whether a process has a tun open; it opens and closes other files while one looks."""
    for info in (process / "fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if f"iff:\t{tunnel}\n" in info.read_text():
                return True
    return False
