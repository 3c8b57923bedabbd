"""A volume on real dm-crypt, by the real diskd: opened, refused, grown, damaged, wiped, and its power cut.

With ``--long`` the power is cut before each step of each change, else before some, and devices are tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.storage.errors import HeaderDamaged, NoVolume, VolumeLocked, WrongPassphrase

from tests.support.source import ROOT

from .machine import Kernel, booted

MODULE = "tests.kernel.volumes_inside"
FIRST, SECOND = "correct horse battery", "another staple entirely"
DISK_BYTES = 16 * 2**30
MEMORY = 512
GIB = 2**30
FILE: dict[str, Any] = {"gib": 3}
DISCARDING: dict[str, Any] = {"gib": 3, "discard": True}
LOGICAL = "/dev/mapper/laptop-personal"

pytestmark = pytest.mark.timeout(1800)


class Refused(Exception):
    """With the code that it was refused with."""


class Cut(Exception):
    """It stands where the power is to be cut."""


class Asked:
    """What runs in the kernel, asked by name."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._heard()

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: object) -> Any:
            self.kernel.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
            return self._heard()

        return ask

    def refusal(self, name: str, *arguments: object) -> str:
        """The code of what is refused."""
        with pytest.raises(Refused) as refused:
            getattr(self, name)(*arguments)
        return str(refused.value)

    def end(self) -> None:
        """Close what is open, and switch off."""
        self.kernel.stdin.write(b'["end"]\n')
        assert self.kernel.wait() == 0, self.kernel.said

    def _heard(self) -> Any:
        while True:
            line = self.kernel.read_line()
            if line.startswith("{"):  # else it is what a program logs
                break
        said = json.loads(line)
        if "refused" in said:
            raise Refused(said["refused"])
        if "cut" in said:
            raise Cut
        assert "failed" not in said, said["failed"]
        return said.get("done")


