"""Groups of laptops, golden images, and what is assigned to whom."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from twinhull_policy.names import Partition
from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records


class Group(Record, frozen=True, kw_only=True):
    """A group and what its laptops are to have; None for nothing yet."""

    name: str
    policy_sha256: str | None
    corporate_target: str | None
    personal_target: str | None
    created_at: float


class Image(Record, frozen=True, kw_only=True):
    """A golden image of the repository. ``length`` in bytes."""

    target: str
    name: str
    partition: str
    sha256: str
    length: int
    added_at: float


def get(tx: s.Tx, name: str) -> Group | None:
    """A group, or None."""
    row = tx.execute(select(s.groups).where(s.groups.c.name == name)).first()
    return None if row is None else record(Group, row)


def add(tx: s.Tx, name: str, now: float) -> bool:
    """A new group with nothing assigned; False when there is one of that name."""
    if get(tx, name) is not None:
        return False
    tx.execute(insert(s.groups).values(name=name, created_at=now))
    return True


def everyone(tx: s.Tx) -> list[Group]:
    """All groups, by name."""
    return records(Group, tx.execute(select(s.groups).order_by(s.groups.c.name)))


def assign_policy(tx: s.Tx, name: str, sha256: str) -> None:
    """Have a whole group's laptops have a policy."""
    tx.execute(update(s.groups).where(s.groups.c.name == name).values(policy_sha256=sha256))


def assign_image(tx: s.Tx, name: str, partition: Partition, target: str) -> bool:
    """Assign an image; False when it was assigned already."""
    column = s.groups.c.corporate_target if partition is Partition.CORPORATE else s.groups.c.personal_target
    query = update(s.groups).where(s.groups.c.name == name, column.is_distinct_from(target))
    return tx.execute(query.values({column: target})).rowcount > 0


def image(tx: s.Tx, target: str) -> Image | None:
    """An image by its target name, or None."""
    row = tx.execute(select(s.images).where(s.images.c.target == target)).first()
    return None if row is None else record(Image, row)


def add_image(tx: s.Tx, image: Image) -> None:
    """A new image."""
    tx.execute(insert(s.images).values({name: getattr(image, name) for name in Image.__struct_fields__}))


def images(tx: s.Tx) -> list[Image]:
    """All images, in the order they came."""
    return records(Image, tx.execute(select(s.images).order_by(s.images.c.added_at)))
