"""The store: lists that stay cheap with a large fleet, and an audit log that shows when it was touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from twinhull_policy.server import storage as s
from twinhull_policy.server.store import audit, devices, rollouts, statements, tokens
from twinhull_policy.server.store.devices import Filter

from tests.support.server_store import GROUPS, empty_storage, fill

FLEET = 2000


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[s.Storage]:
    with empty_storage(tmp_path) as storage:
        yield storage


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(group="sales"),
        Filter(health="failed"),
        Filter(group="engineering", health="ok"),
        Filter(text="d-0"),
        Filter(text="lAPTOP 17"),
        Filter(text="10.0.1.7"),
        Filter(silent_before=1010.0),
        Filter(text="laptop", group="default", health="new", silent_before=1400.0),
    ],
)
def test_pages_and_counts_agree_with_a_plain_reading(storage: s.Storage, wanted: Filter) -> None:
    fill(storage, FLEET)

    def fits(device: devices.Device) -> bool:
        named = (
            device.device_id.startswith(wanted.text)
            or device.label.lower().startswith(wanted.text.lower())
            or device.address == f"{wanted.text}/32"
        )
        return (
            wanted.group in ("", device.group)
            and wanted.health in ("", device.health)
            and (not wanted.text or named)
            and (not wanted.silent_before or device.last_seen < wanted.silent_before)
        )

    with storage.read() as tx:
        expected = sorted(d.device_id for d in devices.everyone(tx) if fits(d))
        assert expected
        found: list[str] = []
        while page := devices.page(tx, wanted, found[-1] if found else "", 100):
            found += [device.device_id for device in page]
        assert found == expected
        assert devices.count(tx, wanted, FLEET) == len(expected)
        assert devices.count(tx, wanted, 3) == min(3, len(expected))


@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(group="sales", health="failed"), Filter(health="ok"), Filter(text="laptop 17")],
)
def test_no_page_walks_the_whole_table(storage: s.Storage, wanted: Filter) -> None:
    """What the database plans, with a fleet large enough for it to matter."""
    fill(storage, FLEET)
    asked: list[tuple[str, tuple[str, ...]]] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    with storage.read() as tx:
        devices.page(tx, wanted, "", 50)
        devices.health_counts(tx)
    selects = [(statement, values) for statement, values in asked if statement.startswith("SELECT")]
    assert len(selects) == 2
    with sqlite3.connect(str(storage.engine.url.database)) as database:
        for statement, values in selects:
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            scans = [step for step in plan if step.startswith("SCAN") and " USING " not in step]
            assert not [step for step in scans if "devices" in step], plan
            assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step], plan
    database.close()


def test_overview(storage: s.Storage) -> None:
    fill(storage, FLEET)
    with storage.read() as tx:
        counts = devices.health_counts(tx)
        assert sum(number for _, _, number in counts) == FLEET
        assert {group for group, _, _ in counts} == set(GROUPS)
        failed = sum(number for _, health, number in counts if health == "failed")
        assert devices.common_problems(tx, 5) == [("TH-IMG-201: no image", failed)]
        assert devices.silent_count(tx, 1001.0) == FLEET // 500


@pytest.mark.parametrize(
    ("seq", "problem", "health"), [(2, "", "ok"), (1, "", "pending"), (2, "TH-X: broken", "failed")]
)
def test_health_follows_statements_and_reports(
    storage: s.Storage, seq: int, problem: str, health: str
) -> None:
    fill(storage, 1)
    with storage.write() as tx:
        (device,) = devices.everyone(tx)
        for number in (1, 2):
            signed = statements.Signed(
                device_id=device.device_id,
                seq=number,
                sha256=f"s{number}",
                envelope=b"{}",
                desired_sha256="",
                issued_at=1.0,
                expires_at=2.0,
            )
            statements.add(tx, [signed], 50)
        assert devices.everyone(tx)[0].health == "pending"
        said = devices.Said(device_id=device.device_id, at=9.0, seq=seq, policy="p", problem=problem)
        devices.reported(tx, [said])
        (device,) = devices.everyone(tx)
    assert (device.health, device.problem, device.applied_seq, device.seq) == (health, problem, seq, 2)


def test_old_statements_go(storage: s.Storage) -> None:
    fill(storage, 2)
    with storage.write() as tx:
        ids = [device.device_id for device in devices.everyone(tx)]
        for number in range(1, 8):
            made = [
                statements.Signed(
                    device_id=device_id,
                    seq=number,
                    sha256="s",
                    envelope=b"{}",
                    desired_sha256="",
                    issued_at=1.0,
                    expires_at=2.0,
                )
                for device_id in ids
            ]
            statements.add(tx, made, 3)
        for device_id in ids:
            assert [one.seq for one in statements.recent(tx, device_id, 99)] == [7, 6, 5]
        assert [standing.seq for standing in statements.standings(tx)] == [7, 7]


def test_a_bound_token_is_for_one_key(storage: s.Storage) -> None:
    with storage.write() as tx:
        tokens.add(
            tx, hash_="h", group="sales", created_at=1.0, expires_at=9.0, created_by="x", bound_key="mine"
        )
        assert not tokens.consume(tx, "h", "other", 2.0)
        assert not tokens.consume(tx, "h", "mine", 9.0)
        assert tokens.consume(tx, "h", "mine", 2.0)
        assert not tokens.consume(tx, "h", "mine", 2.0)


@pytest.mark.parametrize(("percent", "expected"), [(1, 7), (10, 67), (100, 667)])
def test_a_ring_is_its_share_of_the_group(storage: s.Storage, percent: int, expected: int) -> None:
    fill(storage, FLEET)
    with storage.read() as tx:
        cutoff = rollouts.cutoff(tx, "default", percent)
        inside = [d for d in devices.everyone(tx) if d.group == "default" and d.ring <= cutoff]
    assert len(inside) == expected


def test_a_ring_is_never_empty_unless_the_group_is(storage: s.Storage) -> None:
    fill(storage, 2)
    with storage.read() as tx:
        (only,) = [d for d in devices.everyone(tx) if d.group == "default"]
        assert rollouts.cutoff(tx, "default", 1) == only.ring
        assert rollouts.cutoff(tx, "sales", 1) == -1


def log_of(storage: s.Storage, lines: int) -> None:
    for number in range(lines):
        with storage.write() as tx:
            audit.append(tx, "alice", "token new", f"token {number}")


TAMPERED = {
    "a line changed": ("UPDATE audit SET detail = 'other' WHERE number = 3", 3),
    "an actor changed": ("UPDATE audit SET actor = 'mallory' WHERE number = 5", 5),
    "a time changed": ("UPDATE audit SET at = at + 1 WHERE number = 1", 1),
    "a line left out": ("DELETE FROM audit WHERE number = 2", 3),
    "a line left out and the rest renumbered": (
        "DELETE FROM audit WHERE number = 2; UPDATE audit SET number = number - 1 WHERE number > 2",
        2,
    ),
    "two lines swapped": (
        "UPDATE audit SET number = 99 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3;"
        "UPDATE audit SET number = 3 WHERE number = 99",
        2,
    ),
    "a hash made up": ("UPDATE audit SET sha256 = 'aa' WHERE number = 4", 4),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_the_chain_shows_where_the_log_was_touched(storage: s.Storage, case: str) -> None:
    log_of(storage, 6)
    script, broken_at = TAMPERED[case]
    with sqlite3.connect(str(storage.engine.url.database)) as database:
        database.executescript(f"DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; {script}")
    database.close()
    with storage.read() as tx:
        assert audit.verify(tx).broken_at == broken_at


def test_an_untouched_log_is_whole_and_its_end_has_a_name(storage: s.Storage) -> None:
    log_of(storage, 3)
    with storage.read() as tx:
        verdict = audit.verify(tx)
        assert (verdict.lines, verdict.broken_at) == (3, None)
        assert verdict.head == audit.newest(tx, 1)[0].sha256
        assert [line.number for line in audit.newest(tx, 9, before=3)] == [2, 1]
        assert [line.number for line in audit.newest(tx, 9, containing="token 1")] == [2]


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_refuses_to_touch_the_log(storage: s.Storage, statement: str) -> None:
    log_of(storage, 2)
    with pytest.raises(s.DatabaseError, match="append-only"), storage.write() as tx:
        tx.exec_driver_sql(statement)
