"""From a person's gesture to a receipt: what was copied or offered in one computer goes to the other, once.

The steps, each of which ends everything when it fails: the source's viewer is asked and has a few seconds;
what it says is checked; the daemon is asked whether the policy lets it cross; the person reads it; the daemon
is told, and may still refuse; the target's viewer offers it until it is taken, or for a minute. A file that
is offered comes before what was copied, because somebody chose it within the last minute; it is put into the
target at once. Gestures are numbered, and what belongs to another one than the last is dropped.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, QTimer, Signal
from twinhull_policy.api.types import ExchangeAnswer, ExchangeOutcome
from twinhull_policy.errors import TwinhullError
from twinhull_policy.exchange import ExchangeFacts

from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.errors import (
    CopyDenied,
    FileBrokenOff,
    FileNotKept,
    FileTooLarge,
    NoAgent,
    NoAnswer,
    NotBothRunning,
    NothingCopied,
    TooMuchCopied,
)
from twinhull_client.gui.exchange_file import OfferedFile, examine_file
from twinhull_client.gui.exchange_link import Link
from twinhull_client.gui.exchange_panel import ExchangePanel
from twinhull_client.gui.exchange_text import Copied, examine
from twinhull_client.gui.pictures import Picture, PictureMaker
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.viewer import protocol

ANSWER_MS = 5_000
"""How long the source may take to say what is copied in it, and for each part of a file."""
OFFER_MS = 60_000
"""How long the target may take what was sent (issue of the exchange: used, or 60 s); of a file, each part."""


Asked = Literal["file", "text", "picture"]


class ExchangeDesk(QObject):
    """Takes one text, picture or file across at a time.

    Args:
        client: where the policy's answer comes from.
        links: both viewers, by partition.
        panel: where the person chooses, reads and decides.

    Signals:
        closed: the panel has gone.
        waiting: the computer where a sent text waits to be pasted; empty when it waits no more.
    """

    closed = Signal()
    waiting = Signal(str)

    def __init__(self, client: DaemonClient, links: dict[str, ViewerLink], panel: ExchangePanel) -> None:
        super().__init__(panel)
        self._client, self._links, self.panel = client, links, panel
        self._gesture = 0
        self._source = ""
        self._asking = False
        self._asked: Asked = "file"
        self._copied: Copied | Picture | Link | OfferedFile | None = None
        self._ticket = ""
        self._offered: tuple[str, int, str] | None = None
        self._brought: tuple[str, int, str] | None = None
        self.pictures = PictureMaker(self)
        self.answer_timer = QTimer(self, singleShot=True, interval=ANSWER_MS)
        self.answer_timer.timeout.connect(self._too_late)
        self.offer_timer = QTimer(self, singleShot=True, interval=OFFER_MS)
        self.offer_timer.timeout.connect(self._clear)
        self.bring_timer = QTimer(self, singleShot=True, interval=OFFER_MS)
        self.bring_timer.timeout.connect(self._not_kept)
        panel.chosen.connect(self.begin)
        panel.send.connect(self._send)
        panel.leave.connect(self.cancel)
        for name, link in links.items():
            link.clipboard.connect(lambda message, content, name=name: self._on_told(name, message, content))
            link.file.connect(lambda message, content, name=name: self._on_file(name, message, content))
            link.ended.connect(lambda name=name: self._on_ended(name))

    def choose(self) -> None:
        """Ask the person which way."""
        self.cancel()
        self.panel.choose()

    def begin(self, source: str) -> None:
        """Ask one computer what is copied in it, for the other one."""
        self.cancel()
        self._gesture += 1
        self._source = source
        for name in (source, self._target()):
            if self._links[name].pid is None:
                self._fail(NotBothRunning(partition=name))
                return
        self.panel.wait(source)
        self._ask("file")

    def _ask(self, what: Asked) -> None:
        """Ask the source for its file, then its text, then its picture; each has a number of its own."""
        if what != "file":
            self._gesture += 1
        self._asking, self._asked = True, what
        self.answer_timer.start()
        if what == "file":
            self._links[self._source].ask_file(self._gesture)
        else:
            self._links[self._source].ask_clipboard(self._gesture, image=what == "picture")

    def cancel(self) -> None:
        """Stop before anything is sent; what was sent already stays for its minute."""
        self._stop_asking()
        self._stop_bringing()
        self._copied = None
        if self._ticket:
            self._settle(self._ticket, "cancelled")
            self._ticket = ""
        if self.panel.isVisible():
            self._gesture += 1  # answers on their way belong to nothing any more
            self.panel.go()
            self.closed.emit()

    def end(self) -> None:
        """Stop, and take back what nobody has taken yet."""
        self.cancel()
        self._clear()

    def _target(self) -> str:
        return next(name for name in self._links if name != self._source)

    def _stop_asking(self) -> None:
        self.answer_timer.stop()
        self.pictures.stop()
        if self._asking:
            self._asking = False
            if self._asked == "file":
                self._links[self._source].withdraw_file(self._gesture)
            else:
                self._links[self._source].withdraw_clipboard(self._gesture)

    def _stop_bringing(self) -> None:
        if self._brought is not None:
            target, gesture, ticket = self._brought
            self._brought = None
            self.bring_timer.stop()
            self._links[target].withdraw_file(gesture)
            self._settle(ticket, "failed")

    def _not_kept(self) -> None:
        self._stop_bringing()
        self._fail(FileNotKept(partition=self._target()))

    def _fail(self, error: TwinhullError) -> None:
        self._stop_asking()
        self._copied = None
        self.panel.fail(self._source, error)

    def _too_late(self) -> None:
        self._fail(NoAnswer(partition=self._source))

    # -- the source ------------------------------------------------------------------------------------

    def _on_told(self, name: str, message: protocol.FromClipboard, content: bytes | None) -> None:
        if self._offered is not None and (name, message.id) == self._offered[:2]:
            self._on_target(message)
        elif self._asking and name == self._source and message.id == self._gesture:
            self._asking = False
            self.answer_timer.stop()
            self._on_source(message, content)

    def _on_source(self, message: protocol.FromClipboard, untrusted_content: bytes | None) -> None:
        if untrusted_content is None:
            reason = message.reason if isinstance(message, protocol.ClipboardNothing) else protocol.NO_TEXT
            if reason == protocol.NO_TEXT and self._asked == "text":
                self._ask("picture")
            else:
                self._fail(_nothing(self._source, reason, image=self._asked == "picture"))
            return
        if self._asked == "picture":
            gesture = self._gesture
            self.pictures.make(
                untrusted_content,
                lambda picture: self._on_examined(picture) if gesture == self._gesture else None,
                lambda error: self._fail(error) if gesture == self._gesture else None,
            )
            return
        try:
            self._on_examined(examine(untrusted_content))
        except TwinhullError as error:
            self._fail(error)

    def _on_file(self, name: str, message: protocol.FromFiles, content: bytes | None) -> None:
        if self._brought is not None and (name, message.id) == self._brought[:2]:
            self._on_brought(message)
        elif self._asking and self._asked == "file" and (name, message.id) == (self._source, self._gesture):
            self._on_file_told(message, content)

    def _on_file_told(self, message: protocol.FromFiles, untrusted_bytes: bytes | None) -> None:
        if isinstance(message, protocol.FileMoved):
            self.answer_timer.start()
            self.panel.fetch(self._source, message.done, message.size)
            return
        self._asking = False
        self.answer_timer.stop()
        match message:
            case protocol.FileContent(size=size) if untrusted_bytes is not None:
                try:
                    self._on_examined(examine_file(untrusted_bytes[:size], untrusted_bytes[size:]))
                except TwinhullError as error:
                    self._fail(error)
            case protocol.FileNothing(reason=protocol.TOO_LARGE):
                self._fail(FileTooLarge(limit=protocol.MAX_FILE // 2**20))
            case protocol.FileNothing(reason=protocol.NO_AGENT | protocol.NO_FILE):
                self._ask("text")
            case _:
                self._fail(FileBrokenOff(partition=self._source))

    def _on_examined(self, copied: Copied | Picture | OfferedFile) -> None:
        self._copied = copied
        way: Literal["to_corporate", "from_corporate"] = (
            "from_corporate" if self._source == "corporate" else "to_corporate"
        )
        self._ask_policy(copied.questions(way))

    def _ask_policy(self, questions: tuple[ExchangeFacts, ...]) -> None:
        """Ask for the first way in which it may cross."""
        gesture, facts = self._gesture, questions[0]

        def answered(answer: ExchangeAnswer) -> None:
            if gesture != self._gesture or self._copied is None:
                if answer.ticket:
                    self._settle(answer.ticket, "cancelled")
            elif answer.decision.verdict != "deny":
                self._ticket = answer.ticket
                self._show(facts)
            elif len(questions) > 1:
                self._ask_policy(questions[1:])
            else:
                self._fail(CopyDenied(reason=answer.decision.reason))

        def failed(error: TwinhullError) -> None:
            if gesture == self._gesture:
                self._fail(error)

        self._client.run(lambda daemon: daemon.ask_exchange(facts), answered, failed)

    def _show(self, facts: ExchangeFacts) -> None:
        """Have the person see what would cross, in the way in which it may."""
        match self._copied:
            case Picture() as picture:
                self.panel.look(self._source, picture)
            case OfferedFile() as file:
                self.panel.hand(self._source, file)
            case Copied(link=Link() as link) if facts.kind == "urls":
                self._copied = link
                self.panel.lead(self._source, link)
            case Copied() as copied:
                self.panel.read(self._source, copied)

    # -- the target ------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Tell the daemon, then let the target have it."""
        copied, ticket, gesture, target = self._copied, self._ticket, self._gesture, self._target()
        if copied is None or not ticket:
            return
        self._copied, self._ticket = None, ""
        if isinstance(copied, OfferedFile):
            self._bring(copied, ticket)
            return
        content = copied.content.encode("ascii") if isinstance(copied, Link) else copied.content

        def recorded(_none: object) -> None:
            if gesture != self._gesture or self._links[target].pid is None:
                self._settle(ticket, "failed")
                return
            self._clear()
            self._offered = (target, gesture, ticket)
            self._links[target].offer_clipboard(gesture, content, image=isinstance(copied, Picture))
            self.offer_timer.start()
            self.waiting.emit(target)
            self.panel.go()
            self.closed.emit()

        def failed(error: TwinhullError) -> None:
            if gesture == self._gesture:
                self._fail(error)

        self._client.run(lambda daemon: daemon.settle_exchange(ticket, "sent"), recorded, failed)

    def _bring(self, file: OfferedFile, ticket: str) -> None:
        """Tell the daemon, then have the target keep a file."""
        gesture, target = self._gesture, self._target()

        def recorded(_none: object) -> None:
            if gesture != self._gesture or self._links[target].pid is None:
                self._settle(ticket, "failed")
                return
            self._brought = (target, gesture, ticket)
            self._links[target].bring_file(gesture, file.name.encode(), file.content)
            self.bring_timer.start()

        def failed(error: TwinhullError) -> None:
            if gesture == self._gesture:
                self._fail(error)

        self.panel.bring(self._source, 0, len(file.content))
        self._client.run(lambda daemon: daemon.settle_exchange(ticket, "sent"), recorded, failed)

    def _on_brought(self, message: protocol.FromFiles) -> None:
        if isinstance(message, protocol.FileMoved):
            self.bring_timer.start()
            self.panel.bring(self._source, message.done, message.size)
        elif self._brought is not None:
            target, _gesture, ticket = self._brought
            self._brought = None
            self.bring_timer.stop()
            kept = isinstance(message, protocol.FileStored)
            self._settle(ticket, "used" if kept else "failed")
            if kept:
                self.panel.kept(self._source)
            else:
                self._fail(FileNotKept(partition=target))

    def _on_target(self, message: protocol.FromClipboard) -> None:
        match message:
            case protocol.ClipboardTaken():
                self._over("used")
            case protocol.ClipboardNothing():
                self._over("failed")
                self.panel.fail(self._source, NoAgent(partition=self._target()))

    def _clear(self) -> None:
        """Take back what was sent and not taken."""
        if self._offered is not None:
            self._links[self._offered[0]].withdraw_clipboard(self._offered[1])
            self._over("expired")

    def _over(self, outcome: ExchangeOutcome) -> None:
        if self._offered is not None:
            self.offer_timer.stop()
            ticket, self._offered = self._offered[2], None
            self._settle(ticket, outcome)
            self.waiting.emit("")

    def _on_ended(self, name: str) -> None:
        if self._offered is not None and self._offered[0] == name:
            self._over("failed")  # the viewer's memory was the only place it was in
        if self._brought is not None and self._brought[0] == name:
            self._not_kept()
        if self._asking and self._source == name:
            self._fail(NoAnswer(partition=name))

    def _settle(self, ticket: str, outcome: ExchangeOutcome) -> None:
        """Have a receipt kept; a daemon that is away keeps none, and nothing more crosses meanwhile."""
        self._client.run(
            lambda daemon: daemon.settle_exchange(ticket, outcome), lambda _none: None, lambda _error: None
        )


def _nothing(source: str, reason: int, *, image: bool) -> TwinhullError:
    match reason:
        case protocol.NO_AGENT:
            return NoAgent(partition=source)
        case protocol.TOO_LARGE:
            return TooMuchCopied(limit=(protocol.MAX_IMAGE if image else protocol.MAX_CLIPBOARD) // 1024)
        case _:
            return NothingCopied(partition=source)