@contextmanager
def laptop(
    kernel_program: Path,
    *disks: Path,
    medium: dict[str, Any] = FILE,
    cut: int | None = 0,
    module: str = MODULE,
    **more: Any,
) -> Iterator[Asked]:
    """A laptop with a disk, that was just switched on."""
    parts = (ROOT, *(ROOT / part for part in ("policy", "hypervisor")))
    environment = {"PYTHONPATH": ":".join(map(str, parts)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", module, json.dumps({"medium": medium, "cut": cut})]
    with booted(kernel_program, command, environment=environment, disks=list(disks), memory=MEMORY) as kernel:
        yield Asked(kernel)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return empty_disk(tmp_path / "disk")


def empty_disk(path: Path) -> Path:
    """A file that is a disk, with nothing on it."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    return path


def copied(disk: Path, path: Path) -> Path:
    """The same disk once more."""
    subprocess.run(["cp", "--sparse=always", disk, path], check=True)
    return path


def test_a_volume_is_what_the_design_says(kernel_program: Path, disk: Path) -> None:
    with laptop(
        kernel_program, disk, medium=DISCARDING, cut=None
    ) as inside:  # diskd as on a laptop, and Argon2id
        assert inside.able() and inside.chosen() == "luks2-dm-crypt"
        assert inside.state() == "absent"
        inside.create(FIRST)
        assert inside.state() == "unlocked"
        assert {"overlay.qcow2", "nvram.fd"} <= set(inside.inside())
        (backup,) = [name for name in inside.files() if name.endswith(".backup")]
        assert set(inside.files()) == {
            "core/personal", "core/personal/keys.json", "core/personal/overlay.head", backup,
        }  # fmt: skip
        dumped = inside.header()
        for said in ("Version:       \t2", "aes-xts-plain64", "sector: 4096", "PBKDF:      argon2id"):
            assert said in dumped
        table = inside.mapping()
        assert table[2:4] == ["crypt", "aes-xts-plain64"] and "sector_size:4096" in table
        # Unused blocks are given back as the settings say, here; the next test's say nothing.
        before = inside.blocks()
        assert "allow_discards" in table and inside.trimmed() == "" and inside.blocks() < before - 1024
        inside.write("a guest's own words")
        inside.lock()
        assert (inside.state(), inside.inside()) == ("locked", [])
        assert inside.chosen() == "luks2-dm-crypt"
        assert inside.refusal("unlock", "a wrong passphrase") == WrongPassphrase.code
        assert inside.refusal("grow") == VolumeLocked.code
        assert inside.state() == "locked"
        inside.unlock(FIRST)
        assert inside.holds("a guest's own words")
        # A snapshot is inside, and gone back to and forth.
        kept = inside.snapshot("before")
        inside.write("something else instead")
        back = inside.roll_back(kept)
        assert inside.holds("a guest's own words")
        inside.roll_back(back)
        assert inside.holds("something else instead")
        # An update begins empty, and what was there comes back; its image is told outside, too.
        assert inside.stands_on() == ["a", "a", 1]
        inside.update("s-00c0ffee")
        assert inside.stands_on() == ["b", "b", 2] and not inside.holds("something else instead")
        inside.undo_update("s-00c0ffee")
        inside.head_of("a")
        assert inside.stands_on() == ["a", "a", 1] and inside.holds("something else instead")
        # It grows as its settings say, while it is open.
        inside.settings({**DISCARDING, "gib": 4})
        assert inside.grow() == 4 * GIB == inside.grow()
        assert inside.holds("something else instead")
        inside.end()


@pytest.fixture(scope="module")
def made(kernel_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a volume that was made, written to, and closed."""
    disk = empty_disk(tmp_path_factory.mktemp("made") / "disk")
    with laptop(kernel_program, disk) as inside:
        inside.create(FIRST)
        inside.write("from before")
        inside.end()
    return disk


def test_headers_and_the_end(kernel_program: Path, made: Path, tmp_path: Path) -> None:
    with laptop(kernel_program, copied(made, tmp_path / "disk")) as inside:
        inside.keep_header("then")
        inside.zero_header()
        assert inside.refusal("unlock", "not even looked at") == HeaderDamaged.code, "before any try counts"
        inside.restore_header()
        # One that cryptsetup made in its own way: diskd opens it for nobody, not even by its very key.
        assert inside.foreign_header() == "TH-VOL-038"
        assert inside.refusal("unlock", FIRST) == HeaderDamaged.code
        inside.restore_header()
        inside.unlock(FIRST)
        assert inside.holds("from before")
        before = inside.blocks()
        assert "allow_discards" not in inside.mapping() and "not supported" in inside.trimmed()
        assert inside.blocks() == before
        # A new key: what the header was before opens no more, and is told from the header of now.
        code = inside.rotate(FIRST)
        inside.lock()
        inside.put_old_header("then")
        assert inside.refusal("unlock", FIRST) == HeaderDamaged.code
        inside.restore_header()
        inside.unlock(FIRST)
        inside.lock()
        inside.recover(code, SECOND)
        inside.lock()
        assert inside.refusal("unlock", FIRST) == WrongPassphrase.code
        inside.unlock(SECOND)
        assert inside.holds("from before")
        # The end: nothing is left of it, and an old header opens nothing that comes after.
        assert inside.wipe() == [] == inside.wipe()
        assert (inside.state(), inside.files()) == ("absent", ["core/personal"])
        inside.create(SECOND)
        inside.lock()
        inside.put_old_header("then")
        assert inside.refusal("unlock", SECOND) == HeaderDamaged.code
        inside.restore_header()
        inside.unlock(SECOND)
        assert not inside.holds("from before")
        inside.end()


@pytest.mark.parametrize("device", [LOGICAL, "/dev/ubdb"])
def test_it_is_on_a_device(
    kernel_program: Path, disk: Path, tmp_path: Path, device: str, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("devices are tried with --long")
    second = empty_disk(tmp_path / "second")
    with laptop(kernel_program, disk, second, medium={"device": device}) as inside:
        logical = device == LOGICAL
        if logical:
            inside.logical_volume(3 * GIB)
        inside.create(FIRST)
        inside.write("on a device")
        if logical:
            inside.logical_volume(4 * GIB)
            assert inside.grow() == 4 * GIB
        inside.lock()
        inside.unlock(FIRST)
        assert inside.holds("on a device")
        assert inside.wipe() == []
        assert inside.refusal("unlock", FIRST) == NoVolume.code
        inside.end()


CHANGES = ("create", "unlock", "rotate", "snapshot", "wipe")
SOME = (("rotate", 10), ("wipe", 6))
"""Steps before which the power is cut where not all are tried."""
MOST = 80


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row, or for the most telling of them."""
    every = bool(metafunc.config.getoption("--long"))
    if "change" in metafunc.fixturenames:
        metafunc.parametrize(("change", "step"), [(change, 0) for change in CHANGES] if every else SOME)


def begin(inside: Asked, change: str) -> None:
    """Do it, to its end."""
    if change == "create":
        inside.create(FIRST)
        return
    if change == "unlock":
        inside.unlock(FIRST)
    elif change == "rotate":
        inside.rotate(FIRST)
    elif change == "snapshot":
        inside.unlock(FIRST)
        inside.snapshot("kept")
    else:
        inside.unlock(FIRST)
        inside.wipe()


def judge(inside: Asked, change: str) -> None:
    """All is as before or as after, and can be done to its end."""
    if change == "create" and inside.state() == "absent":
        inside.create(FIRST)
        inside.write("from before")
        inside.lock()
    if change == "wipe":
        assert inside.wipe() == []
        assert (inside.state(), inside.files()) == ("absent", ["core/personal"])
        return
    inside.unlock(FIRST)
    assert change == "create" or inside.holds("from before")
    assert inside.snapshots() in ([], ["kept"])
    header = inside.header()
    assert header.count("PBKDF:") == 1 and header.count("Area offset:") == 1, "no key is left over"
    inside.lock()
    inside.unlock(FIRST)
    inside.lock()


def cut_at(kernel_program: Path, disk: Path, change: str, step: int) -> bool:
    """Cut the power before a step of a change, and look after the next start; whether there was one."""
    with laptop(kernel_program, disk, cut=step) as inside:
        try:
            begin(inside, change)
        except Cut:
            inside.kernel.cut_power()
        else:
            return False
    with laptop(kernel_program, disk) as inside:
        judge(inside, change)
        inside.end()
    return True


def test_the_power_is_cut(kernel_program: Path, made: Path, tmp_path: Path, change: str, step: int) -> None:
    def fresh(number: int) -> Path:
        path = tmp_path / f"disk{number}"
        return empty_disk(path) if change == "create" else copied(made, path)

    if step:
        assert cut_at(kernel_program, fresh(step), change, step), "there is no such step any more"
        return
    tried = 0
    while tried < MOST and cut_at(kernel_program, fresh(tried), change, tried + 1):
        (tmp_path / f"disk{tried}").unlink()
        tried += 1
    assert 3 < tried < MOST
