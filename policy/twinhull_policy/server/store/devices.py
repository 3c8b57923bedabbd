"""Devices and their certificates."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    union,
    update,
)

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records

LAST = "\U0010ffff"
"""Sorts after every other character."""

Health = Literal["new", "ok", "pending", "failed", "revoked"]
"""``new``: has never reported; ``pending``: its newest statement is not reported yet; ``failed``: it
reported a failure on its newest statement."""


class Device(Record, frozen=True, kw_only=True):
    """One enrolled laptop. Times are seconds since the epoch.

    Attributes:
        ring: a random number below 2^31, by which rollouts choose who goes first.
        seq: of its newest statement; ``applied_seq`` is the newest it said is in force.
        problem: code and words of what it reported as failed, empty otherwise.
    """

    device_id: str
    group: str
    enrol_epoch: int
    key_sha256: str
    wireguard_public_key: str
    address: str | None
    enrolled_at: float
    last_seen: float
    revoked_at: float | None
    label: str
    ring: int
    seq: int
    applied_seq: int
    applied_policy: str
    reported_at: float | None
    health: Health
    problem: str


class Said(Record, frozen=True, kw_only=True):
    """What of a report is for lists: statement and policy in force, and what failed (empty for nothing)."""

    device_id: str
    at: float
    seq: int
    policy: str
    problem: str


class Filter(Record, frozen=True, kw_only=True):
    """Which devices a list shows; empty fields ask for nothing.

    Attributes:
        text: the beginning of a device id or of a label (any case), or a whole tunnel address.
        silent_before: last seen before this time.
    """

    group: str = ""
    health: Health | Literal[""] = ""
    text: str = ""
    silent_before: float = 0.0


class Certificate(Record, frozen=True, kw_only=True):
    """A certificate that was issued."""

    fingerprint: str
    device_id: str
    pem: str
    issued_at: float
    not_after: float


def get(tx: s.Tx, device_id: str) -> Device | None:
    """A device, or None."""
    row = tx.execute(select(s.devices).where(s.devices.c.device_id == device_id)).first()
    return None if row is None else record(Device, row)


def by_certificate(tx: s.Tx, fingerprint: str) -> tuple[str, bool] | None:
    """Whose certificate it is and whether that device is revoked, or None for a certificate never issued."""
    query = (
        select(s.devices.c.device_id, s.devices.c.revoked_at)
        .join(s.certificates, s.certificates.c.device_id == s.devices.c.device_id)
        .where(s.certificates.c.fingerprint == fingerprint)
    )
    row = tx.execute(query).first()
    return None if row is None else (row.device_id, row.revoked_at is not None)


def add(
    tx: s.Tx,
    *,
    device_id: str,
    group: str,
    key_sha256: str,
    wireguard_public_key: str,
    address: str,
    label: str,
    ring: int,
    now: float,
) -> None:
    """A new device, of enrolment epoch 1."""
    row = insert(s.devices).values(
        device_id=device_id,
        group=group,
        enrol_epoch=1,
        key_sha256=key_sha256,
        wireguard_public_key=wireguard_public_key,
        address=address,
        enrolled_at=now,
        last_seen=now,
        label=label,
        ring=ring,
    )
    tx.execute(row)


def supersede(tx: s.Tx, key_sha256: str, now: float) -> bool:
    """Revoke the device that has this key, if there is one, and free its address."""
    same = update(s.devices).where(s.devices.c.key_sha256 == key_sha256, s.devices.c.revoked_at.is_(None))
    return tx.execute(same.values(revoked_at=now, address=None, health="revoked")).rowcount > 0


def revoke(tx: s.Tx, device_id: str, now: float) -> None:
    """Shut a device out from ``now`` on."""
    query = update(s.devices).where(s.devices.c.device_id == device_id, s.devices.c.revoked_at.is_(None))
    tx.execute(query.values(revoked_at=now, health="revoked"))


def free_address(tx: s.Tx, device_id: str) -> None:
    """Give a device's tunnel address back."""
    tx.execute(update(s.devices).where(s.devices.c.device_id == device_id).values(address=None))


def set_wireguard_key(tx: s.Tx, device_id: str, key: str) -> None:
    """The device has a new tunnel key, base64."""
    tx.execute(update(s.devices).where(s.devices.c.device_id == device_id).values(wireguard_public_key=key))


def addresses(tx: s.Tx) -> set[str]:
    """The tunnel addresses that are taken."""
    return set(tx.execute(select(s.devices.c.address).where(s.devices.c.address.is_not(None))).scalars())


def revoked_since(tx: s.Tx, moment: float) -> list[str]:
    """The devices revoked at ``moment`` or later."""
    return list(tx.execute(select(s.devices.c.device_id).where(s.devices.c.revoked_at >= moment)).scalars())


