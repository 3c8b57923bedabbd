"""Kinds of devices, what happens to each by default, and what each could take in of the room."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from twinhull_policy.evaluate import decide
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.kinds import Kind, kind_of
from twinhull_policy.owner_defaults import default_owner_rules
from twinhull_policy.parse import canonical, parse_owner_rules
from twinhull_policy.senses import senses

from tests.support.usb import configuration, device, simple

NO_POLICY = structs.replace(example_policy(), devices=())


def usb(*interfaces: str, **fields: Any) -> DeviceFacts:
    given: dict[str, Any] = {"bus": "usb", "vendor": "1234", "product": "5678", "port": "1-2"}
    return DeviceFacts(**(given | fields), interfaces=interfaces)


# What it is -> its kind, and with the rules of the start: verdict and rule.
TABLE: dict[str, tuple[DeviceFacts, Kind, str, str]] = {
    "keyboard": (usb("03:01:01"), Kind.KEYBOARD, "host", "host:boot-input"),
    "keyboard with media keys": (usb("03:01:01", "03:00:00"), Kind.KEYBOARD, "host", "host:boot-input"),
    "keyboard and mouse receiver": (usb("03:01:01", "03:01:02"), Kind.KEYBOARD, "host", "host:boot-input"),
    "mouse": (usb("03:01:02"), Kind.POINTER, "host", "host:boot-input"),
    "hub": (usb("09:00:00", "09:00:01"), Kind.HUB, "host", "host:hub"),
    "stick": (usb("08:06:50"), Kind.STORAGE, "ask", "owner:storage"),
    "disk with UAS": (usb("08:06:50", "08:06:62"), Kind.STORAGE, "ask", "owner:storage"),
    "webcam with microphone": (
        usb("0e:01:00", "0e:02:00", "01:01:00", "01:02:00"),
        Kind.CAMERA,
        "ask",
        "owner:camera",
    ),
    "headset with buttons": (usb("01:01:00", "01:02:00", "03:00:00"), Kind.AUDIO, "ask", "owner:audio"),
    "smart card reader": (usb("0b:00:00"), Kind.SMART_CARD, "ask", "owner:smart-card"),
    "security key": (usb("03:00:00", vendor="1050"), Kind.SECURITY_KEY, "ask", "owner:input"),
    "security key with smart card": (
        usb("03:00:00", "0b:00:00", vendor="1050"),
        Kind.SECURITY_KEY,
        "ask",
        "owner:smart-card",
    ),
    "security key that types": (
        usb("03:01:01", "03:00:00", "0b:00:00", vendor="1050"),
        Kind.COMPOSITE,
        "deny",
        "host:input-and-more",
    ),
    "phone": (usb("06:01:01", "ff:42:01"), Kind.PHONE, "ask", "owner:phone"),
    "phone that shares its network": (usb("e0:01:03", "0a:00:00"), Kind.NETWORK, "deny", "owner:network"),
    "serial adapter": (usb("02:02:01", "0a:00:00"), Kind.SERIAL, "ask", "owner:serial"),
    "network adapter": (usb("02:06:00", "0a:00:00"), Kind.NETWORK, "deny", "owner:network"),
    "network adapter in its second configuration": (
        usb("ff:ff:00", "02:06:00", "0a:00:00"),
        Kind.NETWORK,
        "deny",
        "owner:network",
    ),
    "bluetooth adapter": (usb("e0:01:01"), Kind.BLUETOOTH, "deny", "owner:bluetooth"),
    "printer": (usb("07:01:02"), Kind.PRINTER, "ask", "owner:printer"),
    "game controller": (usb("03:00:00"), Kind.INPUT, "ask", "owner:input"),
    "storage and audio": (usb("08:06:50", "01:01:00"), Kind.COMPOSITE, "ask", "owner:storage"),
    "storage behind a network card": (usb("02:06:00", "08:06:50"), Kind.COMPOSITE, "deny", "owner:network"),
    "its maker's own": (usb("ff:00:00"), Kind.OTHER, "ask", "owner:other"),
    "nothing": (usb(), Kind.OTHER, "deny", "host:no-interface"),
    "network card": (usb("02:00:00", bus="pci"), Kind.NETWORK, "deny", "owner:pci"),
    "graphics": (usb("03:00:00", bus="pci"), Kind.DISPLAY, "deny", "owner:pci"),
    "bridge": (usb("06:04:00", bus="pci"), Kind.PLATFORM, "host", "host:platform"),
    "bluetooth device": (usb("03:00:00", bus="bluetooth"), Kind.BLUETOOTH, "deny", "owner:bluetooth-devices"),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_kind_and_its_default(name: str) -> None:
    facts, kind, verdict, rule = TABLE[name]
    assert kind_of(facts) is kind
    decision = decide(facts, NO_POLICY, default_owner_rules(), {})
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert decision.targets == (("personal",) if verdict == "ask" else ())


def test_every_kind_is_in_the_table() -> None:
    assert {kind for _, kind, _, _ in TABLE.values()} == set(Kind)


def test_the_rules_of_the_start_are_a_document_like_any_other() -> None:
    assert parse_owner_rules(canonical(default_owner_rules())) == default_owner_rules()


BYTES = st.integers(0, 255).map(lambda byte: f"{byte:02x}")
TRIPLES = st.builds("{}:{}:{}".format, BYTES, BYTES, BYTES)


@given(st.lists(TRIPLES, unique=True, max_size=8), st.sampled_from(["usb", "pci", "bluetooth"]))
def test_everything_has_a_kind_and_nothing_goes_anywhere_unasked(triples: list[str], bus: str) -> None:
    facts = usb(*triples, bus=bus)
    assert kind_of(facts) in Kind
    decision = decide(facts, NO_POLICY, default_owner_rules(), {})
    assert decision.verdict in ("deny", "host", "ask")


def audio(address: int, attributes: int) -> bytes:
    """An audio streaming interface with one endpoint."""
    interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 1, 1, 1, 2, 0, 0)
    endpoint = struct.pack("<BBBBHBBB", 9, 5, address, attributes, 200, 1, 0, 0)
    body = interface + endpoint
    head = struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 50)
    return device(0x1234, 0x5678, [head + body])


@pytest.mark.parametrize(
    ("descriptors", "found"),
    [
        (simple(1, 2, (14, 1, 0)), {"camera"}),
        (simple(1, 2, (16, 1, 0)), {"camera", "microphone"}),
        (simple(1, 2, (8, 6, 0x50)), set()),
        (audio(0x81, 0x05), {"microphone"}),
        (audio(0x01, 0x09), set()),
        (audio(0x81, 0x03), set()),
        (
            device(1, 2, [configuration([(0, 0, (8, 6, 80))]), configuration([(0, 0, (14, 1, 0))])]),
            {"camera"},
        ),
        (b"", {"camera", "microphone"}),
        (audio(0x81, 0x05)[:-1], {"camera", "microphone"}),
    ],
    ids=[
        "video",
        "audio and video",
        "storage",
        "microphone",
        "loudspeaker",
        "midi",
        "camera in its second configuration",
        "nothing",
        "cut off",
    ],
)
def test_what_a_device_could_take_in(descriptors: bytes, found: set[str]) -> None:
    assert senses(descriptors) == found


@given(st.binary(max_size=400))
def test_no_blob_is_too_odd(untrusted: bytes) -> None:
    assert senses(untrusted) <= {"camera", "microphone"}
