"""One partition's screen over SPICE: pixels and pointer out, keys and pointer in, and no other channel.

Uses spice-client-glib through GObject introspection (SpiceClientGLib 2.0). Sound, USB, smart cards and shared
folders are never connected; the clipboard and the port for files are touched for a person's gesture alone
(clipboard.py, files.py).
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("SpiceClientGLib", "2.0")
from gi.repository import GLib, GObject, SpiceClientGLib  # type: ignore[import-not-found]  # noqa: E402

from twinhull_client.viewer import protocol  # noqa: E402
from twinhull_client.viewer.canvas import Canvas, sealed_memory  # noqa: E402
from twinhull_client.viewer.clipboard import Clipboard  # noqa: E402
from twinhull_client.viewer.files import Files  # noqa: E402

FORMAT_32 = 32
"""SPICE_SURFACE_FMT_32_xRGB (spice-protocol, enums.h)."""
MOUSE_MODE_SERVER = 1
"""SPICE_MOUSE_MODE_SERVER: the guest has no tablet and takes relative motion."""
FLUSH_MS = 16
"""Least time between two announcements. The next one also waits until the app has painted the last, so a
frame nobody has time for is dropped and never late: what comes next is copied when it is announced."""
MICROSECONDS = 1000


def _listen(sender: Any, signal: str, handler: Any) -> None:
    # SPICE's classes have methods of their own called connect and disconnect
    GObject.Object.connect(sender, signal, handler)


class SpiceScreen:
    """Joins a SPICE session to the socket of the desktop app.

    Args:
        connection: the socket to the app; it decides how long this lives.
        loop: stopped when the app or the guest's screen has gone.
    """

    def __init__(self, connection: socket.socket, loop: Any) -> None:
        self._app = connection
        self._app.setblocking(False)
        self._loop = loop
        self._canvas: Canvas | None = None
        self._waiting: dict[int, Any] = {}
        self._requests = 0
        self._inputs: Any = None
        self._main: Any = None
        self._clipboard: Clipboard | None = None
        self._files: Files | None = None
        self._pointer = (0, 0)
        self._flush_timer = 0
        self._next_flush = 0
        self._pending_frame = False
        self._unshown = False
        self._wish: protocol.Resize | None = None
        self._session = SpiceClientGLib.Session()
        for name in ("enable-audio", "enable-usbredir", "enable-smartcard"):
            self._session.set_property(name, False)
        _listen(self._session, "channel-new", self._on_channel)
        _listen(self._session, "disconnected", lambda _session: self._loop.quit())
        GLib.io_add_watch(
            connection.fileno(),
            GLib.PRIORITY_DEFAULT,
            GLib.IOCondition.IN | GLib.IOCondition.HUP | GLib.IOCondition.ERR,
            self._on_app,
        )

    def start(self) -> None:
        """Ask for the first connection."""
        self._session.open_fd(-1)  # -1: each channel's descriptor is asked for through "open-fd"

    def _send(self, message: protocol.FromViewer, fd: int | None = None) -> bool:
        """Send to the app; False when its queue is full."""
        try:
            protocol.send(self._app, message, fd)
        except BlockingIOError:
            return False
        except OSError:
            self._loop.quit()
        return True

    def _on_channel(self, _session: Any, channel: Any) -> None:
        if channel.get_property("channel-id") != 0:
            return
        _listen(channel, "open-fd", self._on_open_fd)
        _listen(channel, "channel-event", self._on_event)
        if isinstance(channel, SpiceClientGLib.MainChannel):
            self._main = channel
            self._clipboard = Clipboard(channel, self._send)
            _listen(channel, "main-agent-update", lambda _channel: self._ask_for_size())
            return  # the session connects it itself
        if isinstance(channel, SpiceClientGLib.DisplayChannel):
            _listen(channel, "display-primary-create", self._on_primary)
            _listen(channel, "display-primary-destroy", self._on_primary_gone)
            _listen(channel, "display-invalidate", self._on_invalidate)
        elif isinstance(channel, SpiceClientGLib.CursorChannel):
            _listen(channel, "cursor-set", self._on_cursor)
            _listen(channel, "cursor-hide", lambda _channel: self._send(protocol.CursorHidden()))
        elif isinstance(channel, SpiceClientGLib.InputsChannel):
            self._inputs = channel
        elif type(channel) is SpiceClientGLib.PortChannel and self._files is None:  # not WebDAV's, a subclass
            self._files = Files(channel, self._send)
        else:
            return
        SpiceClientGLib.Channel.connect(channel)

    def _on_open_fd(self, channel: Any, _with_tls: int) -> None:
        self._requests += 1
        if self._requests > protocol.MAX_CHANNELS:
            self._loop.quit()
            return
        self._waiting[self._requests] = channel
        self._send(protocol.ChannelRequest(self._requests))

    def _on_event(self, channel: Any, event: Any) -> None:
        if event != SpiceClientGLib.ChannelEvent.OPENED and event != SpiceClientGLib.ChannelEvent.NONE:
            self._loop.quit()  # the app starts a fresh viewer; nothing is carried over

    def _on_primary(
        self, _channel: Any, form: int, width: int, height: int, stride: int, _shmid: int, pixels: int
    ) -> None:
        self._drop_canvas()
        if form != FORMAT_32:
            return
        self._canvas = Canvas(width, height, pixels, stride)
        self._canvas.invalidate(0, 0, width, height)
        self._pending_frame = True
        self._schedule()

    def _on_primary_gone(self, _channel: Any) -> None:
        self._drop_canvas()

    def _drop_canvas(self) -> None:
        if self._canvas is not None:
            self._canvas.close()
            self._canvas = None

    def _on_invalidate(self, _channel: Any, x: int, y: int, width: int, height: int) -> None:
        if self._canvas is not None:
            self._canvas.invalidate(x, y, width, height)
            self._schedule()

    def _schedule(self) -> None:
        if self._flush_timer or (self._unshown and not self._pending_frame):
            return
        wait = max(0, self._next_flush - GLib.get_monotonic_time() // MICROSECONDS)
        self._flush_timer = GLib.timeout_add(wait, self._flush)

    def _flush(self) -> bool:
        """Announce what changed; comes back while the app's queue is full."""
        self._next_flush = GLib.get_monotonic_time() // MICROSECONDS + FLUSH_MS
        if self._canvas is not None and not self._announce(self._canvas):
            self._flush_timer = GLib.timeout_add(FLUSH_MS, self._flush)
        else:
            self._flush_timer = 0
        return False

    def _announce(self, canvas: Canvas) -> bool:
        if self._unshown and not self._pending_frame:
            return True
        damage = canvas.take_damage()
        if self._pending_frame:
            frame = protocol.Frame(canvas.width, canvas.height, canvas.stride)
            if not self._send(frame, canvas.fd):
                canvas.invalidate(0, 0, canvas.width, canvas.height)
                return False
            self._pending_frame, self._unshown = False, True
        elif damage is not None:
            if not self._send(damage):
                canvas.invalidate(damage.x, damage.y, damage.width, damage.height)
                return False
            self._unshown = True
        return True

    def _ask_for_size(self) -> None:
        """Tell the guest how large its window is, once its agent listens (VD_AGENT_MONITORS_CONFIG)."""
        wish = self._wish
        if wish is None or self._main is None or not self._main.get_property("agent-connected"):
            return
        self._main.update_display_enabled(0, True, False)
        self._main.update_display_mm(0, wish.width_mm, wish.height_mm, False)
        self._main.update_display(0, 0, 0, wish.width, wish.height, False)
        self._main.send_monitor_config()

    def _on_cursor(
        self, _channel: Any, width: int, height: int, hot_x: int, hot_y: int, pixels: int | None
    ) -> None:
        limit = protocol.MAX_CURSOR
        if not pixels or not (1 <= width <= limit and 1 <= height <= limit):
            return
        size = width * height * protocol.BYTES_PER_PIXEL
        fd = sealed_memory("twinhull-cursor", size)
        try:
            # a view of SPICE's memory, written out by the kernel: no copy in Python
            os.write(fd, memoryview((ctypes.c_char * size).from_address(pixels)))
            self._send(
                protocol.Cursor(width, height, min(max(hot_x, 0), width), min(max(hot_y, 0), height)), fd
            )
        finally:
            os.close(fd)

    def _on_app(self, _fd: int, _condition: Any) -> bool:
        try:
            message, fd = protocol.receive(self._app, protocol.FROM_APP)
        except BlockingIOError:
            return True
        except (EOFError, OSError, protocol.ProtocolError):
            self._loop.quit()
            return False
        self._handle(message, fd)
        return True

    def _handle(self, message: protocol.FromApp, fd: int | None) -> None:
        match message:
            case protocol.Channel(id=number):
                channel = self._waiting.pop(number, None)
                if channel is not None and fd is not None:
                    channel.open_fd(fd)
                elif fd is not None:
                    os.close(fd)
            case protocol.ChannelRefused():
                self._loop.quit()
            case protocol.Key(code=code, down=down):
                if self._inputs is not None:
                    (self._inputs.key_press if down else self._inputs.key_release)(code)
            case protocol.Pointer(x=x, y=y, buttons=buttons):
                self._move(x, y, buttons)
            case protocol.Button(button=button, down=down, buttons=buttons):
                if self._inputs is not None:
                    press = self._inputs.button_press if down else self._inputs.button_release
                    press(button, buttons)
            case protocol.Shown():
                self._unshown = False
                if self._canvas is not None and self._canvas.dirty:
                    self._schedule()
            case protocol.Resize():
                self._wish = message
                self._ask_for_size()
            case protocol.ClipboardAsk() | protocol.ClipboardOffer() | protocol.ClipboardWithdraw():
                self._handle_clipboard(message, fd)
            case protocol.FileAsk() | protocol.FileBring() | protocol.FileWithdraw():
                self._handle_file(message, fd)

    def _handle_file(self, message: protocol.ToFiles, fd: int | None) -> None:
        content = b""
        if fd is not None:
            try:
                content = os.pread(fd, protocol.MAX_FILE + protocol.MAX_FILE_NAME, 0)
            finally:
                os.close(fd)
        if self._files is None:
            self._send(protocol.FileNothing(message.id, protocol.NO_AGENT))
            return
        match message:
            case protocol.FileAsk(id=gesture):
                self._files.ask(gesture)
            case protocol.FileBring(id=gesture, size=size, name_size=name_size):
                self._files.bring(gesture, content[size : size + name_size], content[:size])
            case protocol.FileWithdraw(id=gesture):
                self._files.withdraw(gesture)

    def _handle_clipboard(self, message: protocol.ToClipboard, fd: int | None) -> None:
        content = b""
        if fd is not None:
            try:
                content = os.pread(fd, protocol.MAX_IMAGE, 0)
            finally:
                os.close(fd)
        if self._clipboard is None:
            self._send(protocol.ClipboardNothing(message.id, protocol.NO_AGENT))
            return
        match message:
            case protocol.ClipboardAsk(id=gesture, image=image):
                self._clipboard.ask(gesture, image=image)
            case protocol.ClipboardOffer(id=gesture, size=size, image=image):
                self._clipboard.offer(gesture, content[:size], image=image)
            case protocol.ClipboardWithdraw(id=gesture):
                self._clipboard.withdraw(gesture)

    def _move(self, x: int, y: int, buttons: int) -> None:
        if self._inputs is None or self._main is None:
            return
        old_x, old_y = self._pointer
        self._pointer = (x, y)
        if self._main.get_property("mouse-mode") == MOUSE_MODE_SERVER:
            self._inputs.motion(x - old_x, y - old_y, buttons)
        else:
            self._inputs.position(x, y, 0, buttons)

    def close(self) -> None:
        """Leave the screen."""
        SpiceClientGLib.Session.disconnect(self._session)
        self._drop_canvas()
