"""Two administrators for what cannot be undone: wiping several laptops at once.

One asks, somebody else approves within a day, and the command line that holds the command key signs only
what is approved, for exactly these laptops, once (:func:`use`).
"""

from __future__ import annotations

import time
from typing import Literal

from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store import approvals, audit, devices


def ask(
    tx: s.Tx, device_ids: list[str], reason: str, actor: str, action: Literal["wipe", "release"] = "wipe"
) -> int:
    """Ask to have these laptops wiped or released; the request's number. Raises UnknownDevice, BadRequest."""
    wanted = sorted(set(device_ids))
    if not 1 <= len(wanted) <= LIMITS.approval_devices:
        raise e.BadRequest(detail=f"name 1 to {LIMITS.approval_devices} devices")
    for device_id in wanted:
        if devices.get(tx, device_id) is None:
            raise e.UnknownDevice(device_id=device_id)
    now = time.time()
    number = approvals.add(
        tx,
        action=action,
        device_ids=wanted,
        reason=reason,
        by=actor,
        now=now,
        expires_at=now + LIMITS.approval_seconds,
    )
    audit.append(tx, actor, f"{action} asked", f"request {number}, {len(wanted)} devices: {reason}")
    return number


def approve(tx: s.Tx, number: int, actor: str) -> None:
    """Approve what somebody else asked for. Raises UnknownApproval, SecondPersonNeeded."""
    request = approvals.get(tx, number)
    if request is not None and request.requested_by == actor:
        raise e.SecondPersonNeeded(name=actor)
    if not approvals.approve(tx, number, actor, time.time()):
        raise e.UnknownApproval(number=number)
    audit.append(tx, actor, "batch approved", f"request {number}")


def use(tx: s.Tx, number: int, device_ids: list[str], actor: str, action: str = "wipe") -> None:
    """Use an approval up, for exactly these laptops. Raises NotApproved."""
    request = approvals.get(tx, number)
    same = (
        request is not None and request.action == action and request.device_ids() == sorted(set(device_ids))
    )
    if not same or not approvals.use(tx, number, time.time()):
        raise e.NotApproved(number=number)
    audit.append(tx, actor, "batch used", f"request {number}")
