"""Passphrases and tokens: from a terminal without echo, a file, standard input."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from twinhull_client.cli.files import read_bytes
from twinhull_client.errors import PassphrasesDiffer, SecretMissing, SecretTooLong

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Read the passphrase from FILE, '-' for standard input."
    ),
]


def from_file(path: Path, kind: str) -> str:
    """The secret a file holds, without the line break at its end; ``-`` is standard input.

    Raises SecretTooLong past ``SECRET_LIMIT`` bytes, SecretMissing if it is empty or no text.
    """
    from twinhull_policy.api.interface import SECRET_LIMIT

    content = read_bytes(path, SECRET_LIMIT)
    if len(content) > SECRET_LIMIT:
        raise SecretTooLong(kind=kind, limit=SECRET_LIMIT)
    try:
        secret = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SecretMissing(kind=kind) from error
    if not secret:
        raise SecretMissing(kind=kind)
    return secret


def passphrase(path: Path | None, question: str, *, twice: bool = False) -> str:
    """A passphrase from ``path`` if given, else asked for on the terminal (``twice`` for a new one)."""
    return _secret(path, question, "passphrase", twice=twice)


def pin(path: Path | None, question: str, *, twice: bool = False) -> str:
    """A PIN, as :func:`passphrase`."""
    return _secret(path, question, "PIN", twice=twice)


def _secret(path: Path | None, question: str, kind: str, *, twice: bool) -> str:
    if path is not None:
        return from_file(path, kind)
    secret = ask(question, kind)
    if twice and ask("The same again", kind) != secret:
        raise PassphrasesDiffer(kind=kind)
    return secret


def recovery_code(path: Path | None, question: str) -> str:
    """A recovery code from ``path`` if given, else asked for on the terminal; in a file it may have lines."""
    return from_file(path, "recovery code") if path is not None else ask(question, "recovery code")


def ask(question: str, kind: str) -> str:
    """Ask on the terminal without echo. Raises SecretMissing without a terminal, or for an empty answer."""
    if not sys.stdin.isatty():
        raise SecretMissing(kind=kind)
    secret = getpass.getpass(f"{question}: ")
    if not secret:
        raise SecretMissing(kind=kind)
    return secret
