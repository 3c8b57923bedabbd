"""The desktop app's translations: what is to be translated, the .ts files, and the .qm files made from them.

    python -m tests.support.translations    brings assets/translations up to date with the code

A new text gets an unfinished entry in each .ts file, one that is gone loses its entry. After translating (in
Qt Linguist or an editor, and without type="unfinished"), run it again: it compiles the .qm files, which are
kept beside the .ts files, so that nothing is compiled at installation.

The words, the same everywhere:

    English              German               Japanese
    corporate computer   Firmenrechner        会社用コンピューター
    personal computer    Privatrechner        個人用コンピューター
    this laptop          dieser Laptop        このノートパソコン
    company              Firma                会社
    employer             Arbeitgeber          勤務先
    device               Gerät                デバイス
    rule                 Regel                ルール
    port                 Anschluss            ポート
    lock, unlock         sperren, entsperren  ロックする, ロックを解除する
    log                  Protokoll            ログ
    receipt              Quittung             受領証
    fingerprint          Fingerabdruck        フィンガープリント
    connection           Verbindung           接続
    gateway              Gateway              ゲートウェイ
    passphrase           Passphrase           パスフレーズ

German says "Sie" or nothing. Japanese ends sentences in です or ます; names, badges and buttons are nouns.
"""

from __future__ import annotations

import ast
import re
import string
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import PySide6

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "client" / "twinhull_client" / "gui"
FOLDER = ROOT / "assets" / "translations"
LANGUAGES = ("de", "ja")
LRELEASE = Path(PySide6.__file__).parent / "lrelease"
LRELEASE_SECONDS = 60.0

SHOWING = frozenset(
    {
        *("QAction", "QCheckBox", "QLabel", "QPushButton", "addAction", "button", "label", "say", "tip"),
        *("setAccessibleName", "setPlaceholderText", "setPlainText", "setText", "setToolTip"),
        "setWindowTitle",
    }
)
"""Calls that show or speak their first argument, or, as tip does, their second."""
UNTRANSLATED = frozenset({"Twinhull"})
LETTER = re.compile(r"[^\W\d_]")

Key = tuple[str, str]
"""Context and English text."""


@dataclass(frozen=True)
class Found:
    """What code says of texts.

    Attributes:
        keys: every text that is to be translated, in the order of the code.
        faults: calls that cannot be followed, as "file:line: why".
    """

    keys: dict[Key, None] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """One message of a .ts file; ``kind`` is its translation's type: "", unfinished, vanished or obsolete."""

    text: str
    kind: str = ""


class _Module(ast.NodeVisitor):
    """Finds self.tr, whose context is the class as Qt has it, and a module's tr, whose context is given."""

    def __init__(self, name: str, context: str | None, found: Found) -> None:
        self.name, self.context, self.found = name, context, found
        self._class: str | None = None
        self._called: set[ast.expr] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "tr":  # the one place where a text comes from elsewhere
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id="tr"):
                self._take(node, self.context, "no tr with a context is defined or imported here")
            case ast.Attribute(value=ast.Name(id="self"), attr="tr"):
                self._take(node, self._class, "self.tr outside a class")
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in SHOWING and _shown(
                node.args[name == "tip" :]
            ):
                self._fault(node, "a text is shown that is not translated")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "tr" and node not in self._called:
            self._fault(node, "tr is not called here, but handed on or replaced")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in ("tr", "translate") and node not in self._called:
            self._fault(node, "only self.tr and a module's tr may translate, and only by being called")
        self.generic_visit(node)

    def _take(self, node: ast.Call, context: str | None, otherwise: str) -> None:
        self._called.add(node.func)
        match node.args, node.keywords:
            case _ if context is None:
                self._fault(node, otherwise)
            case [ast.Constant(value=str(text))], [] if text:
                self.found.keys[context, text] = None
            case _:
                self._fault(node, "what is to be translated is not one literal text")

    def _fault(self, node: ast.expr, why: str) -> None:
        self.found.faults.append(f"{self.name}:{node.lineno}: {why}")


