"""Power cuts at each fsync and rename, and a disk that is full at each write: never older, never stuck."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon.inbox import Inbox
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.fetch import inbox as fetch_inbox
from twinhull_hypervisor.fetch.durable import write_durably
from twinhull_hypervisor.fetch.http import PoolFetcher
from twinhull_hypervisor.fetch.identity import Identity, IdentityStore
from twinhull_hypervisor.fetch.layout import Layout
from twinhull_hypervisor.fetch.marks import load_marks
from twinhull_hypervisor.fetch.repository import Repository
from twinhull_hypervisor.run import run
from twinhull_policy.errors import TwinhullError

from tests.support.fetch_world import World, world_at
from tests.support.power_cut import WAYS, Way, play, recorded
from tests.support.signing import NOW, Corporate
from tests.unit.test_daemon_inbox import Laptop

OLDER = {"TH-ENR-020", "TH-ENR-022"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path, b"an image") as made:
        yield made


def serve_version(world: World, version: int) -> None:
    world.repository.version = version - 1
    world.repository.publish()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rotation", [False, True], ids=["a new version", "a new root"])
def test_power_cut_while_refreshing(world: World, tmp_path: Path, way: Way, rotation: bool) -> None:
    """After any of them: an older repository is refused, and the right one is accepted."""
    before = tmp_path / "before"
    shutil.copytree(world.metadata, before)
    if rotation:
        world.repository.rotate("targets")
    world.repository.publish()
    with recorded(world.metadata) as recorder:
        assert world.refresh() == ""
    operations = [op for op in recorder.operations if ".scratch" not in op[1].parts]
    base = world.metadata
    assert len(operations) >= 16
    for moment in range(len(operations) + 1):
        world.metadata = tmp_path / "after"
        shutil.rmtree(world.metadata, ignore_errors=True)
        play(before, base, operations[:moment], way, world.metadata)
        serve_version(world, 1)
        assert world.refresh() in OLDER, (moment, operations[:moment][-1:])
        serve_version(world, 3)
        assert world.refresh() == "", (moment, operations[:moment][-1:])
        assert load_marks(world.metadata).versions == dict.fromkeys(("timestamp", "snapshot", "targets"), 3)


@pytest.mark.parametrize("way", WAYS)
def test_power_cut_while_initialising(world: World, tmp_path: Path, way: Way) -> None:
    """It can be done again with the same root, and never trusts another by halves."""
    root = world.repository.files["metadata/1.root.json"]
    base = tmp_path / "fresh"
    base.mkdir()
    (tmp_path / "before").mkdir()
    with recorded(base) as recorder:
        Repository(base, PoolFetcher()).initialise(root)
    for moment in range(len(recorder.operations) + 1):
        world.metadata = tmp_path / "after"
        shutil.rmtree(world.metadata, ignore_errors=True)
        play(tmp_path / "before", base, recorder.operations[:moment], way, world.metadata)
        Repository(world.metadata, PoolFetcher()).initialise(root)
        assert world.refresh() == ""


@pytest.mark.parametrize("way", WAYS)
def test_power_cut_while_enrolling_or_renewing(tmp_path: Path, way: Way) -> None:
    """The laptop is who it was or who it is, and its key is there before anything speaks of it."""
    base, before = tmp_path / "identity", tmp_path / "before"
    base.mkdir()
    before.mkdir()
    store = IdentityStore(base)
    made = Identity(
        server="https://fleet.example",
        tenant="example",
        device_id="d-1",
        enrol_epoch=1,
        enrolled_at=1.0,
        certificate="first",
        device_ca="ca",
        server_ca="ca",
    )
    with recorded(base) as recorder:
        key = store.key()
        store.save(made)
    for moment in range(len(recorder.operations) + 1):
        after = tmp_path / "after"
        shutil.rmtree(after, ignore_errors=True)
        play(before, base, recorder.operations[:moment], way, after)
        found = IdentityStore(after)
        identity = found.load()
        assert identity in (None, made)
        if identity is not None:
            assert found.key().private_numbers() == key.private_numbers()
        else:
            found.key()


@pytest.mark.parametrize("way", WAYS)
def test_power_cut_while_a_statement_arrives(tmp_path: Path, way: Way) -> None:
    """The statement on the disk is the old or the new one, with every body that it names."""
    company = Corporate()
    layout = Layout(tmp_path / "fetch")
    layout.prepare()

    def arrive(number: int) -> bytes:
        body = company.body()
        name = hashlib.sha256(body).hexdigest()
        statement = company.statement(seq=number, policies=[name])
        write_durably(layout.inbox / "bodies" / name, body)
        fetch_inbox.put_statement(layout, statement, [name])
        return statement

    old = arrive(1)
    before = tmp_path / "before"
    shutil.copytree(layout.inbox, before)
    company.policy_keys = Corporate().policy_keys  # so that the body is another
    with recorded(layout.inbox) as recorder:
        new = arrive(2)
    assert any(op[0] == "remove" for op in recorder.operations)
    for moment in range(len(recorder.operations) + 1):
        after = tmp_path / "after"
        shutil.rmtree(after, ignore_errors=True)
        play(before, layout.inbox, recorder.operations[:moment], way, after)
        found = (after / "statement.dsse").read_bytes()
        assert found in (old, new)
        for name in fetch_inbox.named_bodies(found):
            body = (after / "bodies" / name).read_bytes()
            assert hashlib.sha256(body).hexdigest() == name


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], timeout=10)
    try:
        yield place
    finally:
        run(["umount", place], timeout=10)


def fill(place: Path, leave_pages: int) -> None:
    """Take all room but so many pages."""
    filler = place / "filler"
    filler.unlink(missing_ok=True)
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\1" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    size = filler.stat().st_size
    with filler.open("r+b") as stream:
        stream.truncate(max(0, size - leave_pages * 4096))


def test_disk_full_at_each_write_of_a_refresh(world: World, small: Path) -> None:
    """With 0, 1, 2, … pages left: it fails with a clear error until it fits; nothing is older or stuck."""
    shutil.copytree(world.metadata, small / "metadata")
    world.metadata = small / "metadata"
    world.repository.publish()
    failed = 0
    for pages in range(40):
        fill(small, pages)
        try:
            code = world.refresh()
        except OSError as error:  # the service and the command tell it as TH-ENR-029
            assert error.errno == errno.ENOSPC
            code = "full"
        fill(small, 40)
        serve_version(world, 1)
        assert world.refresh() in OLDER
        serve_version(world, 3)
        if code == "":
            break
        failed += 1
    assert failed >= 3
    assert code == ""
    assert world.refresh() == ""


def test_a_full_disk_is_told_in_a_sentence(world: World, small: Path) -> None:
    shutil.copytree(world.metadata, small / "metadata")
    world.metadata = small / "metadata"
    world.repository.publish()
    fill(small, 0)
    status, message = world.command("refresh")
    assert (status, "TH-ENR-029" in message) == (1, True), message


def test_disk_full_when_a_policy_is_put_in_force(tmp_path: Path, small: Path) -> None:
    """The core's own state: the old policy stays, and the new one comes once there is room."""
    laptop = Laptop(small)
    assert laptop.inbox.accept(NOW)
    first = laptop.inbox.in_force
    statement = laptop.put(
        seq=2, prev_hash=hashlib.sha256(laptop.statement).hexdigest(), policies=[laptop.put_body(name="x")]
    )
    fill(small, 0)
    with pytest.raises(TwinhullError):
        laptop.inbox.accept(NOW)
    assert laptop.inbox.in_force == first
    laptop.state.close()
    (small / "filler").unlink()
    state = State(laptop.paths.database)
    again = Inbox(state, laptop.paths)
    assert again.in_force == first
    assert again.accept(NOW)
    state.close()
    assert (laptop.paths.inbox / "statement.dsse").read_bytes() == statement
