"""Any policy there can be, for property tests; each part shrinks towards the least."""

from __future__ import annotations

import base64
from typing import Any, get_args

import msgspec
from hypothesis import strategies as st
from twinhull_policy.model import (
    DeviceRule,
    Direction,
    ExchangeSection,
    Gateway,
    HostSection,
    LeaseSection,
    Match,
    PartitionSection,
    Policy,
    ReportItem,
    Transfer,
    TypedTransfer,
    VpnSection,
)

NAMES = st.sampled_from(["a", "office", "corporate-desktop", "x" * 32, "r-2-d-2"])
HEX4 = st.integers(0, 0xFFFF).map("{:04x}".format)
CLASSES = st.lists(
    st.sampled_from(["01:*:*", "03:00:*", "08:06:50", "08:*:*", "0e:*:*", "ff:*:*", "e0:01:01"]),
    min_size=1,
    max_size=3,
).map(tuple)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "bus": st.sampled_from(["usb", "pci", "bluetooth"]),
        "vendor": HEX4,
        "product": HEX4,
        "serial": st.text("abc123", max_size=4),
        "any_interface": CLASSES,
        "every_interface": CLASSES,
        "port": st.sampled_from(["1-2", "1-2.3", "0000:03:00.0"]),
        "removable": st.booleans(),
    },
).map(lambda fields: msgspec.convert(fields, Match))


def _rules(parts: list[tuple[Match, Any]]) -> tuple[DeviceRule, ...]:
    return tuple(
        DeviceRule(name=f"rule-{n}", match=match, verdict=verdict) for n, (match, verdict) in enumerate(parts)
    )


RULES = st.lists(st.tuples(MATCHES, st.sampled_from(["require", "allow", "deny"])), max_size=8).map(_rules)
_VERDICTS = st.sampled_from(["allow", "ask", "deny"])
_BYTES = st.integers(0, 2**40)
_TYPES = st.lists(st.sampled_from(["text/plain", "image/*", "application/pdf"]), min_size=1, max_size=3)
_TYPED = st.builds(
    TypedTransfer, verdict=_VERDICTS, limit_bytes=_BYTES, types=st.just(msgspec.UNSET) | _TYPES.map(tuple)
)
DIRECTIONS = st.builds(
    Direction,
    clipboard=_TYPED,
    files=_TYPED,
    urls=st.builds(Transfer, verdict=_VERDICTS, limit_bytes=_BYTES),
)
EXCHANGES = st.builds(ExchangeSection, to_corporate=DIRECTIONS, from_corporate=DIRECTIONS)


@st.composite
def leases(draw: st.DrawFn) -> LeaseSection:
    """Any lease section, in the order of its stages."""
    offline = draw(st.integers(1, 8760))
    warning = draw(st.integers(0, offline))
    action: Any = draw(st.sampled_from(["lock", "wipe"]))
    server_share: Any = draw(st.sampled_from([msgspec.UNSET, False, True]))
    return LeaseSection(
        offline_hours=offline,
        warning_hours=warning,
        network_hours=draw(st.just(msgspec.UNSET) | st.integers(0, warning)),
        action=action,
        destroy_hours=draw(st.integers(0, 8760))
        if action == "wipe" and draw(st.booleans())
        else msgspec.UNSET,
        server_share=server_share,
    )


def _gateways(parts: list[tuple[str, int, bytes]]) -> tuple[Gateway, ...]:
    return tuple(
        Gateway(name=f"gate-{n}", endpoint=f"{host}:{port}", public_key=base64.b64encode(key).decode())
        for n, (host, port, key) in enumerate(parts)
    )


_HOSTS = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: f"[{address}]")
GATEWAYS = st.lists(
    st.tuples(_HOSTS, st.integers(1, 65535), st.binary(min_size=32, max_size=32)), min_size=1, max_size=3
).map(_gateways)
VPNS = st.builds(
    VpnSection,
    gateways=GATEWAYS,
    routes=st.lists(
        st.sampled_from(["0.0.0.0/0", "::/0", "10.77.0.0/16", "2001:db8:77::/48"]), min_size=1, max_size=3
    ).map(tuple),
    dns=st.lists(st.ip_addresses().map(str), max_size=3).map(tuple),
    mtu=st.integers(1280, 1420),
    search=st.sampled_from([msgspec.UNSET, "corp.example"]),
)


def policies(
    rules: st.SearchStrategy[tuple[DeviceRule, ...]] = RULES,
) -> st.SearchStrategy[Policy]:
    """Policies that the parser accepts."""
    return st.builds(
        Policy,
        schema=st.just("twinhull.policy/1"),
        name=NAMES,
        description=st.text("abc äß語", max_size=20),
        partition=st.builds(
            PartitionSection,
            image=NAMES,
            vcpus=st.integers(1, 64),
            memory_mib=st.integers(256, 1024 * 1024),
            disk_gib=st.integers(1, 16 * 1024),
            escrow_key=st.sampled_from([msgspec.UNSET, "ZXhhbXBsZS1nYXRld2F5LXB1YmxpYy1rZXktMDAwMDE="]),
        ),
        vpn=VPNS,
        devices=rules,
        exchange=EXCHANGES,
        lease=leases(),
        host=st.builds(HostSection, least_grade=st.sampled_from("ABCDE"), update_ring=NAMES),
        report=st.lists(st.sampled_from(get_args(ReportItem)), unique=True).map(tuple),
    )
