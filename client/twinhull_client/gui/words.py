"""The words people read: computers, not virtual machines."""

from __future__ import annotations

import re
import time
from typing import Literal

from PySide6.QtCore import QCoreApplication, QLocale
from twinhull_policy.api.types import LeaseInfo, PartitionInfo, VpnInfo
from twinhull_policy.errors import ErrorReport, RemoteError, TwinhullError, printable
from twinhull_policy.model import Direction, Policy

Tone = Literal["good", "warn", "bad", "idle"]
FULL_STOP = "\u3002"
"""What a Japanese sentence ends with: the ideographic full stop."""


def tr(text: str) -> str:
    """Translate a text that belongs to no widget."""
    return QCoreApplication.translate("words", text)


def computer_name(context: str) -> str:
    """What a partition, or the host itself, is called."""
    return {"corporate": tr("Corporate computer"), "personal": tr("Personal computer")}.get(
        context, tr("Twinhull · this laptop")
    )


def state_words(info: PartitionInfo) -> tuple[str, str, Tone]:
    """A state as a badge, as a sentence with what to do next, and its tone."""
    return {
        "absent": (
            tr("Not set up"),
            tr("Choose a passphrase and this computer is made ready for you."),
            "idle",
        ),
        "locked": (
            tr("Locked"),
            tr("Type your PIN or your passphrase to open and start it.")
            if info.unlock is not None and info.unlock.pin
            else tr("Type your passphrase to open and start it."),
            "warn",
        ),
        "stopped": (tr("Off"), tr("It is off. Start it whenever you need it."), "idle"),
        "starting": (tr("Starting"), tr("It is starting. This can take a minute."), "warn"),
        "running": (tr("Running"), tr("It is running. Open its screen to use it."), "good"),
        "paused": (tr("Paused"), tr("It is paused and uses no processor time."), "warn"),
        "stopping": (tr("Shutting down"), tr("It is shutting down and saving its work."), "warn"),
        "failed": (tr("Problem"), tr("It stopped because of a problem. You can start it again."), "bad"),
    }[info.state]  # type: ignore[return-value]


def vpn_words(vpn: VpnInfo) -> tuple[str, str, Tone]:
    """The company connection as badge, sentence and tone."""
    return {
        "down": (
            tr("Off"),
            tr("Not connected to the company. Nothing can leave the corporate computer."),
            "idle",
        ),
        "connecting": (
            tr("Connecting"),
            tr("Connecting. Nothing leaves outside the tunnel meanwhile."),
            "warn",
        ),
        "up": (
            tr("Connected"),
            tr("Everything the corporate computer sends goes through the tunnel."),
            "good",
        ),
        "blocked": (tr("Blocked"), tr("The corporate computer's network is shut for safety."), "bad"),
        "error": (tr("Problem"), tr("The connection failed. Nothing leaves outside the tunnel."), "bad"),
    }[vpn.state]  # type: ignore[return-value]


def as_sentence(reason: str) -> str:
    """A reason given in a few words, as a sentence; empty stays empty."""
    if not reason or reason.endswith(FULL_STOP):
        return reason
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."


def ago(moment: float) -> str:
    """How long ago a time (seconds since the epoch) is; "never" for 0."""
    if not moment:
        return tr("never")
    seconds = max(int(time.time() - moment), 0)
    if seconds == 1:
        return tr("one second ago")
    if seconds < 90:
        return tr("{n} seconds ago").format(n=seconds)
    if seconds < 5400:
        return tr("{n} minutes ago").format(n=round(seconds / 60))
    if seconds < 129600:
        return tr("{n} hours ago").format(n=round(seconds / 3600))
    return tr("{n} days ago").format(n=round(seconds / 86400))


def number(value: float, places: int) -> str:
    """A number with so many decimal places and no separators between thousands."""
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    return locale.toString(float(value), "f", places)


def size_words(count: float) -> str:
    """Bytes for people, decimal units, written as the language does."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{number(count, 0 if unit == 'B' else 1)} {unit}"
        count /= 1000
    raise AssertionError


def memory_words(mebibytes: int) -> str:
    """Memory as it is sold."""
    return f"{QLocale().toString(mebibytes / 1024, 'g', 3)} GB"


def processor_words(count: int) -> str:
    """So many processors."""
    return tr("1 processor") if count == 1 else tr("{n} processors").format(n=count)


def hour_words(count: int) -> str:
    """So many hours."""
    return tr("1 hour") if count == 1 else tr("{n} hours").format(n=count)


def image_name(name: str) -> str:
    """What people call an image: its file's name without folder, digest and suffix."""
    return re.sub(r"(-[0-9a-f]{16,64})?(\.qcow2)?$", "", name.rpartition("/")[2]) or name


