"""The arguments of netd's verbs: closed schemas, and IP types once validated.

netd parses nothing a guest or the network said, only what core asks for; core derived it from a signed
policy, and netd checks it again.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from twinhull_policy.names import Partition

from .errors import BadNetworkArgument
from .plan import OWN_NETWORKS

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Text = Annotated[str, msgspec.Meta(max_length=64)]
T = TypeVar("T")

WIREGUARD_KEY_BYTES = 32
IPV6_LEAST_MTU = 1280
"""Bytes (RFC 8200, section 5)."""
MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses in IPv6's clothes (RFC 4291, section 2.5.5.2): never meant here."""


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class NoArguments(_Struct, frozen=True):
    """A verb that takes none."""


class IdentityArgument(_Struct, frozen=True):
    """`identity`: with ``next`` of the key that is to follow, which is made unless there is one."""

    next: bool = False


class PartitionArgument(_Struct, frozen=True):
    """`tap`, `adopt`, `down`."""

    partition: Partition


class GatewayArgument(_Struct, frozen=True):
    """One place the other end of the tunnel may be: ``ADDRESS:PORT`` and its base64 public key."""

    endpoint: Text
    public_key: Text


class TunnelArguments(_Struct, frozen=True):
    """Everything about the tunnel itself; confinement looks at none of it, so another kind can follow."""

    kind: Literal["wireguard"]
    gateways: Annotated[list[GatewayArgument], msgspec.Meta(min_length=1, max_length=16)]
    """In order of preference; the next is tried when one does not answer."""


class CorporateArguments(_Struct, frozen=True):
    """`corporate_up`, as the wire carries it."""

    addresses: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=4)]
    tunnel: TunnelArguments
    routes: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=256)]
    dns: Annotated[list[Text], msgspec.Meta(max_length=4)]
    mtu: Annotated[int, msgspec.Meta(ge=576, le=1500)]


class PersonalArguments(_Struct, frozen=True):
    """`personal_up`, as the wire carries it."""

    dns: Annotated[list[Text], msgspec.Meta(max_length=4)]
    portal: Annotated[list[Text], msgspec.Meta(max_length=8)] = []
    """Where the network wants somebody to sign in: opened although it may be in private space."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One place the gateway may be, validated."""

    address: Address
    port: int
    public_key: str

    @property
    def endpoint(self) -> str:
        """As WireGuard writes it."""
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class CorporatePlan:
    """`corporate_up`, validated.

    Only what can work is in it: a family without an address of the device in the tunnel has no routes and no
    name servers either, and is off.

    Attributes:
        addresses: the device's addresses in the tunnel; the guest is translated to the first of each family.
        gateways: where the other end may be, in order of preference.
        routes: what goes into the tunnel; nothing else goes anywhere. Sorted, no duplicates.
        dns: name servers inside the tunnel, each within ``routes``.
        mtu: the largest the tunnel may have, bytes, 576 (RFC 791's least) to 1500.
    """

    addresses: tuple[Address, ...]
    gateways: tuple[Gateway, ...]
    routes: tuple[Network, ...]
    dns: tuple[Address, ...]
    mtu: int

    def source(self, version: int) -> Address | None:
        """What the guest is translated to in a family; None where that family is off."""
        if not any(route.version == version for route in self.routes):
            return None
        return next((address for address in self.addresses if address.version == version), None)

    @property
    def ipv6(self) -> bool:
        """Whether the tunnel carries IPv6."""
        return self.source(6) is not None


def parse(untrusted_arguments: dict[str, Any], shape: type[T]) -> T:
    """Arguments in the shape of a verb. Raises BadNetworkArgument naming the field."""
    try:
        return msgspec.convert(untrusted_arguments, shape)
    except msgspec.ValidationError as error:
        raise BadNetworkArgument(detail=str(error).rstrip(".")) from error


