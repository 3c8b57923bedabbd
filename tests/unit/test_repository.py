"""Rules about the repository itself: sizes, words that do not belong, commands that documents show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.cli import command_paths
from tests.support.source import ROOT, modules, tracked_files

LONGEST = 500
"""Lines; past it a module is two (design.md section 3)."""

# Spelt in parts, so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    "|".join(
        (
            "/" + "work" + r"\b(?!ing|er|s|flow|-)",
            "/opt/" + "th-dev",
            r"\b" + "TO" + "DO" + r"\b",
            r"\b" + "FIX" + "ME" + r"\b",
            "clau" + "de",
            "anthro" + "pic",
            "chat" + "gpt",
            r"\.inter" + r"nal\b/",
        )
    ),
    re.IGNORECASE,
)
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".sh",
    ".service",
    ".socket",
    ".conf",
    ".policy",
    ".rules",
    ".json",
    ".xml",
    "",
}
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = command_paths()


@pytest.mark.parametrize(
    ("name", "path"), [(n, p) for n, p, _ in modules()], ids=lambda value: str(value)[-60:]
)
def test_no_module_is_too_long(name: str, path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


def test_nothing_of_this_or_that_machine_is_in_the_files() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        if path.suffix in TEXT
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def shown_commands() -> list[tuple[str, str]]:
    """Each ``twinhull …`` line in a fenced block, or a code span that starts so, of every document."""
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = []
    for document in documents:
        text = document.read_text()
        lines = [
            line.strip().removeprefix("$ ") for block in FENCE.findall(text) for line in block.splitlines()
        ]
        lines += re.findall(r"`(twinhull [^`]*)`", FENCE.sub("", text))
        found += [(document.name, line) for line in lines if line.startswith("twinhull ")]
    return found


def test_documents_show_commands_at_all() -> None:
    assert len(shown_commands()) > 5


@pytest.mark.parametrize(("document", "line"), shown_commands())
def test_commands_in_documents_exist(document: str, line: str) -> None:
    command = line.split("|")[0].split("#")[0]
    words = shlex.split(command)[1:]
    path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in COMMANDS), None)
    groups = {path[0] for path in COMMANDS if len(path) == 2}
    assert path is not None or (len(words) == 1 and words[0] in groups)
    if path is not None:
        options = {word.split("=")[0] for word in words[len(path) :] if re.match(r"--[a-z]", word)}
        assert options - {"--help"} <= set(COMMANDS[path])


def test_the_readme_shows_the_two_commands_first() -> None:
    first = FENCE.findall((ROOT / "README.md").read_text())[0]
    assert first.split("\n") == ["sudo installer/quickstart", "sudo installer/test", ""]


def test_tests_that_documents_name_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(tests/[^`]+\.py)`", text))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
