"""Recovery codes: what is written down comes back, and a slip of the pen is told from a wrong code."""

from __future__ import annotations

import itertools
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic
from twinhull_policy.recovery_code import BadRecoveryCode, from_words, to_words

SECRET = bytes(range(16))
CODE = to_words(SECRET)
WORDS = CODE.split()


@given(st.binary(min_size=16, max_size=16))
def test_there_and_back(secret: bytes) -> None:
    code = to_words(secret)
    assert len(code.split()) == 14
    assert from_words(code.encode()) == secret


@pytest.mark.parametrize(
    "typed",
    [
        CODE.upper(),
        "  " + CODE.replace(" ", "\n") + "\n",
        "".join(f"{number}. {word}\n" for number, word in enumerate(WORDS, 1)),
        " ".join(word[:4] for word in WORDS),
        CODE.replace(" ", " - "),
    ],
)
def test_as_people_type(typed: str) -> None:
    assert from_words(typed.encode()) == SECRET


def test_every_two_words_swapped_are_noticed() -> None:
    for one, other in itertools.combinations(range(14), 2):
        swapped = list(WORDS)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        if swapped != WORDS:
            with pytest.raises(BadRecoveryCode, match="do not belong together"):
                from_words(" ".join(swapped).encode())


def test_a_wrong_word_is_noticed_wherever_it_is() -> None:
    every = Mnemonic("english").wordlist
    for place in range(14):
        for _ in range(20):
            wrong = list(WORDS)
            wrong[place] = secrets.choice([word for word in every if word != WORDS[place]])
            with pytest.raises(BadRecoveryCode):
                from_words(" ".join(wrong).encode())


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (b"", "0 words"),
        (CODE.rpartition(" ")[0].encode(), "13 words"),
        ((CODE + " able").encode(), "15 words"),
        (" ".join([*WORDS[:4], "sesame", *WORDS[5:]]).encode(), "word 5 is not"),
        (" ".join([WORDS[0][:3], *WORDS[1:]]).encode(), "word 1 is not"),
        (b"\xff" * 14, "not text"),
    ],
)
def test_what_is_said(typed: bytes, says: str) -> None:
    with pytest.raises(BadRecoveryCode, match=says) as caught:
        from_words(typed)
    assert "sesame" not in caught.value.message


@given(st.binary(max_size=200))
def test_anything_else_is_refused_in_a_sentence(typed: bytes) -> None:
    with pytest.raises(BadRecoveryCode):
        from_words(typed)
