"""Commands on the laptop: written down first, done once, cut short anywhere, never about personal things."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.daemon import command_book as books
from twinhull_hypervisor.daemon.commands import Commands, NotPossible, Removed, seal
from twinhull_hypervisor.daemon.paths import Paths
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.fetch.client import FetchClient
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.errors import ErrorReport, RemoteError, TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command, Receipt
from twinhull_policy.trust.receipt import parse_receipt

from tests.support.signing import DAY, DEVICE, NOW, Corporate

COMPANY = Corporate()
ROOT = COMPANY.trusted()
NEW_KEY = "A" * 42 + "8="


def signed(action: Any, number: int = 1, company: Corporate = COMPANY, **fields: Any) -> str:
    defaults: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "number": number,
        "action": action,
        "issued_at": NOW,
        "not_after": NOW + 30 * DAY,
    }
    signers = company.director_keys if action == "rotate-vpn-key" else company.command_keys
    return sign_command(Command(**(defaults | fields)), signers).decode()


class Killed(BaseException):
    """The power went."""


class Postbox(FetchClient):
    """A server that takes receipts, or refuses them with a code."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.taken: list[Receipt] = []
        self.refuses = ""

    def receipt(self, body: str) -> str:
        if self.refuses:
            raise RemoteError(ErrorReport(self.refuses, "No.", "", 1))
        self.taken.append(parse_receipt(body.encode()))
        return f"signed {body}"

    def states(self, number: int = 1) -> list[str]:
        return [receipt.state for receipt in self.taken if receipt.number == number]


