"""What opens a volume, changed over the bus on the real core: real key files, real disks, a watched bus."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from twinhull_hypervisor import run as running
from twinhull_hypervisor.storage.errors import WrongPassphrase
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.interface import RULES
from twinhull_policy.api.types import KeySlot
from twinhull_policy.escrow import Sealed, new_private_key, opened
from twinhull_policy.names import Partition
from twinhull_policy.recovery_code import from_words

from tests.support.bus_watch import watched_bus
from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.hypervisor import QUICK, make_volumes

CORPORATE, PERSONAL = Partition
FIRST, SECOND, THIRD = "the first canary phrase", "the second canary phrase", "the third canary phrase"
PRIVATE, PUBLIC = new_private_key()


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both volumes, made once."""
    return make_volumes(tmp_path_factory.mktemp("volumes"), FIRST)


@pytest.fixture
async def laptop(tmp_path: Path, volumes: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CoreLaptop]:
    """Both volumes made, locked; both machines running."""
    monkeypatch.setattr("twinhull_hypervisor.storage.base.for_this_machine", lambda: QUICK)
    async with core_laptop(tmp_path, start=False) as made:
        for partition in Partition:
            shutil.copytree(volumes / partition, made.paths.volume(partition))
        await made.start_core()
        yield made


@contextmanager
def pipes(*secrets: str) -> Iterator[list[int]]:
    """The read ends of pipes, each with a secret."""
    ends = []
    for secret in secrets:
        reading, writing = os.pipe()
        os.write(writing, secret.encode())
        os.close(writing)
        ends.append(reading)
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


async def code_from(answer: Awaitable[int]) -> str:
    """The words that a method has handed over."""
    with os.fdopen(await answer) as pipe:
        return pipe.read()


async def add_code(laptop: CoreLaptop, name: str, passphrase: str = FIRST) -> str:
    with pipes(passphrase) as (secret,):
        return await code_from(laptop.daemon.add_recovery_code(name, "passphrase", secret))


async def recover(laptop: CoreLaptop, name: str, code: str, new: str) -> str:
    with pipes(code, new) as (typed, added):
        return await code_from(laptop.daemon.recover_volume(name, typed, added))


async def refusal(laptop: CoreLaptop, call: Callable[[list[int]], Awaitable[object]], *secrets: str) -> str:
    with pipes(*secrets) as ends:
        return (await laptop.refusal(call(ends))).code


async def kinds(laptop: CoreLaptop, name: str) -> list[str]:
    answer = await laptop.daemon.get_key_slots(name)
    return [slot.kind for slot in msgspec.json.decode(answer, type=list[KeySlot])]


async def unlocked(laptop: CoreLaptop, name: str) -> bool:
    return laptop.core.partitions._volumes[Partition(name)].state() == "unlocked"


async def test_a_forgotten_passphrase(laptop: CoreLaptop) -> None:
    """The code opens it and voids what was before; nothing is asked of the server, which is away."""
    daemon = laptop.daemon
    code = await add_code(laptop, "personal")
    assert await kinds(laptop, "personal") == ["passphrase", "recovery-code"]
    await laptop.stop_core()
    await laptop.start_core()
    daemon = laptop.daemon
    assert not await unlocked(laptop, "personal")
    following = await recover(laptop, "personal", code, SECOND)
    assert await unlocked(laptop, "personal")
    assert await kinds(laptop, "personal") == ["passphrase", "recovery-code"]
    refused = await refusal(laptop, lambda e: daemon.add_recovery_code("personal", "passphrase", *e), FIRST)
    assert refused == "TH-VOL-001"
    refused = await refusal(laptop, lambda e: daemon.add_recovery_code("personal", "recovery-code", *e), code)
    assert refused == "TH-VOL-014"
    await recover(laptop, "personal", following, THIRD)
    assert await kinds(laptop, "corporate") == ["passphrase"]


async def test_a_mistyped_code_does_not_count(laptop: CoreLaptop) -> None:
    words = (await add_code(laptop, "personal")).split()
    swapped = " ".join([words[1], words[0], *words[2:]])
    assert swapped.split() != words
    for _ in range(6):
        refused = await refusal(
            laptop, lambda e: laptop.daemon.recover_volume("personal", *e), swapped, SECOND
        )
        assert refused == "TH-VOL-012"
    await recover(laptop, "personal", " ".join(words), SECOND)


