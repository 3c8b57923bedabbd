"""What can happen to a device in the virtual laptop; each event ends with the device its row is about."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .desk import SOON, Desk, Plugged
from .machine import LaptopFailed
from .usb_peer.hid import Keyboard
from .usb_peer.kinds import KINDS
from .usb_peer.malformed import MALFORMED
from .usb_peer.storage import INQUIRY, READ_10

STORAGE = {"name": "sticks", "match": {"any_interface": ["08:*:*"]}, "to": "personal"}
"""An owner's rule that sends storage to the personal partition without asking."""
SETTLED = 4.0
"""Seconds in which something that should not happen would have."""


@dataclass(frozen=True)
class Row:
    """One situation: what is plugged in, what happens, and what has to come of it."""

    kind: str
    event: str
    state: str
    rule: str
    partition: str = ""


def hot_plug(desk: Desk, row: Row) -> Plugged:
    return desk.plug({**KINDS, **MALFORMED}[row.kind](), 1)


def superspeed_socket(desk: Desk, row: Row) -> Plugged:
    return desk.plug(KINDS[row.kind](), 8)


def answered(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.never_used(plugged)
    desk.owner("device", "answer", plugged.port, row.partition or "personal")
    return plugged


def answered_no(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "answer", plugged.port, "deny")
    return plugged


def attached_by_hand(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, row.partition)
    return plugged


def attach_refused(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "blocked")
    for partition in ("corporate", "personal"):
        desk.owner("device", "attach", plugged.port, partition, refused="TH-DEV-202")
    return plugged


def corporate_refused(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "answer", plugged.port, "corporate", refused="TH-DEV-202")
    desk.owner("device", "attach", plugged.port, "corporate", refused="TH-DEV-202")
    return plugged


def read_only(desk: Desk, row: Row) -> Plugged:
    """Its blocks are the partition's to read and nobody's to write; then it is taken back."""
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "personal", "--read-only")
    assert desk.becomes(plugged.port, "attached", "personal")["read_only"]
    assert "sd" not in desk.root("ls", "/sys/block"), "no driver of the host has it"
    assert set(desk.usb()[plugged.port]["drivers"]) == {"usbfs"}
    assert not desk.holders(plugged.port), "and no machine has the device"
    plugged.peer.wait(lambda record: record.scsi[READ_10])
    desk.owner("device", "detach", plugged.port)
    assert plugged.peer.record.scsi.keys() <= {0x00, 0x03, INQUIRY, 0x25, READ_10}, "nothing but reading"
    return plugged


def moved(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "personal")
    desk.becomes(plugged.port, "attached", "personal")
    desk.owner("device", "attach", plugged.port, "corporate")
    return plugged


def detached(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "personal")
    desk.becomes(plugged.port, "attached", "personal")
    desk.owner("device", "detach", plugged.port)
    return plugged