class Side:
    """The corporate side: a real volume, and a machine that is a word."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.machine = "running"
        self.erased = 0
        self.left = 0
        self.error: TwinhullError | None = None

    async def enforce(self) -> None:
        self.machine = "paused" if self.laptop.commands.locked() else self.machine

    async def erase(self) -> Sequence[Removed]:
        self.machine = "absent"
        if self.error is not None:
            raise self.error
        self.laptop.volume.destroy()
        self.erased += 1
        return ["keys", "contents", "firmware-variables"]

    async def leave(self) -> None:
        self.left += 1

    async def rotate_vpn_key(self) -> str:
        raise NotPossible(detail="no tunnel")


class Laptop:
    """A journal in a directory, a corporate volume to lose and a personal one to keep."""

    def __init__(self, directory: Path) -> None:
        self.paths = Paths(state=directory, fetch=directory / "fetch", run=directory / "run")
        self.postbox = Postbox()
        for partition in Partition:
            self.paths.volume(partition).mkdir(parents=True, exist_ok=True)
        self.volume = QemuLuksVolume(Partition.CORPORATE, self.paths.volume(Partition.CORPORATE))
        for name, size in (("overlay.qcow2", 1 << 20), ("keys.json", 500), ("nvram.fd", 1000)):
            for partition in Partition:
                (self.paths.volume(partition) / name).write_bytes(partition.encode() * (size // 8))
        self.side = Side(self)
        self.start()

    def start(self) -> None:
        """As the daemon starts: from what is on disk."""
        self.state = State(self.paths.database)
        personal = self.paths.volume(Partition.PERSONAL)
        self.commands = Commands(self.state, self.postbox, personal, lambda _: None)

    def restart(self) -> None:
        with contextlib.suppress(Exception):
            self.state.close()
        self.start()

    def receive(self, *envelopes: str, now: int = NOW) -> None:
        self.commands.receive(envelopes, ROOT, DEVICE, now)

    def work(self) -> None:
        asyncio.run(self.commands.carry_out(self.side))
        asyncio.run(self.commands.deliver(self.side))

    def personal(self) -> str:
        """Every byte of the personal volume."""
        told = hashlib.sha256()
        for path in sorted(self.paths.volume(Partition.PERSONAL).iterdir()):
            told.update(path.name.encode() + path.read_bytes())
        return told.hexdigest()

    @property
    def refusals(self) -> list[str]:
        return [entry.text for entry in self.state.read_log(100) if entry.kind == "refused"]


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    made = Laptop(tmp_path)
    yield made
    made.state.close()


def test_wipe_destroys_the_corporate_volume_and_nothing_of_the_personal_one(laptop: Laptop) -> None:
    before = laptop.personal()
    laptop.receive(signed("wipe"))
    assert laptop.volume.state() is VolumeState.LOCKED
    laptop.work()
    assert laptop.volume.state() is VolumeState.ABSENT
    assert not list(laptop.paths.volume(Partition.CORPORATE).iterdir())
    assert laptop.personal() == before
    assert laptop.postbox.states() == ["delivered", "started", "done"]
    done = laptop.postbox.taken[-1]
    assert done.removed == ["keys", "contents", "firmware-variables"]
    assert done.personal_before == done.personal_after != ""
    told = [entry for entry in laptop.state.read_log(100) if entry.kind == "reported"]
    assert [entry.body[:7] for entry in told] == ["signed "] * 3


def test_the_seal_sees_any_change_and_tells_nothing(laptop: Laptop) -> None:
    volume, key = laptop.paths.volume(Partition.PERSONAL), b"k" * 32
    before = seal(volume, key)
    assert seal(volume, key) == before != seal(volume, b"j" * 32)
    content = (volume / "keys.json").read_bytes()
    (volume / "keys.json").write_bytes(content[:-1] + b"?")
    assert seal(volume, key) != before
    (volume / "keys.json").write_bytes(content)
    assert seal(volume, key) == before
    (volume / "nvram.fd").unlink()
    assert seal(volume, key) != before
    assert seal(volume / "nothing", key) == seal(volume / "none", key)


def test_a_replayed_wipe_does_nothing(laptop: Laptop) -> None:
    """The same envelope again, also after the journal forgot it, and an older number."""
    envelope = signed("wipe", 5)
    laptop.receive(envelope)
    laptop.work()
    laptop.receive(envelope)
    laptop.work()
    laptop.state.put("commands", msgspec.structs.replace(laptop.commands.book(), entries=[]))
    laptop.restart()
    laptop.receive(envelope, signed("wipe", 4))
    laptop.work()
    assert laptop.side.erased == 1
    assert len([refusal for refusal in laptop.refusals if "TH-TRU-073" in refusal]) == 2


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (signed("wipe", company=Corporate()), "TH-TRU-005"),
        (signed("wipe", device_id="laptop-2"), "TH-TRU-072"),
        (signed("wipe", not_after=NOW + 1), "TH-TRU-076"),
        (signed("lock", issued_at=NOW + 700 + DAY), "TH-TRU-075"),
        (signed("wipe").replace('"payload":"', '"payload":"A', 1), "TH-TRU-003"),
    ],
)
def test_what_does_not_hold_is_logged_once_and_not_done(laptop: Laptop, envelope: str, code: str) -> None:
    for _ in range(3):
        laptop.receive(envelope, now=NOW + DAY)
    laptop.work()
    assert laptop.side.erased == 0
    assert laptop.commands.book().next() is None
    assert len(laptop.refusals) == 1
    assert code in laptop.refusals[0]


def test_a_lock_holds_from_its_first_moment_until_unlocked(laptop: Laptop) -> None:
    laptop.receive(signed("lock", 1))
    laptop.work()
    assert laptop.commands.locked() == "Your employer locked it (command 1)."
    assert laptop.side.machine == "paused"
    laptop.restart()
    assert laptop.commands.locked()
    laptop.receive(signed("unlock", 2))
    laptop.work()
    assert laptop.commands.locked() == ""
    assert laptop.postbox.states(2) == ["delivered", "started", "done"]


def test_what_cannot_be_done_fails_honestly(laptop: Laptop) -> None:
    laptop.receive(signed("rotate-vpn-key", 1), signed("wipe", 2))
    laptop.work()
    assert laptop.postbox.states(1) == ["delivered", "started", "failed"]
    assert "no tunnel" in next(r.detail for r in laptop.postbox.taken if r.state == "failed")
    assert laptop.postbox.states(2)[-1] == "done"


def test_what_fails_for_now_is_never_called_done(laptop: Laptop) -> None:
    laptop.receive(signed("wipe"))
    laptop.side.error = TwinhullError(detail="libvirt is away")
    with pytest.raises(TwinhullError):
        laptop.work()
    asyncio.run(laptop.commands.deliver(laptop.side))
    assert laptop.postbox.states() == ["delivered", "started"]
    laptop.side.error = None
    laptop.restart()
    laptop.work()
    assert laptop.postbox.states() == ["delivered", "started", "done"]


def test_receipts_wait_for_the_server_in_order(laptop: Laptop) -> None:
    laptop.postbox.refuses = "TH-ENR-002"
    laptop.receive(signed("wipe"))
    with pytest.raises(RemoteError):
        laptop.work()
    assert laptop.side.erased == 1
    laptop.restart()
    laptop.postbox.refuses = ""
    laptop.work()
    assert laptop.postbox.states() == ["delivered", "started", "done"]
    laptop.receive(signed("lock", 2))
    laptop.postbox.refuses = "TH-SRV-121"
    laptop.work()
    assert laptop.commands.book().outbox == []


def test_release_leaves_once_the_server_has_the_receipt(laptop: Laptop) -> None:
    laptop.postbox.refuses = "TH-ENR-002"
    laptop.receive(signed("release"))
    with pytest.raises(RemoteError):
        laptop.work()
    assert laptop.volume.state() is VolumeState.ABSENT
    assert laptop.side.left == 0
    laptop.restart()
    laptop.postbox.refuses = "TH-SRV-026"  # it had the receipt; its answer was lost
    laptop.work()
    assert laptop.side.left == 1
    assert laptop.commands.book() == books.Book()
    assert "This laptop has left the company" in [entry.text for entry in laptop.state.read_log(100)]


def killed_at(laptop: Laptop, moment: int) -> bool:
    """Do all there is to do with the power going after the ``moment``-th write; whether it came to that."""
    writes, put = 0, laptop.state.put_bytes

    def counting(name: Any, body: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes > moment:
            raise Killed
        put(name, body)

    laptop.state.put_bytes = counting  # type: ignore[method-assign]
    try:
        receive_all(laptop)
        laptop.work()
    except Killed:
        return True
    return False


ALL = (signed("wipe", 1), signed("lock", 2), signed("release", 3))


def receive_all(laptop: Laptop) -> None:
    """The statement again; a laptop that has left the company takes none."""
    if not laptop.side.left:
        laptop.receive(*ALL)


def test_cut_anywhere_it_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """The power goes before each write of the journal in turn, and once more while it goes on."""
    moment = 0
    while True:
        laptop = Laptop(tmp_path / str(moment))
        before = laptop.personal()
        reached = killed_at(laptop, moment)
        laptop.restart()
        killed_at(laptop, moment // 2)
        laptop.restart()
        receive_all(laptop)
        laptop.work()
        assert laptop.volume.state() is VolumeState.ABSENT
        assert laptop.personal() == before
        assert laptop.side.left in (1, 2)
        for number in (1, 2, 3):
            states = laptop.postbox.states(number)
            assert list(dict.fromkeys(states)) == ["delivered", "started", "done"], (moment, states)
        laptop.state.close()
        if not reached:
            break
        moment += 1
    assert moment > 12


def test_the_journal_is_bounded(laptop: Laptop) -> None:
    laptop.postbox.refuses = "TH-ENR-002"
    for number in range(1, 90):
        laptop.receive(signed("lock", number))
        asyncio.run(laptop.commands.carry_out(laptop.side))
    book = laptop.commands.book()
    assert len(book.entries) <= books.ENTRIES_KEPT + 1
    assert len(book.outbox) == books.OUTBOX_KEPT
    assert book.outbox[-1].state == "done"
