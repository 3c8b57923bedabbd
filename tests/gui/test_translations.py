"""German and Japanese are whole, are what was compiled, and are what the window then says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot
from twinhull_client.gui import language as languages
from twinhull_client.gui.device_words import why_words
from twinhull_client.gui.language import SOURCE, best, speak
from twinhull_client.gui.main import main
from twinhull_client.gui.rail import VIEWS
from twinhull_client.gui.resources import asset
from twinhull_client.gui.words import ago, memory_words, policy_words, size_words
from twinhull_policy.api.types import Log
from twinhull_policy.example import example_policy

from tests.gui.conftest import OpenWindow
from tests.support import translations
from tests.support.demonstration import demonstration_devices, demonstration_receipts
from tests.support.standin_daemon import StandInDaemon
from tests.support.translations import LANGUAGES, Entry, extract, in_the_code, placeholders, read, source_file

RAIL_EDGES = 8
"""Frame and padding of a button in the rail, both sides, logical pixels."""
Speak = Callable[[str], list[QTranslator]]


@pytest.fixture
def spoken(qapp: QApplication) -> Iterator[Speak]:
    """Has a language spoken until the test ends."""
    before, installed = QLocale(), list[QTranslator]()

    def begin(choice: str) -> list[QTranslator]:
        installed.extend(speak(qapp, choice))
        return installed

    yield begin
    for translator in installed:
        qapp.removeTranslator(translator)
    QLocale.setDefault(before)


# -- the files ---------------------------------------------------------------------------------------------


def test_every_text_of_the_code_can_be_found() -> None:
    found = in_the_code()
    assert found.faults == []
    assert ("words", "Corporate computer") in found.keys
    assert ("DevicesPage", "{n} wait for you.") in found.keys
    assert ("words", "In use") in found.keys  # device_words has its tr from words


def wrong(entries: dict[translations.Key, Entry]) -> list[str]:
    """What is wrong with the entries of one language."""
    keys = in_the_code().keys
    faults = [f"no entry: {key}" for key in keys if key not in entries]
    faults += [f"not in the code: {key}" for key in entries if key not in keys]
    for key, entry in entries.items():
        if entry.kind:
            faults.append(f"{entry.kind}: {key}")
        if not entry.text.strip():
            faults.append(f"empty: {key}")
        try:
            same = placeholders(entry.text) == placeholders(key[1])
        except ValueError:
            same = False
        if not same:
            faults.append(f"other placeholders: {key}")
        if entry.text[:1].isspace() != key[1][:1].isspace():
            faults.append(f"other room before it: {key}")
    return faults


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_whole(language: str) -> None:
    assert wrong(read(source_file(language))) == []


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (None, "no entry"),
        (Entry("{n} warten.", "unfinished"), "unfinished"),
        (Entry("{n} warten.", "vanished"), "vanished"),
        (Entry(""), "empty"),
        (Entry("{m} warten."), "other placeholders"),
        (Entry("Viele warten."), "other placeholders"),
        (Entry("{n} von {n} warten."), "other placeholders"),
        (Entry("{n warten."), "other placeholders"),
        (Entry(" {n} warten."), "other room"),
    ],
)
def test_what_is_missing_in_a_language_is_named(entry: Entry | None, fault: str) -> None:
    entries = read(source_file("de"))
    key = ("DevicesPage", "{n} wait for you.")
    del entries[key]
    if entry is not None:
        entries[key] = entry
    assert [said.partition(": ")[0].startswith(fault) for said in wrong(entries)][:1] == [True]


def test_an_entry_for_a_text_that_is_gone_is_named() -> None:
    entries = read(source_file("de")) | {("words", "Nobody says this"): Entry("Niemand")}
    assert wrong(entries) == ["not in the code: ('words', 'Nobody says this')"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_installed_was_compiled_from_the_source(language: str, tmp_path: Path) -> None:
    source = source_file(language)
    assert translations.compiled(source, tmp_path / "made.qm") == source.with_suffix(".qm").read_bytes()
    assert asset(f"translations/twinhull_{language}.qm") == source.with_suffix(".qm")


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    for language in LANGUAGES:
        translations.write(tmp_path / "same.ts", language, read(source_file(language)))
        assert (tmp_path / "same.ts").read_bytes() == source_file(language).read_bytes()


OWN = 'def tr(text):\n    return QCoreApplication.translate("own", text)\n'


@pytest.mark.parametrize(
    ("code", "keys"),
    [
        (OWN + 'a = tr("One")', [("own", "One")]),
        (OWN + 'a = tr("One " "sentence")', [("own", "One sentence")]),
        ('from x.words import tr\na = [tr("One") for _ in b]', [("words", "One")]),
        (
            OWN + 'class A:\n    def f(self):\n        return self.tr("One"), tr("Two")',
            [("A", "One"), ("own", "Two")],
        ),
        (
            OWN + 'a = label(tr("One"), "muted"), label(role="muted"), label(f"{b}: {c}"), tip(d, e)',
            [("own", "One")],
        ),
        ('class A:\n    class B:\n        def f(self):\n            self.tr("One")', [("B", "One")]),
    ],
)
def test_the_extractor_finds(code: str, keys: list[translations.Key]) -> None:
    words = 'def tr(text):\n    return QCoreApplication.translate("words", text)\n'
    found = extract({"module.py": code, "words.py": words})
    assert found.faults == []
    assert list(found.keys) == keys


@pytest.mark.parametrize(
    "code",
    [
        OWN + "a = tr(b)",
        OWN + 'a = tr(f"{b} waits")',
        OWN + 'a = tr("One" + b)',
        OWN + 'a = tr("")',
        OWN + 'a = tr("One", "more")',
        OWN + "a = map(tr, b)",
        'a = tr("One")',
        'from x.unknown import tr\na = tr("One")',
        'tr = QCoreApplication.translate\na = tr("own", "One")',
        'a = QCoreApplication.translate("own", "One")',
        'a = widget.tr("One")',
        "class A:\n    def f(self):\n        return map(self.tr, self.b)",
        "class A:\n    def f(self):\n        return self.tr(self.b)",
        'def f(self):\n    return self.tr("One")',
        'a = label("One")',
        'a = label(f"{b} waits")',
        'a.setText("One")',
        'tip(a, "One")',
    ],
)
def test_the_extractor_names_what_it_cannot_follow(code: str) -> None:
    found = extract({"module.py": code})
    assert found.faults
    assert all(fault.startswith("module.py:") for fault in found.faults)


# -- which language ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (["de-DE", "en-US"], "de"),
        (["de_AT.UTF-8"], "de"),
        (["ja-JP", "ja-Jpan-JP", "ja"], "ja"),
        (["fr-FR", "fr", "de"], "de"),
        (["en-GB", "de"], "en"),
        (["den-CA"], "en"),
        (["C"], "en"),
        ([""], "en"),
        ([], "en"),
    ],
)
def test_the_first_language_that_is_spoken_is_taken(wanted: list[str], language: str) -> None:
    assert best(wanted) == language


SAY = """
import sys
from PySide6.QtCore import QCoreApplication
from twinhull_client.gui.language import speak
app = QCoreApplication([])
speak(app, sys.argv[1])
sys.stdout.buffer.write(QCoreApplication.translate("words", "Corporate computer").encode())
"""


@pytest.mark.parametrize(
    ("environment", "choice", "said"),
    [
        ({"LANGUAGE": "de:en", "LANG": "en_US.UTF-8"}, "system", "Firmenrechner"),
        ({"LC_MESSAGES": "ja_JP.UTF-8", "LANG": "en_US.UTF-8"}, "system", "会社用コンピューター"),
        ({"LANG": "de_DE.UTF-8"}, "klingon", "Firmenrechner"),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "system", "Corporate computer"),
        ({"LANG": "de_DE.UTF-8"}, "en", "Corporate computer"),
    ],
)
def test_the_desktop_s_languages_decide(environment: dict[str, str], choice: str, said: str) -> None:
    """In a process each: Qt reads the environment once."""
    path = os.pathsep.join(sys.path)
    child = subprocess.run(
        [sys.executable, "-c", SAY, choice],
        env={"PYTHONPATH": path} | environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert child.stdout.decode() == said


def test_an_unknown_language_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--language", "klingon"]) == 2
    assert "invalid choice: 'klingon'" in capsys.readouterr().err


def test_every_language_has_its_source_file() -> None:
    assert {SOURCE, *LANGUAGES} == set(languages.LANGUAGES)


# -- what is then said -------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_qt_s_own_words_are_spoken_too(language: str, spoken: Speak) -> None:
    folder = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
    assert (folder / f"qtbase_{language}.qm").is_file(), "PySide6 brings them"
    assert len(spoken(language)) == 2
    assert QCoreApplication.translate("QPlatformTheme", "Cancel") != "Cancel"


def test_keys_and_numbers_are_written_as_germans_do(spoken: Speak) -> None:
    spoken("de")
    assert QKeySequence("Ctrl+Alt+L").toString(QKeySequence.SequenceFormat.NativeText) == "Strg+Alt+L"
    assert size_words(0) == "0 B"
    assert size_words(1_500_000) == "1,5 MB"
    assert size_words(1_234_500_000_000) == "1234,5 GB"
    assert memory_words(2560) == "2,5 GB"
    assert ago(0) == "nie"


def test_nouns_keep_their_capitals(spoken: Speak) -> None:
    spoken("de")
    assert dict(policy_words(example_policy()))["Hineinkopieren"].count("; Dateien: ") == 1


def test_a_sentence_ends_once(spoken: Speak) -> None:
    spoken("ja")
    for device in demonstration_devices():
        assert "。." not in why_words(device)


def nothing_at_the_right(page: QWidget) -> bool:
    """Whether all that a page scrolls is as wide as what is seen of it."""
    return page.findChildren(QScrollArea)[0].horizontalScrollBar().maximum() == 0


@pytest.mark.parametrize(
    ("language", "heading", "devices"),
    [("de", "Ihre zwei Rechner", "Geräte (2)"), ("ja", "2台のコンピューター", "デバイス 2")],
)
def test_the_window_speaks_and_the_smallest_shows_all_that_a_page_says(
    language: str,
    heading: str,
    devices: str,
    spoken: Speak,
    standin: StandInDaemon,
    open_window: OpenWindow,
    qtbot: QtBot,
) -> None:
    """Up and down it scrolls, but nothing is at the right of what is seen, and no code is squeezed."""
    spoken(language)
    standin.devices = demonstration_devices()
    window = open_window()
    window.resize(1, 1)
    qtbot.waitUntil(lambda: window.buttons["devices"].text() == devices, timeout=20000)
    assert heading in {label.text() for label in window.home.findChildren(QLabel)}
    for view, page in (("home", window.home), ("devices", window.desk.page)):
        window.show_view(view)
        qtbot.waitUntil(partial(nothing_at_the_right, page), timeout=5000)
    window.side.news.receipts.show_log(Log(entries=demonstration_receipts()))
    for side_page in window.side.pages:
        window.side.opened.emit(side_page)
        qtbot.waitUntil(partial(nothing_at_the_right, side_page), timeout=5000)
    assert {digit.height() for digit in window.desk.panel.code.digits} == {56}
    assert window.desk.panel.code.height() == 56
    for view in VIEWS:
        made = window.buttons[view]
        made.setChecked(True)  # its letters are heavier then
        assert made.fontMetrics().horizontalAdvance(made.text()) <= made.width() - RAIL_EDGES, made.text()
