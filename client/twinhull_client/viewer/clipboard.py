"""The guest's clipboard, and only what a person's gesture on the host asks of it.

Nothing here begins by itself. What the guest announces it has copied is not even noted; its text or picture
is asked for when the app says so, and an answer that nobody waits for is dropped. The guest is offered one
only when the app hands it over, and gets it once. A picture is not looked at here, only passed on. A guest
that asks otherwise hears nothing. The host's clipboard cannot be reached from here at all: this process has
no connection to the desktop.

The agent's messages are those of spice-protocol, vd_agent.h; SPICE's library speaks them.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from gi.repository import GObject  # type: ignore[import-not-found]

from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import sealed_memory

SELECTION = 0
"""VD_AGENT_CLIPBOARD_SELECTION_CLIPBOARD: what was copied, not what is marked."""
UTF8_TEXT = 1
"""VD_AGENT_CLIPBOARD_UTF8_TEXT"""
PNG = 2
"""VD_AGENT_CLIPBOARD_IMAGE_PNG"""
CAP_BY_DEMAND, CAP_SELECTION = 5, 6
"""VD_AGENT_CAP_CLIPBOARD_BY_DEMAND and _SELECTION: an agent without both is asked for nothing."""

Send = Callable[[protocol.FromClipboard, int | None], object]


class Clipboard:
    """One guest's.

    Args:
        main: SPICE's main channel.
        send: sends to the app; takes the message and the descriptor it lends.
    """

    def __init__(self, main: Any, send: Send) -> None:
        self._main, self._send = main, send
        self._asked, self._form = 0, UTF8_TEXT
        self._offered: tuple[int, bytes, int] | None = None
        GObject.Object.connect(main, "main-clipboard-selection", self._on_content)
        GObject.Object.connect(main, "main-clipboard-selection-request", self._on_request)

    def _agent(self) -> bool:
        wanted = (CAP_BY_DEMAND, CAP_SELECTION)
        return bool(
            self._main.get_property("agent-connected")
            and all(self._main.agent_test_capability(each) for each in wanted)
        )

    def ask(self, gesture: int, *, image: bool = False) -> None:
        """Ask the guest for the text or the picture copied in it; an earlier question is forgotten."""
        if not self._agent():
            self._send(protocol.ClipboardNothing(gesture, protocol.NO_AGENT), None)
            return
        self._asked, self._form = gesture, PNG if image else UTF8_TEXT
        self._main.clipboard_selection_request(SELECTION, self._form)

    def offer(self, gesture: int, content: bytes, *, image: bool = False) -> None:
        """Tell the guest that there is a text or a picture; what was offered before is forgotten."""
        if not self._agent():
            self._send(protocol.ClipboardNothing(gesture, protocol.NO_AGENT), None)
            return
        form = PNG if image else UTF8_TEXT
        self._offered = (gesture, content, form)
        self._main.clipboard_selection_grab(SELECTION, [form])

    def withdraw(self, gesture: int) -> None:
        """Forget a gesture."""
        if self._asked == gesture:
            self._asked = 0
        if self._offered is not None and self._offered[0] == gesture:
            self._offered = None
            self._release()

    def _release(self) -> None:
        if self._agent():
            self._main.clipboard_selection_release(SELECTION)

    def _on_content(self, _main: Any, selection: int, form: int, address: int | None, size: int) -> None:
        gesture = self._asked
        if not gesture or selection != SELECTION:
            return
        self._asked, image = 0, self._form == PNG
        if form != self._form or not address or size < 1:
            self._send(protocol.ClipboardNothing(gesture, protocol.NO_TEXT), None)
        elif size > (protocol.MAX_IMAGE if image else protocol.MAX_CLIPBOARD):
            self._send(protocol.ClipboardNothing(gesture, protocol.TOO_LARGE), None)
        else:
            fd = sealed_memory("twinhull-clipboard", size)
            try:
                os.write(fd, ctypes.string_at(address, size))
                told = protocol.ClipboardImage if image else protocol.ClipboardText
                self._send(told(gesture, size), fd)
            finally:
                os.close(fd)

    def _on_request(self, _main: Any, selection: int, form: int) -> bool:
        if self._offered is None or selection != SELECTION or form != self._offered[2]:
            return False
        gesture, content, _form = self._offered
        self._offered = None
        self._main.clipboard_selection_notify(SELECTION, form, content)
        self._release()
        self._send(protocol.ClipboardTaken(gesture), None)
        return True
