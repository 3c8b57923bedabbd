"""Where the policy's gateways are: addresses as they stand, names as somebody without privilege finds them.

Only names in the signed policy are asked for. An answer may be a lie, and then nobody at that address can
complete a handshake: WireGuard's key is in the policy. So a lie costs the connection and tells nothing; what
was right before is kept and tried as well.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Sequence

import msgspec
from twinhull_policy.errors import TwinhullError
from twinhull_policy.model import Gateway, VpnSection

from ..fetch.client import FetchClient
from .state import State

logger = logging.getLogger(__name__)

LITERAL = re.compile(r"([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\]):[0-9]+")
PER_NAME = 4
MOST = 16
"""As many as netd takes."""
PATIENT_SECONDS = 10.0
KNOWN_SECONDS = 3.0
"""How long an answer is waited for when there is one from before."""


class NoGatewayAddress(TwinhullError):
    """The company's VPN gateway {name} cannot be found from this network."""

    code = "TH-NET-202"
    next_step = "Check the network, and sign in where it asks for that; the laptop goes on trying."


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last good answers: addresses by name."""

    addresses: dict[str, list[str]] = {}


def literal(vpn: VpnSection) -> list[tuple[str, str]]:
    """The gateways that are given by address, in order: endpoint and key."""
    return [(g.endpoint, g.public_key) for g in vpn.gateways if LITERAL.fullmatch(g.endpoint)]


class Gateways:
    """Finds them.

    Args:
        client: asks the network for names.
        state: keeps the last good answers.
    """

    def __init__(self, client: FetchClient, state: State) -> None:
        self._client = client
        self._state = state

    async def find(self, vpn: VpnSection) -> list[tuple[str, str]]:
        """Endpoint and key of every place to try, in the policy's order. Raises NoGatewayAddress."""
        found: list[tuple[str, str]] = []
        for gateway in vpn.gateways:
            if LITERAL.fullmatch(gateway.endpoint):
                found.append((gateway.endpoint, gateway.public_key))
            else:
                found += await self._named(gateway, only_public=vpn.public_gateways is True)
        if not found:
            raise NoGatewayAddress(name=vpn.gateways[0].name)
        return list(dict.fromkeys(found))[:MOST]

    async def _named(self, gateway: Gateway, *, only_public: bool) -> list[tuple[str, str]]:
        name, _, port = gateway.endpoint.rpartition(":")
        known = (self._state.get("vpn-gateways", Known) or Known()).addresses
        before = usable(known.get(name, []), only_public=only_public)
        try:
            async with asyncio.timeout(KNOWN_SECONDS if before else PATIENT_SECONDS):
                untrusted = await asyncio.to_thread(self._client.resolve, name)
        except (TwinhullError, TimeoutError):
            untrusted = []
        now = usable(untrusted, only_public=only_public)
        if untrusted and not now:
            logger.warning("the network says that %s is where no gateway can be", name)
        if now and now != before:
            self._state.put("vpn-gateways", Known({**known, name: now}))
        addresses = list(dict.fromkeys([*now, *before]))[:PER_NAME]
        return [
            (f"[{address}]:{port}" if ":" in address else f"{address}:{port}", gateway.public_key)
            for address in addresses
        ]


def usable(untrusted_addresses: Sequence[str], *, only_public: bool) -> list[str]:
    """Those that another machine can have, in one spelling.

    Args:
        untrusted_addresses: what the network said.
        only_public: without those of private networks, where the policy says that no gateway is in one.
    """
    found = []
    for text in untrusted_addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        nobody = (
            address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
        )
        mapped = address.version == 6 and address.ipv4_mapped is not None
        if nobody or mapped or "%" in text or address.is_reserved or (only_public and not address.is_global):
            continue
        found.append(str(address))
    return list(dict.fromkeys(found))[:PER_NAME]
