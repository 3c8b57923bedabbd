"""Attacks on the repository plane, against the real twinhull-fetch command: each fails closed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tuf.api.metadata import Metadata
from twinhull_hypervisor.fetch.marks import load_marks, save_marks

from tests.support.fleet_processes import fetch_command
from tests.support.tuf_repository import (
    HttpServer,
    TufRepository,
    cut_off_after,
    endless,
    instead,
    snapshot_of,
)

TARGET = os.urandom(700_000)


@dataclass
class World:
    """A laptop that has seen version 2 of a repository."""

    repository: TufRepository
    http: HttpServer
    metadata: Path
    targets: Path

    def run(self, command: str, *more: str | Path) -> tuple[int, str]:
        """Exit status and stderr."""
        options: list[str | Path] = [
            "--metadata-dir",
            self.metadata,
            "--metadata-url",
            f"{self.http.url}/metadata",
        ]
        done = fetch_command(*options, *more, command)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    def download(self) -> tuple[int, str]:
        where: list[str | Path] = [
            "--target-base-url",
            f"{self.http.url}/targets",
            "--target-dir",
            self.targets,
        ]
        return self.run("download", "--target-name", "image", *where)

    def target_path(self) -> str:
        return next(path for path in self.repository.files if path.startswith("targets/"))

    def versioned(self, role: str) -> str:
        return f"metadata/{self.repository.version}.{role}.json"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    repository = TufRepository()
    repository.publish(image=TARGET)
    repository.publish()
    (tmp_path / "root.json").write_bytes(repository.files["metadata/1.root.json"])
    with HttpServer(repository.files) as http:
        made = World(repository, http, tmp_path / "metadata", tmp_path / "targets")
        done = fetch_command("--metadata-dir", made.metadata, "init", tmp_path / "root.json")
        assert (done.returncode, done.stderr) == (0, "")
        assert made.run("refresh") == (0, "")
        yield made


def older(world: World) -> None:
    """The repository as it was at version 1, freshly signed."""
    world.repository.version = 0
    world.repository.publish()


def rollback(world: World) -> None:
    older(world)


def rollback_after_truncation(world: World) -> None:
    for name in ("timestamp.json", "snapshot.json", "targets.json"):
        (world.metadata / name).write_bytes(b"")
    older(world)


def rollback_after_removal(world: World) -> None:
    for name in ("timestamp.json", "snapshot.json", "targets.json"):
        (world.metadata / name).unlink()
    older(world)


def freeze(world: World) -> None:
    world.repository.life = -datetime.timedelta(seconds=1)
    world.repository.publish()


def mix_and_match(world: World) -> None:
    world.repository.publish()
    files = world.repository.files
    files[world.versioned("targets")] = files["metadata/1.targets.json"]


def wrong_role(world: World) -> None:
    world.repository.keys["timestamp"] = world.repository.keys["targets"]
    world.repository.publish()


def unsigned_root(world: World) -> None:
    other = TufRepository()
    other.root.version = 2
    other.sign_root()
    world.repository.files["metadata/2.root.json"] = other.files["metadata/2.root.json"]


def endless_timestamp(world: World) -> None:
    world.repository.publish()
    world.http.misbehave["metadata/timestamp.json"] = endless


def truncated_targets(world: World) -> None:
    world.repository.publish()
    world.http.misbehave[world.versioned("targets")] = cut_off_after(100)


def clock_set_back(world: World) -> None:
    """The floor is a day ahead, as if the clock had been set back a day: the metadata is expired by then."""
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).timestamp()
    marks = load_marks(world.metadata)
    save_marks(world.metadata, msgspec.structs.replace(marks, time_floor=later))


@pytest.mark.parametrize(
    ("attack", "status", "code"),
    [
        (rollback, 4, "TH-ENR-020"),
        (rollback_after_truncation, 4, "TH-ENR-022"),
        (rollback_after_removal, 4, "TH-ENR-022"),
        (freeze, 4, "TH-ENR-020"),
        (mix_and_match, 4, "TH-ENR-020"),
        (wrong_role, 4, "TH-ENR-020"),
        (unsigned_root, 4, "TH-ENR-020"),
        (endless_timestamp, 1, "TH-ENR-021"),
        (truncated_targets, 1, "TH-ENR-021"),
        (clock_set_back, 4, "TH-ENR-023"),
    ],
)
def test_attack_is_refused(world: World, attack: Callable[[World], None], status: int, code: str) -> None:
    before = snapshot_of(world.metadata)
    attack(world)
    found, message = world.run("refresh")
    assert (found, code in message) == (status, True), message
    after = snapshot_of(world.metadata)
    assert after.get("root.json") == before["root.json"]
    assert after.get("targets.json", b"") in {before["targets.json"], b""}


def test_target_arrives_and_resumes(world: World) -> None:
    world.http.misbehave[world.target_path()] = cut_off_after(300_000)
    status, message = world.download()
    assert (status, "TH-ENR-021" in message) == (1, True), message
    assert not (world.targets / "image").exists()
    world.http.misbehave.clear()
    assert world.download() == (0, "")
    assert (world.targets / "image").read_bytes() == TARGET
    assert world.http.ranges == [(world.target_path(), "bytes=300000-")]
    assert [path.name for path in world.targets.iterdir()] == ["image"]


@pytest.mark.parametrize("other", [TARGET[:-1] + b"x", TARGET + b"x"])
def test_wrong_target_is_thrown_away(world: World, other: bytes) -> None:
    world.http.misbehave[world.target_path()] = instead(other)
    status, message = world.download()
    assert (status, "TH-ENR-027" in message) == (4, True), message
    assert not list(world.targets.iterdir())


def test_endless_target_is_cut(world: World) -> None:
    world.http.misbehave[world.target_path()] = endless
    status, message = world.download()
    assert (status, "TH-ENR-027" in message) == (4, True), message
    assert not list(world.targets.iterdir())


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_is_recovered_by_rotation(world: World, role: str) -> None:
    """A thief pushes versions to the top; the root takes the key away, and the marks go back with it."""
    world.repository.version = 2**31
    world.repository.publish()
    assert world.run("refresh") == (0, "")
    world.repository.rotate(role)
    world.repository.version = 2
    world.repository.publish()
    assert world.run("refresh") == (0, "")
    assert (world.metadata / "timestamp.json").read_bytes() == world.repository.files[
        "metadata/timestamp.json"
    ]
    assert (world.metadata / "root.json").read_bytes() == world.repository.files["metadata/2.root.json"]


def test_root_chain_is_followed(world: World) -> None:
    for role in ("targets", "root", "snapshot"):
        if role == "root":
            old = world.repository.keys["root"]
            world.repository.rotate("root")
            name = f"metadata/{world.repository.root.version}.root.json"
            both = Metadata.from_bytes(world.repository.files[name])
            both.sign(old, append=True)
            world.repository.files[name] = both.to_bytes()
        else:
            world.repository.rotate(role)
    world.repository.publish()
    assert world.run("refresh") == (0, "")
    assert (world.metadata / "root.json").read_bytes() == world.repository.files["metadata/4.root.json"]


def test_init_is_idempotent_and_refuses_another_root(world: World, tmp_path: Path) -> None:
    again = fetch_command("--metadata-dir", world.metadata, "init", tmp_path / "root.json")
    assert again.returncode == 0
    (tmp_path / "other.json").write_bytes(TufRepository().files["metadata/1.root.json"])
    other = fetch_command("--metadata-dir", world.metadata, "init", tmp_path / "other.json")
    assert (other.returncode, "TH-ENR-025" in other.stderr) == (1, True)
    (tmp_path / "other.json").write_bytes(b"{}")
    broken = fetch_command("--metadata-dir", tmp_path / "new", "init", tmp_path / "other.json")
    assert (broken.returncode, "TH-ENR-028" in broken.stderr) == (2, True)


def test_lost_or_damaged_record_is_no_fresh_start(world: World) -> None:
    record = world.metadata / ".twinhull-marks.json"
    record.write_bytes(record.read_bytes()[:40])
    status, message = world.run("refresh")
    assert (status, "TH-ENR-008" in message) == (1, True), message
    record.unlink()
    status, message = world.run("refresh")
    assert (status, "TH-ENR-024" in message) == (1, True), message
