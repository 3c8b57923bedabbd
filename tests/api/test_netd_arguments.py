"""netd refuses malformed arguments before it touches anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.network.arguments import (
    CorporateArguments,
    PartitionArgument,
    PersonalArguments,
    corporate_plan,
    parse,
    personal_plan,
)
from twinhull_hypervisor.network.errors import BadNetworkArgument

KEY = "Nd1jUvSPyxEjhXsUYGLVGgtyHEXG4hI02nCS1bMPgRU="
GOOD: dict[str, Any] = {
    "addresses": ["10.77.1.5"],
    "tunnel": {"kind": "wireguard", "gateways": [{"endpoint": "203.0.113.2:51820", "public_key": KEY}]},
    "routes": ["10.77.0.0/16"],
    "dns": ["10.77.0.1"],
    "mtu": 1420,
}


def gateway(endpoint: str = "203.0.113.2:51820", public_key: str = KEY) -> dict[str, Any]:
    return tunnel({"endpoint": endpoint, "public_key": public_key})


def tunnel(*gateways: dict[str, str], kind: str = "wireguard") -> dict[str, Any]:
    return {"kind": kind, "gateways": list(gateways)}


END = {"endpoint": "203.0.113.2:51820", "public_key": KEY}


BAD: list[dict[str, Any]] = [
    {"addresses": []},
    {"addresses": ["10.77.1.5"] * 5},
    {"addresses": ["10.77.1"]},
    {"addresses": ["010.77.1.5"]},
    {"addresses": ["10.77.1.5\n"]},
    {"addresses": ["10.137.0.2"]},
    {"addresses": ["10.138.0.6"]},
    {"addresses": ["127.0.0.1"]},
    {"addresses": ["0.0.0.0"]},  # noqa: S104 - an address to refuse
    {"addresses": ["224.0.0.1"]},
    {"addresses": ["1" * 65]},
    {"addresses": "10.77.1.5"},
    {"addresses": [5]},
    {"tunnel": gateway("203.0.113.2")},
    {"tunnel": gateway("203.0.113.2:0")},
    {"tunnel": gateway("203.0.113.2:65536")},
    {"tunnel": gateway("203.0.113.2:٣")},
    {"tunnel": gateway("203.0.113.2:+5")},
    {"tunnel": gateway("vpn.corp.example:51820")},
    {"tunnel": gateway("127.0.0.1:51820")},
    {"tunnel": gateway("203.0.113.2:51820\nAllowedIPs = 0.0.0.0/0")},
    {"tunnel": gateway(public_key="")},
    {"tunnel": gateway(public_key="AAAA")},
    {"tunnel": gateway(public_key=KEY[:-1])},
    {"tunnel": gateway(public_key=KEY + "\n")},
    {"tunnel": gateway(public_key=KEY[:-2] + "V=")},
    {"tunnel": {**gateway(), "extra": "x"}},
    {"tunnel": tunnel({"endpoint": "203.0.113.2:51820"})},
    {"tunnel": tunnel()},
    {"tunnel": tunnel(*[END] * 17)},
    {"tunnel": tunnel(END, kind="ikev2")},
    {"tunnel": gateway("[::1]:51820")},
    {"tunnel": gateway("[fe80::1]:51820")},
    {"tunnel": gateway("[2001:db8::1%eth0]:51820")},
    {"tunnel": gateway("[::ffff:203.0.113.2]:51820")},
    {"tunnel": gateway("2001:db8::1:51820")},
    {"tunnel": gateway("[203.0.113.2]:51820")},
    {"tunnel": gateway("[fd74:7768:137::2]:51820")},
    {"addresses": ["fe80::1"]},
    {"addresses": ["fd00::1%lo"]},
    {"addresses": ["fd74:7768:137::2"]},
    {"addresses": ["::"]},
    {"addresses": ["ff02::1"]},
    {"addresses": ["fd00::1"]},  # and no route for it
    {"addresses": ["10.77.1.5", "fd00::1"], "routes": ["10.77.0.0/16", "::/0"], "mtu": 1279},
    {"routes": ["fe80::/10"]},
    {"routes": ["10.77.0.0/16", "ff00::/8"]},
    {"routes": ["10.77.0.0/16", "fd74:7768:137::/64"]},
    {"routes": ["10.77.0.0/16", "::ffff:10.0.0.0/112"]},
    {"routes": ["10.77.0.0/16", "fd00::1/48"]},
    {"dns": ["10.77.0.1", "fd00::53"]},
    {"routes": []},
    {"routes": ["10.77.0.1/16"]},
    {"routes": ["10.77.0.0/33"]},
    {"routes": ["10.77.0.0/16; flush ruleset"]},
    {"routes": ["::/0"]},
    {"routes": ["10.77.0.0/16", "10.137.0.0/30"]},
    {"routes": ["10.77.0.0/16", "127.0.0.0/8"]},
    {"routes": ["10.77.0.0/16", "224.0.0.0/4"]},
    {"routes": ["10.77.0.0/16"] * 257},
    {"dns": ["10.78.0.1"]},
    {"dns": ["10.77.0.1"] * 5},
    {"dns": ["dns.corp.example"]},
    {"mtu": 575},
    {"mtu": 1501},
    {"mtu": "1420"},
    {"mtu": 1420.5},
    {"mtu": True},
    {"namespace": "th-personal"},
]


def test_the_good_one_is_taken() -> None:
    plan = corporate_plan(parse(GOOD, CorporateArguments))
    assert ([end.endpoint for end in plan.gateways], plan.mtu) == (["203.0.113.2:51820"], 1420)
    assert [str(route) for route in plan.routes] == ["10.77.0.0/16"]
    assert not plan.ipv6


def test_both_families() -> None:
    both = {
        "addresses": ["10.77.1.5/32", "fd00:77::5/128"],
        "routes": ["::/0", "10.77.0.0/16"],
        "dns": ["fd00:77::53"],
        "tunnel": tunnel(END, {"endpoint": "[2001:db8::1]:51820", "public_key": KEY}),
    }
    plan = corporate_plan(parse({**GOOD, **both}, CorporateArguments))
    assert [end.endpoint for end in plan.gateways] == ["203.0.113.2:51820", "[2001:db8::1]:51820"]
    assert [str(route) for route in plan.routes] == ["10.77.0.0/16", "::/0"]
    assert (str(plan.source(4)), str(plan.source(6)), plan.ipv6) == ("10.77.1.5", "fd00:77::5", True)


def test_a_family_without_an_address_is_off() -> None:
    plan = corporate_plan(
        parse({**GOOD, "routes": ["0.0.0.0/0", "::/0"], "dns": ["10.77.0.1", "fd00::53"]}, CorporateArguments)
    )
    assert [str(route) for route in plan.routes] == ["0.0.0.0/0"]
    assert [str(server) for server in plan.dns] == ["10.77.0.1"]
    assert not plan.ipv6


@pytest.mark.parametrize("change", BAD, ids=repr)
def test_malformed_corporate_arguments(change: dict[str, Any]) -> None:
    with pytest.raises(BadNetworkArgument):
        corporate_plan(parse({**GOOD, **change}, CorporateArguments))


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field(field: str) -> None:
    with pytest.raises(BadNetworkArgument, match=field):
        parse({name: value for name, value in GOOD.items() if name != field}, CorporateArguments)


@pytest.mark.parametrize("dns", [["127.0.0.53"], ["10.138.0.5"], ["x"], ["1.1.1.1"] * 5, "1.1.1.1", [None]])
def test_malformed_personal_arguments(dns: Any) -> None:
    with pytest.raises(BadNetworkArgument):
        personal_plan(parse({"dns": dns}, PersonalArguments))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"partition": "net"}, {"partition": "../x"}, {"partition": 1}, {"partition": "personal", "x": 1}],
)
def test_malformed_partitions(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadNetworkArgument):
        parse(arguments, PartitionArgument)


@given(st.sampled_from(["addresses", "routes", "dns"]), st.text(max_size=80))
def test_any_text_is_refused_or_an_address(field: str, text: str) -> None:
    """Nothing but digits, hexadecimal or not, and separators gets through to a rule or a configuration."""
    try:
        plan = corporate_plan(parse({**GOOD, field: [text]}, CorporateArguments))
    except BadNetworkArgument:
        return
    for value in (*plan.addresses, *plan.routes, *plan.dns):
        assert set(str(value)) <= set("0123456789abcdef:./")