async def test_wrong_tries_are_counted_over_restarts(laptop: CoreLaptop) -> None:
    """The delay doubles until it outlasts a restart; then the right one has to wait as well."""
    refused: list[str] = []
    while "TH-VOL-002" not in refused and len(refused) < 12:
        refused.append(
            await refusal(laptop, lambda e: laptop.daemon.change_passphrase("personal", *e), SECOND, THIRD)
        )
        await laptop.stop_core()
        await laptop.start_core()
    assert refused[:3] == ["TH-VOL-001"] * 3
    assert refused[-1] == "TH-VOL-002"
    right = await refusal(laptop, lambda e: laptop.daemon.change_passphrase("personal", *e), FIRST, THIRD)
    assert right == "TH-VOL-002"


async def test_slots_come_and_go(laptop: CoreLaptop) -> None:
    daemon = laptop.daemon
    with pipes(FIRST, SECOND) as (old, new):
        await daemon.add_passphrase("corporate", "passphrase", old, new)
    first, second = msgspec.json.decode(await daemon.get_key_slots("corporate"), type=list[KeySlot])
    own = await refusal(
        laptop, lambda e: daemon.remove_key_slot("corporate", first.id, "passphrase", *e), FIRST
    )
    assert own == "TH-VOL-015"
    with pipes(SECOND) as (secret,):
        await daemon.remove_key_slot("corporate", first.id, "passphrase", secret)
    last = await refusal(
        laptop, lambda e: daemon.remove_key_slot("corporate", second.id, "passphrase", *e), SECOND
    )
    assert last == "TH-VOL-009"
    with pipes(SECOND, THIRD) as (old, new):
        await daemon.change_passphrase("corporate", old, new)
    assert len(await kinds(laptop, "corporate")) == 1
    remove = daemon.remove_key_slot
    path = await refusal(laptop, lambda e: remove("corporate", "../keys", "passphrase", *e), THIRD)
    kind = await refusal(laptop, lambda e: remove("corporate", second.id, "pin", *e), THIRD)
    assert (path, kind) == ("TH-DMN-007", "TH-DMN-031")


async def test_a_new_key_makes_old_copies_void(laptop: CoreLaptop) -> None:
    daemon = laptop.daemon
    directory = laptop.paths.volume(PERSONAL)
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    with pipes(FIRST) as (secret,):
        assert (await laptop.refusal(daemon.rotate_volume_key("personal", secret))).code == "TH-PAR-008"
    laptop.hypervisor.connection().lookupByName("twinhull-personal").destroy()
    with pipes(FIRST) as (secret,):
        code = await code_from(daemon.rotate_volume_key("personal", secret))
    now = QemuLuksVolume(PERSONAL, directory, cost=QUICK)
    now.unlock(FIRST.encode())
    old = QemuLuksVolume(PERSONAL, copy, cost=QUICK)
    old.unlock(FIRST.encode())
    assert opens(directory, now.secret_value())
    assert opens(copy, old.secret_value())
    assert not opens(directory, old.secret_value())
    shutil.copy(copy / "keys.json", directory / "keys.json")
    restored = QemuLuksVolume(PERSONAL, directory, cost=QUICK)
    restored.unlock(FIRST.encode())
    assert not opens(directory, restored.secret_value())
    assert len(from_words(code.encode())) == 16


def opens(directory: Path, key: bytes) -> bool:
    """Whether the disk itself opens with a key."""
    image = f"driver=qcow2,file.filename={directory}/overlay.qcow2,encrypt.format=luks,encrypt.key-secret=key"
    done = running.run(
        [
            "qemu-io",
            "--object",
            "secret,id=key,file=/dev/stdin,format=raw",
            "--image-opts",
            image,
            "-c",
            "read 0 512",
        ],
        timeout=60,
        input=key,
        check=False,
    )
    return done.status == 0 and b"512/512" in done.stdout


async def test_the_policy_names_an_escrow(laptop: CoreLaptop) -> None:
    """It is made when the volume is next opened, its owner is told, and the employer's key opens it."""
    code = await add_code(laptop, "corporate")
    laptop.escrow_key = PUBLIC
    await laptop.contact()
    assert (await laptop.refusal(laptop.daemon.get_escrow("corporate"))).code == "TH-VOL-018"
    code = await recover(laptop, "corporate", code, SECOND)
    assert await kinds(laptop, "corporate") == ["passphrase", "recovery-code", "escrow"]
    sealed = await laptop.daemon.get_escrow("corporate")
    assert msgspec.json.decode(sealed, type=Sealed).device_id == "laptop-1"
    log = await laptop.daemon.get_log(1000)
    assert f"escrow to {PUBLIC}" in log
    employers = opened(sealed.encode(), PRIVATE)
    assert employers != code
    await recover(laptop, "corporate", employers, THIRD)
    assert opened((await laptop.daemon.get_escrow("corporate")).encode(), PRIVATE) != employers


