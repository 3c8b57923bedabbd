"""What a policy says, in words, for a device that need not be there."""

from __future__ import annotations

from .descriptors import MalformedDescriptors, parse_usb_descriptors
from .evaluate import Answers, Decision, decide
from .facts import DeviceFacts
from .model import OwnerRules, Policy

_NO_ANSWERS: Answers = {}


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