def corporate_plan(arguments: CorporateArguments) -> CorporatePlan:
    """Check every value of `corporate_up`. Raises BadNetworkArgument."""
    addresses = tuple(_address(text) for text in arguments.addresses)
    gateways = tuple(_gateway(gateway) for gateway in arguments.tunnel.gateways)
    routes = {_network(text) for text in arguments.routes}
    dns = tuple(_address(text) for text in arguments.dns)
    for server in dns:
        if not any(server in route for route in routes):
            raise BadNetworkArgument(detail=f"DNS server {server} is in none of the routes")
    for address in (*addresses, *dns):
        if _reserved(address):
            raise BadNetworkArgument(detail=f"address {address} is Twinhull's own, or no host's")
    _check_routes(routes)
    usable = {address.version for address in addresses}
    carried = sorted((r for r in routes if r.version in usable), key=by_family)
    if not carried:
        raise BadNetworkArgument(detail="no route is of the family of the device's address")
    plan = CorporatePlan(
        addresses, gateways, tuple(carried), tuple(d for d in dns if d.version in usable), arguments.mtu
    )
    if plan.ipv6 and plan.mtu < IPV6_LEAST_MTU:
        raise BadNetworkArgument(detail=f"an MTU of {plan.mtu} is too small for IPv6")
    return plan


def by_family(network: Network) -> tuple[int, int, int]:
    """A key to sort networks of both families with."""
    return network.version, int(network.network_address), network.prefixlen


@dataclass(frozen=True, slots=True)
class PersonalPlan:
    """`personal_up`, validated.

    Attributes:
        dns: the name servers.
        portal: where the network wants somebody to sign in.
    """

    dns: tuple[Address, ...] = ()
    portal: tuple[Address, ...] = ()


def personal_plan(arguments: PersonalArguments) -> PersonalPlan:
    """Check every value of `personal_up`. Raises BadNetworkArgument."""
    plan = PersonalPlan(
        tuple(_address(text) for text in arguments.dns), tuple(_address(text) for text in arguments.portal)
    )
    for address in (*plan.dns, *plan.portal):
        if _reserved(address):
            raise BadNetworkArgument(detail=f"{address} is not another machine's address")
    return plan


def _check_routes(routes: set[Network]) -> None:
    for route in routes:
        # A shorter prefix (the default route) may cover them: the tap's own route is more specific.
        if any(_within(route, network) for network in OWN_NETWORKS):
            raise BadNetworkArgument(detail=f"route {route} is Twinhull's own")
        if route.is_loopback or route.is_multicast or route.is_link_local or _within(route, MAPPED):
            raise BadNetworkArgument(detail=f"route {route} cannot be routed")


def _within(route: Network, network: Network) -> bool:
    if isinstance(route, IPv4Network) and isinstance(network, IPv4Network):
        return route.subnet_of(network)
    if isinstance(route, IPv6Network) and isinstance(network, IPv6Network):
        return route.subnet_of(network)
    return False


def _reserved(address: Address) -> bool:
    return (
        any(address in network for network in (*OWN_NETWORKS, MAPPED))
        or address.is_loopback
        or address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or address == IPv4Address("255.255.255.255")
    )


def _address(text: str) -> Address:
    """With or without a prefix, which says nothing: routes come from ``routes`` alone."""
    try:
        if "%" in text:
            raise ValueError("a scope")
        return (IPv6Interface if ":" in text else IPv4Interface)(text).ip
    except ValueError as error:
        raise BadNetworkArgument(detail=f"{text!r} is not an IP address") from error


def _network(text: str) -> Network:
    try:
        if "%" in text:
            raise ValueError("a scope")
        return IPv6Network(text) if ":" in text else IPv4Network(text)
    except ValueError as error:
        raise BadNetworkArgument(detail=f"{text!r} is not an IP network") from error


def _gateway(argument: GatewayArgument) -> Gateway:
    address, port = _endpoint(argument.endpoint)
    return Gateway(address, port, _public_key(argument.public_key))


def _endpoint(text: str) -> tuple[Address, int]:
    refusal = BadNetworkArgument(detail=f"gateway endpoint {text!r} is not ADDRESS:PORT")
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise refusal
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        if "%" in host:
            raise ValueError("a scope")
        address: Address = IPv6Address(host[1:-1]) if bracketed else IPv4Address(host)
    except ValueError as error:
        raise refusal from error
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
