"""The corporate policy language: one closed, bounded schema (docs/policy.md has an example per section).

Everything here is about the corporate partition; there is no name for anything personal, so no policy can
reach it (P6). A field added later must be optional with ``UNSET`` as default: a document that does not use
it then keeps its canonical bytes.

Patterns end in ``$`` and not in ``\\Z`` because editors read them too, from the JSON Schema; the line break
that ``$`` would let pass in Python is refused by the parser, as every control character is.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

SCHEMA: Final = "twinhull.policy/1"
OWNER_SCHEMA: Final = "twinhull.owner/1"

NAME_PATTERN: Final = "[a-z][a-z0-9-]{0,31}"
HEX4_PATTERN: Final = "[0-9a-f]{4}"
CLASS_PATTERN: Final = r"[0-9a-f]{2}:(?:[0-9a-f]{2}:(?:[0-9a-f]{2}|\*)|\*:\*)"

Text = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$", description="Lower case, digits and hyphens.")]
# Strings that come by the thousand: here only their lengths, their patterns in ``rulecheck``.
RuleName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        description="Lower case, digits and hyphens.",
        extra_json_schema={"pattern": f"^{NAME_PATTERN}$"},
    ),
]
Hex4 = Annotated[
    str,
    Meta(
        min_length=4,
        max_length=4,
        description="Four lower-case hexadecimal digits.",
        extra_json_schema={"pattern": f"^{HEX4_PATTERN}$"},
    ),
]
ClassPattern = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=8,
        description="Interface class, subclass and protocol in hex, the last or the last two may be '*'.",
        extra_json_schema={"pattern": f"^{CLASS_PATTERN}$"},
    ),
]
Port = Annotated[str, Meta(pattern=r"^[0-9a-f][0-9a-f.:-]{0,31}$")]
PortName = Annotated[str, Meta(min_length=1, max_length=40)]
MediaType = Annotated[
    str,
    Meta(
        max_length=127,
        pattern=r"^[a-z0-9][a-z0-9.+_-]{0,62}/(\*|[a-z0-9][a-z0-9.+_-]{0,62})$",
        description="Media type in lower case without parameters (RFC 6838, 4.2), or image/* and the like.",
    ),
]
Classes = Annotated[tuple[ClassPattern, ...], Meta(min_length=1, max_length=16)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything here: immutable, closed."""


class PartitionSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The corporate partition's share of the machine."""

    image: Name
    """Name of the golden image, for people to read; which one it is exactly says the signed statement."""
    vcpus: Annotated[int, Meta(ge=1, le=64)]
    """Virtual processors."""
    memory_mib: Annotated[int, Meta(ge=256, le=1024 * 1024)]
    """Memory, MiB."""
    disk_gib: Annotated[int, Meta(ge=1, le=16 * 1024)]
    """Size of its disk, GiB."""
    escrow_key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")] | UnsetType = UNSET
    """X25519 public key, base64 of 32 bytes; a recovery code of its volume is sealed to it."""


