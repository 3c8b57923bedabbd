"""One evaluator: its three layers as a table, and the index proven equal to the plain reading."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.evaluate import Answers, answer_key, class_matches, decide, has_blocks
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import DeviceRule, Match, OwnerRule, OwnerRules, Policy
from twinhull_policy.safety import past_tunnel, safety_verdict

STICK = DeviceFacts(
    bus="usb", vendor="1234", product="5678", serial="s1", interfaces=("08:06:50",), port="1-1"
)


def policy(*rules: DeviceRule) -> Policy:
    return structs.replace(example_policy(), devices=rules)


def owner(*rules: OwnerRule) -> OwnerRules:
    return OwnerRules(devices=rules)


def corporate_rule(verdict: Any, **match: Any) -> DeviceRule:
    return DeviceRule(name="c", match=Match(**match), verdict=verdict)


def owner_rule(to: Any, **match: Any) -> OwnerRule:
    return OwnerRule(name="o", match=Match(**match), to=to)


# corporate verdict, owner's choice, remembered answer -> verdict, targets, rule
TABLE: list[tuple[Any, Any, Any, str, tuple[str, ...], str]] = [
    (None, None, None, "deny", (), "default"),
    (None, None, "corporate", "deny", (), "default"),
    (None, None, "personal", "deny", (), "default"),
    (None, "personal", None, "personal", ("personal",), "owner:o"),
    (None, "personal", "corporate", "personal", ("personal",), "owner:o"),
    (None, "corporate", None, "deny", (), "owner:o"),
    (None, "ask", None, "ask", ("personal",), "owner:o"),
    (None, "ask", "personal", "personal", ("personal",), "answer"),
    (None, "ask", "corporate", "ask", ("personal",), "owner:o"),
    (None, "ask", "deny", "deny", (), "answer"),
    (None, "deny", "personal", "deny", (), "owner:o"),
    ("deny", None, "corporate", "deny", (), "corporate:c"),
    ("deny", "personal", "corporate", "personal", ("personal",), "owner:o"),
    ("deny", "corporate", "corporate", "deny", (), "corporate:c"),
    ("deny", "ask", "corporate", "ask", ("personal",), "owner:o"),
    ("deny", "ask", "personal", "personal", ("personal",), "answer"),
    ("deny", "deny", "corporate", "deny", (), "owner:o"),
    ("allow", None, None, "ask", ("corporate",), "corporate:c"),
    ("allow", None, "corporate", "corporate", ("corporate",), "answer"),
    ("allow", None, "personal", "ask", ("corporate",), "corporate:c"),
    ("allow", None, "deny", "deny", (), "answer"),
    ("allow", "personal", None, "personal", ("corporate", "personal"), "owner:o"),
    ("allow", "corporate", None, "corporate", ("corporate",), "owner:o"),
    ("allow", "ask", None, "ask", ("corporate", "personal"), "corporate:c owner:o"),
    ("allow", "ask", "personal", "personal", ("corporate", "personal"), "answer"),
    ("allow", "deny", "corporate", "deny", (), "owner:o"),
    ("require", None, None, "corporate", ("corporate",), "corporate:c"),
    ("require", "personal", "personal", "corporate", ("corporate",), "corporate:c"),
    ("require", "deny", "deny", "corporate", ("corporate",), "corporate:c"),
]


@pytest.mark.parametrize(("corporate", "own", "answer", "verdict", "targets", "rule"), TABLE)
def test_layers(
    corporate: Any, own: Any, answer: Any, verdict: str, targets: tuple[str, ...], rule: str
) -> None:
    decision = decide(
        STICK,
        policy(*([corporate_rule(corporate)] if corporate else [])),
        owner(*([owner_rule(own)] if own else [])),
        {answer_key(STICK): answer} if answer else {},
    )
    assert (decision.verdict, decision.targets, decision.rule) == (verdict, targets, rule)
    assert decision.reason


READ = "read-only"
# corporate verdict and access, owner's choice and access, whether it is storage -> verdict, targets, of them
# read-only, rule
ACCESS: list[tuple[Any, Any, Any, Any, bool, str, tuple[str, ...], tuple[str, ...], str]] = [
    ("require", READ, None, UNSET, True, "corporate", ("corporate",), ("corporate",), "corporate:c"),
    ("require", READ, "personal", UNSET, False, "deny", (), (), "corporate:c"),
    ("require", UNSET, "personal", READ, True, "corporate", ("corporate",), (), "corporate:c"),
    ("allow", READ, None, UNSET, True, "ask", ("corporate",), ("corporate",), "corporate:c"),
    ("allow", READ, None, UNSET, False, "deny", (), (), "corporate:c"),
    (
        "allow", READ, "ask", UNSET, True,
        "ask", ("corporate", "personal"), ("corporate",), "corporate:c owner:o",
    ),
    ("allow", READ, "ask", UNSET, False, "ask", ("personal",), (), "owner:o"),
    ("allow", READ, "corporate", UNSET, True, "corporate", ("corporate",), ("corporate",), "owner:o"),
    ("allow", READ, "corporate", UNSET, False, "deny", (), (), "owner:o"),
    ("allow", UNSET, "corporate", READ, True, "corporate", ("corporate",), ("corporate",), "owner:o"),
    (
        "allow", UNSET, "ask", READ, True,
        "ask", ("corporate", "personal"), ("corporate", "personal"), "corporate:c owner:o",
    ),
    ("allow", UNSET, "ask", READ, False, "deny", (), (), "owner:o"),
    ("deny", READ, "personal", READ, True, "personal", ("personal",), ("personal",), "owner:o"),
    (None, UNSET, "personal", READ, True, "personal", ("personal",), ("personal",), "owner:o"),
    (None, UNSET, "personal", READ, False, "deny", (), (), "owner:o"),
    (None, UNSET, "deny", READ, False, "deny", (), (), "owner:o"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "access", "to", "owners", "storage", "expected", "targets", "read_only", "rule"), ACCESS
)
def test_read_only_gives_blocks_or_nothing(
    verdict: Any,
    access: Any,
    to: Any,
    owners: Any,
    storage: bool,
    expected: str,
    targets: tuple[str, ...],
    read_only: tuple[str, ...],
    rule: str,
) -> None:
    facts = STICK if storage else structs.replace(STICK, interfaces=("08:06:62", "0e:01:00"))
    corporate = [DeviceRule(name="c", match=Match(), verdict=verdict, access=access)] if verdict else []
    own = [OwnerRule(name="o", match=Match(), to=to, access=owners)] if to else []
    decision = decide(facts, policy(*corporate), owner(*own), {})
    assert (decision.verdict, decision.targets, decision.read_only) == (expected, targets, read_only)
    assert decision.rule == rule
    answered: Answers = {answer_key(facts): "corporate"}
    again = decide(facts, policy(*corporate), owner(*own), answered)
    assert (again.targets, again.read_only) == (targets, read_only)


def test_the_first_match_counts() -> None:
    rules = (
        DeviceRule(name="first", match=Match(vendor="1234"), verdict="deny"),
        DeviceRule(name="second", match=Match(), verdict="require"),
    )
    assert decide(STICK, policy(*rules), owner(), {}).verdict == "deny"
    assert decide(STICK, policy(*reversed(rules)), owner(), {}).verdict == "corporate"


def test_an_answer_without_serial_number_is_for_one_port() -> None:
    here = structs.replace(STICK, serial="", port="1-1")
    there = structs.replace(STICK, serial="", port="1-2")
    answers: Answers = {answer_key(here): "corporate"}
    rules = policy(corporate_rule("allow"))
    assert decide(here, rules, owner(), answers).verdict == "corporate"
    assert decide(there, rules, owner(), answers).verdict == "ask"


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"bus": "usb"}, True),
        ({"bus": "pci"}, False),
        ({"vendor": "1234", "product": "5678"}, True),
        ({"product": "5679"}, False),
        ({"serial": "s1"}, True),
        ({"serial": ""}, False),
        ({"port": "1-1"}, True),
        ({"port": "1-1.1"}, False),
        ({"removable": True}, True),
        ({"removable": False}, False),
        ({"any_interface": ("03:*:*", "08:06:*")}, True),
        ({"any_interface": ("03:*:*",)}, False),
        ({"every_interface": ("08:06:50",)}, True),
        ({"every_interface": ("08:06:51",)}, False),
    ],
)
def test_what_a_match_names_must_hold(match: dict[str, Any], expected: bool) -> None:
    decision = decide(STICK, policy(corporate_rule("require", **match)), owner(), {})
    assert (decision.verdict == "corporate") is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("08:06:50", True), ("08:06:*", True), ("08:*:*", True), ("08:06:51", False), ("00:*:*", False)],
)
def test_class_patterns(pattern: str, expected: bool) -> None:
    assert class_matches(pattern, "08:06:50") is expected


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"malformed": "x"}, "malformed"),
        ({"changed": True}, "changed"),
        ({"interfaces": ()}, "no-interface"),
        ({"bus": "pci", "interfaces": ("06:04:00",)}, "platform"),
        ({"bus": "pci", "interfaces": ("0c:05:00",)}, "platform"),
    ],
)
def test_safety_comes_before_every_policy(facts: dict[str, Any], rule: str) -> None:
    bent = structs.replace(STICK, **facts)
    decision = decide(bent, policy(corporate_rule("require")), owner(owner_rule("personal")), {})
    assert decision.rule == f"host:{rule}"
    assert decision.targets == ()
    assert decision.verdict in ("deny", "host")


def test_a_network_card_is_left_to_the_policies() -> None:
    assert safety_verdict(structs.replace(STICK, bus="pci", interfaces=("02:00:00",))) is None


IDS = st.sampled_from(["0001", "0002", "0003"])
SERIALS = st.sampled_from(["", "a", "b"])
PORTS = st.sampled_from(["1-1", "1-2"])
TRIPLES = st.sampled_from(["03:01:01", "03:00:00", "08:06:50", "08:06:62", "01:01:00", "ff:ff:ff"])
PATTERNS = st.sampled_from(["03:*:*", "03:00:*", "08:06:50", "08:*:*", "08:06:*", "01:01:00", "ff:*:*"])
CLASSES = st.lists(PATTERNS, min_size=1, max_size=3).map(tuple)
FACTS = st.builds(
    DeviceFacts,
    bus=st.sampled_from(["usb", "pci", "bluetooth"]),
    vendor=IDS,
    product=IDS,
    serial=SERIALS,
    port=PORTS,
    removable=st.booleans(),
    interfaces=st.lists(TRIPLES, max_size=4, unique=True).map(tuple),
    changed=st.booleans(),
)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "bus": st.sampled_from(["usb", "pci", "bluetooth"]),
        "vendor": IDS,
        "product": IDS,
        "serial": SERIALS,
        "port": PORTS,
        "removable": st.booleans(),
        "any_interface": CLASSES,
        "every_interface": CLASSES,
    },
).map(lambda fields: msgspec.convert(fields, Match))
ACCESSES: st.SearchStrategy[Any] = st.sampled_from([UNSET, "read-only"])
CORPORATE = st.lists(st.tuples(MATCHES, st.sampled_from(["require", "allow", "deny"]), ACCESSES), max_size=12)
OWNER = st.lists(
    st.tuples(MATCHES, st.sampled_from(["personal", "corporate", "ask", "deny"]), ACCESSES), max_size=12
)
ANSWERS = st.sampled_from([None, "corporate", "personal", "deny"])


@settings(max_examples=600)
@given(CORPORATE, OWNER, st.lists(st.tuples(FACTS, ANSWERS), min_size=1, max_size=8))
def test_the_index_says_what_the_plain_reading_says(
    corporate: list[Any], own: list[Any], devices: list[tuple[DeviceFacts, Any]]
) -> None:
    rules = policy(
        *(DeviceRule(name=f"c{n}", match=m, verdict=v, access=a) for n, (m, v, a) in enumerate(corporate))
    )
    owners = owner(*(OwnerRule(name=f"o{n}", match=m, to=t, access=a) for n, (m, t, a) in enumerate(own)))
    answers: Answers = {answer_key(facts): answer for facts, answer in devices if answer}
    compiled = CompiledPolicy(rules, owners)
    for facts, _ in devices:
        decision = decide(facts, rules, owners, answers)
        assert compiled.decide(facts, answers) == decision
        assert decision.verdict in ("deny", "host", "ask", *decision.targets)
        assert set(decision.read_only) <= set(decision.targets)
        assert has_blocks(facts) or not decision.read_only
        assert bool(decision.targets) == (decision.verdict not in ("deny", "host"))


@given(CORPORATE, OWNER, FACTS)
def test_no_answer_ever_precedes_a_refusal(corporate: list[Any], own: list[Any], facts: DeviceFacts) -> None:
    rules = policy(
        *(DeviceRule(name=f"c{n}", match=m, verdict=v, access=a) for n, (m, v, a) in enumerate(corporate))
    )
    owners = owner(*(OwnerRule(name=f"o{n}", match=m, to=t, access=a) for n, (m, t, a) in enumerate(own)))
    without = decide(facts, rules, owners, {})
    for answer in ("corporate", "personal"):
        answers: Answers = {answer_key(facts): answer}
        answered = decide(facts, rules, owners, answers)
        assert set(answered.targets) <= set(without.targets)
        assert answered.read_only == without.read_only, "nor widens what a place may do with it"


WAYS_OUT = [
    *("02:01:00", "02:02:ff", "02:05:00", "02:06:00", "02:0c:00", "02:0d:00", "02:0e:00"),
    *("e0:01:01", "e0:01:03", "ef:01:01", "ef:04:01"),
]


@pytest.mark.parametrize("interface", WAYS_OUT)
@pytest.mark.parametrize("verdict", ["require", "allow"])
def test_no_policy_puts_a_way_around_the_tunnel_into_the_corporate_partition(
    interface: str, verdict: str
) -> None:
    """P2: a network adapter is never the corporate partition's; the owner may still have it."""
    adapter = structs.replace(STICK, interfaces=("ff:00:00", interface))
    company = policy(corporate_rule(verdict))
    for owners, expected in (
        (owner(), ("deny", (), "host:past-tunnel")),
        (owner(owner_rule("corporate")), ("deny", (), "host:past-tunnel")),
        (owner(owner_rule("personal")), ("personal", ("personal",), "owner:o")),
    ):
        before: list[Answers] = [{}, {answer_key(adapter): "corporate"}]
        for answers in before:
            decision = decide(adapter, company, owners, answers)
            assert (decision.verdict, decision.targets, decision.rule) == expected


