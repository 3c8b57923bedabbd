"""A key slot in the security chip, on a TPM 2.0 in software: what opens it, what does not, what is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinhull_hypervisor.storage.errors import BadKeyFile, BadPin, NoChipSlot, TooManyTries
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, Pin
from twinhull_hypervisor.tpm.chip import POLICY_FAIL, Chip
from twinhull_hypervisor.tpm.errors import (
    ChipCleared,
    ChipGone,
    ChipLocked,
    ChipMeasured,
    WrongPin,
)
from twinhull_hypervisor.tpm.esys import HMAC_SESSION, POLICY_SESSION, Esys, ResponseError
from twinhull_hypervisor.tpm.structures import Measured, Sealed, policy_digest, storage_key
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.support.swtpm import QUIET, SoftwareTpm

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
PHRASE, PIN, WRONG = Passphrase(b"correct horse battery"), Pin(b"2846"), Pin(b"2847")
AUTH = b"0123456789abcdef0123456789abcdef"
AUTH_UNAVAILABLE = 0x12F
BOOT, OTHER_BOOT = b"\x11" * 32, b"\x22" * 32


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftwareTpm]:
    with SoftwareTpm(tmp_path) as started:
        started.extend(7, BOOT)
        yield started


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, tpm: SoftwareTpm, clock: Clock) -> KeyFile:
    made = KeyFile(tmp_path / "keys.json", Partition.PERSONAL, clock, lambda: QUICK, Chip(tpm.tcti))
    made.create(PHRASE.value)
    return made


def test_a_pin_opens_what_a_passphrase_opens_and_after_restarts_too(file: KeyFile, tpm: SoftwareTpm) -> None:
    key = file.open(PHRASE)
    file.add_pin(PHRASE, PIN, [7])
    assert [slot.kind for slot in file.slots()] == ["passphrase", "tpm"]
    assert file.open(PIN) == key
    tpm.reboot(BOOT)
    assert file.open(PIN) == key
    assert file.open(PHRASE) == key
    first = file.slots()[1].id
    file.add_pin(PIN, WRONG, [7])
    assert [slot.kind for slot in file.slots()] == ["passphrase", "tpm"] and file.slots()[1].id != first
    with pytest.raises(WrongPin):
        file.open(PIN)
    assert file.open(WRONG) == key


def test_a_wrong_pin_is_counted_by_the_chip_and_by_the_file(
    file: KeyFile, tpm: SoftwareTpm, clock: Clock
) -> None:
    """libtpms locks itself at three; then no PIN opens, nor the right one, and the file does not count."""
    key = file.open(PHRASE)
    code = file.add_recovery_code(PHRASE)
    file.add_pin(PHRASE, PIN, [7])
    for _ in range(3):
        with pytest.raises(WrongPin):
            file.open(WRONG)
    with pytest.raises(TooManyTries):
        file.open(PIN)
    clock.now += 2
    with pytest.raises(ChipLocked, match=r"for 1000 seconds, as it has counted 3 wrong ones"):
        file.open(PIN)
    tpm.reboot(BOOT)
    with pytest.raises(ChipLocked):
        file.open(PIN)
    assert file.open(code) == key, "the recovery code opens it all the same"
    tpm.tool("dictionarylockout", "--clear-lockout")
    assert file.open(PIN) == key


def measured(tpm: SoftwareTpm, _: Path) -> None:
    tpm.reboot(OTHER_BOOT)


def measured_more(tpm: SoftwareTpm, _: Path) -> None:
    tpm.extend(7, OTHER_BOOT)


def cleared(tpm: SoftwareTpm, _: Path) -> None:
    tpm.clear()


def another(tpm: SoftwareTpm, directory: Path) -> None:
    """A new mainboard, whose firmware measures the same."""
    tpm.off()
    shutil.rmtree(directory / "tpm")
    (directory / "tpm").mkdir()
    tpm.on()
    tpm.extend(7, BOOT)


def gone(tpm: SoftwareTpm, _: Path) -> None:
    tpm.off()


def locked(tpm: SoftwareTpm, _: Path) -> None:
    """Somebody else has tried PINs on the chip."""
    sealed, _secret = Chip(tpm.tcti).seal(AUTH, [7])
    for _attempt in range(3):
        with pytest.raises(WrongPin):
            Chip(tpm.tcti).unseal(sealed, b"wrong")


EVENTS: list[tuple[Callable[[SoftwareTpm, Path], None], type[TwinhullError], str]] = [
    (measured, ChipMeasured, "register PCR 7 differs"),
    (measured_more, ChipMeasured, "register PCR 7 differs"),
    (cleared, ChipCleared, "was cleared, or is another one"),
    (another, ChipCleared, "was cleared, or is another one"),
    (gone, ChipGone, "There is no security chip"),
    (locked, ChipLocked, "takes no PIN for 1000 seconds"),
]


@pytest.mark.parametrize(("event", "error", "says"), EVENTS, ids=[event.__name__ for event, _, _ in EVENTS])
def test_whatever_happens_to_the_chip_is_named_and_loses_nothing(
    file: KeyFile,
    tpm: SoftwareTpm,
    tmp_path: Path,
    event: Callable[[SoftwareTpm, Path], None],
    error: type[TwinhullError],
    says: str,
) -> None:
    """It counts as no try, the recovery code opens the volume, and where there is a chip it takes a slot."""
    key = file.open(PHRASE)
    code = file.add_recovery_code(PHRASE)
    file.add_pin(PHRASE, PIN, [7])
    event(tpm, tmp_path)
    before = (tmp_path / "keys.json").read_bytes()
    for _ in range(4):
        with pytest.raises(error, match=says) as raised:
            file.open(PIN)
    assert (tmp_path / "keys.json").read_bytes() == before, "nothing was counted and nothing changed"
    assert "recovery code" in raised.value.next_step
    assert file.open(code) == key
    if event is gone:
        with pytest.raises(ChipGone):
            file.add_pin(code, PIN, [7])
        assert [slot.kind for slot in file.slots()] == ["passphrase", "recovery-code", "tpm"]
        tpm.on()
        tpm.extend(7, BOOT)
        assert file.open(PIN) == key
    elif event is not locked:
        file.add_pin(code, PIN, [7])
        assert file.open(PIN) == key


def test_each_happening_has_a_code_of_its_own() -> None:
    codes = {error.code for _, error, _ in EVENTS} | {WrongPin.code}
    assert len(codes) == 5


def test_using_the_recovery_code_voids_the_chips_slot(file: KeyFile) -> None:
    code = file.add_recovery_code(PHRASE)
    file.add_pin(PHRASE, PIN, [7])
    file.recover(code, b"another passphrase")
    with pytest.raises(NoChipSlot):
        file.open(PIN)


def test_a_new_volume_key_voids_the_chips_slot_and_copies_of_the_file(file: KeyFile, tmp_path: Path) -> None:
    """A copy of the file made before, on the same laptop with the same PIN, has the old key alone."""
    file.add_pin(PHRASE, PIN, [7])
    old = file.open(PIN)
    copied = (tmp_path / "keys.json").read_bytes()
    rotation = file.begin_rotation(0)
    file.rotated(PHRASE, rotation)
    with pytest.raises(NoChipSlot):
        file.open(PIN)
    (tmp_path / "keys.json").write_bytes(copied)
    assert file.open(PIN) == old != rotation.key


def test_an_earlier_start_of_another_register_does_not_matter(file: KeyFile, tpm: SoftwareTpm) -> None:
    key = file.open(PHRASE)
    file.add_pin(PHRASE, PIN, [0, 7])
    tpm.extend(4, OTHER_BOOT)
    assert file.open(PIN) == key
    tpm.extend(0, OTHER_BOOT)
    with pytest.raises(ChipMeasured, match="PCR 0 differs"):
        file.open(PIN)


def test_the_chip_itself_holds_to_the_registers_whatever_the_file_says(tpm: SoftwareTpm) -> None:
    """Whoever writes into the file that register 7 was always so gets a policy that does not hold."""
    chip = Chip(tpm.tcti)
    sealed, secret = chip.seal(AUTH, [7])
    assert chip.unseal(sealed, AUTH) == secret
    tpm.extend(7, OTHER_BOOT)
    value = tpm.tool("pcrread", "-o", "/dev/stdout", "sha256:7")[-32:]
    forged = msgspec.structs.replace(sealed, measured=[Measured(pcr=7, value=value)])
    with pytest.raises(ChipMeasured, match="policy does not hold"):
        chip.unseal(forged, AUTH)
    unbound = msgspec.structs.replace(sealed, measured=[Measured(pcr=15, value=bytes(32))])
    with pytest.raises(ChipMeasured, match="policy does not hold"):
        chip.unseal(unbound, AUTH)


def test_the_pin_without_the_policy_opens_nothing(tpm: SoftwareTpm) -> None:
    """Somebody's own program, which knows the PIN and asks the chip without telling it of registers."""
    sealed, _secret = Chip(tpm.tcti).seal(AUTH, [7])
    with (
        Esys(tpm.tcti) as esys,
        esys.primary(storage_key()) as parent,
        esys.loaded(parent, sealed.public, sealed.private) as item,
    ):
        with esys.session(HMAC_SESSION, parent, 0) as session, pytest.raises(ResponseError) as refused:
            esys.unseal(item, session, AUTH)
        assert refused.value.reason == AUTH_UNAVAILABLE
        with esys.session(POLICY_SESSION, parent, 0) as session, pytest.raises(ResponseError) as refused:
            esys.unseal(item, session, AUTH)
        assert refused.value.reason == POLICY_FAIL


