"""``twinhull partition``: create, start, stop and reset the two computers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from twinhull_policy.names import Partition

from twinhull_client.cli import output, secrets
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.errors import NotConfirmed, NotThereYet

if TYPE_CHECKING:
    from twinhull_policy.api.types import PartitionInfo

app = command_group("The two computers on this laptop.")
Name = Annotated[Partition, typer.Argument(metavar="NAME", help="corporate or personal.")]


@app.command("list")
def list_partitions(json: output.Json = False) -> None:
    """List the partitions and their state."""
    partitions = call(lambda daemon: daemon.status()).partitions
    if json:
        output.emit(partitions)
    else:
        show_partitions(partitions)


@app.command()
def create(name: Name, passphrase_file: secrets.PassphraseFile = None) -> None:
    """Create a partition's encrypted volume over its golden image."""
    secret = secrets.passphrase(passphrase_file, f"New passphrase for {name}", twice=True)
    call(lambda daemon: daemon.create_partition(name, secret), f"Creating {name}")
    output.say(f"{name} is created; 'twinhull partition start {name}' starts it.")


@app.command()
def start(name: Name, passphrase_file: secrets.PassphraseFile = None) -> None:
    """Start a partition; its passphrase is asked for if it is locked."""
    secret = ""
    if passphrase_file is not None:
        secret = secrets.from_file(passphrase_file, "passphrase")
    elif any(p.name == name and p.state == "locked" for p in call(lambda daemon: daemon.status()).partitions):
        secret = secrets.passphrase(None, f"Passphrase of {name}")
    call(lambda daemon: daemon.start_partition(name, secret), f"Starting {name}")
    output.say(f"{name} is started.")


@app.command()
def stop(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Cut its power; what it has not saved is lost.")
    ] = False,
) -> None:
    """Shut a partition down and wait for it."""
    call(lambda daemon: daemon.stop_partition(name, force=force), f"Stopping {name}")
    output.say(f"{name} is stopped.")


@app.command()
def suspend(name: Name) -> None:
    """Pause a partition in memory."""
    call(lambda daemon: daemon.suspend_partition(name), f"Pausing {name}")
    output.say(f"{name} is paused; 'twinhull partition resume {name}' lets it go on.")


@app.command()
def resume(name: Name) -> None:
    """Let a paused partition go on."""
    call(lambda daemon: daemon.resume_partition(name), f"Resuming {name}")
    output.say(f"{name} goes on.")


@app.command()
def reset(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Throw away everything a partition wrote and go back to its golden image."""
    if not yes:
        confirm(
            f"Everything stored in {name} will be gone for ever. Type 'yes' to go on", f"the reset of {name}"
        )
    call(lambda daemon: daemon.reset_partition(name), f"Resetting {name}")
    output.say(f"{name} is as its golden image was.")


@app.command()
def snapshot(name: Name) -> None:
    """Not there yet: keep the partition's present state to come back to."""
    raise NotThereYet(command="partition snapshot", meanwhile="nothing was saved")


@app.command()
def rollback(name: Name) -> None:
    """Not there yet: go back to a snapshot."""
    raise NotThereYet(
        command="partition rollback",
        meanwhile="'twinhull partition reset' goes back to the golden image and no other state",
    )


def confirm(question: str, action: str) -> None:
    """Ask on the terminal; raises NotConfirmed for any answer but yes, and without a terminal."""
    if not sys.stdin.isatty() or input(f"{question}: ").strip().lower() != "yes":
        raise NotConfirmed(action=action)


def show_partitions(partitions: list[PartitionInfo]) -> None:
    """Print the partitions as a table."""
    rows = [
        [
            p.name,
            p.state + (f" ({p.reason})" if p.reason else ""),
            p.accelerator or "-",
            p.encryption or "-",
            f"{p.vcpus} CPU, {p.memory_mib} MiB, {p.disk_gib} GiB" if p.vcpus else "-",
            p.image or "-",
        ]
        for p in partitions
    ]
    output.table(["partition", "state", "runs by", "encryption", "size", "image"], rows)
