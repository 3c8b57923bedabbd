"""``twinhull partition``: create, start, stop and reset the two computers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from twinhull_policy.names import Partition

from twinhull_client.cli import output, secrets
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.errors import BadUsage, NotConfirmed, NothingToGoBackTo

if TYPE_CHECKING:
    from pathlib import Path

    from twinhull_policy.api.types import PartitionInfo, SnapshotInfo, SnapshotKind

app = command_group("The two computers on this laptop.")
UPDATE = """\
{name} starts as its newer golden image is. Programs, settings and files that were put into it are not in it
then. What there is now is kept whole as an earlier state: 'twinhull partition rollback {name}' goes back to
it, and it comes back by itself if the newer image does not come up. Passphrases and earlier states stay."""
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
    secret = _secret_if_locked(name, passphrase_file)
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
def update(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    passphrase_file: secrets.PassphraseFile = None,
) -> None:
    """Start a stopped partition anew from a newer golden image; what there is now is kept whole."""
    if not yes:
        confirm(f"{UPDATE.format(name=name)}\nType 'yes' to go on", f"the update of {name}")
    secret = _secret_if_locked(name, passphrase_file)
    call(lambda daemon: daemon.update_partition(name, secret), f"Updating {name}")
    output.say(f"{name} is started from its newer image; 'twinhull status' says whether it has come up.")


@app.command()
def snapshot(
    name: Name,
    title: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="What it is, for you; at most 60 characters.")
    ] = "",
    json: output.Json = False,
) -> None:
    """Keep a partition's disk as it is, to come back to; a running one stands still meanwhile."""
    made = call(lambda daemon: daemon.snapshot_partition(name, title), f"Making a snapshot of {name}")
    if json:
        output.emit(made)
        return
    output.say(f"{name} can come back to {made.id} by 'twinhull partition rollback {name} {made.id}'.")


@app.command()
def snapshots(
    name: Name,
    remove: Annotated[
        str, typer.Option("--remove", metavar="SNAPSHOT", help="Remove this one for good first.")
    ] = "",
    json: output.Json = False,
) -> None:
    """List the states that a partition can go back to, oldest first."""
    if remove:
        call(lambda daemon: daemon.remove_snapshot(name, remove), f"Removing {remove}")
    found = call(lambda daemon: daemon.snapshots(name))
    if json:
        output.emit(found)
        return
    rows = [[output.when(one.at), one.id, what_it_is(one), output.size(one.bytes)] for one in found]
    output.table(["when", "snapshot", "what", "size"], [*rows, ["now", "", f"{name} as it is", ""]])


@app.command()
def rollback(
    name: Name,
    chosen: Annotated[
        str, typer.Argument(metavar="[SNAPSHOT]", help="As 'twinhull partition snapshots' lists it.")
    ] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Go forward again to what the last rollback kept.")
    ] = False,
    passphrase_file: secrets.PassphraseFile = None,
    json: output.Json = False,
) -> None:
    """Take a stopped partition back to a snapshot; what was there is kept.

    Unless said, to the last one that was made by you or before an update.
    """
    if undo and chosen:
        raise BadUsage(detail="Name a snapshot or give --undo, not both.")
    target = chosen or (_newest(name, "rollback") if undo else _newest(name, "asked", "update"))
    secret = _secret_if_locked(name, passphrase_file)
    kept = call(
        lambda daemon: daemon.roll_back_partition(name, target, secret), f"Taking {name} back to {target}"
    )
    if json:
        output.emit(kept)
        return
    output.say(f"{name} is as {target} was. What was there is {kept.id}: --undo goes forward to it again.")


def _newest(name: Partition, *kinds: SnapshotKind) -> str:
    found = [one for one in call(lambda daemon: daemon.snapshots(name)) if one.kind in kinds]
    if not found:
        raise NothingToGoBackTo(partition=name, what="rollback" if "rollback" in kinds else "snapshot")
    return found[-1].id


def what_it_is(one: SnapshotInfo) -> str:
    """A snapshot in words."""
    if one.kind == "rollback":
        return "kept before going back" + (f" to '{one.name}'" if one.name else "")
    if one.kind == "update":
        return f"kept before the update to '{one.name}'"
    return one.name or "a snapshot"


def _secret_if_locked(name: Partition, passphrase_file: Path | None) -> str:
    """The passphrase, or "" where it is not needed."""
    if passphrase_file is not None:
        return secrets.from_file(passphrase_file, "passphrase")
    if any(p.name == name and p.state == "locked" for p in call(lambda daemon: daemon.status()).partitions):
        return secrets.passphrase(None, f"Passphrase of {name}")
    return ""


def confirm(question: str, action: str, answer: str = "yes") -> None:
    """Ask on the terminal; raises NotConfirmed for any answer but ``answer``, and without a terminal."""
    if not sys.stdin.isatty() or input(f"{question}: ").strip().lower() != answer:
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
            (p.image or "-") + (f" (newer: {p.newer_image})" if p.newer_image else ""),
        ]
        for p in partitions
    ]
    output.table(["partition", "state", "runs by", "encryption", "size", "image"], rows)
