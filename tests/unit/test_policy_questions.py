"""What can be asked of a policy, and how a person asks it: strict, bounded, without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_policy.example import example_policy
from twinhull_policy.exchange import ExchangeFacts
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.parse import canonical
from twinhull_policy.questions import (
    MAX_FACTS_BYTES,
    FactsInvalid,
    LeaseFacts,
    parse_inventory,
    parse_question,
    pci_facts,
)

from tests.support.cli import NO_BUS, twinhull

DEVICE = b'{"bus":"usb","vendor":"0951","product":"1666","interfaces":["08:06:50"]}'


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (DEVICE, DeviceFacts(bus="usb", vendor="0951", product="1666", interfaces=("08:06:50",))),
        (
            b'{"way":"to_corporate","kind":"files","size_bytes":3}',
            ExchangeFacts(way="to_corporate", kind="files", size_bytes=3),
        ),
        (b'{"offline_hours":3}', LeaseFacts(offline_hours=3)),
    ],
)
def test_what_is_asked_is_told_from_its_keys(text: bytes, question: object) -> None:
    assert parse_question(text) == question


REFUSED = {
    "nothing": (b"", "$", "JSON"),
    "no object": (b"[]", "$", "object"),
    "no known key": (b'{"serial":"x"}', "$", "'bus', 'way', 'offline_hours'"),
    "two kinds at once": (DEVICE[:-1] + b',"way":"to_corporate"}', "$", "unknown field"),
    "key twice": (DEVICE[:-1] + b',"bus":"pci"}', "$.bus", "twice"),
    "bidi in the serial": (DEVICE[:-1] + ',"serial":"a\u202eb"}'.encode(), "$.serial", "U+202E"),
    "vendor of two lines": (DEVICE.replace(b"0951", b"095\\n"), "$.vendor", "U+000A"),
    "interface too short": (DEVICE.replace(b"08:06:50", b"08"), "$.interfaces[0]", "regex"),
    "fraction": (b'{"offline_hours":1.5}', "$.offline_hours", "whole numbers"),
    "2^63": (b'{"offline_hours":9223372036854775808}', "$.offline_hours", "whole numbers"),
    "deep": (b'{"bus":' + b"[" * 100_000, "$.bus" + "[0]" * 64, "nested"),
    "long": (b" " * (MAX_FACTS_BYTES + 1), "$", "longer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_place(case: str) -> None:
    text, path, detail = REFUSED[case]
    with pytest.raises(FactsInvalid, match=r".*") as refused:
        parse_question(text)
    assert refused.value.fields["path"] == path
    assert detail in str(refused.value.fields["detail"])


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(untrusted: bytes) -> None:
    for parse in (parse_question, parse_inventory):
        try:
            parse(untrusted)
        except FactsInvalid as error:
            assert error.message.isprintable()


def test_an_inventory_is_a_list() -> None:
    assert len(parse_inventory(b"[" + DEVICE + b"," + DEVICE + b"]")) == 2
    assert parse_inventory(b"[]") == []
    with pytest.raises(FactsInvalid, match=r"\$\[1\]\.bus"):
        parse_inventory(b"[" + DEVICE + b"," + DEVICE.replace(b"usb", b"isa") + b"]")


@pytest.mark.parametrize(
    "text", ["", "8086:15f3", "8086:15f3:02:00:00", "8086:15F3:020000", "8086:15f3:020000\n"]
)
def test_a_pci_function_has_one_spelling(text: str) -> None:
    assert pci_facts("8086:15f3:020000").interfaces == ("02:00:00",)
    with pytest.raises(FactsInvalid):
        pci_facts(text)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_bytes(canonical(example_policy()))
    return path


ASKED: list[tuple[str, str, str, dict[str, object]]] = [
    ("--pci 8086:15f3:020000", "", "deny", {"rule": "default", "targets": []}),
    ("--pci 8086:15f3:060400", "", "host", {"rule": "host:platform"}),
    ("--exchange clipboard --size 10 --type text/plain", "", "ask", {"targets": ["corporate"]}),
    ("--exchange urls --way from-corporate --size 10 --type https", "", "allow", {"targets": ["personal"]}),
    ("--exchange files --size 10", "", "deny", {"rule": "corporate:exchange.to_corporate.files"}),
    ("--lease 10", "", "held", {"targets": ["corporate"]}),
    ("--lease 0 --counted 163", "", "no-network", {"rule": "corporate:lease.network_hours"}),
    ("--lease 10000", "", "locked", {"targets": []}),
    ("--facts -", DEVICE.decode(), "deny", {"rule": "corporate:no-storage"}),
    ("--usb-descriptors - --port 1-2 --removable no", "garbage", "deny", {"rule": "host:malformed"}),
    ("--usb-descriptors -", "", "deny", {"rule": "host:malformed"}),
]


@pytest.mark.parametrize(("line", "stdin", "verdict", "more"), ASKED)
def test_explain_answers_with_status_0_and_four_fields(
    policy: Path, line: str, stdin: str, verdict: str, more: dict[str, object]
) -> None:
    done = twinhull("policy", "explain", str(policy), *line.split(), "--json", stdin=stdin, bus=NO_BUS)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["verdict", "targets", "rule", "reason"]
    assert answer["verdict"] == verdict
    assert {key: answer[key] for key in more} == more


def test_the_owners_document_answers_too(policy: Path, tmp_path: Path) -> None:
    owner = tmp_path / "owner.json"
    owner.write_text('{"devices":[{"name":"o","match":{},"to":"personal"}]}')
    line = ("policy", "explain", str(policy), "--facts", "-", "--owner", str(owner))
    done = twinhull(*line, stdin=DEVICE.decode(), bus=NO_BUS)
    assert done.stdout.splitlines()[:2] == ["Verdict: personal", "  may go to: personal"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", "TH-CLI-009"),
        ("--lease 1 --exchange files", "TH-CLI-009"),
        ("--lease -1", "TH-CLI-009"),
        ("--exchange pixels", "TH-CLI-009"),
        ("--pci nonsense", "TH-POL-010"),
        ("--facts /dev/null", "TH-POL-010"),
        ("--lease 1 --owner /dev/null", "TH-POL-003"),
    ],
)
def test_a_question_that_is_none_is_bad_usage(policy: Path, line: str, code: str) -> None:
    done = twinhull("policy", "explain", str(policy), *line.split(), bus=NO_BUS)
    assert done.returncode == 2
    assert code in done.stderr
    assert "Traceback" not in done.stderr


def test_diff_tells_verdicts_and_the_rest_in_words(policy: Path, tmp_path: Path) -> None:
    document = json.loads(policy.read_text())
    document["devices"] = document["devices"][1:]
    document["devices"].append({"name": "all", "match": {}, "verdict": "allow"})
    document["lease"]["offline_hours"] = 336
    other = tmp_path / "new.json"
    other.write_text(json.dumps(document))
    inventory = tmp_path / "inventory.json"
    keyboard = DEVICE.replace(b"08:06:50", b"03:01:01")
    inventory.write_bytes(b"[" + DEVICE + b"," + keyboard + b"]")
    line = ("policy", "diff", str(policy), str(other), "--inventory", str(inventory))
    done = twinhull(*line, bus=NO_BUS)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Changes 1 of 4 device x partition verdicts.",
        "  usb 0951:1666 (08:06:50), corporate: never (corporate:no-storage) -> may (corporate:all)",
        "Hours without the server until it locks: 336, was 168.",
        "Device rules: 1 new, 1 gone.",
    ]
    asked = json.loads(twinhull(*line, "--json", bus=NO_BUS).stdout)
    assert asked["compared"] == 4
    assert [change["partition"] for change in asked["changes"]] == ["corporate"]
    same = twinhull("policy", "diff", str(policy), str(policy), bus=NO_BUS)
    assert same.stdout == "Both say the same.\n"


def test_the_schema_is_printed() -> None:
    done = twinhull("policy", "schema", bus=NO_BUS)
    assert json.loads(done.stdout)["title"] == "Twinhull policy"
