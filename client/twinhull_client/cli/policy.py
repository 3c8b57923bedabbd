"""``twinhull policy``: read, try out and compare policies; only ``show`` needs the daemon."""

from __future__ import annotations

from enum import StrEnum
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


class YesNo(StrEnum):
    """An answer on the command line."""

    YES = "yes"
    NO = "no"


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
def schema() -> None:
    """Print the JSON Schema of a policy, with which an editor completes and checks while you write one."""
    from twinhull_policy.schema import text

    output.document(text())


@app.command()
def check(file: PolicyFile, json: output.Json = False) -> None:
    """Check that a file is a valid policy; the first fault is shown with its place."""
    policy = _read(file)
    if json:
        output.emit({"valid": True, "name": policy.name})
    else:
        output.say(f"{policy.name} is a valid policy.")


@app.command()
def explain(
    file: PolicyFile,
    usb_descriptors: Annotated[
        Path,
        typer.Option(
            "--usb-descriptors", metavar="DUMP", help="Raw descriptors as sysfs gives them, '-' for stdin."
        ),
    ],
    port: Annotated[str, typer.Option(metavar="P", help="The port it is plugged into, such as 1-2.3.")] = "",
    removable: Annotated[YesNo, typer.Option(help="Whether it can be unplugged.")] = YesNo.YES,
    json: output.Json = False,
) -> None:
    """Say what a policy decides on a device, without the device. The exit status is 0 whatever it decides."""
    from twinhull_policy.explain import explain_device, usb_facts

    policy = _read(file)
    facts = usb_facts(_descriptors(usb_descriptors), port=port, removable=removable is YesNo.YES)
    decision = explain_device(policy, facts)
    if json:
        output.emit(decision)
        return
    output.fields(
        f"Verdict: {decision.verdict}",
        [
            ("may go to", ", ".join(decision.targets) or "nowhere"),
            ("rule", decision.rule),
            ("reason", decision.reason),
        ],
    )


@app.command()
def diff(
    old: PolicyFile,
    new: PolicyFile,
    usb_descriptors: Annotated[
        list[Path] | None,
        typer.Option(
            "--usb-descriptors", metavar="DUMP", help="A device to compare verdicts on; repeatable."
        ),
    ] = None,
    json: output.Json = False,
) -> None:
    """Show which sections differ between two policies, and which given devices would go elsewhere."""
    from twinhull_policy.diff import diff as compare
    from twinhull_policy.explain import usb_facts

    inventory = [usb_facts(_descriptors(dump)) for dump in usb_descriptors or []]
    found = compare(_read(old), _read(new), inventory)
    if json:
        output.emit(found)
        return
    output.say(f"Sections that differ: {', '.join(found.sections) or 'none'}")
    if inventory:
        output.say(f"Devices that would go elsewhere: {len(found.changes)} of {found.compared}")
    for change in found.changes:
        device = f"{change.device.vendor}:{change.device.product}"
        before, after = (f"{d.verdict} ({d.rule})" for d in (change.old, change.new))
        output.say(f"  {device}: {before} -> {after}")


def _descriptors(file: Path) -> bytes:
    from twinhull_policy.descriptors import MAX_BYTES

    return read_bytes(file, MAX_BYTES)


def _read(file: Path) -> Policy:
    from twinhull_policy.parse import MAX_BYTES, parse_policy

    return parse_policy(read_bytes(file, MAX_BYTES))


def _document(text: str) -> None:
    import msgspec

    output.document(msgspec.json.format(text, indent=2))
