"""A volume that opens by a PIN and the security chip, over the real core's bus: real tpmd, software TPM."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor import ipc
from twinhull_hypervisor.tpm.chip import Chip
from twinhull_hypervisor.tpm.client import TpmClient
from twinhull_hypervisor.tpm.errors import ChipGone
from twinhull_policy.api.types import KeySlot
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.api.test_daemon_key_slots import (
    FIRST,
    SECOND,
    add_code,
    everything,
    kinds,
    laptop,
    pipes,
    recover,
    refusal,
    unlocked,
    volumes,
)
from tests.support.bus_watch import watched_bus
from tests.support.core_laptop import CoreLaptop
from tests.support.swtpm import SoftwareTpm, running_tpmd

__all__ = ["laptop", "volumes"]
"""Fixtures of the key slots' tests, which these stand on too."""
PIN, OTHER_PIN = "canary-pin-2846", "canary-pin-2847"
BOOT = b"\x11" * 32
AUTH = b"0123456789abcdef"


@pytest.fixture
async def chip(laptop: CoreLaptop, tmp_path: Path) -> AsyncIterator[SoftwareTpm]:
    """A chip, and tpmd before it."""
    with SoftwareTpm(tmp_path) as tpm:
        tpm.extend(7, BOOT)
        with running_tpmd(laptop.paths.tpmd_socket, tpm, tmp_path / "tpmd.log"):
            yield tpm


async def add_pin(
    laptop: CoreLaptop, name: str, pin: str = PIN, kind: str = "passphrase", by: str = FIRST
) -> None:
    with pipes(by, pin) as (secret, new):
        await laptop.daemon.add_pin(name, kind, secret, new)


async def unlock(laptop: CoreLaptop, name: str, secret: str, kind: str = "tpm") -> None:
    with pipes(secret) as (end,):
        await laptop.daemon.unlock_volume(name, kind, end)


async def restart(laptop: CoreLaptop) -> None:
    """Core forgets all keys."""
    await laptop.stop_core()
    await laptop.start_core()


@pytest.mark.parametrize("name", ["corporate", "personal"])
async def test_a_pin_opens_a_volume(laptop: CoreLaptop, chip: SoftwareTpm, name: str) -> None:
    await add_pin(laptop, name)
    assert await kinds(laptop, name) == ["passphrase", "tpm"]
    await restart(laptop)
    chip.reboot(BOOT)
    assert not await unlocked(laptop, name)
    wrong = await refusal(laptop, lambda e: laptop.daemon.unlock_volume(name, "tpm", *e), OTHER_PIN)
    assert wrong == "TH-VOL-025"
    assert not await unlocked(laptop, name)
    await unlock(laptop, name, PIN)
    assert await unlocked(laptop, name)
    await unlock(laptop, name, FIRST, "passphrase")
    again = await refusal(laptop, lambda e: laptop.daemon.unlock_volume(name, "tpm", *e), OTHER_PIN)
    assert again == "TH-VOL-025", "an open volume is no answer to a wrong PIN"
    (slot,) = [
        slot for slot in msgspec.json.decode(await laptop.daemon.get_key_slots(name), type=list[KeySlot])
        if slot.kind == "tpm"
    ]  # fmt: skip
    with pipes(FIRST) as (secret,):
        await laptop.daemon.remove_key_slot(name, slot.id, "passphrase", secret)
    gone = await refusal(laptop, lambda e: laptop.daemon.unlock_volume(name, "tpm", *e), PIN)
    assert gone == "TH-VOL-034"


async def test_what_happened_is_said_over_the_bus_and_the_code_opens_it(
    laptop: CoreLaptop, chip: SoftwareTpm
) -> None:
    code = await add_code(laptop, "personal")
    await add_pin(laptop, "personal")
    await restart(laptop)
    said = []
    happenings: list[Callable[[], None]] = [lambda: chip.extend(7, BOOT), chip.clear, chip.off]
    for happens in happenings:
        happens()
        with pipes(PIN) as (end,):
            report = await laptop.refusal(laptop.daemon.unlock_volume("personal", "tpm", end))
        said.append((report.code, "recovery code" in report.next_step, report.blame))
    assert said == [("TH-VOL-026", True, 1), ("TH-VOL-027", True, 1), ("TH-VOL-028", True, 1)]
    await recover(laptop, "personal", code, SECOND)
    assert await unlocked(laptop, "personal")
    assert await kinds(laptop, "personal") == ["passphrase", "recovery-code"]


async def test_without_tpmd_there_is_no_chip_and_all_else_goes_on(laptop: CoreLaptop) -> None:
    refused = await refusal(laptop, lambda e: laptop.daemon.add_pin("personal", "passphrase", *e), FIRST, PIN)
    assert refused == "TH-VOL-028"
    assert await kinds(laptop, "personal") == ["passphrase"]
    await unlock(laptop, "personal", FIRST, "passphrase")
    assert await unlocked(laptop, "personal")


async def test_bounds(laptop: CoreLaptop, chip: SoftwareTpm) -> None:
    add, open_ = laptop.daemon.add_pin, laptop.daemon.unlock_volume
    assert await refusal(laptop, lambda e: add("personal", "passphrase", *e), FIRST, "123") == "TH-VOL-033"
    assert await refusal(laptop, lambda e: add("personal", "tpm", *e), PIN, PIN) == "TH-VOL-034"
    assert await refusal(laptop, lambda e: add("personal", "chip", *e), FIRST, PIN) == "TH-DMN-031"
    assert await refusal(laptop, lambda e: open_("personal", "tpm", *e), "1") == "TH-VOL-025"
    assert await refusal(laptop, lambda e: open_("personal", "recovery-code", *e), "a b") == "TH-DMN-007"
    assert await refusal(laptop, lambda e: open_("neither", "tpm", *e), PIN) == "TH-DMN-006"


