"""What a device needs of the person, above every page until it is answered: a choice, or a code to type.

It never takes the keyboard, so whatever the person is typing just then answers nothing; and its buttons rest
for a moment whenever it begins to show another device, so neither does a click that was meant for what was
there before.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.device_wishes import Verb, Wish
from twinhull_client.gui.device_words import ICONS, ask_words, device_name, isolated, name_parts
from twinhull_client.gui.theme import icon, icon_pixmap
from twinhull_client.gui.widgets import Badge, Elided, Problem, button, foreign, label

REST_MS = 700
"""How long buttons rest before they answer for a device that has just appeared; people react within this."""
CODE_DIGITS = 6
PICTURE = 36


class CodeView(QWidget):
    """The digits of a code, large, those that were typed marked."""

    def __init__(self) -> None:
        super().__init__()
        self.digits: list[QLabel] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for place in range(CODE_DIGITS):
            digit = label(role="digit", wrap=False)
            digit.setAlignment(Qt.AlignmentFlag.AlignCenter)
            digit.setFixedSize(44, 56)
            if place == CODE_DIGITS // 2:
                row.addSpacing(12)
            row.addWidget(digit)
            self.digits.append(digit)

    def say(self, code: str, typed: int) -> None:
        """Show ``code``, of which the first ``typed`` digits count as typed."""
        for place, digit in enumerate(self.digits):
            digit.setText(code[place : place + 1])
            done = place < typed
            if digit.property("typed") != done:
                digit.setProperty("typed", done)
                digit.style().polish(digit)
        self.setAccessibleName(
            self.tr("Code {code}; {n} of {all} digits typed").format(
                code=" ".join(code), n=typed, all=CODE_DIGITS
            )
        )


class DevicePanel(QFrame):
    """Shows one device that waits for the person after the other; new keyboards come first.

    Signals:
        wished: a Wish.
        appeared: another device waits than before.
    """

    wished = Signal(object)
    appeared = Signal()

    def __init__(self, colours: dict[str, str]) -> None:
        super().__init__()
        self.setObjectName("attention")
        self._colours = colours
        self._waiting: list[DeviceInfo] = []
        self._later: set[tuple[str, str]] = set()
        self._wrong: dict[tuple[str, str], int] = {}
        self._busy = False
        self.device: DeviceInfo | None = None
        self.picture = label(wrap=False)
        self.picture.setFixedSize(PICTURE, PICTURE)
        self.heading = label(role="heading")
        self.name = Elided("strong")
        self.why = foreign("muted")
        self.count = Badge()
        self.code = CodeView()
        self.progress = label(role="muted")
        self.remember = QCheckBox(self.tr("Remember this answer"))
        self.remember.setAccessibleName(self.remember.text())
        self.read_only = QCheckBox(self.tr("Read only"))
        self.read_only.toggled.connect(self._arrange)
        self.problem = Problem()
        self.buttons: dict[Verb, QPushButton] = {
            "corporate": button(self.tr(" Corporate computer"), lambda: self._answer("corporate")),
            "personal": button(self.tr(" Personal computer"), lambda: self._answer("personal")),
            "deny": button(self.tr("Nobody"), lambda: self._answer("deny")),
        }
        for verb in ("corporate", "personal"):
            self.buttons[verb].setIcon(icon(verb, colours["text"]))
        self.later = button(self.tr("Later"), self._put_off)
        self.keys = label(role="muted", wrap=False)
        self._rest = QTimer(self, singleShot=True, interval=REST_MS)
        self._rest.timeout.connect(self._arrange)
        self._build()
        self.hide()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self.heading, 1)
        for part in (self.count, self.keys, self.later):
            head.addWidget(part, 0, Qt.AlignmentFlag.AlignVCenter)
        answers = QHBoxLayout()
        answers.setSpacing(10)
        for made in self.buttons.values():
            answers.addWidget(made)
        answers.addWidget(self.read_only)
        answers.addWidget(self.remember)
        answers.addStretch()
        self._code_row = QWidget()
        code = QHBoxLayout(self._code_row)
        code.setContentsMargins(0, 4, 0, 4)
        code.setSpacing(18)
        code.addWidget(self.code)
        code.addWidget(self.progress, 1)
        text = QVBoxLayout()
        text.setSpacing(6)
        text.addLayout(head)
        for line in (self.name, self._code_row, self.why):
            text.addWidget(line)
        text.addLayout(answers)
        text.addWidget(self.problem)
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 16, 24, 16)
        row.setSpacing(16)
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(text, 1)
        QWidget.setTabOrder(self.read_only, self.remember)
        QWidget.setTabOrder(self.remember, self.later)

    def show_chord(self, text: str) -> None:
        """Say by which combination the keyboard gets here."""
        self.keys.setText(self.tr("Answer by keyboard: {chord}").format(chord=text))

    # -- what waits ------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many devices wait for the person, those put off too."""
        return len(self._waiting)

    def show_devices(self, devices: list[DeviceInfo]) -> None:
        """Take over a fresh list."""
        self._note_wrong_codes(devices)
        self._waiting = [device for device in devices if _waits(device)]
        here = {_key(device) for device in self._waiting}
        self._later &= here
        self._wrong = {key: count for key, count in self._wrong.items() if key in here}
        self._show_next()

    def show_nothing(self) -> None:
        """Nothing is known of devices now."""
        self._waiting = []
        self._show_next()

    def show_again(self) -> None:
        """Show what was put off, too."""
        self._later.clear()
        self._show_next()

    def _note_wrong_codes(self, devices: list[DeviceInfo]) -> None:
        """Several digits that are gone at once were a wrong code; Backspace takes them one by one."""
        before = {_key(device): device for device in self._waiting}
        for device in devices:
            old = before.get(_key(device))
            if old is not None and device.code == old.code and device.code and old.typed > 1 > device.typed:
                self._wrong[_key(device)] = self._wrong.get(_key(device), 0) + 1

    def _show_next(self) -> None:
        shown = [device for device in self._waiting if _key(device) not in self._later]
        keyboards = [device for device in shown if device.state == "admission"]
        queue = keyboards or shown
        current = self.device and _key(self.device)
        chosen = next((device for device in queue if _key(device) == current), queue[0] if queue else None)
        if chosen is None:
            self.device = None
            self.hide()
            return
        another = _key(chosen) != current or self.device is None or chosen.state != self.device.state
        self.device = chosen
        if another:
            self.problem.say(None)
            self.remember.setChecked(False)
            self.read_only.setChecked(False)
            self._rest.start()
        self._say(chosen, len(shown))
        self._arrange()
        self.show()
        if another:
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))
            self.appeared.emit()

    # -- what is shown ---------------------------------------------------------------------------------

    def _say(self, device: DeviceInfo, shown: int) -> None:
        keyboard = device.state == "admission"
        self.picture.setPixmap(
            icon_pixmap(ICONS.get(device.kind, "devices"), self._colours["warn"], PICTURE, 2.0)
        )
        self.heading.setText(
            self.tr("Is this new keyboard yours? Type these digits on it, then Enter.")
            if keyboard
            else self.tr("Which computer gets this device?")
        )
        self.name.say(device_name(device))
        self.count.setVisible(shown > 1)
        self.count.say(self.tr("{n} more after this").format(n=shown - 1), "warn")
        self._code_row.setVisible(keyboard)
        if keyboard:
            self.code.say(device.code, device.typed)
            self.progress.setText(self._progress(device))
        self.why.setText(self._not_yours(device) if keyboard else ask_words(device))
        self.setAccessibleName(f"{self.heading.text()} {device_name(device)}. {self.why.text()}")

    def _progress(self, device: DeviceInfo) -> str:
        typed = self.tr("{n} of {all} digits typed.").format(n=device.typed, all=CODE_DIGITS)
        wrong = self._wrong.get(_key(device), 0)
        if wrong and not device.typed:
            return self.tr("That was not the code. Type it again. After three wrong codes it is kept out.")
        if device.typed >= CODE_DIGITS:
            return self.tr("{typed} Now Enter.").format(typed=typed)
        return typed

    def _not_yours(self, device: DeviceInfo) -> str:
        place = isolated(name_parts(device)[1])
        return self.tr(
            "You plugged in no keyboard? Then pull out what is in {place}: it says that it is one. "
            "Nothing it types reaches this laptop before its code was typed."
        ).format(place=place)

    def _arrange(self) -> None:
        device = self.device
        if device is None:
            return
        ready = not self._busy and not self._rest.isActive()
        asking = device.state == "asking"
        name = device_name(device)
        spoken = {
            "corporate": self.tr("Give {name} to the corporate computer"),
            "personal": self.tr("Give {name} to the personal computer"),
            "deny": self.tr("Give {name} to nobody"),
        }
        for verb, made in self.buttons.items():
            made.setVisible(asking and (verb == "deny" or verb in device.targets))
            made.setEnabled(ready)
            made.setAccessibleName(spoken[verb].format(name=name))
        self.keys.setVisible(asking)
        self.remember.setVisible(asking and device.remember)
        # What is only read is given for this time.
        self.remember.setEnabled(not self._busy and not self.read_only.isChecked())
        self.read_only.setVisible(asking and device.blocks)
        self.read_only.setEnabled(not self._busy)
        self.read_only.setAccessibleName(self.tr("Give {name} to be read only").format(name=name))
        self.later.setEnabled(ready)
        self.later.setAccessibleName(self.tr("Decide about {name} later").format(name=name))

    def take_focus(self) -> None:
        """Put the keyboard on the first answer, because the person asked for it."""
        for control in (*self.buttons.values(), self.later):
            if control.isVisible():
                control.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return

    # -- what is answered ------------------------------------------------------------------------------

    def _answer(self, verb: Verb) -> None:
        if self.device is not None:
            read_only = self.device.blocks and self.read_only.isChecked()
            remember = self.device.remember and self.remember.isChecked() and not read_only
            self.wished.emit(Wish(self.device, verb, read_only=read_only, remember=remember))

    def _put_off(self) -> None:
        if self.device is not None:
            self._later.add(_key(self.device))
            self._show_next()

    def begin(self) -> None:
        """An answer is being given."""
        self._busy = True
        self.problem.say(None)
        self._arrange()

    def settle(self, wish: Wish, error: TwinhullError | None) -> None:
        """It was given, or refused."""
        self._busy = False
        if self.device is not None and _key(self.device) == _key(wish.device):
            self.problem.say(error)
        self._arrange()


def _waits(device: DeviceInfo) -> bool:
    return device.state == "asking" or (device.state == "admission" and bool(device.code))


def _key(device: DeviceInfo) -> tuple[str, str]:
    """Which device, in one port, for as long as it says the same of itself."""
    return device.id, device.facts_sha256