def check_name(name: str) -> str:
    """What a check of the isolation grade is called; an unknown one by its own name, spelled out."""
    known = {
        "accelerator": tr("Separation by the processor"),
        "mandatory-access-control": tr("Confinement of each computer"),
        "memory-encryption-at-rest": tr("Memory that reaches the disk"),
        "disk-encryption": tr("Disk encryption"),
        "iommu": tr("Memory access of devices"),
        "interrupt-remapping": tr("Interrupts of devices"),
        "core-dumps": tr("Crash dumps"),
        "processor-flaws": tr("Processor flaws"),
        "tpm": tr("Security chip (TPM)"),
        "kernel-lockdown": tr("Locked system kernel"),
        "wipe-on-free": tr("Wiping of freed memory"),
        "hypervisor": tr("Service that runs both computers"),
        "state": tr("Twinhull's own state"),
    }
    return known.get(name) or name.replace("-", " ").strip().capitalize()


def lease_report(lease: LeaseInfo) -> TwinhullError | None:
    """What the person is to know of a lease that runs out, told as an error is; None while it is held."""
    if lease.stage in ("none", "held"):
        return None
    locked = lease.stage in ("locked", "destroy")
    message = tr("The corporate computer is locked.") if locked else tr("The company has not been heard of.")
    step = (
        tr("Ask your company; what was on the corporate computer is gone.")
        if lease.stage == "destroy"
        else tr("Connect this laptop to the internet and wait; nothing of the corporate computer is lost.")
    )
    return RemoteError(ErrorReport("TH-PAR-020", f"{message} {lease.reason}", step, 4))


def safe_mode_report(reason: str) -> TwinhullError | None:
    """Why the daemon is in safe mode, told as an error is; None while it is not."""
    if not reason:
        return None
    message = tr("Twinhull is in safe mode and changes nothing: {why}").format(why=printable(reason))
    step = tr("Run 'sudo twinhull doctor --recover-state'; the damaged file is kept.")
    return RemoteError(ErrorReport("TH-DMN-040", message, step, 1))


def policy_words(policy: Policy) -> list[tuple[str, str]]:
    """What a policy means for the person: pairs of subject and sentence."""
    share = policy.partition
    rules = {
        verdict: sum(r.verdict == verdict for r in policy.devices) for verdict in ("require", "allow", "deny")
    }
    everything = any(route in ("0.0.0.0/0", "::/0") for route in policy.vpn.routes)
    return [
        (
            tr("Its own computer"),
            tr("Gets {memory} of memory, {cpus} and {disk} GB of disk.").format(
                memory=memory_words(share.memory_mib), cpus=processor_words(share.vcpus), disk=share.disk_gib
            ),
        ),
        (
            tr("Network"),
            tr("All of the corporate computer's traffic goes through the company.")
            if everything
            else (
                tr("The corporate computer reaches one company network and nothing else.")
                if len(policy.vpn.routes) == 1
                else tr("The corporate computer reaches {n} company networks and nothing else.")
            ).format(n=len(policy.vpn.routes)),
        ),
        (
            tr("Devices"),
            tr("Always go to it: {require}. May go to it: {allow}. Never: {deny}.").format(
                **{
                    verdict: (tr("{n} kind") if count == 1 else tr("{n} kinds")).format(n=count)
                    for verdict, count in rules.items()
                }
            )
            if policy.devices
            else tr("No device you plug in goes to the corporate computer."),
        ),
        (tr("Copy out of it"), _direction_words(policy.exchange.from_corporate)),
        (tr("Copy into it"), _direction_words(policy.exchange.to_corporate)),
        (
            tr("Without contact"),
            (
                tr("After {hours} offline it locks; later its keys are to be destroyed.")
                if policy.lease.action == "wipe"
                else tr("After {hours} offline it locks. Nothing of it is lost.")
            ).format(hours=hour_words(policy.lease.offline_hours)),
        ),
        (
            tr("What it sees"),
            tr("Reports about the corporate computer: {items}.").format(items=", ".join(policy.report))
            if policy.report
            else tr("Nothing is reported."),
        ),
    ]


def _direction_words(direction: Direction) -> str:
    verdicts = {"allow": tr("allowed"), "ask": tr("you are asked"), "deny": tr("not allowed")}
    return tr("Clipboard: {clipboard}; files: {files}; links: {links}.").format(
        clipboard=verdicts[direction.clipboard.verdict],
        files=verdicts[direction.files.verdict],
        links=verdicts[direction.urls.verdict],
    )