# gc=False here and on the rule: there are thousands, they hold only strings, and so never a cycle.
class Match(Section, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What a rule matches: everything named must hold, an empty one matches every device."""

    bus: Literal["usb", "pci", "bluetooth"] | UnsetType = UNSET
    """What it is connected by."""
    vendor: Hex4 | UnsetType = UNSET
    """Whose product it says it is."""
    product: Hex4 | UnsetType = UNSET
    """Which product of that vendor's."""
    serial: Annotated[str, Meta(max_length=126)] | UnsetType = UNSET
    """Exactly; a USB string descriptor holds at most 126 characters (USB 2.0, 9.6.7)."""
    any_interface: Classes | UnsetType = UNSET
    """At least one interface, over all configurations and alternate settings, is one of these."""
    every_interface: Classes | UnsetType = UNSET
    """Every interface, over all configurations and alternate settings, is one of these."""
    port: Port | UnsetType = UNSET
    """Where it is plugged in: ``1-2.3`` for USB, the address ``0000:03:00.0`` for PCI."""
    removable: bool | UnsetType = UNSET
    """Whether a person can unplug it; a device of which nobody knows counts as removable."""


class DeviceRule(Section, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One corporate rule. The first that matches counts.

    ``require``: the corporate partition takes such a device, and nobody else gets it.
    ``allow``: the corporate partition may have it, if the person says so.
    ``deny``: the corporate partition never has it.
    """

    name: RuleName
    """What a decision calls the rule; no two rules share one."""
    match: Match
    """Which devices it is about."""
    verdict: Literal["require", "allow", "deny"]
    """What becomes of them."""
    access: Literal["read-only"] | UnsetType = UNSET
    """With ``read-only`` only the blocks of storage are given, to be read, and of other devices nothing."""


HOST_PATTERN: Final = r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
"""A host's name: lower case, at least one dot, and a last label that is no number (RFC 1123, section 2.1)."""


class Gateway(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One end of the tunnel."""

    name: Name
    """For people; no two gateways share one."""
    endpoint: Annotated[
        str,
        Meta(
            max_length=259,
            extra_json_schema={
                "pattern": r"^([a-z0-9-]{1,63}([.][a-z0-9-]{1,63})+|\[[0-9a-f:.]{2,45}\]):[1-9][0-9]{0,4}$"
            },
        ),
    ]
    """IP address or name, and port. A name is looked up outside the tunnel; the key makes a lie useless."""
    public_key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
    """WireGuard public key, base64 of 32 bytes."""

    def __post_init__(self) -> None:
        host, _, port = self.endpoint.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            ipaddress.IPv6Address(host[1:-1])
        elif re.fullmatch(HOST_PATTERN, host) is None:
            ipaddress.IPv4Address(host)
        if re.fullmatch("[1-9][0-9]{0,4}", port) is None or int(port) > 65535 or set(host) & set("%ABCDEF"):
            raise ValueError(
                "the endpoint is not written as 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example:51820"
            )


class VpnSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tunnel that every corporate byte goes through."""

    kind: Literal["wireguard"] = "wireguard"
    """What the tunnel is made of."""
    gateways: Annotated[tuple[Gateway, ...], Meta(min_length=1, max_length=8)]
    """In order of preference."""
    routes: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(min_length=1, max_length=256)]
    """Networks behind the gateway, CIDR; ``0.0.0.0/0`` and ``::/0`` for everything."""
    dns: Annotated[tuple[Annotated[str, Meta(max_length=45)], ...], Meta(max_length=4)] = ()
    """Name servers inside the tunnel."""
    mtu: Annotated[int, Meta(ge=1280, le=1420)] = 1420
    """Bytes; 1280 is IPv6's least, 1420 what WireGuard leaves of 1500."""
    search: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")] | UnsetType = UNSET
    """Domain that short names are looked up in."""
    public_gateways: bool | UnsetType = UNSET
    """Whether a gateway that is named is never in a private network; another answer to its name is a lie."""
    portal_check: (
        Annotated[str, Meta(pattern=r"^http://[a-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?/[A-Za-z0-9._~/-]{0,200}$")]
        | UnsetType
    ) = UNSET
    """A page that answers 204: asked when no gateway answers, to see whether the network wants a sign-in."""

    def __post_init__(self) -> None:
        for route in self.routes:
            if str(ipaddress.ip_network(route)) != route:
                raise ValueError(f"{route} is not written as 10.77.0.0/16 or 2001:db8::/48")
        for server in self.dns:
            if "%" in str(ipaddress.ip_address(server)):
                raise ValueError(f"{server} is not an address by itself")
        if len({g.name for g in self.gateways}) != len(self.gateways):
            raise ValueError("two gateways have the same name")


class Transfer(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether something may cross in one direction, and how much of it at once."""

    verdict: Literal["allow", "ask", "deny"] = "deny"
    """``allow``: the person's gesture is enough; ``ask``: the person confirms it; ``deny``: never."""
    limit_bytes: Annotated[int, Meta(ge=0, le=2**40)] = 1024 * 1024
    """The most that crosses at once."""


class TypedTransfer(Transfer, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A transfer of things that have a media type."""

    types: Annotated[tuple[MediaType, ...], Meta(min_length=1, max_length=32)] | UnsetType = UNSET
    """Only these cross; unless said, any type does."""


class Direction(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may cross in one direction. What is not said is denied."""

    clipboard: TypedTransfer = TypedTransfer()
    """What was copied, once for each gesture."""
    files: TypedTransfer = TypedTransfer()
    """Files, one at a time."""
    urls: Transfer = Transfer()
    """Web addresses to be opened on the other side."""


class ExchangeSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may cross the corporate partition's border."""

    to_corporate: Direction = Direction()
    """Into the corporate partition."""
    from_corporate: Direction = Direction()
    """Out of the corporate partition."""


class LeaseSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the corporate partition works without hearing from the server (``lease`` has the stages)."""

    offline_hours: Annotated[int, Meta(ge=1, le=8760)] = 168
    """Hours after the last contact; then the partition locks."""
    warning_hours: Annotated[int, Meta(ge=0, le=8760)] = 24
    """How long before that the person is warned."""
    network_hours: Annotated[int, Meta(ge=0, le=8760)] | UnsetType = UNSET
    """How long before the lock it loses its network; unless said, a quarter of ``warning_hours``."""
    action: Literal["lock", "wipe"] = "lock"
    """``wipe`` locks too; keys are destroyed only once the server's signed time proves that it is over."""
    destroy_hours: Annotated[int, Meta(ge=0, le=8760)] | UnsetType = UNSET
    """With ``wipe``: how long after the lock keys are destroyed; unless said, at once."""
    server_share: bool | UnsetType = UNSET
    """Whether a new key of its volume has a part that comes with the lease; unless said, no."""

    def __post_init__(self) -> None:
        if self.warning_hours > self.offline_hours:
            raise ValueError("warning_hours is more than offline_hours")
        if self.network_hours is not UNSET and self.network_hours > self.warning_hours:
            raise ValueError("network_hours is more than warning_hours")
        if self.destroy_hours is not UNSET and self.action != "wipe":
            raise ValueError("destroy_hours goes with the action wipe alone")


class HostSection(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the host must be worth, and how early it gets new releases."""

    least_grade: Literal["A", "B", "C", "D", "E"] = "E"
    """Worst isolation grade with which the corporate partition may run."""
    update_ring: Name = "stable"
    """How early it gets new releases."""


ReportItem = Literal[
    "version", "policy", "partition", "image", "vpn", "lease", "grade", "receipts", "devices"
]


class Policy(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A corporate policy document."""

    schema: Literal["twinhull.policy/1"]
    """Version of the language."""
    name: Name
    """What people call it."""
    description: Text = ""
    """For people."""
    partition: PartitionSection
    """The corporate partition's share of the machine."""
    vpn: VpnSection
    """The tunnel."""
    devices: Annotated[tuple[DeviceRule, ...], Meta(max_length=20_000)] = ()
    """Rules in order; the first that matches counts."""
    exchange: ExchangeSection = ExchangeSection()
    """What may cross the partition's border."""
    lease: LeaseSection = LeaseSection()
    """How long it works offline."""
    host: HostSection = HostSection()
    """What is asked of the laptop."""
    report: Annotated[
        tuple[ReportItem, ...], Meta(max_length=9, extra_json_schema={"uniqueItems": True})
    ] = ()
    """What the laptop reports; its owner can read every byte of it."""

    def __post_init__(self) -> None:
        if len({rule.name for rule in self.devices}) != len(self.devices):
            raise ValueError("two device rules have the same name")
        if len(set(self.report)) != len(self.report):
            raise ValueError("report names an item twice")


class OwnerRule(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of the owner's. The first that matches counts.

    ``personal`` and ``corporate`` send a device there without asking (the latter only if the policy lets
    it), ``ask`` offers the choice each time, ``deny`` gives it to nobody.
    """

    name: RuleName
    match: Match
    to: Literal["personal", "corporate", "ask", "deny"]
    access: Literal["read-only"] | UnsetType = UNSET
    """``read-only``: wherever it goes, only the blocks of a storage device; else it goes nowhere."""


class OwnerRules(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The owner's own document. It never leaves the laptop, and no policy can refer to it."""

    schema: Literal["twinhull.owner/1"] = "twinhull.owner/1"
    devices: Annotated[tuple[OwnerRule, ...], Meta(max_length=20_000)] = ()
    ports: Annotated[dict[Port, PortName], Meta(max_length=64)] | UnsetType = UNSET
    """What the owner calls the sockets of the laptop: ``{"1-2": "left port"}``."""

    def __post_init__(self) -> None:
        if len({rule.name for rule in self.devices}) != len(self.devices):
            raise ValueError("two device rules have the same name")
