"""The card of what both computers are made from, and of their encrypted stores."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget
from twinhull_policy.api.types import ImageInfo, Status
from twinhull_policy.names import Partition

from twinhull_client.gui.widgets import Card, button, clear, label, tip
from twinhull_client.gui.words import computer_name, image_name, size_words


class StorageCard(Card):
    """The systems the computers are made from, and their encrypted stores.

    Signals:
        states_wanted: the person wants to see the earlier states of this partition.
        code_wanted: the person wants to see to this partition's recovery code.
    """

    states_wanted = Signal(str)
    code_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__(self.tr("Storage and systems"))
        self.rows = QVBoxLayout()
        self.rows.setSpacing(12)
        self.body.addLayout(self.rows)
        self.stores = {name.value: label(role="muted") for name in Partition}
        self.states = {name.value: self._states_button(name.value) for name in Partition}
        self.codes = {name.value: self._code_button(name.value) for name in Partition}
        for name, store in self.stores.items():
            line = QHBoxLayout()
            line.setSpacing(10)
            line.addWidget(self.states[name])
            line.addWidget(self.codes[name])
            line.addStretch()
            self.body.addWidget(store)
            self.body.addLayout(line)

    def _code_button(self, name: str) -> QPushButton:
        made = button(self.tr("Recovery code"), lambda: self.code_wanted.emit(name))
        made.setAccessibleName(self.tr("Recovery code: {name}").format(name=computer_name(name)))
        return made

    def _states_button(self, name: str) -> QPushButton:
        made = button(self.tr("Earlier states"), lambda: self.states_wanted.emit(name))
        made.setAccessibleName(self.tr("Earlier states: {name}").format(name=computer_name(name)))
        return made

    def show_info(self, status: Status) -> None:
        """Show images with their progress, and how each store is encrypted."""
        clear(self.rows)
        ready = bool(status.images) and all(image.ready for image in status.images)
        if not status.images:
            self.badge.say(self.tr("Nothing yet"), "idle")
            self.rows.addWidget(label(self.tr("Systems appear here once your company offers them.")))
        else:
            self.badge.say(self.tr("Ready") if ready else self.tr("Downloading"), "good" if ready else "warn")
        for image in status.images:
            self.rows.addWidget(self._image(image))
        for partition in status.partitions:
            if (store := self.stores.get(partition.name)) is not None:
                store.setText(
                    self.tr("{name}: encrypted, up to {disk} GB, {lock}").format(
                        name=computer_name(partition.name),
                        disk=partition.disk_gib,
                        lock=self.tr("open now") if partition.unlocked else self.tr("locked"),
                    )
                )
                for part in (store, self.codes[partition.name], self.states[partition.name]):
                    part.setVisible(bool(partition.encryption) and partition.state != "absent")

    def _image(self, image: ImageInfo) -> QWidget:
        row = QWidget()
        column = QVBoxLayout(row)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        done = (
            self.tr("verified, {size}").format(size=size_words(image.size_bytes))
            if image.ready
            else self.tr("{done} of {all}").format(
                done=size_words(image.received_bytes), all=size_words(image.size_bytes)
            )
        )
        name = label(f"{image_name(image.name)} · {done}")
        tip(name, image.name)
        column.addWidget(name)
        if not image.ready:
            bar = QProgressBar()
            bar.setTextVisible(False)
            bar.setAccessibleName(self.tr("Download of {name}").format(name=image_name(image.name)))
            bar.setValue(round(100 * image.received_bytes / max(image.size_bytes, 1)))
            column.addWidget(bar)
        return row