async def test_a_lease_that_ended_opens_no_corporate_volume(laptop: CoreLaptop, chip: SoftwareTpm) -> None:
    await add_pin(laptop, "corporate")
    await add_pin(laptop, "personal")
    await restart(laptop)
    await laptop.passes(hours=200)
    refused = await refusal(laptop, lambda e: laptop.daemon.unlock_volume("corporate", "tpm", *e), PIN)
    assert refused.startswith("TH-") and not await unlocked(laptop, "corporate")
    await unlock(laptop, "personal", PIN)
    assert await unlocked(laptop, "personal")


async def test_no_pin_is_where_it_should_not_be(
    laptop: CoreLaptop, chip: SoftwareTpm, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The PIN, what stands for it, what the chip keeps, and the volume key: bus, log, arguments, files."""
    caplog.set_level("DEBUG")
    told: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        ask = TpmClient._ask

        def listened(
            self: TpmClient, verb: str, arguments: msgspec.Struct, auth: bytes
        ) -> tuple[object, bytes]:
            answer, secret = ask(self, verb, arguments, auth)
            told.extend((auth, secret))
            return answer, secret

        patch.setattr(TpmClient, "_ask", listened)
        with watched_bus(tmp_path / "bus"):
            await add_pin(laptop, "personal")
            await restart(laptop)
            await unlock(laptop, "personal", PIN)
            await refusal(laptop, lambda e: laptop.daemon.unlock_volume("personal", "tpm", *e), OTHER_PIN)
            log = await laptop.daemon.get_log(1000)
    key = laptop.core.partitions._volumes[Partition.PERSONAL].secret_value() or b""
    assert len(told) == 4 and told[0] == told[2] and told[1] == told[3]
    needles = [PIN.encode(), OTHER_PIN.encode(), key, bytes.fromhex(key.decode()), *told]
    assert b"unlockvolume" in (tmp_path / "bus").read_bytes().lower().replace(b"_", b"")
    tpmd = processes_of_tpmd()
    assert tpmd
    places = everything(tmp_path)
    places |= {Path("log"): caplog.text.encode(), Path("state"): log.encode()}
    places |= {place / name: (place / name).read_bytes() for place in tpmd for name in ("cmdline", "environ")}
    assert [str(where) for where, content in places.items() for needle in needles if needle in content] == []


def processes_of_tpmd() -> list[Path]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"twinhull_hypervisor.tpm.main" in (entry / "cmdline").read_bytes():
                found.append(entry)
    return found


BAD_PACKETS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "nothing": ("seal", {}, True),
    "no registers": ("seal", {"pcrs": []}, True),
    "a register that can be reset": ("seal", {"pcrs": [16]}, True),
    "more than it takes": ("seal", {"pcrs": [7], "key": "x"}, True),
    "no sealed secret": ("unseal", {"sealed": {}}, True),
    "a word": ("unseal", {"sealed": "x"}, True),
    "no memory": ("seal", {"pcrs": [7]}, False),
}


@pytest.mark.parametrize("case", list(BAD_PACKETS))
async def test_tpmd_refuses_what_is_out_of_bounds(laptop: CoreLaptop, chip: SoftwareTpm, case: str) -> None:
    verb, arguments, with_memory = BAD_PACKETS[case]
    fds = [os.memfd_create("a"), os.memfd_create("b")]
    os.pwrite(fds[0], AUTH, 0)
    try:
        with pytest.raises(RemoteError) as refused:
            ipc.call(laptop.paths.tpmd_socket, verb, arguments, fds=fds if with_memory else None)
    finally:
        for fd in fds:
            os.close(fd)
    assert refused.value.report().code == "TH-VOL-032"


@pytest.mark.parametrize("auth", [b"", b"x" * 33, b"x\0"])
async def test_tpmd_refuses_a_stand_in_that_the_chip_would_change(
    laptop: CoreLaptop, chip: SoftwareTpm, auth: bytes
) -> None:
    with pytest.raises(RemoteError) as refused:
        TpmClient(laptop.paths.tpmd_socket).seal(auth, [7])
    assert refused.value.report().code == "TH-VOL-032"


async def test_tpmd_is_not_kept_waiting_by_a_pipe(laptop: CoreLaptop, chip: SoftwareTpm) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(RemoteError) as refused:
            ipc.call(laptop.paths.tpmd_socket, "seal", {"pcrs": [7]}, fds=[reading, writing], timeout=10)
    finally:
        os.close(reading)
        os.close(writing)
    assert refused.value.report().code == "TH-VOL-032"


async def test_through_tpmd_as_from_the_chip(laptop: CoreLaptop, chip: SoftwareTpm) -> None:
    client = TpmClient(laptop.paths.tpmd_socket)
    sealed, secret = client.seal(AUTH, [7, 0])
    assert client.unseal(sealed, AUTH) == secret == Chip(chip.tcti).unseal(sealed, AUTH)
    assert json.loads(msgspec.json.encode(sealed))["measured"][1]["pcr"] == 7
    with pytest.raises(ChipGone, match="cannot be reached"):
        TpmClient(laptop.paths.run / "nobody.sock").seal(AUTH, [7])
