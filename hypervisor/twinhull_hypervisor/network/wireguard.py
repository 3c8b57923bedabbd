"""The WireGuard tunnel: the laptop's key, the interface, its peer, and what it reports.

The interface is born in the underlay namespace and then moved: its UDP socket stays where it was born
(https://www.wireguard.com/netns/), for the kernel's WireGuard and for wireguard-go alike. wireguard-go
daemonises and outlives netd; it is found again by the tunnel it holds open, never by a remembered pid. If
it dies, the interface goes with it and the namespace has no way out.
"""

from __future__ import annotations

import base64
import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ..run import ProgramFailed, run
from . import links, namespaces
from .arguments import CorporatePlan, Gateway
from .errors import TunnelFailed
from .plan import TUNNEL
from .results import TunnelKind, TunnelStatus

PROGRAM = "wireguard-go"
UAPI_SOCKET = Path("/var/run/wireguard") / f"{TUNNEL}.sock"
"""Where wireguard-go listens for wg(8)."""
KEEPALIVE_SECONDS = 25
"""WireGuard's own advice for peers behind NAT (wg(8), PersistentKeepalive)."""
OVERHEAD = {4: 60, 6: 80}
"""Bytes by the family outside: IP, UDP (8), WireGuard's header and tag (32; white paper, section 5.4.6)."""
WG_SECONDS = 20.0
DEATH_SECONDS = 10.0
_NONE = "(none)"
"""How ``wg show`` writes that a peer has no route."""


class Key:
    """The laptop's WireGuard private key: one file, made on first use, that only root reads.

    During a rotation there is a second one, the next. The gateway takes either; once it has answered the next
    one, that takes the place of the first, which is gone for good.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_suffix(".next")

    def public(self, *, next: bool = False) -> str:
        """The public half, base64; with ``next`` of the key to come, which is made unless there is one."""
        path = self._next if next else self._path
        if not path.exists():
            _make(path)
        key = X25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text()))
        return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def private(self, *, next: bool = False) -> str:
        """The private half, base64, for ``wg``'s standard input alone."""
        if next:
            return self._next.read_text()
        if not self._path.exists():
            _make(self._path)
        return self._path.read_text()

    def rotating(self) -> bool:
        """Whether there is a next key."""
        return self._next.exists()

    def advance(self) -> None:
        """The next key takes the place of the first, in one step."""
        self._next.rename(self._path)
        _sync(self._path.parent)


def _make(path: Path) -> None:
    """Write a new private key so that a crash leaves none or all of it."""
    raw = X25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(base64.b64encode(raw).decode())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def kind(namespace: str) -> TunnelKind:
    """What is behind the tunnel interface in a namespace; empty when it is not there or dead."""
    link = links.links(namespace).get(TUNNEL)
    if link is None:
        return ""
    if link.kind == "wireguard":
        return "wireguard-kernel"
    return "wireguard-go" if daemons() else ""


def create(underlay: str, namespace: str) -> None:
    """Make the tunnel in the underlay and move it into a namespace, down and unconfigured.

    Any half-made predecessor in either place goes first. Raises TunnelFailed.
    """
    remove(underlay, namespace)
    if not links.add_wireguard(underlay, TUNNEL):
        try:
            run([*namespaces.command(underlay), PROGRAM, TUNNEL], timeout=WG_SECONDS)
            # Its daemon half still has to find the interface, in the namespace it was started in. It answers
            # on its control socket only after that; moved earlier, the interface would be lost to it.
            run([*namespaces.command(underlay), "wg", "show", TUNNEL, "listen-port"], timeout=WG_SECONDS)
        except ProgramFailed as error:
            raise TunnelFailed(reason=error.message) from error
    link = links.links(underlay).get(TUNNEL)
    if link is None:
        raise TunnelFailed(reason="its interface did not appear")
    links.move(underlay, link, namespace)


