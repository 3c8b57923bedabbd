"""How the core asks twinhull-netd: one method a verb, structs for results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twinhull_policy.api.types import VpnInfo, VpnProof
from twinhull_policy.names import Partition

from ..ipc import call
from .results import Done, Identity, NetworkStatus, Proof, TapName

SOCKET_PATH = Path("/run/twinhull/netd.sock")
TIMEOUT_SECONDS = 60.0
"""Every verb is local; building a tunnel on a loaded machine takes a second or two."""

PROOF_SECONDS = 180.0
"""A proof waits for what might still arrive, several times."""

T = TypeVar("T")


class NetdClient:
    """netd behind its socket. Blocking; safe to use from several threads.

    Every method raises HelperUnreachable when netd does not answer, and RemoteError with netd's own words
    when it refuses or fails.
    """

    def __init__(self, socket_path: Path = SOCKET_PATH, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = socket_path
        self._timeout = timeout

    def identity(self, *, next: bool = False) -> str:
        """The laptop's WireGuard public key, base64; the key is made on first use.

        With ``next``, of the key to follow: once the gateway has answered it, netd uses it alone.
        """
        return self._call("identity", Identity, next=next).public_key

    def tap(self, partition: Partition) -> str:
        """Make the partition's tap in the host's namespace, down, and return its name."""
        return self._call("tap", TapName, partition=partition.value).tap

    def corporate_up(
        self,
        *,
        addresses: Sequence[str],
        gateways: Sequence[tuple[str, str]],
        routes: Sequence[str],
        dns: Sequence[str],
        mtu: int,
    ) -> None:
        """Build or mend the corporate namespace and its tunnel; idempotent.

        Args:
            addresses: the device's addresses in the tunnel, 1 to 4, of either family.
            gateways: where the gateway may be, ``ADDRESS:PORT`` and its WireGuard key (base64), 1 to 16, in
                order of preference.
            routes: the networks that go into the tunnel, 1 to 256.
            dns: name servers inside the tunnel, at most 4, each within the routes.
            mtu: the largest the tunnel may have, 576 to 1500 bytes.
        """
        self._call(
            "corporate_up",
            Done,
            addresses=list(addresses),
            tunnel={
                "kind": "wireguard",
                "gateways": [{"endpoint": endpoint, "public_key": key} for endpoint, key in gateways],
            },
            routes=list(routes),
            dns=list(dns),
            mtu=mtu,
        )

    def corporate_cut(self) -> None:
        """Take the tunnel away under a guest that may go on; ``corporate_up`` gives it back. Idempotent."""
        self._call("corporate_cut", Done)

    def personal_up(self, dns: Sequence[str], portal: Sequence[str] = ()) -> None:
        """Build or mend the personal namespace; ``dns`` are its name servers, at most 4. Idempotent.

        ``portal``, at most 8, is where the network wants somebody to sign in with a browser.
        """
        self._call("personal_up", Done, dns=list(dns), portal=list(portal))

    def adopt(self, partition: Partition) -> None:
        """Move the tap, which QEMU holds open, into its namespace and bring it up if that is confined."""
        self._call("adopt", Done, partition=partition.value)

    def status(self) -> NetworkStatus:
        """Both sides as they are now."""
        return self._call("status", NetworkStatus)

    def vpn_info(self) -> VpnInfo:
        """The corporate side as the bus shows it."""
        return vpn_info(self.status())

    def prove(self) -> VpnProof:
        """Run the canaries and bring back their evidence."""
        proof = msgspec.convert(call(self._path, "prove", timeout=PROOF_SECONDS), Proof)
        return VpnProof(at=time.time(), passed=proof.passed, canaries=proof.canaries)

    def down(self, partition: Partition) -> None:
        """Empty the partition's namespace, the guest's link first; nothing to do is success."""
        self._call("down", Done, partition=partition.value)

    def _call(self, verb: str, shape: type[T], **arguments: Any) -> T:
        return msgspec.convert(call(self._path, verb, arguments, timeout=self._timeout), shape)


def vpn_info(status: NetworkStatus) -> VpnInfo:
    """What of netd's status the bus carries."""
    tunnel = status.tunnel
    return VpnInfo(
        state=status.state,
        reason=status.reason,
        kind=tunnel.kind,
        gateway=tunnel.gateway,
        address=status.corporate.addresses[0] if status.corporate.addresses else "",
        last_handshake=tunnel.last_handshake,
        received_bytes=tunnel.received_bytes,
        sent_bytes=tunnel.sent_bytes,
        interfaces=status.corporate.interfaces,
        confined=status.corporate.confined,
    )
