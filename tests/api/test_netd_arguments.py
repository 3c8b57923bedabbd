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
    personal_dns,
)
from twinhull_hypervisor.network.errors import BadNetworkArgument

KEY = "Nd1jUvSPyxEjhXsUYGLVGgtyHEXG4hI02nCS1bMPgRU="
GOOD: dict[str, Any] = {
    "addresses": ["10.77.1.5"],
    "gateway": {"endpoint": "203.0.113.2:51820", "public_key": KEY},
    "routes": ["10.77.0.0/16"],
    "dns": ["10.77.0.1"],
    "mtu": 1420,
}


def gateway(endpoint: str = "203.0.113.2:51820", public_key: str = KEY) -> dict[str, str]:
    return {"endpoint": endpoint, "public_key": public_key}


BAD: list[dict[str, Any]] = [
    {"addresses": []},
    {"addresses": ["10.77.1.5"] * 5},
    {"addresses": ["10.77.1"]},
    {"addresses": ["010.77.1.5"]},
    {"addresses": ["10.77.1.5\n"]},
    {"addresses": ["fd00::1"]},
    {"addresses": ["10.137.0.2"]},
    {"addresses": ["10.138.0.6"]},
    {"addresses": ["127.0.0.1"]},
    {"addresses": ["0.0.0.0"]},  # noqa: S104 - an address to refuse
    {"addresses": ["224.0.0.1"]},
    {"addresses": ["1" * 65]},
    {"addresses": "10.77.1.5"},
    {"addresses": [5]},
    {"gateway": gateway("203.0.113.2")},
    {"gateway": gateway("203.0.113.2:0")},
    {"gateway": gateway("203.0.113.2:65536")},
    {"gateway": gateway("203.0.113.2:٣")},
    {"gateway": gateway("203.0.113.2:+5")},
    {"gateway": gateway("vpn.corp.example:51820")},
    {"gateway": gateway("[2001:db8::1]:51820")},
    {"gateway": gateway("127.0.0.1:51820")},
    {"gateway": gateway("203.0.113.2:51820\nAllowedIPs = 0.0.0.0/0")},
    {"gateway": gateway(public_key="")},
    {"gateway": gateway(public_key="AAAA")},
    {"gateway": gateway(public_key=KEY[:-1])},
    {"gateway": gateway(public_key=KEY + "\n")},
    {"gateway": gateway(public_key=KEY[:-2] + "V=")},
    {"gateway": {**gateway(), "extra": "x"}},
    {"gateway": {"endpoint": "203.0.113.2:51820"}},
    {"routes": []},
    {"routes": ["10.77.0.1/16"]},
    {"routes": ["10.77.0.0/33"]},
    {"routes": ["10.77.0.0/16; flush ruleset"]},
    {"routes": ["::/0"]},
    {"routes": ["10.77.0.0/16", "10.137.0.0/30"]},
    {"routes": ["10.77.0.0/16", "127.0.0.0/8"]},
    {"routes": ["10.77.0.0/16", "224.0.0.0/4"]},
    {"routes": ["10.77.0.0/16"] * 65},
    {"dns": []},
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
    assert (str(plan.endpoint), plan.port, plan.mtu) == ("203.0.113.2", 51820, 1420)
    assert [str(route) for route in plan.routes] == ["10.77.0.0/16"]


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
        personal_dns(parse({"dns": dns}, PersonalArguments))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"partition": "net"}, {"partition": "../x"}, {"partition": 1}, {"partition": "personal", "x": 1}],
)
def test_malformed_partitions(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadNetworkArgument):
        parse(arguments, PartitionArgument)


@given(st.sampled_from(["addresses", "routes", "dns"]), st.text(max_size=80))
def test_any_text_is_refused_or_an_address(field: str, text: str) -> None:
    """Nothing but digits, dots and a slash ever gets through to a rule or a configuration."""
    try:
        plan = corporate_plan(parse({**GOOD, field: [text]}, CorporateArguments))
    except BadNetworkArgument:
        return
    for value in (*plan.addresses, *plan.routes, *plan.dns):
        assert set(str(value)) <= set("0123456789./")
