"""The answer file: closed, private, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_client.cli.answers import LIMIT, read_answers
from twinhull_client.errors import AnswersMalformed, AnswersNotPrivate, FileNotReadable

GOOD = '{"url": "https://fleet.example", "token": "t", "passphrase_corporate": "correct horse"}'


def written(directory: Path, content: str, mode: int = 0o600) -> Path:
    path = directory / "answers.json"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_private_file_is_read(tmp_path: Path) -> None:
    assert read_answers(written(tmp_path, GOOD)).passphrases() == {"corporate": "correct horse"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(AnswersNotPrivate):
        read_answers(written(tmp_path, GOOD, mode))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"url": "https://fleet.example"}',
        GOOD[:-1] + ', "extra": 1}',
        '{"url": 1, "token": "t"}',
        "[" * (LIMIT - 1),
        GOOD + " " * LIMIT,
        GOOD.replace("correct horse", "short"),
        GOOD.replace("correct horse", "correct horse" * 100),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(AnswersMalformed) as refused:
        read_answers(written(tmp_path, content))
    assert "correct horse" not in refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotReadable):
        read_answers(tmp_path / "none")
