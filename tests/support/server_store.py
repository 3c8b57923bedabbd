"""A server's database with a fleet in it, made without keys, certificates or signatures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert
from twinhull_policy.server import migrations
from twinhull_policy.server import storage as s
from twinhull_policy.server.store import groups

GROUPS = ("default", "engineering", "sales")
HEALTH = ("ok", "ok", "ok", "ok", "pending", "failed", "new")


@contextmanager
def empty_storage(directory: Path) -> Iterator[s.Storage]:
    """An initialised database with the groups, and nothing else."""
    storage = s.Storage(directory / "server.sqlite")
    with storage.write() as tx:
        migrations.create(tx)
        s.set_schema_version(tx, migrations.VERSION)
        for name in GROUPS:
            groups.add(tx, name, 1.0)
    try:
        yield storage
    finally:
        storage.close()


def fill(storage: s.Storage, number: int) -> None:
    """``number`` devices, spread over groups and states."""
    rows = [
        {
            "device_id": f"d-{n * 2654435761 % 2**32:08x}",
            "group": GROUPS[n % 3],
            "enrol_epoch": 1,
            "key_sha256": f"k{n}",
            "wireguard_public_key": "w",
            "address": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}/32",
            "enrolled_at": float(n),
            "last_seen": 1000.0 + n % 500,
            "label": f"Laptop {n}" if n % 2 else "",
            "ring": n * 40503 % 2**31,
            "health": HEALTH[n % 7],
            "problem": "TH-IMG-201: no image" if n % 7 == 5 else "",
        }
        for n in range(number)
    ]
    with storage.write() as tx:
        tx.execute(insert(s.devices), rows)
