"""What the owner chose for this app: phrase, colours, patterns, key combinations and language.

Saved at once, in the settings of the person's own session; each change can be undone, and all be let go of.
What is chosen here and makes no sense (an unknown colour, one that both computers would have) counts as not
chosen: the strip is never without its colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject, QSettings, Signal
from twinhull_policy.names import Partition

from twinhull_client.gui.chords import DEFAULTS as CHORDS
from twinhull_client.gui.chords import SETTINGS_GROUP
from twinhull_client.gui.language import CHOICES as LANGUAGES
from twinhull_client.gui.theme import tokens

PATTERNS = ("stripes", "dots", "checks", "bars")
PHRASE_CHARACTERS = 40
"""Longest phrase: what a strip of 800 logical pixels has room for beside its name."""
LEAST_PHRASE = 3
MOST_UNDO = 100
PRIVATE = 0o600
WELCOMED = "welcomed"


@dataclass(frozen=True)
class Look:
    """How a partition's strip looks: a colour of the palette, one of PATTERNS."""

    colour: str
    pattern: str


DEFAULT_LOOKS = {
    Partition.CORPORATE.value: Look("blue", "stripes"),
    Partition.PERSONAL.value: Look("orange", "dots"),
}


def tr(text: str) -> str:
    """Translate a text that belongs to no widget."""
    return QCoreApplication.translate("choices", text)


def phrase_refusal(phrase: str) -> str:
    """Why a phrase cannot be the owner's, in one sentence; empty when it can."""
    if phrase and len(phrase) < LEAST_PHRASE:
        return tr("Choose a phrase of {n} characters or more.").format(n=LEAST_PHRASE)
    if len(phrase) > PHRASE_CHARACTERS:
        return tr("Choose a phrase of {n} characters or fewer.").format(n=PHRASE_CHARACTERS)
    if not phrase.isprintable():
        return tr("Choose a phrase that can be seen: one of its characters cannot.")
    return ""


class Choices(QObject):
    """The choices in force.

    Args:
        settings: where they are kept.

    Signals:
        changed: something was chosen, undone or reset.
    """

    changed = Signal()

    def __init__(self, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._undo: list[dict[str, str]] = []

    # -- what holds ------------------------------------------------------------------------------------

    @property
    def phrase(self) -> str:
        """The owner's phrase; empty where none was chosen, and the one made at installation holds."""
        phrase = self._get("phrase")
        return "" if phrase_refusal(phrase) else phrase

    @property
    def language(self) -> str:
        """What the app is to speak, one of the languages' CHOICES."""
        language = self._get("language")
        return language if language in LANGUAGES else LANGUAGES[0]

    @property
    def looks(self) -> dict[str, Look]:
        """Each partition's look; no two have the same colour or the same pattern."""
        chosen = {name: self._look(name) for name in DEFAULT_LOOKS}
        for part in ("colour", "pattern"):
            if len({getattr(look, part) for look in chosen.values()}) < len(chosen):
                return dict(DEFAULT_LOOKS)
        return chosen

    def _look(self, name: str) -> Look:
        colour, pattern = self._get(f"look/{name}/colour"), self._get(f"look/{name}/pattern")
        default = DEFAULT_LOOKS[name]
        return Look(
            colour if colour in tokens().palette else default.colour,
            pattern if pattern in PATTERNS else default.pattern,
        )

    @property
    def welcomed(self) -> bool:
        """Whether the owner has been asked for phrase and colours."""
        return bool(self._get(WELCOMED))

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._undo)

    @property
    def are_defaults(self) -> bool:
        """Whether nothing was chosen."""
        return not any(self._get(key) for key in _keys())

    def _get(self, key: str) -> str:
        return str(self._settings.value(key, "") or "")

    # -- choosing --------------------------------------------------------------------------------------

    def choose_phrase(self, phrase: str) -> str:
        """Take a phrase over; returns why not, in one sentence, or nothing."""
        refusal = phrase_refusal(phrase)
        if not refusal:
            self._put({"phrase": phrase})
        return refusal

    def choose_look(self, name: str, look: Look) -> str:
        """Take a look over for a partition; returns why not, in one sentence, or nothing."""
        other = next(each for each in self.looks if each != name)
        if self.looks[other].colour == look.colour:
            return tr("The other computer has that colour, and you are to tell them apart by it.")
        if self.looks[other].pattern == look.pattern:
            return tr("The other computer has that pattern, and you are to tell them apart by it.")
        both = self.looks | {name: look}
        self._put(
            {
                f"look/{each}/{part}": getattr(both[each], part)
                for each in both
                for part in ("colour", "pattern")
                if getattr(both[each], part) != getattr(DEFAULT_LOOKS[each], part)
                or self._get(f"look/{each}/{part}")
            }
        )
        return ""

    def choose_language(self, language: str) -> None:
        """Take one of the languages' CHOICES over."""
        self._put({"language": language})

    def choose_chord(self, action: str, text: str) -> None:
        """Keep a combination that the chords have found usable."""
        self._put({f"{SETTINGS_GROUP}/{action}": text})

    def welcome(self) -> None:
        """The owner has seen what there is to choose; this is not undone."""
        self._settings.setValue(WELCOMED, "yes")
        self._settings.sync()

    def undo(self) -> None:
        """Take the last change back."""
        if self._undo:
            self._write(self._undo.pop())

    def reset(self) -> None:
        """Let go of every choice; that is one change, and can be undone."""
        self._put(dict.fromkeys(_keys(), ""))

    def _put(self, values: Mapping[str, str]) -> None:
        before = {key: self._get(key) for key in values}
        if before != dict(values):
            self._undo.append(before)
            del self._undo[:-MOST_UNDO]
            self._write(values)

    def _write(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            if value:
                self._settings.setValue(key, value)
            else:
                self._settings.remove(key)
        self._settings.sync()
        with suppress(OSError):  # who may read the phrase could forge a strip
            Path(self._settings.fileName()).chmod(PRIVATE)
        self.changed.emit()


def _keys() -> list[str]:
    """Where everything is kept that can be chosen."""
    looks = [f"look/{name}/{part}" for name in DEFAULT_LOOKS for part in ("colour", "pattern")]
    return ["phrase", "language", *looks, *(f"{SETTINGS_GROUP}/{action}" for action in CHORDS)]
