"""What a person is told who is not looking: the differences between two statuses that concern them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from PySide6.QtCore import QCoreApplication
from twinhull_policy.api.types import PartitionInfo, Status
from twinhull_policy.errors import TwinhullError
from twinhull_policy.parse import parse_policy

from twinhull_client.gui.words import as_sentence, computer_name, lease_report, policy_words


def tr(text: str) -> str:
    """Translate a text that belongs to no widget."""
    return QCoreApplication.translate("notices", text)


@dataclass(frozen=True)
class Notice:
    """One thing to be told.

    Attributes:
        subject: a later notice of the same subject takes this one's place.
        title: a few words.
        body: a sentence or two, plain text.
        view: of the window, where one sees more (rail.VIEWS).
        urgent: stays until it was seen.
    """

    subject: str
    title: str
    body: str
    view: str = "home"
    urgent: bool = False


def between(before: Status, after: Status) -> list[Notice]:
    """What happened between two statuses that somebody who was not looking wants to know."""
    return [
        *_partitions(before, after),
        *_enrolment(before, after),
        *_lease(before, after),
        *_network(before, after),
        *_policy(before, after),
    ]


def waiting(count: int) -> Notice:
    """Devices that wait for an answer; ``count`` is at least one."""
    title = tr("A device waits for you") if count == 1 else tr("{n} devices wait for you").format(n=count)
    return Notice("devices", title, tr("Nothing can use it until you say where it goes."), "devices")


def _partitions(before: Status, after: Status) -> Iterator[Notice]:
    was = {part.name: part for part in before.partitions}
    for part in after.partitions:
        old = was.get(part.name, part)
        if old.state == part.state:
            continue
        if part.state == "failed":
            title = tr("{computer} stopped").format(computer=computer_name(part.name))
            body = as_sentence(part.reason) or tr("It stopped because of a problem. You can start it again.")
            yield Notice(part.name, title, body, urgent=True)
        elif part.state == "absent":
            yield _erased(part)


def _erased(part: PartitionInfo) -> Notice:
    title = tr("{computer} was erased").format(computer=computer_name(part.name))
    body = as_sentence(part.reason)
    if part.name == "corporate":
        body = f"{body} {tr('Your personal computer is as it was; the receipt is in the log.')}".strip()
    return Notice(part.name, title, body, "log", urgent=True)


def _enrolment(before: Status, after: Status) -> Iterator[Notice]:
    if before.enrolment.enrolled and not after.enrolment.enrolled:
        yield Notice(
            "enrolment",
            tr("This laptop has left the company"),
            tr("Your personal computer is as it was; the receipt is in the log."),
            "log",
            urgent=True,
        )


def _lease(before: Status, after: Status) -> Iterator[Notice]:
    report = lease_report(after.lease)
    if before.lease.stage != after.lease.stage and report is not None:
        yield Notice("lease", tr("Company not heard of"), f"{report.message} {report.next_step}", urgent=True)


def _network(before: Status, after: Status) -> Iterator[Notice]:
    if after.vpn.portal and not before.vpn.portal:
        yield Notice(
            "portal",
            tr("This network wants you to sign in"),
            tr("You do that on your personal computer; until then the company cannot be reached."),
        )
    if after.vpn.proof_failed and not before.vpn.proof_failed:
        yield Notice(
            "proof",
            tr("The corporate network failed its check"),
            tr("It is shut for safety, and stays so until a check passes."),
            urgent=True,
        )


def _policy(before: Status, after: Status) -> Iterator[Notice]:
    old, new = before.policy, after.policy
    if new.sha256 and old.sha256 and new.sha256 != old.sha256:
        changed = _changes(old.document, new.document)
        yield Notice("policy", tr("Your company changed its rules"), " ".join(changed))
    if new.last_refusal and new.last_refusal != old.last_refusal:
        yield Notice(
            "refusal",
            tr("Something said to be your company's was refused"),
            tr("It was not signed as it has to be. The rules from before stay in force."),
            "log",
        )


def _changes(before: str, after: str) -> list[str]:
    """What a policy now says that it did not say before, as sentences; one when none of them shows it."""
    try:
        said, says = (set(policy_words(parse_policy(text.encode()))) for text in (before, after))
        order = policy_words(parse_policy(after.encode()))
    except (TwinhullError, msgspec.DecodeError):
        return [tr("What they are is on the Home page.")]
    changed = [f"{subject}: {sentence}" for subject, sentence in order if (subject, sentence) in says - said]
    return changed or [tr("What they mean for you is the same.")]
