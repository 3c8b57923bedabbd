"""The host's own key combinations: which there are, which the owner chose, and which one a key event is.

They are looked at before anything else sees a key (MainWindow.eventFilter), so no guest can take one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QCoreApplication, QKeyCombination, QSettings, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

DEFAULTS = {
    "switch": "Ctrl+Alt+Space",
    "home": "Ctrl+Alt+H",
    "lock": "Ctrl+Alt+L",
    "release": "Ctrl+Alt+R",
    "corporate": "Ctrl+Alt+1",
    "personal": "Ctrl+Alt+2",
    "both": "Ctrl+Alt+3",
    "corner": "Ctrl+Alt+P",
    "full": "Ctrl+Alt+F",
    "devices": "Ctrl+Alt+U",
    "log": "Ctrl+Alt+O",
    "answer": "Ctrl+Alt+A",
    "exchange": "Ctrl+Alt+C",
    "settings": "Ctrl+Alt+S",
}
"""By action. U is for USB and O for "log": desktops take D themselves, and L locks everywhere."""
SETTINGS_GROUP = "chords"
_MODIFIERS = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.MetaModifier,
)
_MODIFIER_KEYS = (Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Shift, Qt.Key.Key_Meta, Qt.Key.Key_AltGr)
_SYSTEM_KEYS = (
    Qt.Key.Key_Delete,
    Qt.Key.Key_Backspace,
    *(Qt.Key(Qt.Key.Key_F1.value + n) for n in range(12)),
)
"""With Ctrl and Alt these go to the system: consoles, and ending the session (kernel and X server)."""
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_IGNORED = Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.GroupSwitchModifier


def tr(text: str) -> str:
    """Translate a text that belongs to no widget."""
    return QCoreApplication.translate("chords", text)


def action_words() -> dict[str, str]:
    """What each chord does, in the order they are shown."""
    return {
        "switch": tr("Other computer"),
        "home": tr("Home"),
        "lock": tr("Lock"),
        "release": tr("Take the keyboard back"),
        "corporate": tr("Corporate computer"),
        "personal": tr("Personal computer"),
        "both": tr("Side by side"),
        "corner": tr("The other one small in the corner"),
        "full": tr("Full screen"),
        "devices": tr("Devices"),
        "log": tr("Log"),
        "answer": tr("Answer for a device"),
        "exchange": tr("Copy to the other computer"),
        "settings": tr("Settings"),
    }


def usable(text: str) -> QKeyCombination | None:
    """The combination ``text`` names, None unless it is one key with two of Ctrl, Alt and Meta or more.

    With fewer, a chord would be a key that people press in their guests.
    """
    sequence = QKeySequence.fromString(text, QKeySequence.SequenceFormat.PortableText)
    if sequence.count() != 1:
        return None
    combination = _first(sequence)
    held = combination.keyboardModifiers()
    if combination.key() in (Qt.Key.Key_unknown, *_MODIFIER_KEYS):
        return None
    if sum(bool(held & each) for each in _MODIFIERS) < 2 or _of_the_system(combination):
        return None
    return combination


def _first(sequence: Any) -> QKeyCombination:
    combination: QKeyCombination = sequence[0]  # PySide6's types do not know that it can be indexed
    return combination


def pressed(event: QKeyEvent) -> str:
    """The combination of a key press as the settings keep it; empty while it is only modifiers, or no key."""
    if event.key() <= 0 or event.key() in (Qt.Key.Key_unknown, *_MODIFIER_KEYS):
        return ""
    combination = QKeyCombination(event.modifiers() & ~_IGNORED, Qt.Key(event.key()))
    return QKeySequence(combination).toString(QKeySequence.SequenceFormat.PortableText)


def _same(first: QKeyCombination, second: QKeyCombination) -> bool:
    """Whether one press could be both: a key that needs Shift on one keyboard does not on another."""
    return (
        first.key() == second.key()
        and first.keyboardModifiers() | _SHIFT == second.keyboardModifiers() | _SHIFT
    )


def _of_the_system(combination: QKeyCombination) -> bool:
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    return combination.key() in _SYSTEM_KEYS and combination.keyboardModifiers() & both == both


def _without_clashes(chosen: dict[str, QKeyCombination]) -> dict[str, QKeyCombination]:
    """Each action's combination; choices that take another action's are dropped until each has its own."""
    while True:
        effective = {a: chosen.get(a) or _first(QKeySequence(default)) for a, default in DEFAULTS.items()}
        clash = [a for a in chosen if sum(_same(effective[a], each) for each in effective.values()) > 1]
        if not clash:
            return effective
        del chosen[clash[0]]


class Chords:
    """The chords in force.

    Args:
        settings: the owner's choices, in the group ``chords``; where one is unusable or given twice, the
            default stands.
    """

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings
        self.reload()

    def reload(self) -> None:
        """Take over what the settings have now."""
        chosen = {
            action: combination
            for action in DEFAULTS
            if (combination := usable(str(self._settings.value(self._key(action), "")))) is not None
        }
        self._by_action = _without_clashes(chosen)

    @staticmethod
    def _key(action: str) -> str:
        return f"{SETTINGS_GROUP}/{action}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_action)

    def text(self, action: str) -> str:
        """How people read the chord of an action."""
        return QKeySequence(self._by_action[action]).toString(QKeySequence.SequenceFormat.NativeText)

    def action(self, event: QKeyEvent) -> str | None:
        """The action of a pressed key, None for every other key."""
        if event.isAutoRepeat() or event.key() <= 0:
            return None
        held = event.modifiers() & ~_IGNORED
        for action, combination in self._by_action.items():
            wanted = combination.keyboardModifiers()
            # a key that needs Shift on one keyboard does not on another
            if (
                combination.key() == event.key()
                and held | _SHIFT == wanted | _SHIFT
                and held & wanted == wanted
            ):
                return action
        return None

    def held(self, modifiers: Qt.KeyboardModifier) -> bool:
        """Whether exactly the modifiers of some chord are held."""
        held = modifiers & ~_IGNORED
        return any(held == each.keyboardModifiers() for each in self._by_action.values())

    def refusal(self, action: str, text: str) -> str:
        """Why ``text`` cannot be an action's chord, in one sentence; empty when it can."""
        combination = usable(text)
        if combination is None:
            sequence = QKeySequence.fromString(text, QKeySequence.SequenceFormat.PortableText)
            if sequence.count() == 1 and _of_the_system(_first(sequence)):
                return tr("The system takes that combination itself.")
            return tr("Press one key with two of Ctrl, Alt and Meta, or you could not type it in a computer.")
        for other, taken in self._by_action.items():
            if other != action and _same(combination, taken):
                return tr("“{action}” has that combination.").format(action=action_words()[other])
        return ""

    def held_text(self) -> str:
        """The modifiers that most chords share, as people read them."""
        every = [each.keyboardModifiers() for each in self._by_action.values()]
        most = max(every, key=every.count)
        text = QKeySequence(QKeyCombination(most, Qt.Key.Key_A)).toString(
            QKeySequence.SequenceFormat.NativeText
        )
        return text.rpartition("+")[0]
