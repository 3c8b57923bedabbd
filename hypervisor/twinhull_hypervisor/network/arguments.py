"""The arguments of netd's verbs: closed schemas, and IP types once validated.

netd parses nothing a guest or the network said, only what core asks for; core derived it from a signed
policy, and netd checks it again. IPv4 only: an IPv6 address is refused rather than half supported.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from typing import Annotated, Any, TypeVar

import msgspec
from twinhull_policy.names import Partition

from .errors import BadNetworkArgument
from .plan import CORPORATE, PERSONAL, VETH_INSIDE_ADDRESS

Text = Annotated[str, msgspec.Meta(max_length=64)]
T = TypeVar("T")

WIREGUARD_KEY_BYTES = 32


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class NoArguments(_Struct, frozen=True):
    """A verb that takes none."""


class PartitionArgument(_Struct, frozen=True):
    """`tap`, `adopt`, `down`."""

    partition: Partition


class Gateway(_Struct, frozen=True):
    """The peer at the other end of the tunnel: ``ADDRESS:PORT`` and its base64 public key."""

    endpoint: Text
    public_key: Text


class CorporateArguments(_Struct, frozen=True):
    """`corporate_up`, as the wire carries it."""

    addresses: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=4)]
    gateway: Gateway
    routes: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=64)]
    dns: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=4)]
    mtu: Annotated[int, msgspec.Meta(ge=576, le=1500)]


class PersonalArguments(_Struct, frozen=True):
    """`personal_up`, as the wire carries it."""

    dns: Annotated[list[Text], msgspec.Meta(max_length=4)]


@dataclass(frozen=True, slots=True)
class CorporatePlan:
    """`corporate_up`, validated.

    Attributes:
        addresses: the device's addresses in the tunnel; the guest is translated to the first.
        endpoint: the gateway's underlay address.
        port: its UDP port.
        public_key: its WireGuard key, base64.
        routes: what goes into the tunnel; nothing else goes anywhere. Sorted, no duplicates.
        dns: name servers inside the tunnel, each within ``routes``.
        mtu: of the tunnel, bytes, 576 (RFC 791's least) to 1500.
    """

    addresses: tuple[IPv4Address, ...]
    endpoint: IPv4Address
    port: int
    public_key: str
    routes: tuple[IPv4Network, ...]
    dns: tuple[IPv4Address, ...]
    mtu: int


def parse(untrusted_arguments: dict[str, Any], shape: type[T]) -> T:
    """Arguments in the shape of a verb. Raises BadNetworkArgument naming the field."""
    try:
        return msgspec.convert(untrusted_arguments, shape)
    except msgspec.ValidationError as error:
        raise BadNetworkArgument(detail=str(error).rstrip(".")) from error


def corporate_plan(arguments: CorporateArguments) -> CorporatePlan:
    """Check every value of `corporate_up`. Raises BadNetworkArgument."""
    addresses = tuple(_address(text) for text in arguments.addresses)
    endpoint, port = _endpoint(arguments.gateway.endpoint)
    routes = tuple(sorted({_network(text) for text in arguments.routes}))
    dns = tuple(_address(text) for text in arguments.dns)
    for server in dns:
        if not any(server in route for route in routes):
            raise BadNetworkArgument(detail=f"DNS server {server} is in none of the routes")
    for address in (*addresses, *dns):
        if _reserved(address):
            raise BadNetworkArgument(detail=f"address {address} is Twinhull's own, or no host's")
    _check_routes(routes)
    return CorporatePlan(
        addresses, endpoint, port, _public_key(arguments.gateway.public_key), routes, dns, arguments.mtu
    )


def personal_dns(arguments: PersonalArguments) -> tuple[IPv4Address, ...]:
    """The personal side's name servers. Raises BadNetworkArgument."""
    servers = tuple(_address(text) for text in arguments.dns)
    for server in servers:
        if _reserved(server):
            raise BadNetworkArgument(detail=f"DNS server {server} is not another machine's address")
    return servers


def _check_routes(routes: tuple[IPv4Network, ...]) -> None:
    own = (CORPORATE.gateway.network, PERSONAL.gateway.network)
    for route in routes:
        # A shorter prefix (the default route) may cover them: the tap's own route is more specific.
        if any(route.subnet_of(network) for network in own):
            raise BadNetworkArgument(detail=f"route {route} is Twinhull's own")
        if route.is_loopback or route.is_multicast or route.is_link_local:
            raise BadNetworkArgument(detail=f"route {route} cannot be routed")


def _reserved(address: IPv4Address) -> bool:
    own = (CORPORATE.gateway.network, PERSONAL.gateway.network, VETH_INSIDE_ADDRESS.network)
    return (
        any(address in network for network in own)
        or address.is_loopback
        or address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or address == IPv4Address("255.255.255.255")
    )


def _address(text: str) -> IPv4Address:
    """``a.b.c.d`` or ``a.b.c.d/32``: the prefix says nothing, routes come from ``routes`` alone."""
    try:
        return IPv4Interface(text).ip
    except (AddressValueError, NetmaskValueError) as error:
        raise BadNetworkArgument(detail=f"{text!r} is not an IPv4 address") from error


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise BadNetworkArgument(detail=f"{text!r} is not an IPv4 network") from error


def _endpoint(text: str) -> tuple[IPv4Address, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise BadNetworkArgument(detail=f"gateway endpoint {text!r} is not ADDRESS:PORT")
    try:
        address = IPv4Address(host)
    except AddressValueError as error:
        raise BadNetworkArgument(detail=f"gateway endpoint {text!r} is not ADDRESS:PORT") from error
    if _reserved(address):
        raise BadNetworkArgument(detail=f"gateway endpoint {text!r} is no other machine's address")
    return address, int(port)


def _public_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNetworkArgument(detail="the gateway's public key is not base64") from error
    if len(raw) != WIREGUARD_KEY_BYTES or base64.b64encode(raw).decode() != text:
        raise BadNetworkArgument(detail="the gateway's public key is not a WireGuard key")
    return text
