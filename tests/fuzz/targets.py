"""What is fuzzed, and what must hold of any bytes. A target returns, or something is wrong.

Beyond "no crash": an error is one of the declared ones and its text can go to a terminal, what is accepted
reads back the same, and no interface that the kernel would see is missing from the facts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twinhull_policy.canonical import encode
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.errors import TwinhullError
from twinhull_policy.evaluate import decide
from twinhull_policy.example import example_policy
from twinhull_policy.exchange import ExchangeFacts
from twinhull_policy.explain import explain, usb_facts
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import OwnerRules
from twinhull_policy.parse import (
    PolicyError,
    canonical,
    parse_canonical_policy,
    parse_owner_rules,
    parse_policy,
)
from twinhull_policy.questions import FactsInvalid, Question, parse_inventory, parse_question
from twinhull_policy.trust import envelope
from twinhull_policy.trust.command import verify_command
from twinhull_policy.trust.documents import COMMAND_TYPE, STATEMENT_TYPE, Command, Receipt
from twinhull_policy.trust.errors import TokenMalformed, TrustError
from twinhull_policy.trust.receipt import parse_receipt
from twinhull_policy.trust.root import load_stored
from twinhull_policy.trust.statement import verify_statement
from twinhull_policy.trust.token import format_token, parse_token

from tests.fuzz.block_targets import fuzz_nbd, fuzz_stick, nbd_seeds, stick_seeds
from tests.fuzz.disk_targets import fuzz_image, fuzz_overlay, image_seeds, overlay_seeds
from tests.fuzz.usb_sets import STORAGE, well_formed
from tests.lab.usb_peer.descriptors import INTERFACE, Configuration, Model, as_sent, descriptors
from tests.support.signing import DEVICE, NOW, Corporate, statement

POLICY, OWNER = example_policy(), OwnerRules()
COMPILED = CompiledPolicy(POLICY, OWNER)
COMPANY = Corporate()
ROOT = COMPANY.trusted()


def fuzz_descriptors(untrusted: bytes) -> None:
    """The descriptors file of a USB device, as the kernel could never show it too."""
    _judge(untrusted, _interfaces(untrusted))


def fuzz_device(untrusted: bytes) -> None:
    """A device that answers with anything: what the kernel makes of it is what is judged.

    The first byte is bNumConfigurations; then comes each answer after its length in two bytes.
    """
    answers, place = [], 1
    while place + 2 <= len(untrusted):
        length = int.from_bytes(untrusted[place : place + 2], "little")
        answers.append(untrusted[place + 2 : place + 2 + length])
        place += 2 + length
    configurations = tuple(Configuration((), raw=answer) for answer in answers)
    model = Model(0x1209, 1, configurations, count=untrusted[0] if untrusted else 0)
    blob = descriptors(model)
    if not blob:
        return
    seen, place = set[str](), 18
    for _ in range(blob[17]):
        # Each answer is walked by itself, as the kernel does, whatever its length says.
        part = descriptors(Model(0x1209, 1, (configurations[0],)))[18:]
        seen |= _interfaces(part)
        place += len(part)
        configurations = configurations[1:]
    _judge(blob, seen)


def fuzz_policy(untrusted: bytes) -> None:
    """A policy document, and the owner's rules."""
    try:
        policy = parse_policy(untrusted)
    except PolicyError as error:
        _can_be_shown(error)
    else:
        if parse_canonical_policy(canonical(policy)) != policy:
            raise AssertionError("a policy reads back as another")
    try:
        rules = parse_owner_rules(untrusted)
    except PolicyError as error:
        _can_be_shown(error)
    else:
        if parse_owner_rules(canonical(rules)) != rules:
            raise AssertionError("the owner's rules read back as others")


def fuzz_question(untrusted: bytes) -> None:
    """What somebody asks of a policy as JSON: a device, an exchange, a lease, or an inventory."""
    asked: list[Question] = []
    try:
        asked.append(parse_question(untrusted))
    except FactsInvalid as error:
        _can_be_shown(error)
    try:
        asked.extend(parse_inventory(untrusted))
    except FactsInvalid as error:
        _can_be_shown(error)
    for question in asked:
        answer = explain(POLICY, question)
        if not answer.reason.isprintable() or not encode(answer):
            raise AssertionError(f"an answer that cannot be shown: {answer!r}")
        if isinstance(question, DeviceFacts):
            if COMPILED.decide(question, {}) != answer:
                raise AssertionError("the index says something else than the plain reading")
        elif answer.verdict in ("allow", "ask") and isinstance(question, ExchangeFacts):
            transfer = getattr(getattr(POLICY.exchange, question.way), question.kind)
            if transfer.verdict != answer.verdict or question.size_bytes > transfer.limit_bytes:
                raise AssertionError("it crosses, and the policy does not say so")


def fuzz_envelope(untrusted: bytes) -> None:
    """An envelope that nobody signed."""
    keys, threshold = ROOT.delegated_keys("director")
    try:
        envelope.verify(
            untrusted,
            payload_type=STATEMENT_TYPE,
            keys=keys,
            threshold=threshold,
            role="director",
            what="statement",
        )
    except TrustError as error:
        _can_be_shown(error)
    else:
        raise AssertionError("an envelope that nobody signed is accepted")


