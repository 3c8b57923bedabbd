"""USB descriptor blobs: what is in them is found wherever it hides, and what cannot be right is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_policy.descriptors import MAX_BYTES, MalformedDescriptors, parse_usb_descriptors
from twinhull_policy.example import example_policy
from twinhull_policy.explain import explain_device, usb_facts

from tests.support.usb import configuration, device, interface, simple

STORAGE, KEYBOARD, MOUSE, HUB, AUDIO = (8, 6, 80), (3, 1, 1), (3, 1, 2), (9, 0, 0), (1, 1, 0)


def test_facts_come_from_all_configurations_and_settings() -> None:
    blob = device(
        0x1050,
        0x0407,
        [configuration([(0, 0, AUDIO), (0, 1, STORAGE)]), configuration([(0, 0, AUDIO), (3, 0, KEYBOARD)])],
    )
    facts = parse_usb_descriptors(blob, serial="77", port="1-2", removable=False)
    assert (facts.vendor, facts.product) == ("1050", "0407")
    assert facts.interfaces == ("01:01:00", "08:06:50", "03:01:01")
    assert (facts.bus, facts.serial, facts.port, facts.removable) == ("usb", "77", "1-2", False)


GOOD = simple(0x1234, 0x5678, STORAGE, AUDIO)
ONE = configuration([(0, 0, AUDIO)])
MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "too long": GOOD + b"\0" * MAX_BYTES,
    "device descriptor too short": b"\x11" + GOOD[1:],
    "device descriptor too long": b"\x13" + GOOD[1:],
    "no device descriptor": ONE,
    "no configuration": device(1, 1, []),
    "nine configurations": device(1, 1, [ONE] * 9),
    "fewer configurations than said": device(1, 1, [ONE], count=2),
    "more configurations than said": device(1, 1, [ONE, ONE], count=1),
    "interface where a configuration belongs": device(1, 1, [interface(0, 0, AUDIO)]),
    "total length beyond the end": device(1, 1, [configuration([(0, 0, AUDIO)], total=600)]),
    "total length below its own": device(1, 1, [configuration([(0, 0, AUDIO)], total=8)]),
    "total length cuts a descriptor": device(1, 1, [configuration([(0, 0, AUDIO)], total=20)]),
    "fewer interfaces than said": device(1, 1, [configuration([(0, 0, AUDIO)], count=2)]),
    "more interfaces than said": device(1, 1, [configuration([(0, 0, AUDIO), (1, 0, STORAGE)], count=1)]),
    "33 interfaces": device(1, 1, [configuration([(n, 0, AUDIO) for n in range(33)])]),
    "one interface twice": device(1, 1, [configuration([(0, 0, AUDIO), (0, 0, STORAGE)])]),
    "descriptor of length 0": device(1, 1, [ONE.replace(b"\x04\x24", b"\x00\x24")]),
    "descriptor of length 1": device(1, 1, [ONE.replace(b"\x04\x24", b"\x01\x24")]),
    "descriptor that runs over": device(1, 1, [ONE.replace(b"\x04\x24", b"\xff\x24")]),
    "short interface": device(1, 1, [ONE.replace(b"\x09\x04", b"\x08\x04")]),
    "configuration inside a configuration": device(1, 1, [ONE.replace(b"\x04\x24", b"\x09\x02")]),
    "device inside a configuration": device(
        1, 1, [configuration([(0, 0, AUDIO)], total=9 + 20 + 18) + device(1, 1, [])]
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_blobs_are_refused_and_denied(case: str) -> None:
    with pytest.raises(MalformedDescriptors):
        parse_usb_descriptors(MALFORMED[case])
    decision = explain_device(example_policy(), usb_facts(MALFORMED[case]))
    assert (decision.verdict, decision.targets, decision.rule) == ("deny", (), "host:malformed")


def test_every_truncation_is_refused() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(MalformedDescriptors):
            parse_usb_descriptors(GOOD[:length])


@given(st.binary(max_size=600) | st.binary(max_size=100).map(lambda tail: GOOD[:18] + tail))
def test_any_bytes_give_facts_or_the_one_error(untrusted: bytes) -> None:
    try:
        facts = parse_usb_descriptors(untrusted)
    except MalformedDescriptors:
        return
    assert facts.bus == "usb"


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_gives_facts_or_the_one_error(place: int, change: int) -> None:
    bent = bytearray(GOOD)
    bent[place] ^= change
    decision = explain_device(example_policy(), usb_facts(bytes(bent)))
    assert decision.verdict in ("deny", "host", "corporate", "ask")


@pytest.mark.parametrize(
    ("triples", "verdict", "rule"),
    [
        ([KEYBOARD], "host", "host:boot-input"),
        ([KEYBOARD, MOUSE, (3, 0, 0)], "host", "host:boot-input"),
        ([MOUSE, STORAGE], "deny", "host:input-and-more"),
        ([STORAGE, KEYBOARD], "deny", "host:input-and-more"),
        ([HUB], "host", "host:hub"),
        ([HUB, (255, 0, 0)], "deny", "host:input-and-more"),
        ([], "deny", "host:no-interface"),
        ([STORAGE], "deny", "corporate:no-storage"),
        ([AUDIO, STORAGE], "deny", "corporate:no-storage"),
        ([AUDIO], "ask", "corporate:audio"),
        ([AUDIO, (3, 0, 0)], "ask", "corporate:audio"),
        ([(255, 0, 0)], "deny", "default"),
    ],
)
def test_the_example_policy_on_devices(triples: list[tuple[int, int, int]], verdict: str, rule: str) -> None:
    decision = explain_device(example_policy(), usb_facts(simple(0x1234, 0x5678, *triples)))
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.reason.endswith(".")