def unplugged_in_use(desk: Desk, row: Row) -> Plugged:
    plugged = answered(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    before = _machines(desk)
    plugged.pull()
    desk.until(lambda: not desk.holders(plugged.port), "QEMU to let go")
    desk.until(lambda: not any(g["libvirt"] for g in desk.eyes.ask("guests").values()), "libvirt to let go")
    assert _machines(desk) == before, "the machines go on"
    plugged.put_back()
    return plugged


def replugged_after_remember(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "answer", plugged.port, "personal", "--remember")
    desk.becomes(plugged.port, "attached", "personal")
    plugged.pull()
    plugged.put_back()
    return plugged


def elsewhere_after_remember(desk: Desk, row: Row) -> Plugged:
    first = hot_plug(desk, row)
    desk.becomes(first.port, "asking")
    desk.owner("device", "answer", first.port, "personal", "--remember")
    desk.becomes(first.port, "attached", "personal")
    first.pull()
    return desk.plug(KINDS[row.kind](), 5)


def twin_beside(desk: Desk, row: Row) -> Plugged:
    """An answer was remembered; then two devices are there for which it would count."""
    first = replugged_after_remember(desk, row)
    desk.becomes(first.port, "attached", "personal")
    second = desk.plug(KINDS[row.kind](), 5)
    info = desk.becomes(second.port, "asking")
    assert not info["remember"], "it would be remembered for two"
    desk.owner("device", "answer", second.port, "personal", "--remember", refused="TH-DEV-207")
    return first


def screen_locked(desk: Desk, row: Row) -> Plugged:
    with LockedScreen(desk):
        plugged = hot_plug(desk, row)
        info = desk.becomes(plugged.port, row.state, row.partition)
        if row.state == "asking":
            assert "locked" in info["reason"]
            desk.owner("device", "answer", plugged.port, "personal", refused="TH-DEV-203")
            desk.owner("device", "attach", plugged.port, "personal", refused="TH-DEV-203")
        desk.holds_true(plugged, row.state, row.partition)
    return plugged


def locked_after_remember(desk: Desk, row: Row) -> Plugged:
    plugged = replugged_after_remember(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    plugged.pull()
    with LockedScreen(desk):
        plugged.put_back()
        desk.becomes(plugged.port, "waiting")
        desk.holds_true(plugged, "waiting")
    return plugged


def locked_with_rule(desk: Desk, row: Row) -> Plugged:
    desk.rules(STORAGE)
    return screen_locked(desk, row)


def rule_sends(desk: Desk, row: Row) -> Plugged:
    desk.rules(STORAGE)
    return hot_plug(desk, row)


def rule_comes(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.rules(STORAGE)
    return plugged


def rule_goes(desk: Desk, row: Row) -> Plugged:
    plugged = rule_sends(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.rules()
    return plugged


def rule_denies(desk: Desk, row: Row) -> Plugged:
    plugged = rule_sends(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.rules({**STORAGE, "to": "deny"})
    return plugged


def policy_requires(desk: Desk, row: Row) -> Plugged:
    """Two claimants: the owner's rule had it, then the company's policy takes it."""
    plugged = rule_sends(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.publish([{"name": "sticks", "match": {"any_interface": ["08:*:*"]}, "verdict": "require"}])
    return plugged


def policy_revokes(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "corporate")
    desk.becomes(plugged.port, "attached", "corporate")
    desk.publish([])
    return plugged


def camera_off_while_attached(desk: Desk, row: Row) -> Plugged:
    plugged = answered(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.owner("device", "switch", "camera", "off")
    return plugged


def camera_off_before(desk: Desk, row: Row) -> Plugged:
    desk.owner("device", "switch", "camera", "off")
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "blocked")
    desk.owner("device", "attach", plugged.port, "personal", refused="TH-DEV-202")
    return plugged


def camera_off_and_on(desk: Desk, row: Row) -> Plugged:
    plugged = camera_off_while_attached(desk, row)
    desk.becomes(plugged.port, "blocked")
    desk.holds_true(plugged, "blocked")
    desk.owner("device", "switch", "camera", "on")
    return plugged


def microphone_off_while_attached(desk: Desk, row: Row) -> Plugged:
    plugged = answered(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.owner("device", "switch", "microphone", "off")
    return plugged


def right_code(desk: Desk, row: Row) -> Plugged:
    plugged = _admitting(desk, row)
    _type_code(desk, plugged)
    return plugged


def wrong_codes(desk: Desk, row: Row) -> Plugged:
    plugged = _admitting(desk, row)
    code = desk.becomes(plugged.port, "admission")["code"]
    wrong = f"{(int(code) + 1) % 10**6:06d}\n"
    for _ in range(3):
        plugged.peer.device.find(Keyboard).type(wrong, rate=8)
    return plugged


def burst(desk: Desk, row: Row) -> Plugged:
    plugged = right_code(desk, row)
    desk.becomes(plugged.port, "host")
    typist = plugged.peer.device.find(Keyboard)
    for _ in range(5):  # a laptop this slow may read the first ones late
        typist.type("nobody types as fast as this does " * 3, rate=200)
        time.sleep(SETTLED)
    return plugged


def types_unasked(desk: Desk, row: Row) -> Plugged:
    """What is typed before the code reaches nobody: there is no input device for it."""
    before = _input_devices(desk)
    plugged = _admitting(desk, row)
    plugged.peer.device.find(Keyboard).type("reboot\n" * 2, rate=30)
    time.sleep(SETTLED)
    assert _input_devices(desk) == before
    return plugged


def devd_dead(desk: Desk, row: Row) -> Plugged:
    with Stopped(desk, "twinhull-devd.socket", "twinhull-devd.service"):
        return _nothing_happens(desk, row)


def core_dead(desk: Desk, row: Row) -> Plugged:
    with Stopped(desk, "twinhulld.service"):
        return _nothing_happens(desk, row)


def killed_in_use(*units: str) -> Callable[[Desk, Row], Plugged]:
    def event(desk: Desk, row: Row) -> Plugged:
        plugged = answered(desk, row)
        desk.becomes(plugged.port, "attached", "personal")
        devnum, resets = desk.usb()[plugged.port]["devnum"], plugged.peer.record.resets
        for unit in units:
            desk.root("systemctl", "kill", "-s", "KILL", unit)
        answers_again(desk)
        desk.becomes(plugged.port, "attached", "personal")
        assert desk.usb()[plugged.port]["devnum"] == devnum
        assert plugged.peer.record.resets == resets, "it stayed where it was"
        return plugged

    return event


def restarted_partition(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "personal")
    desk.becomes(plugged.port, "attached", "personal")
    desk.owner("partition", "stop", "personal", "--force")
    try:
        desk.becomes(plugged.port, "waiting")
        desk.holds_true(plugged, "waiting")
    finally:
        desk.owner("partition", "start", "personal")
    return plugged


def plugged_while_stopped(desk: Desk, row: Row) -> Plugged:
    desk.rules(STORAGE)
    desk.owner("partition", "stop", "personal", "--force")
    try:
        plugged = hot_plug(desk, row)
        desk.becomes(plugged.port, "waiting")
        desk.holds_true(plugged, "waiting")
        desk.never_used(plugged)
    finally:
        desk.owner("partition", "start", "personal")
    return plugged


def behind_a_hub(desk: Desk, row: Row) -> Plugged:
    hub = desk.plug_hub(2)
    desk.becomes(hub, "host", rule="host:hub")
    return desk.plug(KINDS[row.kind](), "2.3")


def hub_pulled_in_use(desk: Desk, row: Row) -> Plugged:
    """The hub goes with what a partition has behind it; both come back, and it is asked about anew."""
    plugged = behind_a_hub(desk, row)
    desk.becomes(plugged.port, "asking")
    desk.owner("device", "attach", plugged.port, "personal")
    desk.becomes(plugged.port, "attached", "personal")
    desk.pull_hub()
    desk.until(lambda: not desk.usb(), "the hub to be gone")
    desk.until(lambda: not desk.holders(plugged.port), "QEMU to let go")
    return behind_a_hub(desk, row)


def changed_when_replugged(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.becomes(plugged.port, "asking")
    plugged.pull()
    plugged.put_back()
    return plugged


def drops_off_the_bus(desk: Desk, row: Row) -> Plugged:
    plugged = answered(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    plugged.peer.reset()
    desk.until(lambda: not desk.holders(plugged.port), "QEMU to let go")
    return plugged


def thirty_plugs(desk: Desk, row: Row) -> Plugged:
    plugged = rule_sends(desk, row)
    for _ in range(30):
        plugged.peer.disconnect()
        time.sleep(0.3)
        plugged.peer.connect()
        time.sleep(0.3)
    return plugged


def asleep(desk: Desk, row: Row) -> Plugged:
    """The computer sleeps and is woken; what was sent by hand stays."""
    plugged = answered(desk, row)
    desk.becomes(plugged.port, "attached", "personal")
    desk.sockets.sleep(desk)
    return plugged


# What events are made of


def _machines(desk: Desk) -> dict[str, int]:
    return {name: guest["id"] for name, guest in desk.eyes.ask("guests").items()}


def _input_devices(desk: Desk) -> str:
    return desk.root("find", "/dev", "-path", "/dev/input/*")  # there is none on a kernel without any


def _admitting(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    info = desk.becomes(plugged.port, "admission")
    assert len(info["code"]) == 6
    return plugged


def _type_code(desk: Desk, plugged: Plugged) -> None:
    code = desk.becomes(plugged.port, "admission")["code"]
    plugged.peer.device.find(Keyboard).type(f"{code}\n", rate=8)


def _nothing_happens(desk: Desk, row: Row) -> Plugged:
    plugged = hot_plug(desk, row)
    desk.until(lambda: plugged.port in desk.usb(), "the kernel to see it")
    time.sleep(SETTLED)
    usb = desk.usb()[plugged.port]
    assert (usb["authorized"], usb["drivers"]) == ("0", [])
    desk.never_used(plugged)
    return plugged


class Stopped:
    """Units that do not run meanwhile."""

    def __init__(self, desk: Desk, *units: str) -> None:
        self._desk, self._units = desk, units

    def __enter__(self) -> None:
        self._desk.root("systemctl", "stop", *self._units)

    def __exit__(self, *_: object) -> None:
        self._desk.root("systemctl", "start", *self._units)
        answers_again(self._desk)


class LockedScreen:
    """The owner is at the computer and has locked the screen."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __enter__(self) -> None:
        desk = self._desk
        properties = ["PAMName=login", "User=twinhull-owner", *desk.sockets.at_the_screen]
        words = [word for one in properties for word in ("-p", one)]
        desk.root("systemd-run", "--collect", "--unit=at-the-screen", *words, "sleep", "infinity")
        desk.until(lambda: self._session(), "the session")
        self._hint(True)

    def __exit__(self, *_: object) -> None:
        self._hint(False)
        self._desk.root("systemctl", "stop", "at-the-screen")
        self._desk.until(lambda: not self._session(), "the session to end")

    def _session(self) -> str:
        listed = self._desk.root("loginctl", "list-sessions", "--no-legend")
        return next((line.split()[0] for line in listed.splitlines() if "twinhull-owner seat0" in line), "")

    def _hint(self, locked: bool) -> None:
        found = self._desk.root(
            "loginctl", "show-session", self._session(), "--property=Id", "--value"
        ).strip()
        path = self._desk.root(
            "busctl", "--system", "call", "org.freedesktop.login1", "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager", "GetSession", "s", found,
        ).split('"')[1]  # fmt: skip
        self._desk.root(
            "busctl", "--system", "call", "org.freedesktop.login1", path,
            "org.freedesktop.login1.Session", "SetLockedHint", "b", str(locked).lower(),
        )  # fmt: skip


def answers_again(desk: Desk) -> None:
    def answers() -> bool:
        try:
            return not desk.eyes.ask("status")["devices_problem"]
        except LaptopFailed:
            return False

    desk.until(answers, "Twinhull to answer again", seconds=2 * SOON)


EVENTS: dict[str, Callable[[Desk, Row], Plugged]] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__annotations__", {}).get("return") == "Plugged"
} | {
    "core_killed_in_use": killed_in_use("twinhulld.service"),
    "devd_killed_in_use": killed_in_use("twinhull-devd.service"),
    "libvirtd_killed_in_use": killed_in_use("libvirtd.service"),
    "all_killed_in_use": killed_in_use("twinhulld.service", "twinhull-devd.service", "libvirtd.service"),
}
