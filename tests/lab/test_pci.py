"""PCI functions behind an IOMMU: what is unsafe is refused with why, and a card goes into a guest by VFIO.

The machine is emulated, and so is the guest in it; the cards are QEMU's. It takes minutes: by hand,
``pytest tests/lab/test_pci.py``, and in ``installer/test --lab``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import ROOT

from .iommu_machine import BRIDGE, CARD, COUNTING, NO_RESET, SCREEN, SHARED, SHARING, machine
from .usb_peer.machine import Machine

MODULE = "tests.lab.pci_inside"
GUEST = Path(__file__).with_name("pci_guest.s")
SECONDS = 1500.0
pytestmark = pytest.mark.timeout(3600)


class Asked:
    """The machine, asked in its own words."""

    def __init__(self, running: Machine, guest: Path = Path()) -> None:
        self._machine = running
        self.guest = guest

    def __call__(self, *words: str) -> Any:
        path = ":".join(str(ROOT / part) for part in (".", "policy", "hypervisor", "client", "installer"))
        command = f"cd {ROOT}; PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m {MODULE}"
        said = self._machine.run(f"{command} {' '.join(words)} 2>&1", SECONDS)
        return json.loads(said.splitlines()[-1])


def assembled(place: Path) -> Path:
    """The disk of a guest that uses QEMU's "edu" card; below a MiB, SeaBIOS takes it for none."""
    disk = place / "guest.raw"
    subprocess.run(["as", "--32", "-o", place / "guest.o", GUEST], check=True)
    link = ["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00"]
    subprocess.run([*link, "-o", disk, place / "guest.o"], check=True)
    with disk.open("r+b") as file:
        file.truncate(1024 * 1024)
    return disk


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    place = tmp_path_factory.mktemp("iommu")
    with machine(place) as running:
        yield Asked(running, assembled(place))


@pytest.fixture(scope="module")
def judged(ask: Asked) -> dict[str, list[str]]:
    return dict(ask("judged"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (SCREEN, "the host's own screen is on it"),
        (BRIDGE, "it is a bridge"),
        (NO_RESET, "it cannot be reset"),
        (SHARING, f"also holds {SHARED}"),
        (SHARED, f"also holds {SHARING}"),
    ],
)
def test_what_is_unsafe_is_refused_with_why(judged: dict[str, list[str]], address: str, why: str) -> None:
    state, reason = judged[address]
    assert why in reason
    assert state in ("blocked", "host")


def test_a_card_of_its_own_may_go(judged: dict[str, list[str]], ask: Asked) -> None:
    assert judged[CARD][0] == "waiting"
    assert "It could be passed on." in judged[CARD][1]
    granted = ask("granted")
    assert {SCREEN, BRIDGE, NO_RESET} & set(granted) == set()
    assert CARD in granted
    assert {SHARING, SHARED} <= set(granted), "both of a group may go together"


def test_cards_are_used_by_a_guest_and_come_back(ask: Asked) -> None:
    """The guest has a card count, and copy memory to itself and back; a driver of the host had the other."""
    given = ask("given", str(ask.guest), COUNTING, CARD)
    assert given["said"] == "the guest used the card"
    assert sorted(given["held"]) == sorted([COUNTING, CARD])
    assert given["before"] == ["", "e1000e"]
    assert given["during"] == ["vfio-pci", "vfio-pci"]


def test_without_interrupt_remapping_nothing_goes(tmp_path: Path) -> None:
    with machine(tmp_path, ["intremap=off"]) as running:
        asked = Asked(running)
        assert "interrupts are not remapped" in asked("judged")[CARD][1]
        assert asked("granted") == []
