"""What a locked computer is opened with: its PIN where the security chip has one, or the passphrase."""

from __future__ import annotations

import math
import time
from typing import Literal

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget
from twinhull_policy.api.types import UnlockInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.widgets import button, label, secret_field

Need = Literal["nothing", "secret", "new"]
Way = Literal["pin", "passphrase"]
CHIP_CHANGED = frozenset({"TH-VOL-026", "TH-VOL-027"})
"""Codes that say that this laptop or its security chip is not as it was when the PIN was made."""
CHIP_LOCKED = "TH-VOL-029"
CHIP_SHUT = CHIP_CHANGED | {CHIP_LOCKED, "TH-VOL-028", "TH-VOL-030", "TH-VOL-031", "TH-VOL-034"}
"""Codes after which no PIN helps just now, and the passphrase is asked for."""
LONGEST_SHOWN = 300.0
"""Seconds; the service lets nobody wait longer, whatever a clock says."""


class UnlockForm(QWidget):
    """The fields of one computer, one way in at a time.

    Attributes:
        info: what was last told of the volume.

    Signals:
        submitted: return was pressed in the last field.
        rested: a delay after wrong tries began or is over.
    """

    submitted = Signal()
    rested = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._need: Need = "nothing"
        self.info = UnlockInfo()
        self._way: Way = "pin"
        self._was_resting = False
        self.pin = secret_field(self.tr("PIN of this computer"))
        self.passphrase = secret_field(self.tr("Passphrase of this computer"))
        self.again = secret_field(self.tr("The same passphrase again"))
        for field in (self.pin, self.passphrase, self.again):
            field.returnPressed.connect(self.submitted)
        self.tries = label(role="warning")
        self.other = button("", self._change_way)
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self._show_tries)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.pin, self.passphrase, self.again, self.tries):
            column.addWidget(part)

    @property
    def way(self) -> Way:
        """What is asked for now."""
        return self._way if self.info.pin and self._need == "secret" else "passphrase"

    @property
    def resting(self) -> bool:
        """Whether the service takes no secret just now."""
        return self._need == "secret" and self._seconds_left() > 0

    @property
    def asking(self) -> QLineEdit:
        """The field that is to be filled in."""
        return self.pin if self.way == "pin" else self.passphrase

    def show_info(self, need: Need, info: UnlockInfo | None) -> None:
        """Show what is needed, and what may be told of the volume."""
        if need != "secret":
            self._way = "pin"
        self._need, self.info = need, info or UnlockInfo()
        self._arrange()

    def take(self) -> str:
        """What was typed; it is in no field any more."""
        secret = self.asking.text()
        for field in (self.pin, self.passphrase, self.again):
            field.clear()
        return secret

    def learn(self, error: TwinhullError) -> str:
        """After a refusal that no PIN helps against, ask for the passphrase; what to do, or nothing."""
        code = error.report().code
        if self.way != "pin" or code not in CHIP_SHUT:
            return ""
        nothing_lost = self.tr("Nothing is lost: the passphrase and the recovery code open it as before.")
        anew = self.tr(
            "Was the change yours, an update for instance? Then open it by the passphrase and make the PIN "
            "anew with “twinhull disk add {name} tpm”. If it was not, somebody may have changed this laptop."
        )
        locked = self.tr("Or leave the laptop on until the chip takes a PIN again.")
        lines = [nothing_lost]
        lines += [anew.format(name=self.name)] if code in CHIP_CHANGED else []
        lines += [locked] if code == CHIP_LOCKED else []
        self._way = "passphrase"
        self._arrange()
        self.passphrase.setFocus()
        return " ".join(lines)

    def _change_way(self) -> None:
        self._way = "passphrase" if self.way == "pin" else "pin"
        self.pin.clear()
        self.passphrase.clear()
        self._arrange()
        self.asking.setFocus()

    def _arrange(self) -> None:
        self.pin.setVisible(self._need == "secret" and self.way == "pin")
        self.passphrase.setVisible(self._need == "new" or (self._need == "secret" and self.way != "pin"))
        self.again.setVisible(self._need == "new")
        self.other.setVisible(self._need == "secret" and self.info.pin)
        self.other.setText(self.tr("Use the passphrase") if self.way == "pin" else self.tr("Use the PIN"))
        self.other.setAccessibleName(self.other.text())
        self.setVisible(self._need != "nothing")
        self._show_tries()

    def _seconds_left(self) -> float:
        return min(max(self.info.wait_until - time.time(), 0.0), LONGEST_SHOWN)

    def _show_tries(self) -> None:
        seconds = math.ceil(self._seconds_left())
        wrong, free = self.info.wrong_tries, self.info.free_tries
        if seconds:
            text = self.tr("Wrong tries so far: {n}. The next one is taken in {s} s.").format(
                n=wrong, s=seconds
            )
        elif free:
            text = self.tr("Wrong tries so far: {n}. After {free} more each next one has to wait.").format(
                n=wrong, free=free
            )
        else:
            text = self.tr("Wrong tries so far: {n}. After another one the wait is longer.").format(n=wrong)
        self.tries.setText(text)
        self.tries.setVisible(self._need == "secret" and wrong > 0)
        if self.resting and not self._timer.isActive():
            self._timer.start()
        elif not self.resting:
            self._timer.stop()
        if self.resting != self._was_resting:
            self._was_resting = self.resting
            self.rested.emit()
