"""What a policy says, in words, about what need not be there: a device, an exchange, a lease."""

from __future__ import annotations

from .descriptors import MalformedDescriptors, parse_usb_descriptors
from .evaluate import Answers, Decision, decide
from .exchange import ExchangeDecision, ExchangeFacts, decide_exchange
from .facts import DeviceFacts
from .lease import HOUR, LeaseDecision, decide_lease
from .model import OwnerRules, Policy
from .questions import LeaseFacts, Question

_NO_ANSWERS: Answers = {}


def explain(
    policy: Policy, question: Question, owner: OwnerRules | None = None
) -> Decision | ExchangeDecision | LeaseDecision:
    """The answer to any question; all three kinds have the same four fields."""
    match question:
        case ExchangeFacts():
            return decide_exchange(question, policy.exchange)
        case LeaseFacts():
            elapsed = max(question.offline_hours, question.counted_hours) * HOUR
            return decide_lease(policy.lease, elapsed, question.proven_hours * HOUR)
        case _:
            return explain_device(policy, question, owner)


def explain_device(policy: Policy, facts: DeviceFacts, owner: OwnerRules | None = None) -> Decision:
    """The verdict on a device, with no remembered answers; without ``owner``, with no owner's rules."""
    return decide(facts, policy, owner or OwnerRules(), _NO_ANSWERS)


def usb_facts(
    untrusted_descriptors: bytes, *, serial: str = "", port: str = "", removable: bool = True
) -> DeviceFacts:
    """The facts of a USB descriptor blob. A malformed one gives facts too, and these are denied."""
    try:
        return parse_usb_descriptors(untrusted_descriptors, serial=serial, port=port, removable=removable)
    except MalformedDescriptors as error:
        return DeviceFacts(
            bus="usb",
            vendor="0000",
            product="0000",
            serial=serial,
            port=port,
            removable=removable,
            malformed=str(error.fields["detail"]),
        )
