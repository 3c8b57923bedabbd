"""The JSON Schema: made from the model, and of one mind with the parser as far as a schema can say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinhull_policy import parse
from twinhull_policy.example import example_policy
from twinhull_policy.model import Policy
from twinhull_policy.parse import canonical, parse_policy
from twinhull_policy.schema import json_schema, text

from tests.fuzz.json_mutator import mutate
from tests.support.policies import policies

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
EXAMPLE = canonical(example_policy())
UNSAYABLE = re.compile(
    "have the same name|names an item twice|is more than (offline|warning)_hours|goes with the action wipe"
    "|is not written as|[Ee]xpected 4 octets|[Oo]ctet|does not appear to be an IPv4 or IPv6|has host bits set"
    "|is not an address by itself|At most|At least|hextet|in '|leading|trailing|Unexpected|netmask"
)
"""What relates two fields to each other, or is arithmetic on an address; no schema can say it."""


def test_the_file_in_docs_is_the_schema(rewrite_golden: bool) -> None:
    golden = DOCS / "policy.schema.json"
    if rewrite_golden:
        golden.write_text(text())
    assert golden.read_text() == text()


def test_it_is_a_schema() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, definition in SCHEMA["$defs"].items():
        for field, what in definition["properties"].items():
            yield name, field, what


def test_it_is_closed_and_complete() -> None:
    objects = [d for d in SCHEMA["$defs"].values() if d["type"] == "object"]
    assert len(objects) >= 12
    assert all(d["additionalProperties"] is False for d in objects)
    assert set(SCHEMA["$defs"]["Policy"]["properties"]) == set(Policy.__struct_fields__)


@pytest.mark.parametrize(("name", "field", "what"), list(fields()))
def test_every_field_is_described_here_and_in_the_docs(name: str, field: str, what: dict[str, Any]) -> None:
    assert what["description"].endswith(".")
    assert f"`{field}`" in (DOCS / "policy.md").read_text()


def test_nothing_in_it_names_the_personal_side() -> None:
    assert "personal" not in json.dumps(SCHEMA).lower()


def judge(untrusted: bytes) -> None:
    """Parser and schema say the same, or differ where a schema has no words."""
    try:
        parse_policy(untrusted)
    except parse.PolicyInvalid as error:
        if VALIDATOR.is_valid(json.loads(untrusted)):
            assert UNSAYABLE.search(str(error.fields["detail"])), error.message
    except parse.PolicyError:
        pass
    else:
        assert VALIDATOR.is_valid(json.loads(untrusted))


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_bent_examples(seed: int) -> None:
    bent = mutate(EXAMPLE, seed)
    if bent is not None:
        judge(bent)


@settings(max_examples=100)
@given(policies(), st.integers(0, 2**32))
def test_any_policy_fits_and_bent_it_is_judged_alike(policy: Policy, seed: int) -> None:
    written = canonical(policy)
    assert parse_policy(written) == policy
    assert VALIDATOR.is_valid(json.loads(written))
    bent = mutate(written, seed)
    if bent is not None:
        judge(bent)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("lease", "hours"), 1),
        (("partition", "vcpus"), 65),
        (("devices", 0, "match", "any_interface"), ["08:*:50"]),
        (("devices", 0, "name"), "No-Storage"),
        (("vpn", "gateways", 0, "endpoint"), "gw:1"),
        (("report",), ["vpn", "vpn"]),
        (("exchange", "to_corporate", "urls", "types"), ["text/plain"]),
        (("personal",), {}),
    ],
)
def test_it_refuses_what_the_parser_refuses(place: tuple[Any, ...], value: object) -> None:
    document = json.loads(EXAMPLE)
    at = document
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(parse.PolicyInvalid):
        parse_policy(json.dumps(document).encode())
