"""A partition's screen in the window: paints the frame, takes keys and pointer to the guest."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, QSizeF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from twinhull_client.gui.keys import scan_code
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.viewer import protocol

_BUTTONS = {
    Qt.MouseButton.LeftButton: (1, 1),
    Qt.MouseButton.MiddleButton: (2, 2),
    Qt.MouseButton.RightButton: (3, 4),
}
"""Qt's button: SPICE's number and mask."""
WHEEL_UP, WHEEL_DOWN = 4, 5
SETTLE_MS = 120
"""How long a window must keep its size before its guest is asked for it."""
ROUNDED = 16
"""A guest may round the size it is asked for down by less than this; then it is shown pixel by pixel."""
DPI = 96
"""Logical pixels an inch (Qt, QScreen: the base of its scale factors)."""
MM_PER_INCH = 25.4


class GuestScreen(QWidget):
    """Shows one viewer's frame with its aspect ratio kept; pixel by pixel once the guest has its size.

    The guest's pointer is painted here and is never the window system's, so that however large it is, it ends
    where this widget ends.

    Signals:
        took_keyboard: this screen has the keyboard now.
        chosen: the small picture was clicked.
    """

    took_keyboard = Signal(str)
    chosen = Signal(str)

    def __init__(self, link: ViewerLink, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.link = link
        self.heading, self.message = "", ""
        self.small = False
        self._down: set[int] = set()
        self._pointer: QPoint | None = None
        self._cursor: QImage | None = None
        self._has_cursor = False
        self._hot = QPoint()
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._wish)
        self.setObjectName(f"screen-{link.partition}")
        self.setAccessibleName(self.tr("Screen: {name}").format(name=name))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled, False)
        self.setMouseTracking(True)
        link.frame_changed.connect(self._on_frame)
        link.damaged.connect(self._on_damage)
        link.cursor_changed.connect(self._on_cursor)

    def set_small(self, small: bool) -> None:
        """Be the small picture in the corner: no input, no wish for a size; a click is ``chosen``."""
        if small != self.small:
            self.release_keys()
            self.small = small
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus if small else Qt.FocusPolicy.StrongFocus)
            self._settle.start()
        self._show_pointer()

    def set_message(self, heading: str, message: str) -> None:
        """What to show while there is no frame; the host's own words."""
        if (heading, message) != (self.heading, self.message):
            self.heading, self.message = heading, message
            self.setAccessibleDescription(f"{heading}. {message}")
            self.update()

    # -- size ------------------------------------------------------------------------------------------

    def room(self) -> QSize:
        """The widget's size in the display's own pixels."""
        return (QSizeF(self.size()) * self.devicePixelRatioF()).toSize()

    def _wish(self) -> None:
        room = self.room()
        if self.small or not self.isVisible() or room.isEmpty():
            return
        mm = MM_PER_INCH / DPI
        self.link.resize(
            protocol.Resize(
                min(max(room.width(), protocol.MIN_WIDTH), protocol.MAX_WIDTH),
                min(max(room.height(), protocol.MIN_HEIGHT), protocol.MAX_HEIGHT),
                min(max(round(self.width() * mm), 1), protocol.MAX_MM),
                min(max(round(self.height() * mm), 1), protocol.MAX_MM),
            )
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._settle.start()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._settle.start()

    def target(self) -> QRectF:
        """Where in the widget the frame is painted."""
        frame = self.link.frame
        if frame is None:
            return QRectF()
        ratio, room, size = self.devicePixelRatioF(), self.room(), frame.rect.size()
        spare = room - size
        if not (0 <= spare.width() < ROUNDED and 0 <= spare.height() < ROUNDED):
            size = size.scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
            spare = room - size
        # on whole pixels of the display, whatever the ratio
        corner = QPointF(spare.width() // 2, spare.height() // 2) / ratio
        return QRectF(corner, QSizeF(size) / ratio)

    # -- painting --------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setClipRect(event.rect())
        painter.fillRect(event.rect(), QColor("#0b0f14"))
        frame = self.link.frame
        if frame is None:
            self._paint_message(painter)
        else:
            target = self.target()
            scaled = target.size() != QSizeF(frame.rect.size()) / self.devicePixelRatioF()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scaled)
            painter.drawImage(target, frame.image, QRectF(frame.rect))
            if self._cursor is not None and self._pointer is not None:
                painter.drawImage(self._cursor_rect(), self._cursor)
        painter.end()
        self.link.shown()

    def _paint_message(self, painter: QPainter) -> None:
        middle = self.rect().adjusted(24, 0, -24, 0)
        centre, wrap = Qt.AlignmentFlag.AlignHCenter, Qt.TextFlag.TextWordWrap
        font = QFont(self.font())
        font.setPixelSize(22)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor("#f1f5f9"))
        upper = middle.adjusted(0, 0, 0, -middle.height() // 2 - 8)
        painter.drawText(upper, centre | Qt.AlignmentFlag.AlignBottom | wrap, self.heading)
        font.setPixelSize(15)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor("#cbd5e1"))
        lower = middle.adjusted(0, middle.height() // 2 + 8, 0, 0)
        painter.drawText(lower, centre | Qt.AlignmentFlag.AlignTop | wrap, self.message)

    def _on_damage(self, rect: QRect) -> None:
        frame = self.link.frame
        if frame is None:
            return
        target = self.target()
        scale = target.width() / frame.rect.width()
        self.update(
            QRectF(
                target.x() + rect.x() * scale,
                target.y() + rect.y() * scale,
                rect.width() * scale,
                rect.height() * scale,
            )
            .toAlignedRect()
            .adjusted(-2, -2, 2, 2)
        )

    def _on_frame(self) -> None:
        if self.link.frame is None:
            self._cursor, self._has_cursor = None, False
        self._show_pointer()
        self.update()

    def _on_cursor(self, image: QImage | None, hot_x: int, hot_y: int) -> None:
        self._repaint_cursor()
        self._cursor, self._hot, self._has_cursor = image, QPoint(hot_x, hot_y), True
        self._show_pointer()
        self._repaint_cursor()

    def _show_pointer(self) -> None:
        own = self.small or not self._has_cursor
        self.setCursor(Qt.CursorShape.ArrowCursor if own else Qt.CursorShape.BlankCursor)

    def _cursor_rect(self) -> QRectF:
        frame = self.link.frame
        if self._cursor is None or self._pointer is None or frame is None:
            return QRectF()
        scale = self.target().width() / frame.rect.width()
        return QRectF(
            QPointF(self._pointer) - QPointF(self._hot) * scale, QSizeF(self._cursor.size()) * scale
        )

    def _repaint_cursor(self) -> None:
        self.update(self._cursor_rect().toAlignedRect().adjusted(-2, -2, 2, 2))

    def _point(self, position: QPointF | None) -> None:
        self._repaint_cursor()
        self._pointer = position.toPoint() if position is not None else None
        self._repaint_cursor()

    # -- input -----------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            self.keyPressEvent(event)  # Tab too belongs to the guest
            return True
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._settle.start()
        elif event.type() == QEvent.Type.Leave:
            self._point(None)
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        code = scan_code(event)
        if code is not None and not event.isAutoRepeat():
            self._down.add(code)
            self.link.send_input(protocol.Key(code, True))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        code = scan_code(event)
        if code is not None and not event.isAutoRepeat():
            self._down.discard(code)
            self.link.send_input(protocol.Key(code, False))

    def release_keys(self) -> None:
        """Let go of every key the guest believes is down."""
        for code in sorted(self._down):
            self.link.send_input(protocol.Key(code, False))
        self._down.clear()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.took_keyboard.emit(self.link.partition)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.release_keys()
        super().focusOutEvent(event)

    def _mask(self, buttons: Qt.MouseButton) -> int:
        return sum(mask for button, (_number, mask) in _BUTTONS.items() if button in buttons)

    def _move(self, position: QPointF, buttons: Qt.MouseButton) -> bool:
        frame, target = self.link.frame, self.target()
        if frame is None or target.width() < 1 or self.small:
            return False
        self._point(position)
        scale = frame.rect.width() / target.width()
        x = min(max(int((position.x() - target.x()) * scale), 0), frame.rect.width() - 1)
        y = min(max(int((position.y() - target.y()) * scale), 0), frame.rect.height() - 1)
        self.link.send_input(protocol.Pointer(x, y, self._mask(buttons)))
        return True

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._move(event.position(), event.buttons())

    def _button(self, event: QMouseEvent, down: bool) -> None:
        if event.button() in _BUTTONS and self._move(event.position(), event.buttons()):
            self.link.send_input(
                protocol.Button(_BUTTONS[event.button()][0], down, self._mask(event.buttons()))
            )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.small:
            self.chosen.emit(self.link.partition)
        self._button(event, True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._button(event, False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y() and self._move(event.position(), event.buttons()):
            button = WHEEL_UP if event.angleDelta().y() > 0 else WHEEL_DOWN
            mask = self._mask(event.buttons())
            self.link.send_input(protocol.Button(button, True, mask))
            self.link.send_input(protocol.Button(button, False, mask))