def test_the_policy_is_the_one_that_tpm2_tools_compute(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """An independent reading of the specification: the trial session of tpm2-tools, in the chip."""
    tpm.extend(2, OTHER_BOOT)
    session, digest = str(tmp_path / "session"), tmp_path / "digest"
    tpm.tool("startauthsession", "-S", session)
    tpm.tool("policypcr", "-S", session, "-l", "sha256:2,7")
    tpm.tool("policyauthvalue", "-S", session, "-L", str(digest))
    tpm.tool("flushcontext", session)
    read = tpm.tool("pcrread", "-Q", "-o", "/dev/stdout", "sha256:2,7")
    assert digest.read_bytes() == policy_digest({2: read[:32], 7: read[32:]})


def test_nothing_is_left_in_the_chip(tpm: SoftwareTpm) -> None:
    """There is room for three objects only; a refusal leaves none either."""
    chip = Chip(tpm.tcti)
    sealed, secret = chip.seal(AUTH, [7])
    for _ in range(5):
        assert chip.unseal(sealed, AUTH) == secret
    with pytest.raises(WrongPin):
        chip.unseal(sealed, b"wrong")
    for kind in (
        "handles-transient",
        "handles-loaded-session",
        "handles-saved-session",
        "handles-persistent",
    ):
        assert tpm.tool("getcap", kind) == b""


def test_a_chip_that_measures_nothing_by_sha256(tpm: SoftwareTpm) -> None:
    tpm.tool("pcrallocate", "sha1:all+sha256:none")
    tpm.reboot()
    with pytest.raises(ChipGone, match="SHA-256"):
        Chip(tpm.tcti).seal(AUTH, [7])


def test_no_stack_at_all(tpm: SoftwareTpm, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> object:
        raise OSError("libtss2-esys.so.0: cannot open shared object file")

    monkeypatch.setattr("twinhull_hypervisor.tpm.esys.ctypes.CDLL", missing)
    with pytest.raises(ChipGone, match="software stack is missing"):
        Chip(tpm.tcti).seal(AUTH, [7])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SoftwareTpm, Sealed]]:
    with SoftwareTpm(tmp_path_factory.mktemp("tpm")) as started:
        yield started, Chip(started.tcti).seal(AUTH, [7])[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_blob_opens_nothing(shared: tuple[SoftwareTpm, Sealed], data: st.DataObject) -> None:
    """Any other bytes in the places of what the chip gave out are refused, by the stack or the chip."""
    tpm, sealed = shared
    which = data.draw(st.sampled_from(["public", "private"]))
    content = bytearray(getattr(sealed, which))
    kind = data.draw(st.sampled_from(["flip", "cut", "add", "any"]))
    if kind == "flip":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        content = content[: data.draw(st.integers(4, len(content) - 1))]
    elif kind == "add":
        content += data.draw(st.binary(min_size=1, max_size=100))
    else:
        content = bytearray(data.draw(st.binary(min_size=4, max_size=512)))
    with pytest.raises(TwinhullError) as raised:
        Chip(tpm.tcti).unseal(msgspec.structs.replace(sealed, **{which: bytes(content)}), AUTH)
    assert not isinstance(raised.value, ChipGone | WrongPin | ChipLocked), "no try was counted"


def test_a_slot_whose_wrapping_was_changed(file: KeyFile, tmp_path: Path) -> None:
    file.add_pin(PHRASE, PIN, [7])
    document = msgspec.json.decode((tmp_path / "keys.json").read_bytes())
    document["slots"][1]["wrapped"] = document["slots"][0]["wrapped"]
    (tmp_path / "keys.json").write_bytes(msgspec.json.encode(document))
    with pytest.raises(BadKeyFile, match="slot was changed"):
        file.open(PIN)


@pytest.mark.parametrize("pin", [b"", b"123", b"1" * 65])
def test_a_pin_out_of_bounds(pin: bytes) -> None:
    with pytest.raises(BadPin):
        Pin.of(pin)
