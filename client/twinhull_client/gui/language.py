"""Which language the app speaks, and having it spoken by Qt's translators (assets/translations)."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from twinhull_client.gui.resources import asset

SOURCE = "en"
"""What the texts in the code are written in; it needs no translation."""
LANGUAGES = (SOURCE, "de", "ja")
CHOICES = ("system", *LANGUAGES)


def best(wanted: Iterable[str]) -> str:
    """The first of the wanted languages ("de-AT", "ja") that the app speaks; English when it speaks none."""
    for name in wanted:
        language = name.replace("_", "-").partition("-")[0].casefold()
        if language in LANGUAGES:
            return language
    return SOURCE


def speak(app: QCoreApplication, choice: str) -> list[QTranslator]:
    """Have what is made from now on, and Qt's own dialogs, speak a language.

    Args:
        app: keeps the translators.
        choice: one of CHOICES. For ``system``, and for what is none of them, the order in which the desktop
            prefers languages decides (LANGUAGE, then LC_ALL, LC_MESSAGES and LANG; gettext's manual, 2.3).

    Returns:
        The translators that are installed now. Raises AssetsMissing.
    """
    system = choice not in LANGUAGES
    language = best(QLocale.system().uiLanguages()) if system else choice
    if not system:
        QLocale.setDefault(QLocale(language))  # numbers are written as the words around them are
    if language == SOURCE:
        return []
    own = str(asset(f"translations/twinhull_{language}.qm"))
    qt = f"{QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)}/qtbase_{language}.qm"
    installed = []
    for path in (qt, own):  # the last one installed is asked first
        translator = QTranslator(app)
        if translator.load(path):  # where Qt's own are not installed, its few words stay English
            app.installTranslator(translator)
            installed.append(translator)
    return installed
