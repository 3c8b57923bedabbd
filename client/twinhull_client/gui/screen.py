"""A partition's screen in the window: paints the frame, takes keys and pointer to the guest."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QCursor,
    QFocusEvent,
    QFont,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
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


class GuestScreen(QWidget):
    """Shows one viewer's frame with its aspect ratio kept.

    Signals:
        took_keyboard: this screen has the keyboard now.
    """

    took_keyboard = Signal(str)

    def __init__(self, link: ViewerLink, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.link = link
        self.heading, self.message = "", ""
        self._down: set[int] = set()
        self.setObjectName(f"screen-{link.partition}")
        self.setAccessibleName(self.tr("Screen: {name}").format(name=name))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_InputMethodEnabled, False)
        self.setMouseTracking(True)
        self.setMinimumSize(160, 120)
        link.frame_changed.connect(self.update)
        link.damaged.connect(self._on_damage)
        link.cursor_changed.connect(self._on_cursor)

    def set_message(self, heading: str, message: str) -> None:
        """What to show while there is no frame; the host's own words."""
        self.heading, self.message = heading, message
        self.update()

    def target(self) -> QRectF:
        """Where in the widget the frame is painted."""
        frame = self.link.frame
        if frame is None:
            return QRectF()
        size = frame.rect.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        return QRectF(
            (self.width() - size.width()) // 2,
            (self.height() - size.height()) // 2,
            size.width(),
            size.height(),
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setClipRect(event.rect())
        painter.fillRect(event.rect(), QColor("#0b0f14"))
        frame = self.link.frame
        if frame is None:
            self._paint_message(painter)
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.target(), frame.image, QRectF(frame.rect))
        painter.end()

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

    def _on_cursor(self, image: QImage | None, hot_x: int, hot_y: int) -> None:
        if image is None:
            self.setCursor(Qt.CursorShape.BlankCursor if self.link.frame else Qt.CursorShape.ArrowCursor)
        else:
            self.setCursor(QCursor(QPixmap.fromImage(image), hot_x, hot_y))

    # -- input -----------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            self.keyPressEvent(event)  # Tab too belongs to the guest
            return True
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
        if frame is None or target.width() < 1:
            return False
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
        self._button(event, True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._button(event, False)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.angleDelta().y() and self._move(event.position(), event.buttons()):
            button = WHEEL_UP if event.angleDelta().y() > 0 else WHEEL_DOWN
            mask = self._mask(event.buttons())
            self.link.send_input(protocol.Button(button, True, mask))
            self.link.send_input(protocol.Button(button, False, mask))
