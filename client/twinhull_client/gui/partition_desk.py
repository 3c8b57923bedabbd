"""Joins the two computers' cards to the daemon."""

from __future__ import annotations

from PySide6.QtCore import QObject
from twinhull_policy.errors import TwinhullError

from twinhull_client.bus import Daemon
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.partition_card import PartitionCard


class PartitionDesk(QObject):
    """What a card asks for is done, and its error shown on it. Its ``open`` is the window's to do."""

    def __init__(self, client: DaemonClient, cards: dict[str, PartitionCard]) -> None:
        super().__init__()
        self._client = client
        for card in cards.values():
            card.asked.connect(lambda name, action, secret: self._on_asked(cards[name], action, secret))

    def _on_asked(self, card: PartitionCard, action: str, secret: str) -> None:
        if action == "open":
            return

        async def operation(daemon: Daemon) -> None:
            match action:
                case "create":
                    await daemon.create_partition(card.name, secret)
                    await daemon.start_partition(card.name, "")
                case "start":
                    await daemon.start_partition(card.name, secret)
                case "start_by_pin":
                    await daemon.unlock_volume(card.name, "tpm", secret)
                    await daemon.start_partition(card.name, "")
                case "stop":
                    await daemon.stop_partition(card.name)
                case "suspend":
                    await daemon.suspend_partition(card.name)
                case "resume":
                    await daemon.resume_partition(card.name)

        def failed(error: TwinhullError) -> None:
            card.set_busy(False)
            card.fail(error)

        card.set_busy(True)
        self._client.run(operation, lambda _none: card.set_busy(False), failed)
