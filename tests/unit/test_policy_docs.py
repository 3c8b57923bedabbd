"""docs/policy.md: every JSON block in it is read by the real parser or answered by the real evaluator."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import msgspec
import pytest
from twinhull_policy.example import example_policy
from twinhull_policy.explain import explain
from twinhull_policy.model import Policy
from twinhull_policy.parse import canonical, parse_owner_rules, parse_policy
from twinhull_policy.questions import parse_question

DOCUMENT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
BLOCKS = [
    (kind, textwrap.dedent(text))
    for kind, text in re.findall(r"^ *```json ?(\w*)\n(.*?)^ *```$", DOCUMENT, re.DOTALL | re.MULTILINE)
]


def of_kind(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def test_every_block_says_what_it_is() -> None:
    assert {kind for kind, _ in BLOCKS} == {"policy", "section", "owner", "facts", "decision"}
    commands = re.findall(r"^```\ntwinhull ", DOCUMENT, re.MULTILINE)
    assert len(BLOCKS) + len(commands) == DOCUMENT.count("```") // 2


@pytest.mark.parametrize("text", of_kind("policy"))
def test_policies(text: str) -> None:
    assert parse_policy(text.encode())


@pytest.mark.parametrize("text", of_kind("section"))
def test_sections_fit_into_the_example(text: str) -> None:
    section = json.loads(text)
    whole = json.loads(canonical(example_policy())) | section
    policy = json.loads(canonical(parse_policy(json.dumps(whole).encode())))
    (name,) = section
    assert policy[name] != json.loads(canonical(example_policy()))[name]


def test_every_section_has_an_example() -> None:
    shown = {name for text in of_kind("section") for name in json.loads(text)}
    assert shown == set(Policy.__struct_fields__) - {"schema", "name", "description"}


@pytest.mark.parametrize("text", of_kind("owner"))
def test_owners_rules(text: str) -> None:
    assert parse_owner_rules(text.encode()).devices


@pytest.mark.parametrize(("facts", "decision"), list(zip(of_kind("facts"), of_kind("decision"), strict=True)))
def test_questions_get_the_answer_that_is_shown(facts: str, decision: str) -> None:
    answer = explain(example_policy(), parse_question(facts.encode()))
    assert msgspec.to_builtins(answer) == json.loads(decision) | {
        "targets": tuple(json.loads(decision)["targets"])
    }
