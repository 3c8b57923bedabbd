"""``twinhull-server escrow …``: the key pair that corporate volumes are sealed to. Needs no server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from twinhull_policy import escrow as sealing
from twinhull_policy.server import output
from twinhull_policy.server.errors import FileUnreadable, KeyNotMade

escrow = typer.Typer(help="Recovery codes of corporate disks, sealed to your key.", no_args_is_help=True)


@escrow.command("new")
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is written.")],
) -> None:
    """Make the key pair: the private half stays offline, the public half is printed for the policy."""
    private, public = sealing.new_private_key()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyNotMade(path=path, detail=error.strerror) from error
    with os.fdopen(fd, "wb") as file:
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
    output.result(public)
    output.say('Put it into a policy as "escrow_key" of the section "partition", and the file on a medium.')


@escrow.command("open")
def open_sealed(
    sealed: Annotated[Path, typer.Argument(help="What 'twinhull disk escrow corporate' has printed.")],
    key: Annotated[Path, typer.Option("--key", help="The private key.")],
) -> None:
    """Print the recovery code that opens a laptop's corporate disk."""
    try:
        with sealed.open("rb") as file:
            untrusted = file.read(sealing.SEALED_LIMIT + 1)
        private = key.read_bytes()
    except OSError as error:
        raise FileUnreadable(path=error.filename, detail=error.strerror) from error
    output.result(sealing.opened(untrusted, private))
