"""Joins both computers' viewers and screens to what the daemon says of them."""

from __future__ import annotations

from PySide6.QtCore import QObject
from twinhull_policy.api.types import Status

from twinhull_client.gui.chords import Chords
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.words import state_words

SHOWN_STATES = ("running", "paused", "stopping")
"""States in which a partition has a screen."""
ASKING_STATES = ("absent", "locked", "stopped", "failed")
"""States in which it is the person's turn, on the home page."""


class ScreenDesk(QObject):
    """A running partition has a viewer; of any other its screen says how it is, and what to do."""

    def __init__(
        self,
        client: DaemonClient,
        links: dict[str, ViewerLink],
        screens: dict[str, GuestScreen],
        chords: Chords,
    ) -> None:
        super().__init__()
        self._client, self._links, self._screens, self._chords = client, links, screens, chords
        for link in links.values():
            link.channel_wanted.connect(lambda number, link=link: self._open_channel(link, number))

    def show_status(self, status: Status) -> None:
        """Take a fresh status over, or what the key combinations are now."""
        for info in status.partitions:
            if info.name not in self._links:
                continue
            badge, sentence, _tone = state_words(info)
            link, screen = self._links[info.name], self._screens[info.name]
            if info.state in SHOWN_STATES:
                link.start()
                screen.set_message(badge, self.tr("Its screen appears in a moment."))
            else:
                link.stop()
                where = self.tr("You do that on the Home page: {chord}.").format(
                    chord=self._chords.text("home")
                )
                screen.set_message(badge, f"{sentence}\n{where}" if info.state in ASKING_STATES else sentence)

    def _open_channel(self, link: ViewerLink, number: int) -> None:
        self._client.run(
            lambda daemon: daemon.open_display(link.partition),
            lambda fd: link.give_channel(number, fd),
            lambda _error: link.give_channel(number, None),
        )
