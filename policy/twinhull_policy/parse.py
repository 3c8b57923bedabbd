"""From untrusted bytes to a policy, and back: strict, bounded, with the field's path in every refusal.

The fast path decodes once into the model and shows with two more passes of compiled code that nothing
hides in the text: re-encoding what was read gives the same text, so no key is there twice. Only when
something is wrong does ``diagnose`` look for it in Python, to name the place.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec

from . import canonical as canonical_form
from .diagnose import Finding, diagnose
from .errors import Blame, TwinhullError
from .model import OwnerRules, Policy
from .rulecheck import malformed_field

MAX_BYTES = 1024 * 1024
"""A policy document; the largest with 10,000 device rules fits."""

D = TypeVar("D", Policy, OwnerRules)


class PolicyError(TwinhullError):
    """The policy cannot be used: {detail}."""

    code: ClassVar[str] = "TH-POL-001"
    blame: ClassVar[Blame] = Blame.MALFORMED
    next_step: ClassVar[str] = "Correct it and try 'twinhull policy check' on it."


class PolicyTooLarge(PolicyError):
    """The policy is larger than the {limit} bytes allowed."""

    code: ClassVar[str] = "TH-POL-002"


class PolicyNotJson(PolicyError):
    """The policy is not JSON: {detail}."""

    code: ClassVar[str] = "TH-POL-003"


class PolicyTooDeep(PolicyError):
    """The policy is nested more than {limit} deep at {path}."""

    code: ClassVar[str] = "TH-POL-004"


class PolicyDuplicateKey(PolicyError):
    """The policy holds the key at {path} twice."""

    code: ClassVar[str] = "TH-POL-005"


class PolicyBadCharacter(PolicyError):
    """The policy holds an invisible or control character (U+{codepoint:04X}) at {path}."""

    code: ClassVar[str] = "TH-POL-006"


class PolicyBadNumber(PolicyError):
    """The policy holds a number that is not allowed at {path}: {detail}."""

    code: ClassVar[str] = "TH-POL-007"


class PolicyInvalid(PolicyError):
    """The policy breaks the schema at {path}: {detail}."""

    code: ClassVar[str] = "TH-POL-008"
    next_step: ClassVar[str] = "See docs/policy.md and 'twinhull policy example' for what the field may hold."


class PolicyNotCanonical(PolicyError):
    """The policy is not in canonical form, so it cannot be published as it is."""

    code: ClassVar[str] = "TH-POL-009"
    next_step: ClassVar[str] = "Publish it with 'twinhull-server policy', which writes the canonical form."


_policy_decoder = msgspec.json.Decoder(Policy, strict=True)
_owner_decoder = msgspec.json.Decoder(OwnerRules, strict=True)


def parse_policy(untrusted: bytes) -> Policy:
    """Read a policy document as an administrator wrote it (white space and order are free).

    ``untrusted`` may be anything; more than 1 MiB is refused unread. Raises a subclass of PolicyError.
    """
    return _parse(untrusted, _policy_decoder)


def parse_canonical_policy(untrusted: bytes) -> Policy:
    """Read a policy that was published; raises also PolicyNotCanonical."""
    policy = parse_policy(untrusted)
    if canonical(policy) != untrusted:
        raise PolicyNotCanonical
    return policy


def parse_owner_rules(untrusted: bytes) -> OwnerRules:
    """Read the owner's rules; same bounds and errors as ``parse_policy``."""
    return _parse(untrusted, _owner_decoder)


def canonical(document: Policy | OwnerRules) -> bytes:
    """The one form in which a document is hashed, signed and published."""
    return canonical_form.encode(document)


def _parse(untrusted: bytes, decoder: msgspec.json.Decoder[D]) -> D:
    if len(untrusted) > MAX_BYTES:
        raise PolicyTooLarge(limit=MAX_BYTES)
    try:
        document = decoder.decode(untrusted)
        malformed = malformed_field(document.devices)
        if malformed is not None:
            raise ValueError(f"Not of the form the field must have - at `$.devices{malformed}`")
        if _is_plain(untrusted, document):
            return document
        refusal = None
    except ValueError as error:
        refusal = error
    finding = diagnose(untrusted)
    if finding is not None:
        raise _refusal(finding) from refusal
    if refusal is not None:
        detail, _, path = str(refusal).rpartition(" - at ")
        raise PolicyInvalid(path=path.strip("`") if detail else "$", detail=detail or path) from refusal
    return document


def _is_plain(text: bytes, document: Policy | OwnerRules) -> bool:
    """Whether JSON that a decoder accepted surely holds no duplicate key, escape or odd character.

    Canonical text is its own proof; other text is compared, freed of white space, with what it decodes to.
    """
    if b"\\" in text:
        return False
    if canonical(document) != text:
        compact = msgspec.json.format(text, indent=-1)
        if msgspec.json.encode(msgspec.json.decode(text)) != compact:
            return False
        text = compact
    # JSON has no bare control characters below a space; of ASCII that leaves DEL.
    return b"\x7f" not in text if text.isascii() else text.decode().isprintable()


def _refusal(finding: Finding) -> PolicyError:
    match finding.kind:
        case "not-json":
            return PolicyNotJson(detail=finding.detail)
        case "too-deep":
            return PolicyTooDeep(limit=finding.number, path=finding.path)
        case "duplicate":
            return PolicyDuplicateKey(path=finding.path)
        case "character":
            return PolicyBadCharacter(codepoint=finding.number, path=finding.path)
        case "number":
            return PolicyBadNumber(path=finding.path, detail=finding.detail)
