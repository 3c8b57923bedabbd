"""One device in a list: what it is, where and why, and what can be done, by button or by dragging it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.errors import TwinhullError, printable

from twinhull_client.gui.device_wishes import PORT_NAME_LIMIT, Verb, Wish, may_go, may_read
from twinhull_client.gui.device_words import (
    ICONS,
    device_name,
    name_parts,
    place_words,
    target_words,
    why_words,
)
from twinhull_client.gui.theme import icon_pixmap
from twinhull_client.gui.widgets import Badge, Elided, Problem, button, foreign, label, turn

PICTURE = 24
BUTTON_GAP = 8


class DeviceRow(QFrame):
    """A device.

    Signals:
        wished: a Wish.
        dragged: where in it the person took hold of it to drag it somewhere.
    """

    wished = Signal(object)
    dragged = Signal(QPoint)

    def __init__(self, device: DeviceInfo, colours: dict[str, str]) -> None:
        super().__init__()
        self.setObjectName("sunken")
        self._colours = colours
        self._busy = False
        self._pressed: QPoint | None = None
        self.device = device
        self.error: TwinhullError | None = None
        self.picture = label(wrap=False)
        self.picture.setFixedSize(PICTURE, PICTURE)
        self.name = Elided("strong")
        self.place = Elided("muted")
        self.badge = Badge()
        self.why = foreign("muted")
        self.problem = Problem()
        self.buttons: dict[str, QPushButton] = {}
        verbs, rest = QHBoxLayout(), QHBoxLayout()
        for verb, text in self._verbs():
            self.buttons[verb] = button(text, self._asker(verb))
            verbs.addWidget(self.buttons[verb])
        self.read_only = QCheckBox(self.tr("Read only"))
        self.more = button(self.tr("Details"), self._toggle)
        for control in (self.read_only, self.more):
            rest.addWidget(control)
        self._controls = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        for line in (self._controls, verbs, rest):
            line.setSpacing(BUTTON_GAP)
        for line in (verbs, rest):
            self._controls.addLayout(line)
        verbs_and_rest = QHBoxLayout()
        verbs_and_rest.addLayout(self._controls)
        verbs_and_rest.addStretch()
        self.details = self._build_details()
        head = QHBoxLayout()
        head.setSpacing(12)
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addWidget(self.name)
        names.addWidget(self.place)
        head.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(names, 1)
        head.addWidget(self.badge, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.why)
        column.addLayout(verbs_and_rest)
        column.addWidget(self.details)
        column.addWidget(self.problem)
        self.show_info(device)

    def _verbs(self) -> tuple[tuple[Verb, str], ...]:
        return (
            ("corporate", target_words("corporate")),
            ("personal", target_words("personal")),
            ("deny", self.tr("To nobody")),
            ("detach", self.tr("Take back")),
        )

    def _asker(self, verb: Verb) -> Callable[[], None]:
        return lambda: self._wish(verb)

    def _build_details(self) -> QWidget:
        details = QWidget()
        column = QVBoxLayout(details)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(10)
        self.facts = QGridLayout()
        self.facts.setHorizontalSpacing(16)
        self.facts.setVerticalSpacing(4)
        self.facts.setColumnStretch(1, 1)
        self.values = {}
        for line, (key, subject) in enumerate(
            (
                ("port", self.tr("Port")),
                ("model", self.tr("Model")),
                ("interfaces", self.tr("Interfaces")),
                ("rule", self.tr("Rule")),
                ("facts_sha256", self.tr("Fingerprint")),
            )
        ):
            self.facts.addWidget(label(subject, "label", wrap=False), line, 0)
            self.values[key] = Elided("mono")
            self.facts.addWidget(self.values[key], line, 1)
        column.addLayout(self.facts)
        self.port_name = QLineEdit()
        self.port_name.setMaxLength(PORT_NAME_LIMIT)
        self.port_name.setPlaceholderText(self.tr("Your name for this port, such as left port"))
        self.port_name.returnPressed.connect(lambda: self._wish("name"))
        self.rename = button(self.tr("Name port"), lambda: self._wish("name"))
        self.naming = QWidget()
        entry = QHBoxLayout(self.naming)
        entry.setContentsMargins(0, 0, 0, 0)
        entry.setSpacing(BUTTON_GAP)
        entry.addWidget(self.port_name, 1)
        entry.addWidget(self.rename)
        column.addWidget(self.naming)
        self.forget = button(self.tr("Forget it and decide anew"), lambda: self._wish("forget"))
        row = QHBoxLayout()
        row.addWidget(self.forget)
        row.addStretch()
        column.addLayout(row)
        details.hide()
        return details

    def _toggle(self) -> None:
        shown = not self.details.isVisibleTo(self)
        self.details.setVisible(shown)
        self.more.setText(self.tr("Less") if shown else self.tr("Details"))
        self._name_controls()

    def show_info(self, device: DeviceInfo) -> None:
        """Show a fresh state of the same device, or what came into its place."""
        if device.facts_sha256 != self.device.facts_sha256:
            self.fail(None)
        self.device = device
        own, place = name_parts(device)
        self.setAccessibleName(device_name(device))
        self.name.say(own)
        self.place.say(place)
        picture = ICONS.get(device.kind, "chip" if device.bus == "pci" else "devices")
        self.picture.setPixmap(icon_pixmap(picture, self._colours["muted"], PICTURE, 2.0))
        badge, tone = place_words(device)
        self.badge.say(badge, tone)
        self.why.setText(why_words(device))
        texts = {
            "port": device.port,
            "model": device.model,
            "interfaces": " ".join(device.interfaces),
            "rule": device.rule,
            "facts_sha256": device.facts_sha256,
        }
        for key, text in texts.items():
            self.values[key].say(printable(text) or "-")
        if not self.port_name.hasFocus() and not self._busy:
            self.port_name.setText("" if place == f"port {device.port}" else place)
        self._arrange()

    def _arrange(self) -> None:
        device = self.device
        usb = device.bus == "usb"
        shown = {verb: may_go(device, verb) for verb in ("corporate", "personal")}
        shown["deny"] = device.state == "asking"
        shown["detach"] = may_go(device, "nobody")
        for verb, made in self.buttons.items():
            made.setVisible(shown[verb])
            made.setEnabled(not self._busy)
        self.read_only.setVisible(may_read(device))
        for control in (self.forget, self.rename, self.port_name, self.read_only):
            control.setEnabled(not self._busy)
        self.forget.setVisible(usb)
        self.naming.setVisible(usb)
        movable = any(shown.values()) and not self._busy
        self.setCursor(Qt.CursorShape.OpenHandCursor if movable else Qt.CursorShape.ArrowCursor)
        self._name_controls()

    def _name_controls(self) -> None:
        """Say in every control's name which device it is about."""
        name = device_name(self.device)
        spoken = {
            self.buttons["corporate"]: self.tr("Give {name} to the corporate computer"),
            self.buttons["personal"]: self.tr("Give {name} to the personal computer"),
            self.buttons["deny"]: self.tr("Give {name} to nobody"),
            self.buttons["detach"]: self.tr("Take {name} back"),
            self.read_only: self.tr("Give {name} to be read only"),
            self.more: self.tr("Hide the details of {name}")
            if self.details.isVisibleTo(self)
            else self.tr("Details of {name}"),
            self.forget: self.tr("Forget {name} and decide anew"),
            self.rename: self.tr("Name the port of {name}"),
            self.port_name: self.tr("Your name for the port of {name}"),
        }
        for control, words in spoken.items():
            control.setAccessibleName(words.format(name=name))

    def wish(self, verb: Verb) -> Wish:
        """What the person wants of this device with its controls as they are."""
        read_only = may_read(self.device) and self.read_only.isChecked()
        return Wish(self.device, verb, read_only=read_only, name=self.port_name.text())

    def _wish(self, verb: Verb) -> None:
        if not self._busy:
            self.fail(None)
            self.wished.emit(self.wish(verb))

    def set_narrow(self, narrow: bool) -> None:
        """Whether there is little room beside the buttons."""
        turn(self._controls, side_by_side=not narrow)

    def set_busy(self, busy: bool) -> None:
        """While something is done with it, its controls rest."""
        self._busy = busy
        self._arrange()

    def fail(self, error: TwinhullError | None) -> None:
        """Show what went wrong, in place; None when it went well."""
        self.error = error
        self.problem.say(error)

    def take_focus(self) -> None:
        """Put the keyboard on the first thing that can be done with it."""
        for control in (*self.buttons.values(), self.more):
            if control.isVisibleTo(self) and control.isEnabled():
                control.setFocus(Qt.FocusReason.OtherFocusReason)
                return

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = event.position().toPoint() if event.button() == Qt.MouseButton.LeftButton else None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pressed = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None or self._busy:
            return
        way = event.position().toPoint() - self._pressed
        if way.manhattanLength() < QApplication.startDragDistance():
            return
        if not any(may_go(self.device, place) for place in ("corporate", "personal", "nobody")):
            return
        start, self._pressed = self._pressed, None
        self.dragged.emit(start)