MODEL = {"vendor": "1234", "product": "5678"}
# a device, what a corporate rule matches -> whether the corporate partition gets it
UNSAID: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("its class is its vendor's, and the rule is for everything", {}, {}, False),
    ("and the rule is for its class", {}, {"any_interface": ("ff:*:*",)}, False),
    ("and the rule is for its vendor", {}, {"vendor": "1234"}, False),
    ("and the rule is for its product number", {}, {"product": "5678"}, False),
    ("and the rule is for its port", {}, {"port": "1-1"}, False),
    ("and the rule is for its serial number", {}, {"serial": "s1"}, False),
    ("and the rule names its model", {}, MODEL, True),
    ("and the rule names its model and serial number", {}, {**MODEL, "serial": "s1"}, True),
    ("one interface of several is", {"interfaces": ("0b:00:00", "ff:00:00")}, {"vendor": "1234"}, False),
    ("a modem", {"interfaces": ("02:02:01", "0a:00:00")}, {"vendor": "1234"}, False),
    ("a modem whose model is named", {"interfaces": ("02:02:01", "0a:00:00")}, MODEL, True),
    ("remote NDIS as a modem, named", {"interfaces": ("02:02:ff", "0a:00:00")}, MODEL, False),
    (
        "a Realtek 8153, named",
        {"vendor": "0bda", "product": "8153"},
        {"vendor": "0bda", "product": "8153"},
        False,
    ),
    (
        "an ASIX 88179, named",
        {"vendor": "0b95", "product": "1790"},
        {"vendor": "0b95", "product": "1790"},
        False,
    ),
    (
        "a Wi-Fi stick, named",
        {"vendor": "148f", "product": "5370", "interfaces": ("ff:ff:ff",)},
        {"vendor": "148f", "product": "5370"},
        False,
    ),
    (
        "an iPhone's tether, whichever model",
        {"vendor": "05ac", "product": "ffff", "interfaces": ("06:01:01", "ff:fd:01")},
        {"vendor": "05ac", "product": "ffff"},
        False,
    ),
    (
        "an FTDI serial adapter, named",
        {"vendor": "0403", "product": "6001"},
        {"vendor": "0403", "product": "6001"},
        True,
    ),
    ("a card reader is none of it", {"interfaces": ("0b:00:00",)}, {"any_interface": ("0b:*:*",)}, True),
    ("PCI without a class", {"bus": "pci", "interfaces": ("00:00:00",)}, {"bus": "pci"}, False),
    ("PCI without a class, named", {"bus": "pci", "interfaces": ("ff:00:00",)}, MODEL, True),
    ("a USB controller, named", {"bus": "pci", "interfaces": ("0c:03:30",)}, MODEL, False),
]