def fuzz_statement(untrusted: bytes) -> None:
    """A statement's text, under a good signature: the director went mad."""
    signed = envelope.sign(STATEMENT_TYPE, untrusted, COMPANY.director_keys)
    try:
        verified = verify_statement(signed, root=ROOT, device=DEVICE, last=None, now=NOW)
    except TrustError as error:
        _can_be_shown(error)
    else:
        if encode(verified.statement) != untrusted:
            raise AssertionError("a statement has two spellings")


def fuzz_command(untrusted: bytes) -> None:
    """A command's text, under a good signature; and a receipt's."""
    signed = envelope.sign(COMMAND_TYPE, untrusted, COMPANY.command_keys)
    try:
        verified = verify_command(signed, root=ROOT, device=DEVICE, marks={}, now=NOW)
    except TrustError as error:
        _can_be_shown(error)
    else:
        if encode(verified.command) != untrusted:
            raise AssertionError("a command has two spellings")
    try:
        receipt = parse_receipt(untrusted)
    except TrustError as error:
        _can_be_shown(error)
    else:
        if encode(receipt) != untrusted:
            raise AssertionError("a receipt has two spellings")


def _command_seeds() -> list[bytes]:
    common: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "number": 1,
    }
    command = Command(**common, action="wipe", issued_at=NOW, not_after=NOW + 3600)
    receipt = Receipt(**common, action="wipe", command="ab" * 32, state="done", at=NOW, removed=["keys"])
    return [encode(command), encode(receipt)]


def fuzz_root(untrusted: bytes) -> None:
    """A root.json, of which no byte is signed by anybody when it is read."""
    try:
        load_stored(untrusted)
    except TrustError as error:
        _can_be_shown(error)


def fuzz_token(untrusted: bytes) -> None:
    """An enrolment token as somebody pasted it."""
    text = untrusted.decode("utf-8", "replace")
    try:
        token = parse_token(text)
    except TokenMalformed as error:
        _can_be_shown(error)
    else:
        if format_token(token) != text.strip():
            raise AssertionError("a token has two spellings")


@dataclass(frozen=True)
class Target:
    """Something to fuzz: where bytes go in, what to begin with, and the longest input worth trying."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    most: int = 4096
    json: bool = False
    """Whether to bend it as JSON too."""


def _device_seeds() -> list[bytes]:
    seeds = []
    for seed in range(20):
        model = well_formed(seed)
        parts = [model.configuration(index) for index in range(len(model.configurations))]
        answers = b"".join(len(part).to_bytes(2, "little") + part for part in parts)
        seeds.append(bytes((len(parts),)) + answers)
    return seeds


TARGETS = {
    "descriptors": Target(fuzz_descriptors, lambda: [as_sent(well_formed(seed)) for seed in range(20)]),
    "device": Target(fuzz_device, _device_seeds),
    "stick": Target(fuzz_stick, stick_seeds, 8192),
    "nbd": Target(fuzz_nbd, nbd_seeds, 2048),
    "image": Target(fuzz_image, image_seeds, 512),
    "overlay": Target(fuzz_overlay, overlay_seeds, 1024),
    "policy": Target(fuzz_policy, lambda: [canonical(POLICY), canonical(OWNER)], json=True),
    "question": Target(
        fuzz_question,
        lambda: [
            b'{"bus":"usb","vendor":"0951","product":"1666","serial":"s","interfaces":["08:06:50"],"port":"1-2"}',
            b'{"way":"to_corporate","kind":"clipboard","size_bytes":120,"type":"text/plain"}',
            b'{"way":"from_corporate","kind":"urls","size_bytes":12,"type":"https"}',
            b'{"offline_hours":150,"counted_hours":3,"proven_hours":1}',
            b'[{"bus":"pci","vendor":"8086","product":"15f3","interfaces":["02:00:00"],"removable":false}]',
        ],
        json=True,
    ),
    "envelope": Target(fuzz_envelope, lambda: [COMPANY.statement(signers=COMPANY.command_keys)], json=True),
    "statement": Target(fuzz_statement, lambda: [encode(statement())], json=True),
    "command": Target(fuzz_command, _command_seeds, json=True),
    "root": Target(fuzz_root, lambda: [COMPANY.root()], 16384, json=True),
    "token": Target(
        fuzz_token, lambda: [("th1." + "A" * 43 + "." + "0" * 64 + "." + "f" * 64).encode()], 1100
    ),
}


def _judge(blob: bytes, seen: set[str]) -> None:
    """The facts of ``blob`` must have all that was ``seen``, or be malformed and denied."""
    facts = usb_facts(blob)
    decision = decide(facts, POLICY, OWNER, {})
    if facts.malformed:
        if (decision.verdict, decision.rule) != ("deny", "host:malformed"):
            raise AssertionError("malformed, and not denied")
    elif not seen <= set(facts.interfaces):
        raise AssertionError(f"not seen: {seen - set(facts.interfaces)}")
    elif STORAGE in seen and decision.verdict != "deny":
        raise AssertionError("storage is not denied")


def _interfaces(blob: bytes) -> set[str]:
    """Every interface that a reader finds who goes from length to length and believes nothing else."""
    seen, place = set(), 0
    while place + 2 <= len(blob) and 2 <= blob[place] <= len(blob) - place:
        if blob[place + 1] == INTERFACE and blob[place] >= 9:
            seen.add(":".join(f"{code:02x}" for code in blob[place + 5 : place + 8]))
        place += blob[place]
    return seen


def _can_be_shown(error: TwinhullError) -> None:
    """An error's report must survive the bus, and its text a terminal."""
    if not encode(error.report()) or not error.message.isprintable():
        raise AssertionError(f"an error that cannot be shown: {error.message!r}")
