"""What of a laptop needs attention beside its isolation, each with what puts it right.

:func:`from_status` judges what the daemon says; :func:`of_this_computer` looks at what it could not say if it
were the one that is ill.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from twinhull_policy.api.types import EnrolmentInfo, Finding, LeaseInfo, PolicyInfo, Status, VpnInfo

STATE = Path("/var/lib/twinhull")
"""Partitions' disks are below it; anybody may pass through, so anybody may ask for its room."""
LEAST_FREE = 2 * 1024**3
"""Bytes; a choice. Below it a guest that writes what it believes to have soon finds no room."""
CLOCK_SLACK = 300.0
"""Seconds that two readings of one clock may differ by, set forward and back by whoever keeps it."""
SYSTEMCTL = "/usr/bin/systemctl"
SYSTEMD = Path("/run/systemd/system")
COMMAND_SECONDS = 20.0


def from_status(status: Status, now: float) -> list[Finding]:
    """What the daemon's words mean for whoever is to act; no I/O.

    Args:
        status: the daemon's.
        now: seconds since the epoch, by the clock that the daemon's times are of.
    """
    found = list(_clock(status, now))
    found += _enrolment(status.enrolment)
    found += _lease(status.lease)
    found += _policy(status.policy)
    found += _vpn(status.vpn)
    for part in status.partitions:
        if part.state == "failed":
            found.append(
                Finding(
                    name=f"partition-{part.name}",
                    problem=f"The {part.name} partition failed. {part.reason}".strip(),
                    fix=f"Run 'twinhull partition start {part.name}'; 'twinhull log' says what happened.",
                )
            )
    if status.devices_problem:
        found.append(
            Finding(
                name="devices",
                problem=status.devices_problem,
                fix="Run 'sudo systemctl restart twinhull-devd'; until then nothing new is let in.",
            )
        )
    return found


def of_this_computer(free: Callable[[], int | None], failed: Callable[[], list[str]]) -> list[Finding]:
    """What can be seen without the daemon.

    Args:
        free: bytes left where the partitions' disks are, or None where there are none.
        failed: names of Twinhull's services that ended and were not started again.
    """
    found = [
        Finding(
            name=unit,
            problem=f"The service {unit} has failed.",
            fix=f"Run 'sudo systemctl restart {unit}'; 'sudo journalctl -u {unit}' says why it ended.",
        )
        for unit in failed()
    ]
    left = free()
    if left is not None and left < LEAST_FREE:
        found.append(
            Finding(
                name="disk-space",
                problem=f"Only {left // 1024**2} MiB are left where the partitions' disks are.",
                fix="Delete what this computer does not need, or remove snapshots"
                " ('twinhull partition snapshots' shows them).",
            )
        )
    return found


def free_bytes(place: Path = STATE) -> int | None:
    """What a file system has left for users, or None where there is no such place."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def failed_units() -> list[str]:
    """Which of Twinhull's units systemd counts as failed; none where there is no systemd."""
    if not SYSTEMD.is_dir():
        return []
    command = [SYSTEMCTL, "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "twinhull*"]
    try:
        done = subprocess.run(  # noqa: S603 - the words above
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return units(done.stdout.decode(errors="replace"))


def units(listed: str) -> list[str]:
    """The first word of each line, as ``systemctl list-units --plain`` has it."""
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def _clock(status: Status, now: float) -> Iterator[Finding]:
    latest = max(status.started_at, status.policy.applied_at, status.enrolment.enrolled_at)
    if latest > now + CLOCK_SLACK:
        yield Finding(
            name="clock",
            problem="This computer's clock says a time before something that it did already.",
            fix="Set it: 'sudo timedatectl set-ntp true'. A lease does not last longer by it.",
        )


def _enrolment(enrolment: EnrolmentInfo) -> Iterator[Finding]:
    if not enrolment.enrolled:
        yield Finding(
            name="enrolment",
            problem="This laptop is not enrolled, so there is no corporate partition.",
            fix="Run 'twinhull enroll URL' with the address that your employer gave you.",
        )
    elif not enrolment.connected:
        yield Finding(
            name="server",
            problem="The company's server cannot be reached just now.",
            fix="Connect to a network and wait; 'sudo journalctl -u twinhull-fetch' says what was tried.",
        )


def _lease(lease: LeaseInfo) -> Iterator[Finding]:
    if lease.stage not in ("none", "held"):
        yield Finding(
            name="lease",
            problem=lease.reason or f"The lease is at its stage '{lease.stage}'.",
            fix="Connect to a network; once the company's server has answered, the lease begins anew.",
        )


def _policy(policy: PolicyInfo) -> Iterator[Finding]:
    if policy.last_refusal:
        yield Finding(
            name="policy",
            problem=f"What the server sent last was refused: {policy.last_refusal}",
            fix="Tell your administrator; the policy from before stays in force.",
        )
    for number, warning in enumerate(policy.warnings, 1):
        yield Finding(name=f"trust-{number}", problem=warning, fix="Tell your administrator.")


def _vpn(vpn: VpnInfo) -> Iterator[Finding]:
    if vpn.proof_failed:
        yield Finding(
            name="vpn-proof",
            problem=f"The VPN proof failed: {', '.join(vpn.proof_failed)}.",
            fix="Stop the corporate partition, and tell your administrator.",
        )
    if vpn.state == "up" and not vpn.confined:
        yield Finding(
            name="vpn-confinement",
            problem=f"The corporate namespace holds what it must not: {', '.join(vpn.interfaces)}.",
            fix="Stop the corporate partition and start it again; its network is made anew then.",
        )
    if vpn.portal:
        yield Finding(
            name="sign-in",
            problem="This network wants somebody to sign in before it lets anything through.",
            fix=f"Open {vpn.portal} in the personal partition.",
        )
    elif vpn.state in ("error", "blocked"):
        yield Finding(
            name="vpn",
            problem=f"The corporate tunnel is not up. {vpn.reason}".strip(),
            fix="Look at 'twinhull vpn status'; the corporate partition has no network until it is up.",
        )
