"""The rule that keeps udev from loading drivers for what is not the host's."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_hypervisor.devices import udev

BOOT_RULES = Path(__file__).resolve().parents[2] / "installer/config/boot/udev.rules"


@pytest.fixture
def reloads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What udev was told."""
    told: list[list[str]] = []
    monkeypatch.setattr(udev, "run", lambda argv, timeout: told.append(argv))
    return told


def test_the_rule_comes_once_and_goes(tmp_path: Path, reloads: list[list[str]]) -> None:
    rules = tmp_path / "rules.d/79-twinhull-usb.rules"
    udev.keep_drivers_out(rules)
    udev.keep_drivers_out(rules)
    assert rules.read_text() == udev.RULE
    assert len(reloads) == 1
    udev.let_drivers_in(rules)
    udev.let_drivers_in(rules)
    assert not rules.exists()
    assert len(reloads) == 2


def test_without_udev_nothing_is_written(tmp_path: Path, reloads: list[list[str]]) -> None:
    udev.keep_drivers_out(tmp_path / "no/rules.d/79-twinhull-usb.rules")
    assert not list(tmp_path.iterdir())
    assert not reloads


def test_what_cannot_be_written_keeps_devd_from_nothing(tmp_path: Path, reloads: list[list[str]]) -> None:
    (tmp_path / "rules.d").write_text("no directory")
    udev.keep_drivers_out(tmp_path / "rules.d/79-twinhull-usb.rules")
    assert not reloads


def test_boot_installs_the_same() -> None:
    """The classes that the host keeps are those of the rules that ``services boot on`` installs."""
    assert 'ATTR{bInterfaceClass}!="03|09", ENV{MODALIAS}=""' in udev.RULE
    assert 'ATTR{bInterfaceClass}!="03|09", ENV{MODALIAS}=""' in BOOT_RULES.read_text()
