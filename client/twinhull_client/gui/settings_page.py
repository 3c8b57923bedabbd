"""The page of what the owner may choose: phrase, colours and patterns, key combinations, language."""

from __future__ import annotations

from PySide6.QtCore import QLocale, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHideEvent, QIcon, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from twinhull_client.gui.choices import DEFAULT_LOOKS, PATTERNS, PHRASE_CHARACTERS, Choices, Look
from twinhull_client.gui.chords import Chords, action_words, pressed
from twinhull_client.gui.language import CHOICES as LANGUAGES
from twinhull_client.gui.strip import Strip, paint_pattern
from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.theme import tokens
from twinhull_client.gui.widgets import Card, button, label
from twinhull_client.gui.words import computer_name

ACROSS = 4
"""Colours or patterns beside each other."""
SAMPLE = QSize(34, 18)
"""Size of a sample of a colour or pattern, logical pixels."""


class Options(QWidget):
    """Some of which exactly one is chosen; arrow keys go from one to the next.

    Signals:
        chosen: its name, by the person.
    """

    chosen = Signal(str)

    def __init__(self, name: str, options: dict[str, str], across: int = ACROSS) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.buttons: dict[str, QRadioButton] = {}
        self._group = QButtonGroup(self)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(4)
        for place, (option, text) in enumerate(options.items()):
            made = QRadioButton(text)
            made.setAccessibleName(f"{name}: {text}")
            made.setIconSize(SAMPLE)
            made.clicked.connect(lambda _checked, option=option: self.chosen.emit(option))
            self.buttons[option] = made
            self._group.addButton(made)
            grid.addWidget(made, place // across, place % across)
        grid.setColumnStretch(across, 1)

    def show_chosen(self, option: str) -> None:
        """Show which it is."""
        self.buttons[option].setChecked(True)


class LookPicker(QWidget):
    """One partition's colour and pattern, under its strip as it would be.

    Signals:
        chosen: the look that the person wants.
    """

    chosen = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._look = name, DEFAULT_LOOKS[name]
        self.strip = Strip(name, small=True)
        computer = computer_name(name)
        self.colours = Options(self.tr("Colour of the {name}").format(name=computer), self._colour_names())
        self.patterns = Options(self.tr("Pattern of the {name}").format(name=computer), self._pattern_names())
        self.refusal = label(role="warning")
        self.refusal.hide()
        self.colours.chosen.connect(lambda colour: self.chosen.emit(Look(colour, self._look.pattern)))
        self.patterns.chosen.connect(lambda pattern: self.chosen.emit(Look(self._look.colour, pattern)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self.strip, self.colours, self.patterns, self.refusal):
            column.addWidget(part)

    def _colour_names(self) -> dict[str, str]:
        return {
            "blue": self.tr("Blue"),
            "orange": self.tr("Orange"),
            "green": self.tr("Green"),
            "violet": self.tr("Violet"),
            "red": self.tr("Red"),
            "teal": self.tr("Teal"),
            "pink": self.tr("Pink"),
            "brown": self.tr("Brown"),
        }

    def _pattern_names(self) -> dict[str, str]:
        names = (self.tr("Stripes"), self.tr("Dots"), self.tr("Checks"), self.tr("Bars"))
        return dict(zip(PATTERNS, names, strict=True))

    def show_looks(self, looks: dict[str, Look], refusal: str = "") -> None:
        """Show what holds, and why another choice does not."""
        self._look = looks[self._name]
        self.strip.show_looks(looks)
        self.colours.show_chosen(self._look.colour)
        self.patterns.show_chosen(self._look.pattern)
        self.refusal.setText(refusal)
        self.refusal.setVisible(bool(refusal))
        for colour, made in self.colours.buttons.items():
            made.setIcon(sample(Look(colour, ""), self.devicePixelRatio()))
        for pattern, made in self.patterns.buttons.items():
            made.setIcon(sample(Look(self._look.colour, pattern), self.devicePixelRatio()))


def sample(look: Look, ratio: float) -> QIcon:
    """A small piece of a strip in that look."""
    pixmap = QPixmap(SAMPLE * ratio)
    pixmap.setDevicePixelRatio(ratio)
    colours = tokens().palette[look.colour]
    pixmap.fill(QColor(colours.ground))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # a sample is small: what is hardly seen in a whole strip would not be seen in it at all
    paint_pattern(painter, QRect(0, 0, SAMPLE.width(), SAMPLE.height()), look.pattern, QColor(colours.text))
    painter.end()
    return QIcon(pixmap)


class ChordCard(Card):
    """Every combination, each recorded by being pressed."""

    def __init__(self, chords: Chords, choices: Choices) -> None:
        super().__init__(self.tr("Key combinations of this laptop"))
        self.badge.hide()
        self._chords, self._choices = chords, choices
        self.recording = ""
        self._places: dict[str, int] = {}
        self.texts: dict[str, QLabel] = {}
        self.changes: dict[str, QPushButton] = {}
        self.refusal = label(role="warning")
        self.refusal.hide()
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(0, 1)
        for row, (action, words) in enumerate(action_words().items()):
            self.texts[action] = label(role="mono", wrap=False)
            self.changes[action] = self._change_button(action, words)
            grid.addWidget(label(words), 2 * row, 0)
            grid.addWidget(self.texts[action], 2 * row, 1)
            grid.addWidget(self.changes[action], 2 * row, 2)
            self._places[action] = 2 * row + 1
        self.body.addWidget(
            label(
                self.tr(
                    "They work wherever you are, and neither computer ever gets them. Esc ends a change."
                ),
                "muted",
            )
        )
        grid.addWidget(self.refusal, self._places["switch"], 0, 1, 3)
        self.body.addLayout(grid)
        self._grid = grid

    def _change_button(self, action: str, words: str) -> QPushButton:
        made = button(self.tr("Change"), lambda: self.record(action))
        made.setAccessibleName(self.tr("Change the combination for: {action}").format(action=words))
        return made

    def show_chords(self) -> None:
        """Show which there are now."""
        for action, text in self.texts.items():
            recording = action == self.recording
            text.setText(self.tr("Press the keys…") if recording else self._chords.text(action))
            self.changes[action].setText(self.tr("Cancel") if recording else self.tr("Change"))

    def record(self, action: str) -> None:
        """Have the next combination that is pressed be that of an action; once more: do not."""
        self.recording = "" if action == self.recording else action
        self._refuse("")
        self.show_chords()

    def stop(self) -> None:
        """Record nothing any more."""
        if self.recording:
            self.record(self.recording)

    def take(self, event: QKeyEvent) -> None:
        """A key was pressed while a combination is recorded; nobody else gets it."""
        if event.key() == Qt.Key.Key_Escape and not event.modifiers():
            self.stop()
            return
        text = pressed(event)
        if not text or event.isAutoRepeat():
            return
        refusal = self._chords.refusal(self.recording, text)
        if refusal:
            self._refuse(refusal)
            return
        action, self.recording = self.recording, ""
        self._refuse("")
        self._choices.choose_chord(action, text)
        self.show_chords()

    def _refuse(self, sentence: str) -> None:
        self.refusal.setText(sentence)
        if sentence:  # under the line that it is about
            self._grid.addWidget(self.refusal, self._places[self.recording], 0, 1, 3)
            self.changes[self.recording].setAccessibleDescription(sentence)
        self.refusal.setVisible(bool(sentence))


class SettingsPage(SubPage):
    """Everything is saved at once.

    Signals:
        anew: the app is to start again, in the language that was chosen.
    """

    anew = Signal()

    def __init__(self, choices: Choices, chords: Chords) -> None:
        super().__init__(self.tr("Settings"), self.tr("Back to Home"))
        self.choices = choices
        self._first_phrase = ""
        self.undo = button(self.tr("Undo"), choices.undo)
        self.reset = button(self.tr("Reset to defaults"), choices.reset)
        self.tool(self.undo)
        self.tool(self.reset)
        self.chords = ChordCard(chords, choices)
        self.looks = {name: LookPicker(name) for name in DEFAULT_LOOKS}
        for card in (self._phrase_card(), self._look_card(), self._language_card(), self.chords):
            self.column.addWidget(card)
        self.column.addStretch(1)
        self.show_choices()

    def _phrase_card(self) -> Card:
        card = Card(self.tr("Your phrase"))
        card.badge.hide()
        self.phrase = QLineEdit()
        self.phrase.setMaxLength(2 * PHRASE_CHARACTERS)  # what is pasted is refused, not cut
        self.phrase.setAccessibleName(self.tr("Your phrase"))
        self.phrase.textEdited.connect(self._check_phrase)
        self.phrase.editingFinished.connect(self._take_phrase)
        self.phrase_refusal = label(role="warning")
        self.phrase_refusal.hide()
        card.body.addWidget(
            label(
                self.tr(
                    "It is in the strip on top, where no computer can paint. A window that asks for a "
                    "passphrase without your phrase above it is not this laptop's."
                )
            )
        )
        card.body.addWidget(self.phrase)
        card.body.addWidget(self.phrase_refusal)
        return card

    def _look_card(self) -> Card:
        card = Card(self.tr("Colours and patterns"))
        card.badge.hide()
        for name, picker in self.looks.items():
            picker.chosen.connect(lambda look, name=name: self._choose_look(name, look))
            card.body.addWidget(picker)
        return card

    def _language_card(self) -> Card:
        card = Card(self.tr("Language"))
        card.badge.hide()
        names = {name: QLocale(name).nativeLanguageName() for name in LANGUAGES[1:]}
        names |= {"en": "English", "ja": f"{names['ja']} / Japanese"}  # where there is no font for the former
        self.language = Options(
            self.tr("Language"), {LANGUAGES[0]: self.tr("As the desktop"), **names}, across=2
        )
        self.language.chosen.connect(self._choose_language)
        self.begin_anew = button(self.tr("Start the app again in it"), self.anew.emit, primary=True)
        self.begin_anew.hide()
        row = QHBoxLayout()
        row.addWidget(self.begin_anew)
        row.addStretch()
        card.body.addWidget(self.language)
        card.body.addWidget(label(self.tr("Both computers go on running meanwhile."), "muted"))
        card.body.addLayout(row)
        return card

    # -- what is shown ---------------------------------------------------------------------------------

    def show_phrase(self, first: str) -> None:
        """Take over the phrase that was made at installation, which holds until another is chosen."""
        if first != self._first_phrase:
            self._first_phrase = first
            self.show_choices()

    def show_choices(self) -> None:
        """Show what holds."""
        if not self.phrase.hasFocus() or not self.phrase.isModified():
            self.phrase.setText(self.choices.phrase or self._first_phrase)
            self.phrase_refusal.hide()
        for picker in self.looks.values():
            picker.show_looks(self.choices.looks)
        self.language.show_chosen(self.choices.language)
        self.chords.show_chords()
        self.undo.setEnabled(self.choices.can_undo)
        self.reset.setEnabled(not self.choices.are_defaults)

    def opened(self) -> None:
        """Begin with the phrase."""
        super().opened()
        self.show_choices()
        self.phrase.setFocus(Qt.FocusReason.OtherFocusReason)
        self.phrase.selectAll()

    def hideEvent(self, event: QHideEvent) -> None:
        self.chords.stop()
        super().hideEvent(event)

    # -- what is chosen --------------------------------------------------------------------------------

    def _check_phrase(self) -> None:
        self.phrase_refusal.hide()

    def _take_phrase(self) -> None:
        phrase = self.phrase.text().strip()
        if not self.phrase.isModified():
            return
        self.phrase.setModified(False)
        refusal = self.choices.choose_phrase("" if phrase == self._first_phrase else phrase)
        self.phrase_refusal.setText(refusal)
        self.phrase_refusal.setVisible(bool(refusal))

    def _choose_look(self, name: str, look: Look) -> None:
        refusal = self.choices.choose_look(name, look)
        if refusal:
            self.looks[name].show_looks(self.choices.looks, refusal)

    def _choose_language(self, language: str) -> None:
        self.choices.choose_language(language)
        self.begin_anew.show()
