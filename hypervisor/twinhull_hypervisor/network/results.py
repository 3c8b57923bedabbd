"""What netd's verbs answer; the client decodes what the daemon encodes, from one definition."""

from __future__ import annotations

from typing import Literal

import msgspec
from twinhull_policy.api.types import Struct, VpnCanary, VpnState

TunnelKind = Literal["", "wireguard-kernel", "wireguard-go"]


class Identity(Struct, frozen=True):
    """`identity`."""

    public_key: str


class TapName(Struct, frozen=True):
    """`tap`."""

    tap: str


class Done(Struct, frozen=True):
    """Verbs that answer nothing but that they succeeded."""


class TunnelStatus(Struct, frozen=True):
    """The tunnel as the kernel and WireGuard report it."""

    kind: TunnelKind = ""
    gateway: str = ""
    """``ADDRESS:PORT`` the packets go to."""
    last_handshake: float = 0.0
    """Seconds since the epoch; 0 when there was none."""
    received_bytes: int = 0
    sent_bytes: int = 0


class SideStatus(Struct, frozen=True):
    """One namespace as it is now."""

    built: bool
    """False when there is no namespace, or one that `down` emptied."""
    interfaces: list[str] = msgspec.field(default_factory=list)
    routes: list[str] = msgspec.field(default_factory=list)
    """``NETWORK dev INTERFACE``, those of the tap's own subnet left out."""
    addresses: list[str] = msgspec.field(default_factory=list)
    guest_link: bool = False
    """Whether the tap is in it and up."""
    confined: bool = False
    why_not: str = ""
    """Why it is not confined; empty when it is."""


class NetworkStatus(Struct, frozen=True):
    """`status`."""

    state: VpnState
    reason: str
    corporate: SideStatus
    personal: SideStatus
    tunnel: TunnelStatus


class Proof(Struct, frozen=True):
    """`prove`."""

    passed: bool
    canaries: list[VpnCanary]
