"""Rollouts: when a ring is followed by the next one, and when it halts by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from twinhull_policy.server import errors as e
from twinhull_policy.server import rollout
from twinhull_policy.server import storage as s
from twinhull_policy.server.store import audit, groups, policies, rollouts
from twinhull_policy.server.store.rollouts import Progress

from tests.support.server_store import empty_storage, fill

SOAKED = rollout.SOAK_SECONDS


@pytest.mark.parametrize(
    ("devices", "applied", "failed", "seconds", "action"),
    [
        (1, 0, 0, 0, "wait"),
        (1, 1, 0, SOAKED - 1, "wait"),
        (1, 1, 0, SOAKED, "next"),
        (1, 0, 1, 0, "halt"),
        (49, 48, 1, SOAKED, "halt"),
        (50, 49, 1, SOAKED, "next"),
        (100, 94, 0, SOAKED * 99, "wait"),
        (100, 95, 0, SOAKED, "next"),
        (100, 95, 2, SOAKED, "next"),
        (100, 95, 3, SOAKED, "halt"),
        (10_000, 9_500, 201, 0, "halt"),
        (0, 0, 0, 0, "next"),
    ],
)
def test_judgement(devices: int, applied: int, failed: int, seconds: float, action: str) -> None:
    progress = Progress(devices=devices, applied=applied, failed=failed)
    assert rollout.judge(progress, seconds).action == action


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[s.Storage]:
    """300 devices, of which a third are in the default group, and two policies."""
    with empty_storage(tmp_path) as storage:
        fill(storage, 300)
        with storage.write() as tx:
            tx.execute(update(s.devices).values(health="ok", applied_policy="old", problem=""))
            for name in ("old", "new"):
                policies.add(tx, name, "{}", b"{}", "test", 1.0)
            groups.assign_policy(tx, "default", "old")
        yield storage


def report(storage: s.Storage, cutoff: int, *, failed: int = 0) -> None:
    """Everybody a rollout has reached says it has the new policy, but for ``failed`` of them."""
    with storage.write() as tx:
        reached = (s.devices.c.group == "default", s.devices.c.ring <= cutoff)
        tx.execute(update(s.devices).where(*reached).values(applied_policy="new", reported_at=time.time()))
        ids = [
            row.device_id
            for row in tx.execute(s.devices.select().where(*reached).order_by(s.devices.c.ring).limit(failed))
        ]
        query = update(s.devices).where(s.devices.c.device_id.in_(ids))
        tx.execute(query.values(health="failed", problem="TH-X"))


def tick(storage: s.Storage, seconds: float = SOAKED + 1) -> rollouts.Rollout:
    with storage.write() as tx:
        rollout.tick(tx, time.time() + seconds)
        return rollouts.newest(tx, 1)[0]


def begin(storage: s.Storage) -> rollouts.Rollout:
    with storage.write() as tx:
        return rollout.start(tx, "default", "new", "old", "alice")


def test_a_good_policy_reaches_everybody_ring_by_ring(storage: s.Storage) -> None:
    now = begin(storage)
    seen = [now.percent]
    while now.state == "running":
        assert tick(storage).percent == now.percent
        report(storage, now.cutoff)
        assert tick(storage, 0).percent == now.percent
        now = tick(storage)
        seen.append(now.percent)
    assert seen == [1, 10, 100, 100]
    assert now.state == "done"
    with storage.read() as tx:
        group = groups.get(tx, "default")
        assert group is not None and group.policy_sha256 == "new"
        actions = [line.action for line in audit.newest(tx, 9)]
    assert actions == ["rollout done", "rollout ring", "rollout ring", "rollout ring", "rollout start"]


def test_a_bad_policy_halts_in_the_first_ring_and_stays_there(storage: s.Storage) -> None:
    now = begin(storage)
    report(storage, now.cutoff, failed=1)
    now = tick(storage, 0)
    assert (now.state, now.percent, now.reason) == ("halted", 1, "1 of 1 devices report a failure")
    assert tick(storage).state == "halted"
    with storage.write() as tx:
        assert rollout.steer(tx, now.number, "withdraw", "alice").state == "withdrawn"
        group = groups.get(tx, "default")
        assert group is not None and group.policy_sha256 == "old"
        assert rollouts.open_ones(tx) == []


def test_what_failed_before_is_not_this_rollouts_fault(storage: s.Storage) -> None:
    with storage.write() as tx:
        values = {"health": "failed", "reported_at": time.time() - 60}
        tx.execute(update(s.devices).values(values))
    begin(storage)
    assert tick(storage).state == "running"


def test_two_rollouts_of_one_group_do_not_run_at_once(storage: s.Storage) -> None:
    begin(storage)
    with pytest.raises(e.RolloutOpen), storage.write() as tx:
        rollout.start(tx, "default", "old", None, "bob")


@pytest.mark.parametrize(
    ("group", "policy", "base", "refusal"),
    [
        ("none", "new", None, e.UnknownGroup),
        ("default", "other", None, e.UnknownPolicy),
        ("default", "new", "", e.StaleBase),
        ("default", "new", "new", e.StaleBase),
    ],
)
def test_rollouts_that_do_not_start(
    storage: s.Storage, group: str, policy: str, base: str | None, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal), storage.write() as tx:
        rollout.start(tx, group, policy, base, "alice")


@pytest.mark.parametrize("action", ["advance", "halt", "resume", "withdraw"])
@pytest.mark.parametrize("state", ["running", "halted", "done", "withdrawn"])
def test_steering(storage: s.Storage, state: rollouts.State, action: str) -> None:
    allowed = {
        "running": {"advance": "running", "halt": "halted", "withdraw": "withdrawn"},
        "halted": {"resume": "running", "withdraw": "withdrawn"},
    }
    number = begin(storage).number
    with storage.write() as tx:
        rollouts.set_state(tx, number, state, "")
        expected = allowed.get(state, {}).get(action)
        if expected is None:
            with pytest.raises(e.UnknownRollout):
                rollout.steer(tx, number, action, "alice")  # type: ignore[arg-type]  # from the table
        else:
            done = rollout.steer(tx, number, action, "alice")  # type: ignore[arg-type]  # from the table
            assert done.state == expected
