"""Joins the page of recovery codes to the daemon."""

from __future__ import annotations

from PySide6.QtCore import QObject
from twinhull_policy.api.types import KeySlot

from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.recovery_page import RecoveryPage


class RecoveryDesk(QObject):
    """One computer's code at a time; an answer that comes for another one than is shown is let go of."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__()
        self._client, self.page = client, RecoveryPage()
        self._unchecked: set[str] = set()
        self._asked_for = ""
        self.page.make.connect(self._make)
        self.page.recover.connect(self._recover)
        self.page.unchecked.connect(lambda: self._unchecked.add(self._asked_for))
        self.page.checked.connect(lambda: self._unchecked.discard(self._asked_for))

    def open(self, name: str, *, forgotten: bool = False) -> None:
        """Turn the page to one computer."""
        self.page.begin(name, forgotten=forgotten)
        self._client.run(
            lambda daemon: daemon.key_slots(name),
            lambda slots: self._show_state(name, slots),
            lambda error: self.page.problem.say(error) if name == self.page.name else None,
        )

    def _show_state(self, name: str, slots: list[KeySlot]) -> None:
        if name == self.page.name:
            has_code = any(slot.kind == "recovery-code" for slot in slots)
            self.page.show_state(has_code=has_code, unchecked=name in self._unchecked)

    def _make(self, passphrase: str) -> None:
        name = self._asked_for = self.page.name
        self._client.run(
            lambda daemon: daemon.add_recovery_code(name, "passphrase", passphrase),
            lambda code: self._show(name, code),
            self.page.fail,
        )

    def _recover(self, code: str, new: str) -> None:
        name = self._asked_for = self.page.name
        self._client.run(
            lambda daemon: daemon.recover_volume(name, code, new),
            lambda fresh: self._show(name, fresh),
            self.page.fail,
        )

    def _show(self, name: str, code: str) -> None:
        if name == self.page.name and self.page.step == "busy":
            self.page.show_code(code)
        else:
            self._unchecked.add(name)
