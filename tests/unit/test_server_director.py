"""When the director signs anew although nothing has changed: for the statement's life, and for the lease."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from sqlalchemy import update
from twinhull_policy.example import example_policy
from twinhull_policy.model import LeaseSection
from twinhull_policy.parse import canonical
from twinhull_policy.server import storage as s
from twinhull_policy.server.director import STATEMENT_LIFE, Director
from twinhull_policy.server.store import groups, policies

from tests.support.server_store import empty_storage, fill

HOUR = 3600


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[s.Storage]:
    with empty_storage(tmp_path) as storage:
        fill(storage, 1)
        yield storage


@pytest.mark.parametrize(
    ("lease", "age", "signed"),
    [
        (LeaseSection(), 0, 0),
        (LeaseSection(), 41 * HOUR, 0),
        (LeaseSection(), 43 * HOUR, 1),
        (LeaseSection(offline_hours=8760), STATEMENT_LIFE / 2 - 60, 0),
        (LeaseSection(offline_hours=8760), STATEMENT_LIFE / 2 + 60, 1),
        (LeaseSection(offline_hours=4, warning_hours=1), 50 * 60, 0),
        (LeaseSection(offline_hours=4, warning_hours=1), 70 * 60, 1),
        (LeaseSection(offline_hours=1, warning_hours=1), 14 * 60, 0),
        (LeaseSection(offline_hours=1, warning_hours=1), 16 * 60, 1),
    ],
)
def test_a_lease_is_renewed_in_time(storage: s.Storage, lease: LeaseSection, age: float, signed: int) -> None:
    document = canonical(msgspec.structs.replace(example_policy(), lease=lease)).decode()
    director = Director("example", CryptoSigner.generate_ed25519())
    with storage.write() as tx:
        policies.add(tx, "p" * 64, document, b"{}", "test", 1.0)
        groups.assign_policy(tx, "default", "p" * 64)
        assert len(director.update(tx, 1)) == 1
        assert director.update(tx, 1) == {}
        tx.execute(update(s.statements).values(expires_at=s.statements.c.expires_at - age))
        assert len(director.update(tx, 1)) == signed
