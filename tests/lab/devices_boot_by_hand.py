"""``services boot on``: what is plugged in while the laptop boots. By hand until seen to pass whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .desk import Desk, Plugged
from .device_events import answers_again
from .machine import Disks, Machine
from .sockets import LaptopDesk
from .usb_peer.kinds import KINDS

SERVICES = "/opt/twinhull/services"
BOOT = {
    # kind: state, rule
    "keyboard": ("host", "host:boot-input"),
    "mouse": ("host", "host:boot-input"),
    "storage": ("asking", "owner:storage"),
    "camera": ("asking", "owner:camera"),
    "typing-stick": ("blocked", "host:input-and-more"),
    "ethernet": ("blocked", "owner:network"),
}
"""What is in the sockets when the laptop is switched on, from socket 1 on."""
HUB = 8

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def booted(disks: Disks, machine: Machine) -> Iterator[tuple[Desk, dict[str, Plugged]]]:
    """A laptop that was switched on with all of these in it, Twinhull starting with it."""
    machine.ssh(SERVICES, "boot", "on", timeout=300)
    machine.ssh("sync")
    machine.power_off()
    machine.start(Disks(disks.base, disks.payload))
    with LaptopDesk(machine) as desk:
        plugged = {kind: desk.plug(KINDS[kind](), socket) for socket, kind in enumerate(BOOT, 1)}
        desk.plug_hub(HUB)
        plugged["behind a hub"] = desk.plug(KINDS["printer"](), f"{HUB}.1")
        machine.wait_for_ssh()
        answers_again(desk)
        yield desk, plugged


def _active(desk: Desk, unit: str) -> bool:
    return bool(desk.eyes.ask("run", "systemctl", "is-active", unit)["status"] == 0)


@pytest.mark.parametrize("kind", BOOT)
def test_what_is_there_at_boot(booted: tuple[Desk, dict[str, Plugged]], kind: str) -> None:
    desk, plugged = booted
    state, rule = BOOT[kind]
    desk.becomes(plugged[kind].port, state, rule=rule)
    desk.holds_true(plugged[kind], state)


def test_a_hub_works_and_what_is_behind_it_is_decided_on_by_itself(
    booted: tuple[Desk, dict[str, Plugged]],
) -> None:
    desk, plugged = booted
    desk.becomes(f"1-{HUB}", "host", rule="host:hub")
    desk.becomes(plugged["behind a hub"].port, "asking", rule="owner:printer")
    desk.holds_true(plugged["behind a hub"], "asking")


def test_no_disk_of_usb_was_ever_there(booted: tuple[Desk, dict[str, Plugged]]) -> None:
    """The firmware may have read the stick; Linux never did."""
    desk, _ = booted
    assert "usb-storage" not in desk.root("dmesg")
    assert "usb_storage" not in desk.root("lsmod")
    assert _active(desk, "twinhull-devd.service")
    said = desk.root("journalctl", "-b", "-u", "twinhull-usb-early.service", "-o", "cat")
    assert "authorised for the host, there at boot" in said


def test_a_boot_keyboard_that_comes_back_is_a_new_one(booted: tuple[Desk, dict[str, Plugged]]) -> None:
    desk, plugged = booted
    plugged["keyboard"].pull()
    plugged["keyboard"].put_back()
    desk.becomes(plugged["keyboard"].port, "admission", rule="host:boot-input")


def test_no_unit_failed(booted: tuple[Desk, dict[str, Plugged]]) -> None:
    desk, _ = booted
    failed = desk.root("systemctl", "--failed", "--no-legend", "--plain")
    assert "twinhull-usb-early" not in failed
    assert "twinhull-devd" not in failed
    assert "twinhulld" not in failed
