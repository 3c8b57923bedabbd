"""What a person is told who is not looking: which differences, in which words, and to whom."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytestqt.qtbot import QtBot
from twinhull_client.gui.notices import between
from twinhull_client.gui.notifier import CRITICAL, NORMAL, Notifier
from twinhull_client.gui.tray import ENTRIES
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import LeaseInfo, Status
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

from tests.support.demonstration import demonstration_status
from tests.support.notifications import Desktop, desktop
from tests.support.private_bus import ADDRESS_VARIABLE
from tests.support.standin_daemon import StandInDaemon

SECONDS_MS = 20_000


def changed(status: Status, path: str, value: Any) -> Status:
    """A status with one field changed, named by its path."""
    head, _, rest = path.partition(".")
    if head == "corporate":
        parts = [
            msgspec.structs.replace(part, **{rest: value}) if part.name == head else part
            for part in status.partitions
        ]
        return msgspec.structs.replace(status, partitions=parts)
    if not rest:
        return msgspec.structs.replace(status, **{head: value})
    inner = msgspec.structs.replace(getattr(status, head), **{rest: value})
    return msgspec.structs.replace(status, **{head: inner})


LEASE = LeaseInfo(stage="warning", reason="The server was last heard of 6 days ago.")


@pytest.mark.parametrize(
    ("path", "value", "subject", "urgent"),
    [
        ("corporate.state", "failed", "corporate", True),
        ("corporate.state", "absent", "corporate", True),
        ("corporate.state", "paused", "", False),
        ("enrolment.enrolled", False, "enrolment", True),
        ("enrolment.connected", False, "", False),
        ("lease", LEASE, "lease", True),
        ("vpn.portal", "http://portal.example/", "portal", False),
        ("vpn.proof_failed", ["personal-to-corporate"], "proof", True),
        ("vpn.state", "connecting", "", False),
        ("policy.last_refusal", "TH-TRU-001: No.", "refusal", False),
    ],
)
def test_what_is_told(path: str, value: Any, subject: str, urgent: bool) -> None:
    before = changed(demonstration_status(corporate="running"), "lease", LeaseInfo(stage="held"))
    before = changed(before, "vpn.portal", "")
    after = changed(before, path, value)
    assert [(notice.subject, notice.urgent) for notice in between(before, after)] == (
        [(subject, urgent)] if subject else []
    )
    assert between(after, after) == []


def with_policy(status: Status, **lease: Any) -> Status:
    """A status under the example policy with another lease."""
    document = json.loads(canonical(example_policy()))
    document["lease"].update(lease)
    text = json.dumps(document)
    status = changed(status, "policy.document", text)
    return changed(status, "policy.sha256", f"{hash(text) & 0xFFFF:064x}")


def test_a_changed_policy_says_what_is_different_and_nothing_else() -> None:
    before = with_policy(demonstration_status(), offline_hours=100)
    after = with_policy(demonstration_status(), offline_hours=50)
    (notice,) = between(before, after)
    assert notice.subject == "policy"
    assert notice.body == "Without contact: After 50 hours offline it locks. Nothing of it is lost."


def test_a_policy_that_cannot_be_read_is_told_without_words_of_its_own() -> None:
    before = with_policy(demonstration_status(), offline_hours=100)
    after = changed(changed(before, "policy.document", "{"), "policy.sha256", "f" * 64)
    assert [notice.body for notice in between(before, after)] == ["What they are is on the Home page."]


@pytest.fixture
def shown(standin: StandInDaemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A desktop on the same bus as the daemon."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", os.environ[ADDRESS_VARIABLE])
    with desktop() as made:
        yield made


def test_who_does_not_look_is_notified_and_a_click_leads_there(
    shown: Desktop, standin: StandInDaemon, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "isActiveWindow", lambda: False)
    standin.status = changed(standin.status, "policy.last_refusal", "TH-TRU-001: <b>No</b>.")
    standin.announce("policy")
    qtbot.waitUntil(lambda: len(shown.shown) == 1, timeout=SECONDS_MS)
    assert shown.shown[0].hints["urgency"] == ("y", NORMAL)
    standin.status = changed(standin.status, "corporate.reason", "it said <b>a & b</b>")
    standin.status = changed(standin.status, "corporate.state", "failed")
    standin.announce("partition:corporate")
    qtbot.waitUntil(lambda: len(shown.shown) == 2, timeout=SECONDS_MS)
    assert shown.shown[1].body == "It said &lt;b&gt;a &amp; b&lt;/b&gt;."
    assert shown.shown[1].hints["urgency"] == ("y", CRITICAL)
    window.hide()
    shown.click(shown.shown[0].number)
    qtbot.waitUntil(lambda: window.view == "log", timeout=SECONDS_MS)
    assert window.isVisible()


def test_a_later_notice_takes_the_place_of_an_earlier_one(
    shown: Desktop, standin: StandInDaemon, window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.can = ["body"]  # and its text is taken as it is
    monkeypatch.setattr(window, "isActiveWindow", lambda: False)
    for count, reason in enumerate(("a & b", "again"), 1):
        for state in ("running", "failed"):
            standin.status = changed(standin.status, "corporate.reason", reason)
            standin.status = changed(standin.status, "corporate.state", state)
            standin.announce("partition:corporate")
            qtbot.waitUntil(partial(_is, window, state), timeout=SECONDS_MS)
        qtbot.waitUntil(partial(_has, shown, count), timeout=SECONDS_MS)
    first, second = shown.shown
    assert (first.body, second.replaces) == ("A & b.", first.number)


def _is(window: MainWindow, state: str) -> bool:
    assert window.status is not None
    return any(part.name == "corporate" and part.state == state for part in window.status.partitions)


def _has(shown: Desktop, count: int) -> bool:
    return len(shown.shown) == count


@pytest.mark.parametrize("why", ["looking", "locked"])
def test_who_looks_is_not_notified_and_nobody_before_a_locked_screen(
    why: str,
    shown: Desktop,
    standin: StandInDaemon,
    window: MainWindow,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "isActiveWindow", lambda: why == "looking")
    if why == "locked":
        window.lock()
    standin.status = changed(standin.status, "corporate.state", "failed")
    standin.announce("partition:corporate")
    qtbot.waitUntil(partial(_is, window, "failed"), timeout=SECONDS_MS)
    # What is sent later arrives later: had there been anything, it would be there before this.
    window.notifier.show(between(demonstration_status(), changed(demonstration_status(), "lease", LEASE))[0])
    qtbot.waitUntil(lambda: bool(shown.shown), timeout=SECONDS_MS)
    assert [one.summary for one in shown.shown] == ["Company not heard of"]


def test_a_desktop_without_a_session_bus_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    notifier = Notifier()
    for _ in range(40):
        notifier.show(between(demonstration_status(), changed(demonstration_status(), "lease", LEASE))[0])
    notifier.close()


def test_the_tray_says_how_both_are_and_leads_to_them(
    standin: StandInDaemon, window: MainWindow, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: window.status is not None, timeout=60000)
    assert window.tray.icon.toolTip().startswith("Twinhull\nCorporate computer: ")
    entries = {entry.data(): entry for entry in window.tray.menu.actions() if entry.data()}
    assert tuple(entries) == ENTRIES
    window.hide()
    entries["personal"].trigger()
    assert window.isVisible()
    assert window.view == "personal"
    entries["lock"].trigger()
    assert window.lock_cover.isVisible()