@pytest.mark.parametrize(
    ("device", "match", "gets"), [row[1:] for row in UNSAID], ids=[row[0] for row in UNSAID]
)
def test_what_does_not_say_that_it_is_no_network_adapter(
    device: dict[str, Any], match: dict[str, Any], gets: bool
) -> None:
    """P2: an adapter of a vendor's own class says nothing; only a rule for the very model can vouch."""
    facts = structs.replace(STICK, **{"interfaces": ("ff:ff:00",), **device})
    for verdict in ("allow", "require"):
        company = policy(corporate_rule(verdict, **match))
        decision = decide(facts, company, owner(), {answer_key(facts): "corporate"})
        assert (decision.verdict == "corporate") is gets, decision
        assert gets or decision.rule == "host:past-tunnel"
        own = decide(facts, company, owner(owner_rule("ask")), {})
        assert ("corporate" in own.targets) is gets
        assert "personal" in own.targets or (gets and verdict == "require")


def test_pci_and_bluetooth_ways_out() -> None:
    """A network card and a Bluetooth device are ways out too; a disk controller is not."""
    assert past_tunnel(structs.replace(STICK, bus="pci", interfaces=("02:00:00",)))
    assert past_tunnel(structs.replace(STICK, bus="bluetooth", interfaces=()))
    assert not past_tunnel(structs.replace(STICK, bus="pci", interfaces=("01:08:02",)))
    assert not past_tunnel(STICK)
