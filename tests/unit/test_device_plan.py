"""What is to be done about devices: the plan alone, against a model that does what it says."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs
from twinhull_hypervisor.daemon.device_plan import (
    MAX_ADMISSIONS,
    Action,
    Admit,
    Choice,
    Detach,
    Device,
    Give,
    Host,
    Identity,
    Revoke,
    Situation,
    place,
    plan,
)
from twinhull_hypervisor.domain.hostdev import Holding
from twinhull_policy.evaluate import Answers, answer_key, decide
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import DeviceRule, Match, OwnerRule, OwnerRules
from twinhull_policy.names import Partition

PORTS = ["1-1", "1-2", "1-3", "2-1"]
INTERFACES: list[tuple[str, ...]] = [
    ("03:01:01",),
    ("03:01:01", "03:00:00"),
    ("03:01:02",),
    ("09:00:00",),
    ("08:06:50",),
    ("0e:01:00", "01:01:00"),
    ("03:01:01", "08:06:50"),
    (),
]
VERDICTS: list[Any] = ["require", "allow", "deny", None]
OWNERS: list[Any] = ["personal", "corporate", "ask", "deny", None]


_choices = st.builds(Choice, st.sampled_from(Partition), st.booleans()) | st.none()
_accesses: st.SearchStrategy[Any] = st.sampled_from([UNSET, UNSET, "read-only"])


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any situation at all, also ones that no history leads to."""
    devices = []
    decisions = {}
    policy = structs.replace(example_policy(), devices=tuple(_corporate(draw)))
    owner = OwnerRules(devices=tuple(_owner(draw)))
    for port in draw(st.lists(st.sampled_from(PORTS), unique=True)):
        facts = DeviceFacts(
            bus="usb",
            vendor="1234",
            product=draw(st.sampled_from(["0001", "0002"])),
            interfaces=draw(st.sampled_from(INTERFACES)),
            port=port,
            changed=draw(st.integers(0, 9)) == 0,
        )
        video = "0e:01:00" in facts.interfaces
        device = Device(
            Identity(port, draw(st.sampled_from(["aa", "bb"])), int(port[0]), draw(st.integers(2, 4))),
            facts,
            authorised=draw(st.booleans()),
            driver_bound=draw(st.booleans()),
            trusted=draw(st.booleans()),
            in_use=draw(st.integers(0, 9)) == 0,
            senses=frozenset({"camera", "microphone"}) if video else frozenset(),
        )
        answers: Answers = {}
        if draw(st.booleans()):
            answers = {answer_key(facts): draw(st.sampled_from(["corporate", "personal", "deny"]))}
        devices.append(device)
        decisions[port] = decide(facts, policy, owner, answers)
    identities = [device.identity for device in devices]
    some = st.lists(st.sampled_from(identities), unique=True) if identities else st.just([])
    up = frozenset(draw(st.lists(st.sampled_from(list(Partition)))))
    holdings = st.builds(
        Holding,
        st.sampled_from(sorted(up)) if up else st.nothing(),
        st.sampled_from([*PORTS, ""]),
        st.integers(1, 2),
        st.integers(2, 4),
        st.booleans(),
        st.booleans(),
    )
    return Situation(
        devices=tuple(devices),
        decisions=decisions,
        up=up,
        running=frozenset(draw(st.lists(st.sampled_from(sorted(up))))) if up else frozenset(),
        holdings=tuple(draw(st.lists(holdings, max_size=5))) if up else (),
        choices={i: draw(_choices) for i in draw(some)},
        admitting=frozenset(draw(some)),
        suspended=frozenset(draw(some)) if draw(st.integers(0, 4)) == 0 else frozenset(),
        failed=dict.fromkeys(draw(some), "no") if draw(st.integers(0, 4)) == 0 else {},
        hosted=frozenset(draw(some)),
        switched_off=frozenset(draw(st.lists(st.sampled_from(["camera", "microphone"])))),
        locked=draw(st.booleans()),
    )


def _match(draw: st.DrawFn) -> Match:
    choices: list[Match] = [
        Match(),
        Match(port="1-1"),
        Match(product="0001"),
        Match(any_interface=("0e:*:*",)),
        Match(any_interface=("08:*:*",)),
    ]
    return draw(st.sampled_from(choices))


