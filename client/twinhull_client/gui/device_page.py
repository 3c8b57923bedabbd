"""The devices page: every device in the place where it is, to be sent elsewhere by button or by dragging."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QPoint, Qt, Signal
from PySide6.QtGui import QDrag, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QBoxLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget
from twinhull_policy.api.types import DeviceInfo, Status
from twinhull_policy.errors import ErrorReport, RemoteError, TwinhullError, printable

from twinhull_client.gui.device_row import DeviceRow
from twinhull_client.gui.device_switches import SwitchBar
from twinhull_client.gui.device_wishes import Verb, Wish, may_go
from twinhull_client.gui.errors import DeviceGone
from twinhull_client.gui.widgets import EDGE, NARROW, Card, Problem, button, label, scrolling, turn
from twinhull_client.gui.words import computer_name, tr

MIME = "application/x-twinhull-device"
"""What a dragged row carries. It holds nothing: the page knows what is dragged, so nobody else can."""
PLACES = ("corporate", "personal", "nobody", "host")
ONE_COLUMN = 1150
"""Narrower than this, in logical pixels, places stand one below the other."""


def problem_report(problem: str) -> TwinhullError | None:
    """Why devices cannot be followed, as the daemon would say it of a command; None when they can."""
    if not problem:
        return None
    message = tr("Devices cannot be followed just now, so nothing new is let in: {why}").format(
        why=printable(problem)
    )
    step = tr("What the computers have stays. Run 'systemctl status twinhull-devd'; until it answers, wait.")
    return RemoteError(ErrorReport("TH-DEV-211", message, step, 3))


class DevicePlace(Card):
    """One place, and the devices in it; what may go there can be dropped on it.

    Whatever it shows while something is dragged is beside its title, so that nothing moves under the hand.

    Signals:
        dropped: the person let go of the dragged device over it.
    """

    dropped = Signal()

    def __init__(self, place: str, title: str, empty: str) -> None:
        super().__init__(title)
        self.place = place
        self.dragged: DeviceInfo | None = None
        self.badge.hide()
        self.empty = label(empty, "muted")
        self.rows = QVBoxLayout()
        self.rows.setSpacing(10)
        self.body.addWidget(self.empty)
        self.body.addLayout(self.rows)
        self.setAcceptDrops(True)
        self._tone("")

    def offer(self, device: DeviceInfo | None) -> None:
        """A device is being dragged, or no more: show whether it may go here."""
        self.dragged = device
        takes = device is not None and may_go(device, self.place)
        here = device is not None and place_of(device) == self.place
        self._tone("yes" if takes else "")
        self.badge.setVisible(device is not None and not here)
        if takes:
            self.badge.say(self.tr("Drop it here"), "good")
        else:
            self.badge.say(self.tr("The rules keep it from here"), "idle")

    def _tone(self, drop: str) -> None:
        if self.property("drop") != drop:
            self.setProperty("drop", drop)
            self.style().polish(self)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.dragged is not None and event.mimeData().hasFormat(MIME) and may_go(self.dragged, self.place):
            self._tone("over")
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.offer(self.dragged)

    def dropEvent(self, event: QDropEvent) -> None:
        if self.dragged is not None and may_go(self.dragged, self.place):
            event.acceptProposedAction()
            self.dropped.emit()


def place_of(device: DeviceInfo) -> str:
    """Which of PLACES a device is in."""
    if device.state == "attached" and device.attached_to in PLACES:
        return device.attached_to
    return "host" if device.state == "host" or device.bus == "pci" else "nobody"


class DevicesPage(QWidget):
    """All devices by place, the kill switches, and what keeps devices from being followed.

    Signals:
        wished: a Wish.
    """

    wished = Signal(object)

    def __init__(self, colours: dict[str, str]) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAccessibleName(self.tr("Devices"))
        self._colours = colours
        self._devices: list[DeviceInfo] | None = None
        self._held_back: list[DeviceInfo] | None = None
        self._dragging: DeviceRow | None = None
        self.rows: dict[str, DeviceRow] = {}
        self.summary = label(role="subtitle")
        self.switches = SwitchBar(colours)
        self.problem, self.unknown, self.failure = Problem(), Problem(), Problem()
        self.places = self._build_places()
        self.inside = button("", self._toggle_inside)
        self.inside.setCheckable(True)
        self.places["host"].body.addWidget(self.inside, 0, Qt.AlignmentFlag.AlignLeft)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 28, 0, 0)
        outer.setSpacing(16)
        outer.addLayout(self._build_head())
        outer.addWidget(self._build_scroll(), 1)
        self._place_rows([])
        self.inside.hide()

    def _build_places(self) -> dict[str, DevicePlace]:
        none = self.tr("No device is here. Drag one onto this field, or use its buttons.")
        titles = {
            "corporate": (computer_name("corporate"), none),
            "personal": (computer_name("personal"), none),
            "nobody": (self.tr("With nobody"), self.tr("No device waits and none is kept out.")),
            "host": (self.tr("This laptop itself"), self.tr("This laptop uses no device of its own.")),
        }
        places = {place: DevicePlace(place, *titles[place]) for place in PLACES}
        for place in places.values():
            place.dropped.connect(lambda place=place: self._drop_on(place.place))
        return places

    def _build_head(self) -> QVBoxLayout:
        names = QVBoxLayout()
        names.setSpacing(4)
        names.addWidget(label(self.tr("Devices"), "title"))
        names.addWidget(self.summary)
        line = QHBoxLayout()
        line.setSpacing(16)
        line.addLayout(names, 1)
        line.addWidget(self.switches, 0, Qt.AlignmentFlag.AlignTop)
        head = QVBoxLayout()
        head.setContentsMargins(EDGE, 0, EDGE, 0)
        head.setSpacing(12)
        head.addLayout(line)
        head.addWidget(self.failure)
        return head

    def _build_scroll(self) -> QScrollArea:
        page = QWidget()
        self._all = column = QVBoxLayout(page)
        column.setSpacing(20)
        column.addWidget(self.problem)
        column.addWidget(self.unknown)
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.setSpacing(20)
        column.addLayout(self._columns, 1)
        for names in (("corporate", "nobody"), ("personal", "host")):
            side = QVBoxLayout()
            side.setSpacing(20)
            for name in names:
                side.addWidget(self.places[name])
            side.addStretch(1)
            self._columns.addLayout(side, 1)
        return scrolling(page, self.tr("Devices by place"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        turn(self._columns, side_by_side=self.width() >= ONE_COLUMN)
        for row in self.rows.values():
            row.set_narrow(self.width() < NARROW)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # While it is being shown, Qt may change the width of what scrolls without laying it out again.
        self._all.invalidate()
        self._all.activate()

    # -- what is so ------------------------------------------------------------------------------------

    def show_status(self, status: Status) -> None:
        """Show the kill switches, and whether devices are followed."""
        self.switches.show_info(status.kill_switches)
        self.problem.say(problem_report(status.devices_problem))

    def show_unknown(self, error: TwinhullError) -> None:
        """There is no list now; what was shown last, if anything, stays under the reason."""
        self.unknown.say(error)
        self.summary.setText(self.tr("What is plugged in is not known just now."))
        self._devices = None
        for place in self.places.values():
            place.setVisible(bool(self.rows))  # an empty place would say that nothing is there

    def show_devices(self, devices: list[DeviceInfo]) -> None:
        """Show a fresh list. While something is dragged nothing moves under the hand."""
        self.unknown.say(None)
        if self._dragging is not None:
            self._held_back = devices
        elif devices != self._devices:
            self._devices = devices
            self._arrange(devices)

    def _arrange(self, devices: list[DeviceInfo]) -> None:
        usb = [device for device in devices if device.bus == "usb"]
        inside = [device for device in devices if device.bus == "pci" and place_of(device) == "host"]
        self._say_summary(usb)
        self.inside.setVisible(bool(inside))
        shown = self.inside.isChecked()
        text = self.tr("Hide what is inside it ({n})") if shown else self.tr("Show what is inside it ({n})")
        self.inside.setText(text.format(n=len(inside)))
        self.inside.setAccessibleName(self.inside.text())
        self._place_rows([device for device in devices if shown or device not in inside])

    def _say_summary(self, devices: list[DeviceInfo]) -> None:
        waiting = sum(device.state in ("asking", "admission") for device in devices)
        if not devices:
            text = self.tr("Nothing is plugged in.")
        elif len(devices) == 1:
            text = self.tr("One device is plugged in.")
        else:
            text = self.tr("{n} devices are plugged in.").format(n=len(devices))
        if waiting:
            wait = self.tr("One waits for you.") if waiting == 1 else self.tr("{n} wait for you.")
            text = f"{text} {wait.format(n=waiting)}"
        self.summary.setText(text)

    def _place_rows(self, devices: list[DeviceInfo]) -> None:
        wanted = {device.id for device in devices}
        for gone in [id_ for id_ in self.rows if id_ not in wanted]:
            row = self.rows.pop(gone)
            if isinstance(row.error, DeviceGone):
                self.failure.say(row.error)
            row.hide()
            row.deleteLater()
        counts = dict.fromkeys(PLACES, 0)
        for device in devices:
            row = self.rows.get(device.id) or self._new_row(device)
            row.show_info(device)
            place = place_of(device)
            self._put(row, self.places[place], counts[place])
            counts[place] += 1
        for name, count in counts.items():
            self.places[name].show()
            self.places[name].empty.setVisible(not count)

    def _new_row(self, device: DeviceInfo) -> DeviceRow:
        row = DeviceRow(device, self._colours)
        row.set_narrow(self.width() < NARROW)
        row.wished.connect(self.wished)
        row.dragged.connect(lambda hold, row=row: self._drag(row, hold))
        self.rows[device.id] = row
        return row

    def _put(self, row: DeviceRow, place: DevicePlace, at: int) -> None:
        if place.rows.indexOf(row) == at:
            return
        focused = QApplication.focusWidget()
        had_keyboard = focused is not None and row.isAncestorOf(focused)
        place.rows.insertWidget(at, row)  # taken from where it was
        row.show()
        if had_keyboard:
            row.take_focus()

    def _toggle_inside(self) -> None:
        if self._devices is not None:
            self._arrange(self._devices)

    # -- what is wished --------------------------------------------------------------------------------

    def settle(self, wish: Wish, error: TwinhullError | None) -> None:
        """A wish was fulfilled, or not: say so where the device is, or on top if it is gone."""
        row = self.rows.get(wish.device.id)
        self.failure.say(error if row is None else None)
        if row is not None:
            row.set_busy(False)
            row.fail(error)

    def begin(self, wish: Wish) -> None:
        """A wish is being fulfilled."""
        self.failure.say(None)
        if wish.device.id in self.rows:
            self.rows[wish.device.id].set_busy(True)

    def _drag(self, row: DeviceRow, hold: QPoint) -> None:
        self.offer(row)
        data = QMimeData()
        data.setData(MIME, b"")
        drag = QDrag(self)
        drag.setMimeData(data)
        drag.setPixmap(row.grab())
        drag.setHotSpot(hold)
        drag.exec(Qt.DropAction.MoveAction)
        self.offer(None)

    def offer(self, row: DeviceRow | None) -> None:
        """The person begins to drag a device, or has let go of it."""
        self._dragging = row
        for place in self.places.values():
            place.offer(row.device if row else None)
        if row is None and self._held_back is not None:
            held_back, self._held_back = self._held_back, None
            self.show_devices(held_back)

    def _drop_on(self, place: str) -> None:
        if self._dragging is not None:
            verbs: dict[str, Verb] = {"corporate": "corporate", "personal": "personal", "nobody": "detach"}
            self.wished.emit(self._dragging.wish(verbs[place]))