def saw(tx: s.Tx, seen: dict[str, float]) -> None:
    """Note when devices were last seen."""
    query = (
        update(s.devices)
        .where(s.devices.c.device_id == bindparam("which"))
        .values(last_seen=bindparam("seen"))
    )
    tx.execute(query, [{"which": which, "seen": at} for which, at in seen.items()])


def reported(tx: s.Tx, said: list[Said]) -> None:
    """Note what devices said is in force, and what of it failed."""
    newest = s.devices.c.seq <= bindparam("applied")
    query = (
        update(s.devices)
        .where(s.devices.c.device_id == bindparam("which"), s.devices.c.revoked_at.is_(None))
        .values(
            applied_seq=bindparam("applied"),
            applied_policy=bindparam("policy"),
            reported_at=bindparam("now"),
            last_seen=bindparam("now"),
            problem=bindparam("failure"),
            health=case((bindparam("failure") != "", "failed"), (newest, "ok"), else_="pending"),
        )
    )
    rows = [
        {"which": d.device_id, "applied": d.seq, "policy": d.policy, "failure": d.problem, "now": d.at}
        for d in said
    ]
    tx.execute(query, rows)


def everyone(tx: s.Tx) -> list[Device]:
    """All devices, in the order in which they enrolled."""
    return records(Device, tx.execute(select(s.devices).order_by(s.devices.c.enrolled_at)))


def page(tx: s.Tx, wanted: Filter, after: str, limit: int) -> list[Device]:
    """Devices by id from the one after ``after`` (empty for the first) on; cheap however many there are."""
    query = select(s.devices).where(s.devices.c.device_id > after, *_conditions(wanted))
    return records(Device, tx.execute(query.order_by(s.devices.c.device_id).limit(limit)))


def count(tx: s.Tx, wanted: Filter, most: int) -> int:
    """How many devices a filter finds, counted up to ``most``."""
    some = select(s.devices.c.device_id).where(*_conditions(wanted)).limit(most).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one())


def health_counts(tx: s.Tx) -> list[tuple[str, Health, int]]:
    """How many devices of each group are how: one walk over an index."""
    query = select(s.devices.c.group, s.devices.c.health, func.count()).group_by(
        s.devices.c.group, s.devices.c.health
    )
    return [(group, health, int(number)) for group, health, number in tx.execute(query)]


def silent_count(tx: s.Tx, before: float) -> int:
    """How many devices that are not revoked were last seen before a time."""
    query = select(func.count()).where(s.devices.c.last_seen < before, s.devices.c.revoked_at.is_(None))
    return int(tx.execute(query).scalar_one())


def common_problems(tx: s.Tx, limit: int) -> list[tuple[str, int]]:
    """What failed devices report most often."""
    number = func.count()
    query = (
        select(s.devices.c.problem, number)
        .where(s.devices.c.health == "failed")
        .group_by(s.devices.c.problem)
        .order_by(number.desc(), s.devices.c.problem)
        .limit(limit)
    )
    return [(problem, int(found)) for problem, found in tx.execute(query)]


def add_certificate(tx: s.Tx, certificate: Certificate) -> None:
    """Remember a certificate that is being issued."""
    row = {name: getattr(certificate, name) for name in Certificate.__struct_fields__}
    tx.execute(insert(s.certificates).values(row))


def valid_certificate(tx: s.Tx, device_id: str, now: float) -> str | None:
    """The PEM of a device's newest certificate, if it has not expired."""
    table = s.certificates
    query = select(table.c.pem).where(table.c.device_id == device_id, table.c.not_after > now)
    return tx.execute(query.order_by(table.c.not_after.desc()).limit(1)).scalar()


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    table = s.devices
    found: list[ColumnElement[bool]] = []
    if wanted.group:
        found.append(table.c.group == wanted.group)
    if wanted.health:
        found.append(table.c.health == wanted.health)
    if wanted.silent_before:
        found += [table.c.last_seen < wanted.silent_before, table.c.revoked_at.is_(None)]
    if wanted.text:
        found.append(table.c.device_id.in_(_named(wanted.text)))
    return found


def _named(begin: str) -> CompoundSelect[tuple[str]]:
    """Ids of devices whose id or label begins so, or whose address is this: three walks over indexes.

    A beginning is a range and no LIKE, which no index would serve in every collation.
    """
    table = s.devices
    label = func.lower(table.c.label)
    low = begin.lower()
    by_id = select(table.c.device_id).where(table.c.device_id >= begin, table.c.device_id <= begin + LAST)
    by_label = select(table.c.device_id).where(label >= low, label <= low + LAST)
    by_address = select(table.c.device_id).where(
        or_(table.c.address == begin, table.c.address == f"{begin}/32", table.c.address == f"{begin}/128")
    )
    return union(by_id, by_label, by_address)
