"""Attacks on the repository plane, against a real HTTPS server process: each fails closed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from securesystemslib.signer import Signature, SSlibKey
from tuf.api.metadata import Metadata, Timestamp
from twinhull_hypervisor.fetch.marks import load_marks, save_marks

from tests.support.fetch_world import QUICK, World, world_at
from tests.support.fleet_processes import fetch_command
from tests.support.tuf_repository import TufRepository

TARGET = os.urandom(700_000)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path, TARGET) as made:
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


def arbitrary(world: World) -> None:
    """Somebody else's repository altogether, at the same address."""
    other = TufRepository()
    other.version = 5
    other.publish(image=b"other")
    for name in ("timestamp.json", "6.snapshot.json", "6.targets.json"):
        world.repository.files[f"metadata/{name}"] = other.files[f"metadata/{name}"]


def one_key_listed_twice(world: World) -> None:
    """Two signatures are wanted, and one key gives both under two names."""
    root, signer = world.repository.root, world.repository.keys["timestamp"]
    public = signer.public_key
    twin = SSlibKey("f" * 64, public.keytype, public.scheme, dict(public.keyval))
    root.keys[twin.keyid] = twin
    root.roles["timestamp"].keyids.append(twin.keyid)
    root.roles["timestamp"].threshold = 2
    world.repository.bump_root()
    world.repository.publish()
    metadata = Metadata[Timestamp].from_bytes(world.repository.files["metadata/timestamp.json"])
    (signature,) = metadata.signatures.values()
    metadata.signatures[twin.keyid] = Signature(twin.keyid, signature.signature)
    world.repository.files["metadata/timestamp.json"] = metadata.to_bytes()


def endless_timestamp(world: World) -> None:
    world.repository.publish()
    world.http.misbehave("metadata/timestamp.json", "endless")


def endless_root(world: World) -> None:
    world.repository.bump_root()
    world.http.misbehave("metadata/2.root.json", "endless")


def dripping_timestamp(world: World) -> None:
    world.repository.publish()
    world.http.misbehave("metadata/timestamp.json", "drip", seconds=0.05)


def silent_timestamp(world: World) -> None:
    world.repository.publish()
    world.http.misbehave("metadata/timestamp.json", "silent", seconds=5)


def truncated_targets(world: World) -> None:
    world.repository.publish()
    world.http.misbehave(world.versioned("targets"), "cut", bytes=100)


def too_large(world: World) -> None:
    world.repository.publish()
    world.repository.files["metadata/timestamp.json"] += b" " * 20_000


def clock_set_back(world: World) -> None:
    """The floor is two days ahead, as if the clock had been set back by that: the metadata has expired."""
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).timestamp()
    marks = load_marks(world.metadata)
    save_marks(world.metadata, msgspec.structs.replace(marks, time_floor=later))


def root_expired(world: World) -> None:
    world.repository.life = -datetime.timedelta(seconds=1)
    world.repository.bump_root()