def _corporate(draw: st.DrawFn) -> list[DeviceRule]:
    verdicts = draw(st.lists(st.sampled_from(VERDICTS), max_size=3))
    return [
        DeviceRule(name=f"c{n}", match=_match(draw), verdict=v, access=draw(_accesses))
        for n, v in enumerate(verdicts)
        if v
    ]


def _owner(draw: st.DrawFn) -> list[OwnerRule]:
    targets = draw(st.lists(st.sampled_from(OWNERS), max_size=3))
    return [
        OwnerRule(name=f"o{n}", match=_match(draw), to=t, access=draw(_accesses))
        for n, t in enumerate(targets)
        if t
    ]


def done(now: Situation, action: Action) -> Situation:
    """The situation after one action, as the kernel and QEMU would have it."""
    match action:
        case Detach(holding):
            left = list(now.holdings)
            left.remove(holding)
            return dataclasses.replace(now, holdings=tuple(left))
        case Revoke(identity):
            return _device(now, identity, authorised=False, driver_bound=False)
        case Host(identity):
            hosted = now.hosted | {identity}
            return dataclasses.replace(_device(now, identity, authorised=True), hosted=hosted)
        case Admit(identity):
            return dataclasses.replace(now, admitting=now.admitting | {identity})
        case Give(identity, partition, read_only):
            holding = Holding(partition, identity.port, identity.busnum, identity.devnum, read_only)
            given = _device(now, identity, authorised=True)
            return dataclasses.replace(given, holdings=(*now.holdings, holding))


def _device(now: Situation, identity: Identity, **changes: Any) -> Situation:
    devices = tuple(
        dataclasses.replace(device, **changes) if device.identity == identity else device
        for device in now.devices
    )
    return dataclasses.replace(now, devices=devices)


def holders(now: Situation, device: Device) -> list[Partition]:
    identity = device.identity
    return [
        h.partition
        for h in now.holdings
        if (h.busnum, h.devnum) == (identity.busnum, identity.devnum) and h.port == identity.port
    ]


@settings(max_examples=400, deadline=None)
@given(situations())
def test_no_plan_ever_breaks_a_promise_at_any_step(before: Situation) -> None:
    keyboards = sum(d.keyboard and d.works for d in before.devices)
    now = before
    for action in plan(before):
        now = done(now, action)
        if isinstance(action, Give):
            device = next(d for d in now.devices if d.identity == action.device)
            decision = now.decisions[device.port]
            assert action.partition.value in decision.targets
            assert decision.verdict not in ("deny", "host")
            assert action.partition in now.running
            assert action.read_only or action.partition.value not in decision.read_only
            assert not device.senses & now.switched_off
            assert not (now.locked and decision.rule == "answer")
            assert holders(now, device) == [action.partition]
            assert device.identity not in now.suspended
        if isinstance(action, Host):
            assert now.decisions[action.device.port].verdict in ("host", "deny")
        if keyboards:
            assert any(d.keyboard and d.works for d in now.devices)
    assert len(now.admitting) <= max(MAX_ADMISSIONS, len(before.admitting))


@settings(max_examples=400, deadline=None)
@given(situations())
def test_a_plan_that_was_done_leaves_nothing_to_do(before: Situation) -> None:
    now = before
    for _ in range(3):
        for action in plan(now):
            now = done(now, action)
    assert plan(now) == []
    for device in now.devices:
        wanted = place(device, now)
        expected = [wanted.partition] if wanted.state == "attached" else []
        assert holders(now, device) == expected
        held = [h for h in now.holdings if h.port == device.port]
        assert all(h.read_only is wanted.read_only and not h.lost for h in held)
        if wanted.state in ("blocked", "asking", "waiting", "suspended"):
            last = device.works and sum(d.keyboard and d.works for d in now.devices) == 1
            assert not device.authorised or (device.keyboard and last)
    known = {(d.port, d.identity.busnum, d.identity.devnum) for d in now.devices}
    assert {(h.port, h.busnum, h.devnum) for h in now.holdings} <= known


@settings(max_examples=150, deadline=None)
@given(situations())
def test_what_is_denied_is_in_no_partition_whatever_anybody_chose(before: Situation) -> None:
    choices = {device.identity: Choice(Partition.PERSONAL) for device in before.devices}
    now = dataclasses.replace(before, choices=choices)
    for device in now.devices:
        if now.decisions[device.port].verdict in ("deny", "host"):
            assert place(device, now).partition is None


# One device, one situation -> where it belongs, in words a person would use.

