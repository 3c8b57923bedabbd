"""``twinhull policy``: read, try out and compare policies; only ``show`` needs the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.cli.files import read_bytes
from twinhull_client.cli.group import command_group

if TYPE_CHECKING:
    from twinhull_policy.model import Policy

app = command_group("The corporate policy: the one in force, and any in a file.")
PolicyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy document, '-' for standard input.")
]


@app.command()
def show(json: output.Json = False) -> None:
    """Show the policy in force: what your employer controls and sees."""
    policy = call(lambda daemon: daemon.status()).policy
    if json:
        output.emit(policy)
        return
    if not policy.sequence:
        output.say("No policy is in force yet.")
        return
    output.fields(
        f"Policy: {policy.name}",
        [
            ("sha256", policy.sha256),
            ("statement", str(policy.sequence)),
            ("applied", output.when(policy.applied_at)),
            ("expires", output.when(policy.expires_at)),
            ("lease until", output.when(policy.lease_ends_at)),
            ("last refusal", policy.last_refusal),
        ],
    )
    _document(policy.document)


@app.command()
def example() -> None:
    """Print a complete, valid policy; docs/policy.md comments on each field."""
    from twinhull_policy.example import example_policy
    from twinhull_policy.parse import canonical

    _document(canonical(example_policy()).decode())


@app.command()
def check(file: PolicyFile, json: output.Json = False) -> None:
    """Check that a file is a valid policy; the first fault is shown with its place."""
    policy = _read(file)
    if json:
        output.emit({"valid": True, "name": policy.name})
    else:
        output.say(f"{policy.name} is a valid policy.")


def _read(file: Path) -> Policy:
    from twinhull_policy.parse import MAX_BYTES, parse_policy

    return parse_policy(read_bytes(file, MAX_BYTES))


def _document(text: str) -> None:
    import msgspec

    output.document(msgspec.json.format(text, indent=2))
