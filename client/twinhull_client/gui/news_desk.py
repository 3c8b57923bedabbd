"""Joins what is to be read to the daemon and to what the owner has read."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSettings, Signal
from PySide6.QtWidgets import QWidget
from twinhull_policy.api.types import PartitionInfo, Status

from twinhull_client.gui import news
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.erased_page import ErasedPage
from twinhull_client.gui.news_card import NewsCard
from twinhull_client.gui.policy_page import PolicyPage
from twinhull_client.gui.receipts_page import ReceiptsPage

LOG_ENTRIES = 1000
"""As far back as the service tells (LOG_LIMIT)."""


class NewsDesk(QObject):
    """Owns the three pages, and the card on Home that leads to them.

    Signals:
        opened: this page is to be shown.
        left: Home is to be shown again.
    """

    opened = Signal(QWidget)
    left = Signal()

    def __init__(self, client: DaemonClient, settings: QSettings, card: NewsCard) -> None:
        super().__init__()
        self._client, self._settings, self._card = client, settings, card
        self._seen = news.load(settings)
        self._status: Status | None = None
        self.policy, self.erased, self.receipts = PolicyPage(), ErasedPage(), ReceiptsPage()
        self.pages: tuple[QWidget, ...] = (self.policy, self.erased, self.receipts)
        for page in (self.policy, self.erased, self.receipts):
            page.left.connect(self.left)
        card.wanted.connect(self._open)
        self.policy.understood.connect(lambda: self._read("policy"))
        self.erased.understood.connect(lambda: self._read(self.erased.news))
        self.erased.receipts_wanted.connect(self.open_receipts)
        self.receipts.again.connect(self._load_receipts)

    def show_status(self, status: Status) -> None:
        """Take a fresh status over."""
        self._status = status
        self._know(news.known(self._seen, status))
        self._card.show_news(news.unread(self._seen, status))

    def _know(self, seen: news.Seen) -> None:
        if seen != self._seen:
            self._seen = seen
            news.save(self._settings, seen)

    def _open(self, which: news.News) -> None:
        if self._status is None:
            return
        if which == "policy":
            self.policy.show_change(self._seen.policy, self._status.policy.document)
            self.opened.emit(self.policy)
            self.policy.opened()
            return
        parts = {part.name: part for part in self._status.partitions}
        absent = {name: PartitionInfo(name=name, state="absent") for name in ("corporate", "personal")}
        parts = absent | parts
        self.erased.begin(which, parts["corporate"], parts["personal"])
        self.opened.emit(self.erased)
        self.erased.opened()
        self._client.run(
            lambda daemon: daemon.log(LOG_ENTRIES), self.erased.show_log, self.erased.show_unknown
        )

    def _read(self, which: news.News) -> None:
        if self._status is not None:
            self._know(news.read(self._seen, self._status, which))
            self._card.show_news(news.unread(self._seen, self._status))
        self.left.emit()

    def open_receipts(self) -> None:
        """Show the receipts there are."""
        self.opened.emit(self.receipts)
        self.receipts.opened()
        self._load_receipts()

    def _load_receipts(self) -> None:
        self._client.run(
            lambda daemon: daemon.log(LOG_ENTRIES), self.receipts.show_log, self.receipts.show_unknown
        )
