"""Joins the page of earlier states to the daemon."""

from __future__ import annotations

from PySide6.QtCore import QObject
from twinhull_policy.api.types import PartitionInfo, Status
from twinhull_policy.errors import TwinhullError

from twinhull_client.bus import Daemon
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.snapshots_page import Deed, SnapshotsPage


class SnapshotDesk(QObject):
    """One deed at a time with each computer; it goes on when the person looks at another page."""

    def __init__(self, client: DaemonClient) -> None:
        super().__init__()
        self.client, self.page = client, SnapshotsPage()
        self._infos: dict[str, PartitionInfo] = {}
        self._deeds: dict[str, Deed] = {}
        self._shown = ""
        self.page.wished.connect(self._on_wished)
        self.page.again.connect(lambda: self.open(self._shown))

    def open(self, name: str) -> None:
        """Turn the page to one computer."""
        if name in self._infos:
            self._shown = name
            self.page.begin(self._infos[name])
            self.page.show_deed(self._deeds.get(name))
            self._load(name)

    def show_status(self, status: Status) -> None:
        """Take a fresh status over; where that computer has changed, so may have what is kept of it."""
        before = self._infos.get(self._shown)
        self._infos = {info.name: info for info in status.partitions}
        now = self._infos.get(self._shown)
        if now is not None and now != before:
            self.page.show_info(now)
            if self.page.isVisible() and self._shown not in self._deeds:
                self._load(self._shown)

    def _load(self, name: str) -> None:
        def unknown(error: TwinhullError) -> None:
            if name == self._shown:
                self.page.show_unknown(error)

        self.client.run(
            lambda daemon: daemon.snapshots(name),
            lambda them: self.page.show_found(them) if name == self._shown else None,
            unknown,
        )

    def _on_wished(self, deed: Deed, snapshot: str, text: str) -> None:
        name = self._shown
        if name in self._deeds:
            return

        async def operation(daemon: Daemon) -> None:
            match deed:
                case "make":
                    await daemon.snapshot_partition(name, text)
                case "back":
                    await daemon.roll_back_partition(name, snapshot, text)
                case "remove":
                    await daemon.remove_snapshot(name, snapshot)
                case "stop":
                    await daemon.stop_partition(name)

        self._deeds[name] = deed
        self.page.show_deed(deed)
        self.client.run(
            operation,
            lambda _none: self._on_done(name, deed, None),
            lambda error: self._on_done(name, deed, error),
        )

    def _on_done(self, name: str, deed: Deed, error: TwinhullError | None) -> None:
        del self._deeds[name]
        if name != self._shown:
            return
        if error is None and deed in ("back", "remove"):
            self.page.settle()
        self.page.show_deed(None, error, done=None if error else deed)
        self._load(name)