def _shown(arguments: list[ast.expr]) -> bool:
    """Whether the first of them is a text, or one with gaps, that has words of its own."""
    match arguments:
        case [ast.JoinedStr(values=parts), *_]:
            pass
        case [part, *_]:
            parts = [part]
        case _:
            return False
    words = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return any(LETTER.search(word) and word not in UNTRANSLATED for word in words)


def _own_context(tree: ast.Module) -> str | None:
    """The context that a module's function tr translates in."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "tr":
            match node.body[-1]:
                case ast.Return(
                    value=ast.Call(
                        func=ast.Attribute(attr="translate"), args=[ast.Constant(value=str(name)), _]
                    )
                ):
                    return name
    return None


def extract(sources: dict[str, str]) -> Found:
    """Everything to be translated in Python files, by file name; a name without ".py" is the module's."""
    trees = {name: ast.parse(text) for name, text in sorted(sources.items())}
    contexts = {name.removesuffix(".py"): _own_context(tree) for name, tree in trees.items()}
    found = Found()
    for name, tree in trees.items():
        context = contexts[name.removesuffix(".py")]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and any(alias.name == "tr" for alias in node.names):
                context = contexts.get((node.module or "").rpartition(".")[2])
        _Module(name, context, found).visit(tree)
    return found


@cache
def in_the_code() -> Found:
    """Everything to be translated in the app."""
    return extract({path.name: path.read_text("utf-8") for path in CODE.glob("*.py")})


def placeholders(text: str) -> list[str]:
    """The names in braces, sorted. ValueError for braces that str.format does not take."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def source_file(language: str) -> Path:
    """The .ts file of a language."""
    return FOLDER / f"twinhull_{language}.ts"


def read(path: Path) -> dict[Key, Entry]:
    """The entries of a .ts file (Qt Linguist's manual, "TS file format")."""
    entries = {}
    for context in ET.parse(path).getroot().iter("context"):  # noqa: S314 - the repository's own file
        name = context.findtext("name", "")
        for message in context.iter("message"):
            translation = message.find("translation")
            if translation is None:
                raise ValueError(f"{path.name}: a message has no translation")
            entry = Entry(translation.text or "", translation.get("type", ""))
            entries[name, message.findtext("source", "")] = entry
    return entries


def write(path: Path, language: str, entries: dict[Key, Entry]) -> None:
    """Write a .ts file, contexts by name and each one's texts in the order given."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    for name in sorted({context for context, _ in entries}):
        context = ET.SubElement(root, "context")
        ET.SubElement(context, "name").text = name
        for (own, source), entry in entries.items():
            if own == name:
                message = ET.SubElement(context, "message")
                ET.SubElement(message, "source").text = source
                translation = ET.SubElement(message, "translation")
                translation.text = entry.text
                if entry.kind:
                    translation.set("type", entry.kind)
    ET.indent(root, " " * 4)
    text = ET.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{text}\n', "utf-8")


def compiled(path: Path, to: Path) -> bytes:
    """A .ts file as lrelease makes a .qm file of it at ``to``; it makes the same bytes each time."""
    subprocess.run(
        [LRELEASE, "-silent", path, "-qm", to], check=True, timeout=LRELEASE_SECONDS, capture_output=True
    )
    return to.read_bytes()


def main() -> None:
    """Bring the files up to date."""
    found = in_the_code()
    if found.faults:
        raise SystemExit("\n".join(found.faults))
    for language in LANGUAGES:
        path = source_file(language)
        before = read(path) if path.exists() else {}
        entries = {key: before.get(key, Entry("", "unfinished")) for key in found.keys}
        write(path, language, entries)
        compiled(path, path.with_suffix(".qm"))
        unfinished = sum(bool(entry.kind) for entry in entries.values())
        sys.stdout.write(f"{path.name}: {len(entries)} texts, {unfinished} unfinished\n")


if __name__ == "__main__":
    main()
