"""The answer file: closed, private, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_client.cli.answers import LIMIT, read_answers
from twinhull_client.errors import AnswersMalformed, AnswersNotPrivate, FileNotReadable
from twinhull_policy.errors import TwinhullError

TOKEN = f"th1.{'A' * 43}.{'0' * 64}.{'1' * 64}"
GOOD = f'{{"url": "https://fleet.example", "token": "{TOKEN}", "passphrase_corporate": "correct horse"}}'


def written(directory: Path, content: str, mode: int = 0o600) -> Path:
    path = directory / "answers.json"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_a_private_file_is_read(tmp_path: Path) -> None:
    assert read_answers(written(tmp_path, GOOD)).passphrases() == {"corporate": "correct horse"}


def test_what_is_for_the_packages_setup_is_read_past(tmp_path: Path) -> None:
    laptop = ', "laptop": {"host": {"owner": "alex"}, "anything": [1]}}'
    assert read_answers(written(tmp_path, GOOD[:-1] + laptop)).passphrases() == {"corporate": "correct horse"}


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
        GOOD[:-1] + ', "passphrase_personal": "correct horse"}',
        GOOD[:-1] + ', "start": 1}',
        GOOD[:-1] + ', "laptop": {"host": }}',
        GOOD[:-1] + ', "laptop": {"host": {}, "host": {}}}',
        f'{{"url": "https://fleet.example", "token": "{TOKEN}", "start": true}}',
        GOOD[:-1] + ', "passphrase_corporate": "another one, later"}',
        GOOD[:-1] + ', "url": "https://elsewhere.example"}',
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(AnswersMalformed) as refused:
        read_answers(written(tmp_path, content))
    assert "correct horse" not in refused.value.message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("https://", "http://", "TH-CLI-010"),
        ("https://fleet.example", "fleet.example", "TH-CLI-010"),
        ("fleet.example", "fleet.example:0", "TH-CLI-010"),
        ("fleet.example", "somebody@fleet.example", "TH-CLI-010"),
        (TOKEN, "t", "TH-TRU-060"),
        (TOKEN, TOKEN[:-1], "TH-TRU-060"),
        ("th1.", "th2.", "TH-TRU-060"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    tmp_path: Path, old: str, new: str, code: str
) -> None:
    with pytest.raises(TwinhullError) as refused:
        read_answers(written(tmp_path, GOOD.replace(old, new)))
    assert refused.value.code == code
    assert "A" * 43 not in refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotReadable):
        read_answers(tmp_path / "none")
