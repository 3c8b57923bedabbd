"""The policy parser: bounded, strict, and exact about where the fault is."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_policy import parse
from twinhull_policy.errors import TwinhullError
from twinhull_policy.example import example_policy
from twinhull_policy.model import OwnerRules
from twinhull_policy.parse import (
    canonical,
    parse_canonical_policy,
    parse_owner_rules,
    parse_policy,
)

TEXT = canonical(example_policy())


def changed(path: str, value: object) -> bytes:
    """The example with one field replaced or added; ``path`` like ``vpn.gateways.0.name``."""
    document = json.loads(TEXT)
    at: Any = document
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for step in parents:
        at = at[step]
    at[last] = value
    return json.dumps(document).encode()


def test_the_example_is_canonical_and_goes_there_and_back() -> None:
    assert parse_canonical_policy(TEXT) == example_policy()


def test_white_space_order_and_left_out_defaults_are_free_until_published() -> None:
    document = json.loads(TEXT)
    for section in ("exchange", "lease", "host", "report", "devices", "description"):
        del document[section]
    pretty = json.dumps(dict(reversed(document.items())), indent=4).encode()
    policy = parse_policy(pretty)
    assert policy.lease.offline_hours == 168
    assert policy.exchange.to_corporate.files.verdict == "deny"
    with pytest.raises(parse.PolicyNotCanonical):
        parse_canonical_policy(pretty)
    assert parse_canonical_policy(canonical(policy)) == policy


def test_escapes_are_free_too() -> None:
    assert parse_policy(changed("description", 'a "quoted" \\ word, Zürich')).description.endswith("Zürich")


REFUSED: dict[str, tuple[Callable[[], bytes], type[TwinhullError], str]] = {
    "empty": (lambda: b"", parse.PolicyNotJson, ""),
    "not UTF-8": (lambda: b"\xff" + TEXT, parse.PolicyNotJson, ""),
    "truncated": (lambda: TEXT[:-1], parse.PolicyNotJson, ""),
    "two documents": (lambda: TEXT + TEXT, parse.PolicyNotJson, ""),
    "1 MiB and a byte": (lambda: TEXT + b" " * 2**20, parse.PolicyTooLarge, ""),
    "100 MB": (lambda: b"[" * 100_000_000, parse.PolicyTooLarge, ""),
    "200,000 lists deep": (lambda: b"[" * 200_000, parse.PolicyTooDeep, "$" + "[0]" * 65),
    "150,000 objects deep": (lambda: b'{"a":' * 150_000, parse.PolicyTooDeep, "$" + ".a" * 65),
    "deep after a comma, a bracket in a string and an escaped quote": (
        lambda: b'{"]\\"[":[1,"[",{}],"b":["x",[],' + b'{"c":[' * 100_000,
        parse.PolicyTooDeep,
        "$.b[2]" + ".c[0]" * 31 + ".c",
    ),
    "65 deep": (
        lambda: changed("description", json.loads("[" * 65 + "]" * 65)),
        parse.PolicyTooDeep,
        "$.description" + "[0]" * 64,
    ),
    "deep in a section": (
        lambda: TEXT.replace(b'"report":', b'"report":' + b"[" * 500_000),
        parse.PolicyTooDeep,
        "$.report" + "[0]" * 64,
    ),
    "key twice at the top": (
        lambda: TEXT.replace(b'"name":"office"', b'"name":"office","name":"other"'),
        parse.PolicyDuplicateKey,
        "$.name",
    ),
    "key twice, same value": (
        lambda: TEXT.replace(b'"mtu":1420', b'"mtu":1420,"mtu":1420'),
        parse.PolicyDuplicateKey,
        "$.vpn.mtu",
    ),
    "key twice, once escaped": (
        lambda: TEXT.replace(b'"mtu":1420', b'"mtu":1420,"m\\u0074u":1300'),
        parse.PolicyDuplicateKey,
        "$.vpn.mtu",
    ),
    "key twice in a rule": (
        lambda: TEXT.replace(b'"verdict":"require"', b'"verdict":"deny","verdict":"require"'),
        parse.PolicyDuplicateKey,
        "$.devices[1].verdict",
    ),
    "bidi control": (lambda: changed("name", "a\u202eb"), parse.PolicyBadCharacter, "$.name"),
    "bidi control, raw": (
        lambda: TEXT.replace(b"Office", "Off\u2066ice".encode()),
        parse.PolicyBadCharacter,
        "$.description",
    ),
    "NUL": (lambda: changed("description", "\0"), parse.PolicyBadCharacter, "$.description"),
    "line break": (lambda: changed("description", "a\nb"), parse.PolicyBadCharacter, "$.description"),
    "zero width space": (lambda: changed("description", "\u200b"), parse.PolicyBadCharacter, "$.description"),
    "half a surrogate pair": (
        lambda: changed("description", "\ud800"),
        parse.PolicyBadCharacter,
        "$.description",
    ),
    "bidi control in a key": (lambda: changed("vpn.\u202e", 1), parse.PolicyBadCharacter, "$.vpn"),
    "NaN": (lambda: changed("vpn.mtu", float("nan")), parse.PolicyBadNumber, "$.vpn.mtu"),
    "infinity": (lambda: changed("vpn.mtu", float("inf")), parse.PolicyBadNumber, "$.vpn.mtu"),
    "2^63": (lambda: changed("partition.vcpus", 2**63), parse.PolicyBadNumber, "$.partition.vcpus"),
    "a number of 5,000 digits": (
        lambda: TEXT.replace(b'"vcpus":2', b'"vcpus":2' + b"0" * 5000),
        parse.PolicyBadNumber,
        "$.partition.vcpus",
    ),
    "fraction": (lambda: changed("partition.vcpus", 2.5), parse.PolicyBadNumber, "$.partition.vcpus"),
    "unknown key at the top": (lambda: changed("personal", {}), parse.PolicyInvalid, "$"),
    "unknown key": (lambda: changed("lease.hours", 1), parse.PolicyInvalid, "$.lease"),
    "unknown key in a rule": (
        lambda: changed("devices.0.match.class", "x"),
        parse.PolicyInvalid,
        "$.devices[0].match",
    ),
    "not an object": (lambda: b"[]", parse.PolicyInvalid, "$"),
    "other schema": (lambda: changed("schema", "twinhull.policy/2"), parse.PolicyInvalid, "$.schema"),
    "wrong type": (lambda: changed("partition.vcpus", "2"), parse.PolicyInvalid, "$.partition.vcpus"),
    "name with a space": (lambda: changed("name", "office x"), parse.PolicyInvalid, "$.name"),
    "name with a line break at its end": (
        lambda: changed("name", "office\n"),
        parse.PolicyBadCharacter,
        "$.name",
    ),
    "verdict that names a partition": (
        lambda: changed("devices.0.verdict", "personal"),
        parse.PolicyInvalid,
        "$.devices[0].verdict",
    ),
    "class in capitals": (
        lambda: changed("devices.0.match.any_interface", ["FF:*:*"]),
        parse.PolicyInvalid,
        "$.devices[0].match.any_interface[0]",
    ),
    "rule name in capitals": (
        lambda: changed("devices.3.name", "Camera"),
        parse.PolicyInvalid,
        "$.devices[3].name",
    ),
    "vendor in capitals": (
        lambda: changed("devices.1.match.vendor", "10AF"),
        parse.PolicyInvalid,
        "$.devices[1].match.vendor",
    ),
    "product of another length": (
        lambda: changed("devices.1.match.product", "04070"),
        parse.PolicyInvalid,
        "$.devices[1].match.product",
    ),
    "two products with a line break": (
        lambda: changed("devices.1.match.product", "040\n"),
        parse.PolicyBadCharacter,
        "$.devices[1].match.product",
    ),
    "rule name of two lines": (
        lambda: changed("devices.1.name", "a\nb"),
        parse.PolicyBadCharacter,
        "$.devices[1].name",
    ),
    "DEL": (lambda: changed("description", "\x7f"), parse.PolicyBadCharacter, "$.description"),
    "DEL, raw": (
        lambda: TEXT.replace(b"Office", b"Off\x7fice"),
        parse.PolicyBadCharacter,
        "$.description",
    ),
    "class of every interface": (
        lambda: changed("devices.2.match.every_interface.1", "3:00:*1"),
        parse.PolicyInvalid,
        "$.devices[2].match.every_interface[1]",
    ),
    "star in the middle": (
        lambda: changed("devices.0.match.any_interface", ["08:*:50"]),
        parse.PolicyInvalid,
        "$.devices[0].match.any_interface[0]",
    ),
    "two rules of one name": (
        lambda: changed("devices.1.name", "no-storage"),
        parse.PolicyInvalid,
        "$",
    ),
    "report item twice": (lambda: changed("report", ["vpn", "vpn"]), parse.PolicyInvalid, "$"),
    "report item unknown": (lambda: changed("report", ["keystrokes"]), parse.PolicyInvalid, "$.report[0]"),
    "gateway by a name without a dot": (
        lambda: changed("vpn.gateways.0.endpoint", "gw:51820"),
        parse.PolicyInvalid,
        "$.vpn.gateways[0]",
    ),
    "gateway without port": (
        lambda: changed("vpn.gateways.0.endpoint", "203.0.113.2"),
        parse.PolicyInvalid,
        "$.vpn.gateways[0]",
    ),
    "gateway port 0": (
        lambda: changed("vpn.gateways.0.endpoint", "203.0.113.2:0"),
        parse.PolicyInvalid,
        "$.vpn.gateways[0]",
    ),
    **{
        f"gateway at {endpoint}": (
            partial(changed, "vpn.gateways.0.endpoint", endpoint),
            parse.PolicyInvalid,
            "$.vpn.gateways[0]",
        )
        for endpoint in (
            "203.0.113.2:051820",
            "203.0.113.2:0000051820",
            "203.0.113.2:65536",
            "[fe80::1%eth0]:51820",
            "[2001:DB8::1]:51820",
            "203.0.113.256:51820",
        )
    },
    "short key": (
        lambda: changed("vpn.gateways.0.public_key", "AAAA"),
        parse.PolicyInvalid,
        "$.vpn.gateways[0].public_key",
    ),
    "two gateways of one name": (
        lambda: changed("vpn.gateways", json.loads(TEXT)["vpn"]["gateways"] * 2),
        parse.PolicyInvalid,
        "$.vpn",
    ),
    "no gateway": (lambda: changed("vpn.gateways", []), parse.PolicyInvalid, "$.vpn.gateways"),
    "route with host bits": (lambda: changed("vpn.routes", ["10.0.0.1/8"]), parse.PolicyInvalid, "$.vpn"),
    "route without a length": (
        lambda: changed("vpn.routes", ["10.0.0.0"]),
        parse.PolicyInvalid,
        "$.vpn",
    ),
    "route with a mask": (
        lambda: changed("vpn.routes", ["10.0.0.0/255.0.0.0"]),
        parse.PolicyInvalid,
        "$.vpn",
    ),
    "name server on one link": (lambda: changed("vpn.dns", ["fe80::1%eth0"]), parse.PolicyInvalid, "$.vpn"),
    "name server by name": (lambda: changed("vpn.dns", ["ns.example"]), parse.PolicyInvalid, "$.vpn"),
    "mtu below IPv6's": (lambda: changed("vpn.mtu", 1279), parse.PolicyInvalid, "$.vpn.mtu"),
    "warning before the lease": (
        lambda: changed("lease", {"offline_hours": 1, "warning_hours": 2}),
        parse.PolicyInvalid,
        "$.lease",
    ),
    "no network before the warning": (
        lambda: changed("lease", {"warning_hours": 2, "network_hours": 3}),
        parse.PolicyInvalid,
        "$.lease",
    ),
    "destroyed by a lease that locks": (
        lambda: changed("lease", {"destroy_hours": 3}),
        parse.PolicyInvalid,
        "$.lease",
    ),
    "media type with a parameter": (
        lambda: changed("exchange.to_corporate.files.types", ["text/plain; charset=utf-8"]),
        parse.PolicyInvalid,
        "$.exchange.to_corporate.files.types[0]",
    ),
    "any media type": (
        lambda: changed("exchange.to_corporate.clipboard.types", ["*/*"]),
        parse.PolicyInvalid,
        "$.exchange.to_corporate.clipboard.types[0]",
    ),
    "web addresses with a type": (
        lambda: changed("exchange.from_corporate.urls.types", ["text/plain"]),
        parse.PolicyInvalid,
        "$.exchange.from_corporate.urls",
    ),
    "65 processors": (lambda: changed("partition.vcpus", 65), parse.PolicyInvalid, "$.partition.vcpus"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_path_of_the_field(case: str) -> None:
    build, expected, path = REFUSED[case]
    with pytest.raises(parse.PolicyError) as refused:
        parse_policy(build())
    assert type(refused.value) is expected
    assert refused.value.fields.get("path", "") == path


def test_an_ipv6_gateway() -> None:
    policy = parse_policy(changed("vpn.gateways.0.endpoint", "[2001:db8::1]:51820"))
    assert policy.vpn.gateways[0].endpoint == "[2001:db8::1]:51820"


def test_the_owners_rules() -> None:
    text = b'{"devices":[{"name":"stick","match":{"any_interface":["08:*:*"]},"to":"personal"}]}'
    rules = parse_owner_rules(text)
    assert rules.devices[0].to == "personal"
    assert parse_owner_rules(canonical(rules)) == rules
    assert parse_owner_rules(b"{}") == OwnerRules()
    with pytest.raises(parse.PolicyInvalid):
        parse_owner_rules(text.replace(b'"to"', b'"two"'))
    double = json.loads(text)
    double["devices"] *= 2
    with pytest.raises(parse.PolicyInvalid, match="same name"):
        parse_owner_rules(json.dumps(double).encode())


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(untrusted: bytes) -> None:
    with pytest.raises(parse.PolicyError):
        parse_policy(untrusted)


@given(st.integers(0, len(TEXT) - 1), st.binary(max_size=4), st.integers(0, 8))
def test_mutations_are_read_or_refused(place: int, inserted: bytes, removed: int) -> None:
    bent = TEXT[:place] + inserted + TEXT[place + removed :]
    try:
        policy = parse_policy(bent)
    except parse.PolicyError:
        return
    assert parse_canonical_policy(canonical(policy)) == policy


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(["vpn", "devices", "lease.action", "vpn.gateways.0", "devices.0.match"]), JSON_VALUES)
def test_any_value_in_any_place_is_read_or_refused(path: str, value: object) -> None:
    try:
        policy = parse_policy(changed(path, value))
    except parse.PolicyError:
        return
    assert parse_canonical_policy(canonical(policy)) == policy
