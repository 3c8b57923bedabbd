"""``twinhull disk``: the partitions' encrypted volumes."""

from __future__ import annotations

from typing import Annotated

import typer
from twinhull_policy.names import Partition

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.errors import NotThereYet

app = command_group("The partitions' encrypted volumes.")
Name = Annotated[Partition, typer.Argument(metavar="PARTITION", help="corporate or personal.")]


@app.command()
def status(json: output.Json = False) -> None:
    """Show each volume: its encryption, whether it is unlocked, its size."""
    partitions = call(lambda daemon: daemon.status()).partitions
    if json:
        output.emit(partitions)
        return
    rows = [
        [p.name, p.encryption or "no volume", "unlocked" if p.unlocked else "locked", f"{p.disk_gib} GiB"]
        for p in partitions
    ]
    output.table(["partition", "encryption", "key", "size"], rows)


@app.command()
def recover(partition: Name, json: output.Json = False) -> None:
    """Not there yet: open a volume with its recovery code."""
    raise NotThereYet(command="disk recover", meanwhile="only the passphrase opens a volume in this version")


@app.command()
def wipe(partition: Name, json: output.Json = False) -> None:
    """Not there yet: destroy a volume's key and show the receipt."""
    raise NotThereYet(
        command="disk wipe",
        meanwhile="'twinhull partition reset' throws a partition's data away but leaves no receipt",
    )