async def test_the_server_cannot_get_a_personal_key(laptop: CoreLaptop) -> None:
    """Whatever policy is in force: no slot is made, none is handed out, and no method answers with a key."""
    laptop.escrow_key = PUBLIC
    await laptop.contact()
    code = await add_code(laptop, "personal")
    await recover(laptop, "personal", code, SECOND)
    assert await kinds(laptop, "personal") == ["passphrase", "recovery-code"]
    refused = await laptop.refusal(laptop.daemon.get_escrow("personal"))
    assert (refused.code, refused.blame) == ("TH-VOL-017", 4)
    assert not [verb for verb in RULES if "escrow" in verb and verb != "get_escrow"]


async def test_no_secret_is_where_it_should_not_be(
    laptop: CoreLaptop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries in every method: argv, environment, bus, log, files (R27)."""
    programs, seen, bus = tmp_path / "programs", tmp_path / "seen", tmp_path / "bus"
    programs.mkdir()
    spy = programs / "qemu-img"
    spy.write_text(
        f'#!/bin/sh\ncat /proc/$$/cmdline /proc/$$/environ >>{seen}\nexec /usr/bin/qemu-img "$@"\n'
    )
    spy.chmod(0o755)
    path = f"{programs}:{running.ENVIRONMENT['PATH']}"
    monkeypatch.setattr(running, "ENVIRONMENT", {**running.ENVIRONMENT, "PATH": path})
    caplog.set_level("DEBUG")
    laptop.hypervisor.connection().lookupByName("twinhull-personal").destroy()
    volume = laptop.core.partitions._volumes[PERSONAL]
    with watched_bus(bus):
        codes = [await add_code(laptop, "personal")]
        codes.append(await recover(laptop, "personal", codes[0], SECOND))
        keys = [volume.secret_value() or b""]
        with pipes(SECOND, THIRD) as (old, new):
            await laptop.daemon.change_passphrase("personal", old, new)
        with pipes(THIRD) as (secret,):
            codes.append(await code_from(laptop.daemon.rotate_volume_key("personal", secret)))
        keys.append(volume.secret_value() or b"")
        await laptop.daemon.get_log(1000)
    assert keys[0] != keys[1]
    needles = [phrase.encode() for phrase in (FIRST, SECOND, THIRD)]
    needles += [form for key in keys for form in (key, bytes.fromhex(key.decode()))]
    needles += [form for code in codes for form in (code.encode(), from_words(code.encode()))]
    needles += [re.sub(rb" ", b"\n", code.encode()) for code in codes]
    assert b"encrypt.new-secret" in seen.read_bytes()
    assert b"rotate_volume_key".replace(b"_", b"") in bus.read_bytes().lower()
    places = everything(tmp_path)
    places |= {Path("log"): caplog.text.encode(), Path("state"): (await laptop.daemon.get_log(1000)).encode()}
    assert len(places) > 10
    assert [str(where) for where, content in places.items() for needle in needles if needle in content] == []


async def test_a_damaged_header_is_told_before_a_question(laptop: CoreLaptop) -> None:
    """The status says so, so that no passphrase is asked for; the backup is put back on demand."""
    overlay = laptop.paths.volume(PERSONAL) / "overlay.qcow2"
    refused = await laptop.refusal(laptop.daemon.restore_header("personal"))
    assert refused.code == "TH-PAR-008"
    laptop.hypervisor.connection().lookupByName("twinhull-personal").destroy()
    damaged = os.open(overlay, os.O_WRONLY)
    os.pwrite(damaged, bytes(4096), 0)
    os.close(damaged)
    shown = next(info for info in (await laptop.status()).partitions if info.name == "personal")
    assert (shown.state, "restore-header" in shown.reason) == ("failed", True)
    assert await refusal(laptop, lambda e: laptop.daemon.start_partition("personal", *e), "") == "TH-VOL-019"
    await laptop.daemon.restore_header("personal")
    shown = next(info for info in (await laptop.status()).partitions if info.name == "personal")
    assert shown.state == "locked"
    wrong = await refusal(laptop, lambda e: laptop.daemon.start_partition("personal", *e), SECOND)
    assert wrong == "TH-VOL-001"


def everything(directory: Path) -> dict[Path, bytes]:
    """Each file below a directory, and this process's arguments and environment."""
    files = [file for file in directory.rglob("*") if file.is_file()]
    return {
        file: file.read_bytes() for file in (*files, Path("/proc/self/cmdline"), Path("/proc/self/environ"))
    }


async def test_an_impossible_passphrase_is_a_wrong_one(laptop: CoreLaptop) -> None:
    with pytest.raises(WrongPassphrase):
        laptop.core.partitions._volumes[PERSONAL].unlock(b"short")
    assert await refusal(laptop, lambda e: laptop.daemon.rotate_volume_key("corporate", *e), "x")
