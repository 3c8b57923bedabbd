"""The other pages: the log, and the one for when the service cannot be reached."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from twinhull_policy.api.types import Log, LogEntry
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.theme import icon_pixmap
from twinhull_client.gui.widgets import Problem, button, label


class LogPage(QWidget):
    """Everything received from and reported to the company, and what was decided and done.

    Signals:
        receipts_wanted: the person wants to see the receipts.
    """

    receipts_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self._log = Log(entries=[])
        self._shown: list[LogEntry] = []
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName(self.tr("Log"))
        self.table.setHorizontalHeaderLabels([self.tr("When"), self.tr("What"), self.tr("Details")])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setAlternatingRowColors(True)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(38)
        self.table.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(0, 190)
        self.table.setColumnWidth(1, 150)
        self.table.currentCellChanged.connect(lambda row, *_rest: self._show_body(row))
        self.only_sent = QCheckBox(self.tr("Only what was reported to the company"))
        self.only_sent.setAccessibleName(self.only_sent.text())
        self.only_sent.toggled.connect(self._fill)
        self.body = QPlainTextEdit(readOnly=True)
        self.body.setAccessibleName(self.tr("The exact bytes"))
        self.problem = Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(36, 28, 36, 36)
        column.setSpacing(14)
        head = QVBoxLayout()
        head.setSpacing(4)
        head.addWidget(label(self.tr("Log"), "title"))
        head.addWidget(
            label(self.tr("Choose a line to read exactly what was received or reported."), "subtitle")
        )
        column.addLayout(head)
        column.addWidget(self.problem)
        self.receipts = button(self.tr("Receipts"), self.receipts_wanted.emit)
        filters = QHBoxLayout()
        filters.addWidget(self.only_sent, 1)
        filters.addWidget(self.receipts)
        column.addLayout(filters)
        column.addWidget(self.table, 3)
        column.addWidget(self.body, 2)

    def show_log(self, log: Log) -> None:
        """Show entries, newest on top."""
        self.problem.say(None)
        self._log = log
        self._fill()

    def _fill(self) -> None:
        words = {
            "received": self.tr("Received"),
            "reported": self.tr("Reported"),
            "decided": self.tr("Decided"),
            "done": self.tr("Done"),
            "refused": self.tr("Refused"),
        }
        only = self.only_sent.isChecked()
        self._shown = [entry for entry in self._log.entries[::-1] if entry.kind == "reported" or not only]
        self.table.setRowCount(len(self._shown))
        for row, entry in enumerate(self._shown):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
            for column, text in enumerate((when, words[entry.kind], entry.text)):
                self.table.setItem(row, column, QTableWidgetItem(text))
        if self._shown:
            self.table.setCurrentCell(0, 0)
        self._show_body(self.table.currentRow())

    def _show_body(self, row: int) -> None:
        body = self._shown[row].body if 0 <= row < len(self._shown) else ""
        self.body.setPlainText(body or self.tr("Nothing was sent or received with this line."))


class UnreachablePage(QWidget):
    """Shown while the service does not answer.

    Signals:
        retry: the person wants to try at once.
    """

    retry = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        card = QFrame()
        card.setObjectName("card")
        card.setFixedWidth(580)
        column = QVBoxLayout(card)
        column.setContentsMargins(40, 36, 40, 36)
        column.setSpacing(14)
        self.picture = label(wrap=False)
        self.picture.setFixedSize(48, 48)
        self.heading = label(self.tr("Waiting for Twinhull"), "title")
        self.sentence = label(self.tr("Looking for the service that runs your two computers."))
        self.next_step = label(role="muted")
        column.addWidget(self.picture)
        for part in (self.heading, self.sentence, self.next_step):
            column.addWidget(part)
        row = QHBoxLayout()
        row.addWidget(button(self.tr("Try again"), self.retry.emit, primary=True))
        row.addStretch()
        column.addLayout(row)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        outer.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch(3)

    def set_colour(self, colour: str) -> None:
        """Draw the picture in this colour."""
        self.picture.setPixmap(icon_pixmap("shield", colour, 48, 2.0))

    def show_error(self, error: TwinhullError) -> None:
        """Say why and what to do."""
        report = error.report()
        self.heading.setText(self.tr("Twinhull does not answer"))
        self.sentence.setText(report.message)
        self.next_step.setText(f"{report.next_step}\n{report.code}")
