"""What the owner is to read once: what changed since they last said that they had. Pure, but for its keeping.

Unlike a notification this waits: rules that changed, a computer that was erased or a company that was left
while nobody looked, or while the app did not run, are told when it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QSettings
from twinhull_policy.api.types import Status

News = Literal["left", "erased", "policy"]
"""The company was left; the corporate computer was erased; the company's rules are others."""
GROUP = "seen"


@dataclass(frozen=True)
class Seen:
    """What the owner knows.

    Attributes:
        tenant: the company this laptop belongs to; empty for none.
        corporate: whether there is a corporate computer.
        policy: the rules as they were read, the document.
        sha256: of the signed rules; empty before the first.
    """

    tenant: str = ""
    corporate: bool = False
    policy: str = ""
    sha256: str = ""


def unread(seen: Seen, status: Status) -> tuple[News, ...]:
    """What there is to read, gravest first."""
    if seen.tenant and not status.enrolment.enrolled:
        return ("left",)  # which says of the corporate computer, too, what became of it
    found: list[News] = []
    if seen.corporate and not _corporate(status):
        found.append("erased")
    if seen.sha256 and status.policy.sha256 and seen.sha256 != status.policy.sha256:
        found.append("policy")
    return tuple(found)


def known(seen: Seen, status: Status) -> Seen:
    """What the owner knows once a status was shown: what is new to them and needs no telling."""
    enrolled = status.enrolment.enrolled
    if enrolled and seen.tenant != status.enrolment.tenant:
        seen = Seen(tenant=status.enrolment.tenant)
    if enrolled and not seen.sha256 and status.policy.sha256:
        seen = replace(seen, policy=status.policy.document, sha256=status.policy.sha256)
    return replace(seen, corporate=True) if enrolled and _corporate(status) else seen


def read(seen: Seen, status: Status, news: News) -> Seen:
    """What the owner knows after they read one of them."""
    match news:
        case "left":
            return Seen()
        case "erased":
            return replace(seen, corporate=False)
        case "policy":
            return replace(seen, policy=status.policy.document, sha256=status.policy.sha256)


def _corporate(status: Status) -> bool:
    return any(part.name == "corporate" and part.state != "absent" for part in status.partitions)


def load(settings: QSettings) -> Seen:
    """As it is kept."""
    return Seen(
        tenant=str(settings.value(f"{GROUP}/tenant", "")),
        corporate=settings.value(f"{GROUP}/corporate", "false") in (True, "true"),
        policy=str(settings.value(f"{GROUP}/policy", "")),
        sha256=str(settings.value(f"{GROUP}/sha256", "")),
    )


def save(settings: QSettings, seen: Seen) -> None:
    """Keep it."""
    for name in ("tenant", "corporate", "policy", "sha256"):
        settings.setValue(f"{GROUP}/{name}", getattr(seen, name))
    settings.sync()