ATTACKS: dict[str, tuple[Callable[[World], None], str]] = {
    "arbitrary": (arbitrary, "TH-ENR-020"),
    "rollback": (rollback, "TH-ENR-020"),
    "rollback, the cache truncated": (rollback_after_truncation, "TH-ENR-022"),
    "rollback, the cache removed": (rollback_after_removal, "TH-ENR-022"),
    "freeze": (freeze, "TH-ENR-020"),
    "mix and match": (mix_and_match, "TH-ENR-020"),
    "wrong role": (wrong_role, "TH-ENR-020"),
    "a root nobody knows": (unsigned_root, "TH-ENR-020"),
    "one key listed twice": (one_key_listed_twice, "TH-ENR-020"),
    "endless timestamp": (endless_timestamp, "TH-ENR-021"),
    "endless root": (endless_root, "TH-ENR-021"),
    "slow: a byte now and then": (dripping_timestamp, "TH-ENR-021"),
    "slow: silence": (silent_timestamp, "TH-ENR-021"),
    "truncated": (truncated_targets, "TH-ENR-021"),
    "too large": (too_large, "TH-ENR-021"),
    "clock set back": (clock_set_back, "TH-ENR-023"),
    "root expired": (root_expired, "TH-ENR-020"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_refused(world: World, attack: str) -> None:
    bend, code = ATTACKS[attack]
    before, floor = world.holds(), load_marks(world.metadata).time_floor
    world.limits = QUICK if attack.startswith("slow") else world.limits
    bend(world)
    assert world.refresh() == code
    after = world.holds()
    assert after.get("targets.json", b"") in {before["targets.json"], b""}
    if attack not in ("one key listed twice", "root expired"):  # the root itself was right, and is followed
        assert after.get("root.json") == before["root.json"]
    if attack != "clock set back":
        assert load_marks(world.metadata).time_floor == floor


def test_the_command_line(world: World) -> None:
    """Its exit statuses: 0 done, 1 refused or failed, 2 for usage. Nothing but roles ends in .json."""
    where: list[str | Path] = [
        "--target-base-url",
        f"{world.http.url}/targets",
        "--target-dir",
        world.targets,
    ]
    assert world.command("refresh") == (0, "")
    assert world.command("download", "--target-name", "image", *where) == (0, "")
    assert (world.targets / "image").read_bytes() == TARGET
    status, message = world.command("download", "--target-name", "nothing", *where)
    assert (status, "TH-ENR-026" in message) == (1, True)
    status, message = world.command("download")
    assert (status, "--target-name" in message) == (2, True)
    rollback(world)
    status, message = world.command("refresh")
    assert (status, "TH-ENR-020" in message) == (1, True)
    assert sorted(path.name for path in world.metadata.glob("*.json")) == [
        f"{role}.json" for role in ("root", "snapshot", "targets", "timestamp")
    ]


@pytest.mark.parametrize("role", ["?", "#", "/delegated", "../delegated", ".lock", ".twinhull-marks"])
def test_a_delegated_role_of_any_name_is_kept_apart(world: World, role: str) -> None:
    world.repository.delegate(role)
    world.repository.publish()
    assert world.bring("nothing") == "TH-ENR-026"
    kept = {path.name for path in world.metadata.glob("*.json")}
    assert len(kept) == 5
    assert f"{quote(role, '')}.json" in kept
    assert world.refresh() == ""


def test_at_most_32_delegations_are_followed(world: World) -> None:
    for number in range(40):
        world.repository.delegate(f"role-{number}")
    world.repository.publish()
    assert world.bring("nothing") == "TH-ENR-026"
    asked = [path for path, _ in world.http.requests if ".role-" in path]
    assert len(asked) == 32


def test_an_untrusted_server_is_not_spoken_to(world: World) -> None:
    done = fetch_command(
        "--metadata-dir", world.metadata, "--metadata-url", f"{world.http.url}/metadata", "refresh"
    )
    assert (done.returncode, "TH-ENR-021" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_target_arrives_and_resumes(world: World) -> None:
    world.http.misbehave(world.target_path(), "cut", bytes=300_000)
    assert world.bring() == "TH-ENR-021"
    assert not (world.targets / "image").exists()
    world.http.behave()
    assert world.bring() == ""
    assert (world.targets / "image").read_bytes() == TARGET
    assert [asked for path, asked in world.http.requests if path == world.target_path()] == [
        "",
        "bytes=300000-",
    ]
    assert [path.name for path in world.targets.iterdir()] == ["image"]


@pytest.mark.parametrize("other", [TARGET[:-1] + b"x", TARGET + b"x"])
def test_wrong_target_is_thrown_away(world: World, other: bytes) -> None:
    world.repository.files[world.target_path()] = other
    assert world.bring() == "TH-ENR-027"
    assert not list(world.targets.iterdir())


def test_endless_target_is_cut(world: World) -> None:
    world.http.misbehave(world.target_path(), "endless")
    assert world.bring() == "TH-ENR-027"
    assert not list(world.targets.iterdir())


@pytest.mark.parametrize(("kind", "seconds"), [("drip", 0.01), ("silent", 5.0)])
def test_slow_target_is_given_up_and_kept(world: World, kind: str, seconds: float) -> None:
    world.http.misbehave(world.target_path(), kind, seconds=seconds)
    world.limits, patient = QUICK, world.limits
    assert world.bring() == "TH-ENR-021"
    world.http.behave()
    world.limits = patient
    assert world.bring() == ""
    assert (world.targets / "image").read_bytes() == TARGET


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_is_recovered_by_rotation(world: World, role: str) -> None:
    """A thief pushes versions to the top; the root takes the key away, and the marks go back with it."""
    world.repository.version = 2**31
    world.repository.publish()
    assert world.refresh() == ""
    world.repository.version = 2
    world.repository.publish()
    assert world.refresh() in {"TH-ENR-020", "TH-ENR-022"}
    world.repository.rotate(role)
    world.repository.version = 2
    world.repository.publish()
    assert world.refresh() == ""
    files = world.repository.files
    assert (world.metadata / "timestamp.json").read_bytes() == files["metadata/timestamp.json"]
    assert (world.metadata / "root.json").read_bytes() == files["metadata/2.root.json"]


def test_three_rotations_missed(world: World) -> None:
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
    assert world.refresh() == ""
    assert (world.metadata / "root.json").read_bytes() == world.repository.files["metadata/4.root.json"]


def test_a_root_that_expired_meanwhile_is_replaced_by_the_next(world: World) -> None:
    root_expired(world)
    assert world.refresh() == "TH-ENR-020"
    world.repository.life = datetime.timedelta(days=1)
    world.repository.bump_root()
    world.repository.publish()
    assert world.refresh() == ""
    assert (world.metadata / "root.json").read_bytes() == world.repository.files["metadata/3.root.json"]


def test_two_at_once_wait_for_each_other(world: World) -> None:
    world.repository.publish()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: world.refresh(), range(8))) == [""] * 8
    assert world.holds()["timestamp.json"] == world.repository.files["metadata/timestamp.json"]
    assert not (world.metadata / ".scratch").exists()


def test_init_is_idempotent_and_refuses_another_root(world: World, tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(world.repository.files["metadata/1.root.json"])
    again = fetch_command("--metadata-dir", world.metadata, "init", tmp_path / "root.json")
    assert again.returncode == 0
    (tmp_path / "other.json").write_bytes(TufRepository().files["metadata/1.root.json"])
    other = fetch_command("--metadata-dir", world.metadata, "init", tmp_path / "other.json")
    assert (other.returncode, "TH-ENR-025" in other.stderr) == (1, True)
    (tmp_path / "other.json").write_bytes(b"{}")
    broken = fetch_command("--metadata-dir", tmp_path / "new", "init", tmp_path / "other.json")
    assert (broken.returncode, "TH-ENR-028" in broken.stderr) == (2, True)
    never = fetch_command("--metadata-dir", tmp_path / "new", "--metadata-url", world.http.url, "refresh")
    assert (never.returncode, "TH-ENR-024" in never.stderr) == (1, True)


def test_lost_or_damaged_record_is_no_fresh_start(world: World) -> None:
    record = world.metadata / ".twinhull-marks"
    record.write_bytes(record.read_bytes()[:40])
    assert world.refresh() == "TH-ENR-008"
    record.unlink()
    assert world.refresh() == "TH-ENR-024"