KEYBOARD = Device(
    Identity("1-1", "aa", 1, 2),
    DeviceFacts(bus="usb", vendor="046d", product="c31c", interfaces=("03:01:01",), port="1-1"),
)
CAMERA = Device(
    Identity("1-2", "bb", 1, 3),
    DeviceFacts(bus="usb", vendor="046d", product="082d", interfaces=("0e:01:00",), port="1-2"),
    senses=frozenset({"camera"}),
)
STICK = Device(
    Identity("1-3", "cc", 1, 4),
    DeviceFacts(bus="usb", vendor="0781", product="5581", interfaces=("08:06:50",), port="1-3"),
    authorised=True,
)
WHOLE = Holding(Partition.PERSONAL, "1-3", 1, 4)
READ = dataclasses.replace(WHOLE, read_only=True)
TO_READ = {STICK.identity: Choice(Partition.PERSONAL, read_only=True)}
GIVEN = Holding(Partition.PERSONAL, "1-2", 1, 3)
BOTH = frozenset(Partition)


def situation(device: Device, to: Any = None, answer: Any = None, **fields: Any) -> Situation:
    owner = OwnerRules(devices=(OwnerRule(name="o", match=Match(), to=to),) if to else ())
    answers: Answers = {answer_key(device.facts): answer} if answer else {}
    policy = structs.replace(example_policy(), devices=())
    decisions = {device.port: decide(device.facts, policy, owner, answers)}
    return Situation(devices=(device,), decisions=decisions, **({"running": BOTH, "up": BOTH} | fields))