def configure(
    namespace: str, plan: CorporatePlan, gateway: Gateway, private_key: str, *, fresh: bool
) -> None:
    """Set key and peer; on a tunnel in use nothing that stays the same is disturbed (wg(8), syncconf).

    Args:
        namespace: where the tunnel is.
        plan: what goes into it.
        gateway: its other end.
        private_key: the laptop's, base64.
        fresh: start over: forget the session, take another port, and ask for a new session at once.
    """
    allowed = ", ".join(str(route) for route in plan.routes)
    configuration = (
        f"[Interface]\nPrivateKey = {private_key}\n"
        f"[Peer]\nPublicKey = {gateway.public_key}\nEndpoint = {gateway.endpoint}\n"
        f"AllowedIPs = {allowed}\nPersistentKeepalive = {KEEPALIVE_SECONDS}\n"
    )
    verb = "setconf" if fresh else "syncconf"
    argv = [*namespaces.command(namespace), "wg", verb, TUNNEL, "/dev/stdin"]
    try:
        run(argv, input=configuration.encode(), timeout=WG_SECONDS)
    except ProgramFailed as error:
        raise TunnelFailed(reason=error.message) from error


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that the tunnel knows, as WireGuard reports it.

    Attributes:
        public_key: the gateway's, base64.
        endpoint: ``ADDRESS:PORT`` the packets go to.
        last_handshake: seconds since the epoch; 0 when there was none.
        received_bytes: as WireGuard counts.
        sent_bytes: likewise.
    """

    public_key: str
    endpoint: str
    last_handshake: float
    received_bytes: int
    sent_bytes: int


def peers(namespace: str) -> list[Peer]:
    """The gateways the tunnel knows: first the one that has the routes, then those that are only asked."""
    endpoints = _show(namespace, "endpoints")
    handshakes = _show(namespace, "latest-handshakes")
    transfers = _show(namespace, "transfer")
    found = [
        Peer(
            public_key=key,
            endpoint=endpoint,
            last_handshake=float(handshakes.get(key, ["0"])[0]),
            received_bytes=int(transfers.get(key, ["0"])[0]),
            sent_bytes=int(transfers.get(key, ["0", "0"])[-1]),
        )
        for key, (endpoint, *_) in endpoints.items()
    ]
    if len(found) > 1:
        routes = _show(namespace, "allowed-ips")
        found.sort(key=lambda peer: routes.get(peer.public_key, [_NONE])[0] == _NONE)
    return found


def status(namespace: str) -> TunnelStatus:
    """What WireGuard reports of the gateway in use; the empty status when there is no tunnel."""
    found = kind(namespace)
    if not found:
        return TunnelStatus()
    known = peers(namespace)
    if not known:
        return TunnelStatus(kind=found)
    return TunnelStatus(
        kind=found,
        gateway=known[0].endpoint,
        last_handshake=known[0].last_handshake,
        received_bytes=known[0].received_bytes,
        sent_bytes=known[0].sent_bytes,
    )


def ask(namespace: str, gateways: Sequence[Gateway]) -> None:
    """Have WireGuard shake hands with other gateways too, at once; nothing can go to or come from them."""
    stop_asking(namespace)  # an earlier netd may not have got to it; only a new peer is asked at once
    words = [
        word
        for gateway in gateways
        for word in (
            *("peer", gateway.public_key, "endpoint", gateway.endpoint),
            *("persistent-keepalive", str(KEEPALIVE_SECONDS)),
        )
    ]
    _set(namespace, words)


def stop_asking(namespace: str) -> None:
    """Forget every gateway but the one in use."""
    _set(namespace, [word for peer in peers(namespace)[1:] for word in ("peer", peer.public_key, "remove")])


def hand_over(namespace: str, plan: CorporatePlan, gateway: Gateway) -> None:
    """Give the routes to a gateway that has answered, with the session it has, and forget all others.

    A route is one peer's alone (cryptokey routing), so there is no moment without one that has it.
    """
    others = [peer.public_key for peer in peers(namespace) if peer.public_key != gateway.public_key]
    routes = ",".join(str(route) for route in plan.routes)
    words = ["peer", gateway.public_key, "allowed-ips", routes]
    _set(namespace, words + [word for key in others for word in ("peer", key, "remove")])


def route_anew(namespace: str, gateway: Gateway) -> None:
    """Have the next packets leave by whatever way the underlay's routes name now, and send one at once.

    wireguard-go sends from the address, and by the interface, at which it last heard the gateway (its "sticky
    sockets"). Heard by an interface that no longer leads there, it would send into the void for as long as
    the gateway's packets come in by it, and they do: it knows no other address of ours. The packet sent
    (a keepalive goes out when keepalives are turned on) tells it. WireGuard in the kernel asks the routes by
    itself, with each packet.
    """
    if kind(namespace) == "wireguard-go":
        peer = ("peer", gateway.public_key)
        off = (*peer, "endpoint", gateway.endpoint, "persistent-keepalive", "0")
        _set(namespace, [*off, *peer, "persistent-keepalive", str(KEEPALIVE_SECONDS)])


def _set(namespace: str, words: Sequence[str]) -> None:
    if not words:
        return
    try:
        run([*namespaces.command(namespace), "wg", "set", TUNNEL, *words], timeout=WG_SECONDS)
    except ProgramFailed as error:
        raise TunnelFailed(reason=error.message) from error


def remove(underlay: str, namespace: str) -> None:
    """End the tunnel wherever it is: wireguard-go, the interface, its control socket."""
    for pid in daemons():
        _end(pid)
    for place in (namespace, underlay):
        links.delete(place, TUNNEL)
    UAPI_SOCKET.unlink(missing_ok=True)


def daemons() -> list[int]:
    """Process ids of the wireguard-go that holds our tunnel: by its command line and the tun it has open."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            argv = (directory / "cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(argv[0])).name != PROGRAM or TUNNEL.encode() not in argv:
                continue
            holds = _holds_tunnel(directory)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if holds:
            found.append(int(directory.name))
    return found


def _holds_tunnel(process: Path) -> bool:
    """Whether a process has our tun open. It opens and closes other files while one looks, at each ``wg``."""
    for info in (process / "fdinfo").iterdir():
        with suppress(FileNotFoundError):
            if f"iff:\t{TUNNEL}" in info.read_text().splitlines():
                return True
    return False


def _end(pid: int) -> None:
    """Terminate a process and wait until it is gone; the pidfd makes sure it is the one we looked at."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid not in daemons():
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(pidfd, how)
            if select.select([pidfd], [], [], DEATH_SECONDS)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    raise TunnelFailed(reason=f"{PROGRAM} (process {pid}) does not end")


def _show(namespace: str, field: str) -> dict[str, list[str]]:
    """What ``wg show`` prints by public key. (Not ``dump``: that prints the private key.)"""
    argv = [*namespaces.command(namespace), "wg", "show", TUNNEL, field]
    completed = run(argv, timeout=WG_SECONDS, check=False)
    lines = [line.split() for line in completed.text.splitlines()] if completed.status == 0 else []
    return {key: values for key, *values in lines if values}
