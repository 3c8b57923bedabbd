"""Descriptor sets: none crashes anything, what is malformed is denied, and storage is seen wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_policy.descriptors import parse_usb_descriptors
from twinhull_policy.evaluate import Decision, decide
from twinhull_policy.example import example_policy
from twinhull_policy.explain import usb_facts
from twinhull_policy.model import OwnerRules

from tests.fuzz.usb_sets import STORAGE, broken, classes, well_formed
from tests.lab.usb_peer.descriptors import Configuration, Interface, Model, as_sent, descriptors
from tests.lab.usb_peer.kinds import KINDS
from tests.lab.usb_peer.malformed import MALFORMED, MENDED
from tests.lab.usb_peer.parts import interrupt_in

DATA = Path(__file__).resolve().parent.parent / "data/usb"
SETS = 1200
POLICY, OWNER = example_policy(), OwnerRules()
SENT_IN_ONE = "second-configuration-inside-the-first"
"""As it is sent, it is what a device with two configurations is; the storage in the second is seen."""


def decided(blob: bytes) -> Decision:
    """The decision on a device with these descriptors under the rules that come with Twinhull."""
    return decide(usb_facts(blob), POLICY, OWNER, {})


def assert_malformed(blob: bytes) -> None:
    decision = decided(blob)
    assert (decision.verdict, decision.targets, decision.rule) == ("deny", (), "host:malformed")


def test_well_formed_sets_say_what_they_were_made_to_say() -> None:
    models = [well_formed(seed) for seed in range(SETS)]
    assert len({descriptors(model) for model in models}) >= 1000
    with_storage = 0
    for model in models:
        facts = parse_usb_descriptors(descriptors(model))
        assert set(facts.interfaces) == classes(model)
        assert (facts.vendor, facts.product) == (f"{model.vendor:04x}", f"{model.product:04x}")
        decision = decide(facts, POLICY, OWNER, {})
        if STORAGE in classes(model):
            with_storage += 1
            assert decision.verdict == "deny"
    assert SETS > with_storage > SETS // 10


def test_sets_with_one_thing_wrong_are_denied() -> None:
    kinds = set()
    for seed in range(SETS):
        what, blob = broken(seed)
        kinds.add(what)
        assert_malformed(blob)
    assert len(kinds) == 8


def kept() -> dict[str, bytes]:
    """What tests/data/usb holds of the emulated devices, by file."""
    files = {f"devices/{name}": descriptors(make().model) for name, make in KINDS.items()}
    for name, make in MALFORMED.items():
        model = make().model
        if name != SENT_IN_ONE:
            files[f"malformed/{name}.sent"] = as_sent(model)
        if name != MENDED and descriptors(model):
            files[f"malformed/{name}.read"] = descriptors(model)
    return files


def test_the_kept_files_are_the_devices(rewrite_golden: bool) -> None:
    for name, blob in kept().items():
        file = DATA / name
        if rewrite_golden:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(blob)
        assert file.read_bytes() == blob, name


def test_every_malformed_file_is_denied() -> None:
    files = list((DATA / "malformed").iterdir())
    assert len(files) >= 50
    for file in files:
        assert_malformed(file.read_bytes())


def test_lies_that_the_kernel_mends_hide_nothing() -> None:
    assert set(usb_facts(descriptors(MALFORMED[MENDED]().model)).interfaces) == {"03:01:02"}
    assert STORAGE in usb_facts(as_sent(MALFORMED[SENT_IN_ONE]().model)).interfaces


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("storage-in-second-configuration", STORAGE),
        ("storage-in-alternate-setting", STORAGE),
        ("typing-stick", STORAGE),
        ("uas-storage", "08:06:62"),
        ("disguised-hub", "09:00:01"),
    ],
)
def test_what_hides_is_seen_and_denied(kind: str, seen: str) -> None:
    blob = descriptors(KINDS[kind]().model)
    assert seen in usb_facts(blob).interfaces
    assert decided(blob).verdict == "deny"


@pytest.mark.parametrize(
    ("kind", "interfaces"), [("hub", {"09:00:00"}), ("serial", {"02:02:01", "0a:00:00"})]
)
def test_a_device_class_that_an_interface_has_too_adds_nothing(kind: str, interfaces: set[str]) -> None:
    assert set(usb_facts(descriptors(KINDS[kind]().model)).interfaces) == interfaces


BYTE = st.integers(0, 255)
INTERFACES = st.lists(
    st.builds(
        Interface,
        number=st.integers(0, 31),
        alternate=st.integers(0, 255),
        triple=st.tuples(BYTE, BYTE, BYTE),
        endpoints=st.lists(st.builds(interrupt_in, st.integers(1, 15), st.integers(1, 64)), max_size=3).map(
            tuple
        ),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda one: (one.number, one.alternate),
)


@given(
    st.builds(
        Model,
        vendor=st.integers(0, 0xFFFF),
        product=st.integers(0, 0xFFFF),
        triple=st.tuples(BYTE, BYTE, BYTE),
        configurations=st.lists(INTERFACES.map(tuple).map(Configuration), min_size=1, max_size=8).map(tuple),
    )
)
def test_any_well_formed_device_is_read_whole(model: Model) -> None:
    assert set(parse_usb_descriptors(descriptors(model)).interfaces) == classes(model)


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=3), st.integers(0, 255))
def test_any_answers_of_a_device_are_read_or_denied(raw: list[bytes], count: int) -> None:
    configurations = tuple(Configuration((), raw=b"\x09\x02" + one) for one in raw)
    blob = descriptors(Model(0x1209, 1, configurations, count=count))
    assert decided(blob).verdict in ("deny", "host", "corporate", "ask")