TABLE: dict[str, tuple[Device, Situation, str, list[type[Action]]]] = {
    "a keyboard that comes later proves itself": (KEYBOARD, situation(KEYBOARD), "admission", [Admit]),
    "one that is asked already is asked once": (
        KEYBOARD,
        situation(KEYBOARD, admitting=frozenset({KEYBOARD.identity})),
        "admission",
        [],
    ),
    "one whose code was not typed stays out": (
        KEYBOARD,
        situation(KEYBOARD, failed={KEYBOARD.identity: "Its code was not typed."}),
        "blocked",
        [],
    ),
    "one that was there at boot is the host's": (
        dataclasses.replace(KEYBOARD, trusted=True),
        situation(dataclasses.replace(KEYBOARD, trusted=True)),
        "host",
        [Host],
    ),
    "one that works is left alone": (
        dataclasses.replace(KEYBOARD, authorised=True, driver_bound=True),
        situation(dataclasses.replace(KEYBOARD, authorised=True, driver_bound=True)),
        "host",
        [],
    ),
    "what typed too fast is out": (
        KEYBOARD,
        situation(KEYBOARD, suspended=frozenset({KEYBOARD.identity})),
        "suspended",
        [],
    ),
    "no rule, nobody gets it": (CAMERA, situation(CAMERA), "blocked", []),
    "a rule gives it": (CAMERA, situation(CAMERA, "personal"), "attached", [Give]),
    "its partition is off": (
        CAMERA,
        situation(CAMERA, "personal", running=frozenset(), up=frozenset()),
        "waiting",
        [],
    ),
    "its partition is paused": (CAMERA, situation(CAMERA, "personal", running=frozenset()), "waiting", []),
    "paused with it in it": (
        CAMERA,
        situation(CAMERA, "personal", running=frozenset(), holdings=(GIVEN,)),
        "attached",
        [],
    ),
    "the camera is switched off": (
        CAMERA,
        situation(CAMERA, "personal", switched_off=frozenset({"camera"})),
        "blocked",
        [],
    ),
    "switched off while it is in there": (
        dataclasses.replace(CAMERA, authorised=True),
        situation(
            dataclasses.replace(CAMERA, authorised=True),
            "personal",
            switched_off=frozenset({"camera"}),
            holdings=(GIVEN,),
        ),
        "blocked",
        [Revoke, Detach],
    ),
    "the other switch is none of its business": (
        CAMERA,
        situation(CAMERA, "personal", switched_off=frozenset({"microphone"})),
        "attached",
        [Give],
    ),
    "storage to be read": (STICK, situation(STICK, "ask", choices=TO_READ), "attached", [Give]),
    "it is read": (STICK, situation(STICK, "ask", choices=TO_READ, holdings=(READ,)), "attached", []),
    "whole, and now to be read": (
        STICK,
        situation(STICK, "ask", choices=TO_READ, holdings=(WHOLE,)),
        "attached",
        [Revoke, Detach, Give],
    ),
    "to be read, and now whole": (
        STICK,
        situation(STICK, "personal", holdings=(READ,)),
        "attached",
        [Detach, Give],
    ),
    "nobody serves it any more": (
        STICK,
        situation(STICK, "ask", choices=TO_READ, holdings=(dataclasses.replace(READ, lost=True),)),
        "attached",
        [Detach, Give],
    ),
    "nobody serves it, and the screen is locked": (
        STICK,
        situation(
            STICK, "ask", choices=TO_READ, locked=True, holdings=(dataclasses.replace(READ, lost=True),)
        ),
        "waiting",
        [Detach, Revoke],
    ),
    "asked": (CAMERA, situation(CAMERA, "ask"), "asking", []),
    "answered before": (CAMERA, situation(CAMERA, "ask", "personal"), "attached", [Give]),
    "answered before, but the screen is locked": (
        CAMERA,
        situation(CAMERA, "ask", "personal", locked=True),
        "waiting",
        [],
    ),
    "a rule asks nobody, locked or not": (
        CAMERA,
        situation(CAMERA, "personal", locked=True),
        "attached",
        [Give],
    ),
    "locked while it is in there": (
        CAMERA,
        situation(CAMERA, "ask", "personal", locked=True, holdings=(GIVEN,)),
        "attached",
        [],
    ),
    "chosen by hand": (
        CAMERA,
        situation(CAMERA, "ask", choices={CAMERA.identity: Choice(Partition.PERSONAL)}),
        "attached",
        [Give],
    ),
    "chosen by hand, where it may not go": (
        CAMERA,
        situation(CAMERA, "ask", choices={CAMERA.identity: Choice(Partition.CORPORATE)}),
        "asking",
        [],
    ),
    "taken back": (
        CAMERA,
        situation(CAMERA, "personal", choices={CAMERA.identity: None}, holdings=(GIVEN,)),
        "blocked",
        [Detach],
    ),
    "another address is another device": (
        CAMERA,
        situation(CAMERA, "personal", holdings=(dataclasses.replace(GIVEN, devnum=9),)),
        "attached",
        [Detach, Give],
    ),
    "the wrong one holds it": (
        CAMERA,
        situation(CAMERA, "personal", holdings=(dataclasses.replace(GIVEN, partition=Partition.CORPORATE),)),
        "attached",
        [Detach, Give],
    ),
    "what did not work is not tried again yet": (
        CAMERA,
        situation(CAMERA, "personal", failed={CAMERA.identity: "It cannot be opened."}),
        "blocked",
        [],
    ),
    "the host used it before anybody could decide": (
        dataclasses.replace(CAMERA, authorised=True, driver_bound=True, in_use=True),
        situation(dataclasses.replace(CAMERA, authorised=True, driver_bound=True, in_use=True)),
        "host",
        [],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_where_a_device_belongs_and_what_is_done(name: str) -> None:
    device, now, state, actions = TABLE[name]
    assert place(device, now).state == state
    assert [type(action) for action in plan(now)] == actions
    assert place(device, now).reason.endswith(".")


def test_only_so_many_keyboards_are_asked_at_once() -> None:
    keyboards = tuple(
        dataclasses.replace(
            KEYBOARD,
            identity=Identity(f"1-{n}", "aa", 1, n + 2),
            facts=structs.replace(KEYBOARD.facts, port=f"1-{n}"),
        )
        for n in range(1, 100)
    )
    decision = situation(KEYBOARD).decisions["1-1"]
    now = Situation(devices=keyboards, decisions={k.port: decision for k in keyboards})
    assert len(plan(now)) == MAX_ADMISSIONS


def test_of_two_keyboards_that_both_turn_bad_one_stays() -> None:
    bad = tuple(
        Device(
            Identity(f"1-{n}", "aa", 1, n),
            structs.replace(KEYBOARD.facts, port=f"1-{n}", changed=True),
            authorised=True,
            driver_bound=True,
        )
        for n in (2, 3)
    )
    policy = structs.replace(example_policy(), devices=())
    decisions = {d.port: decide(d.facts, policy, OwnerRules(), {}) for d in bad}
    now = Situation(devices=bad, decisions=decisions)
    assert plan(now) == [Revoke(bad[0].identity)]
    after = done(now, plan(now)[0])
    assert plan(after) == []
    assert place(after.devices[1], after).rule == "host:last-keyboard"
