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
from twinhull_client.errors import BadUsage

if TYPE_CHECKING:
    from twinhull_policy.model import Policy

app = command_group("The corporate policy: the one in force, and any in a file.")
PolicyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy document, '-' for standard input.")
]


class Kind(StrEnum):
    """What can cross the corporate partition's border."""

    CLIPBOARD = "clipboard"
    FILES = "files"
    URLS = "urls"


class Way(StrEnum):
    """Which way it crosses."""

    TO = "to-corporate"
    FROM = "from-corporate"


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
        Path | None,
        typer.Option(
            "--usb-descriptors", metavar="DUMP", help="Raw descriptors as sysfs gives them, '-' for stdin."
        ),
    ] = None,
    pci: Annotated[
        str, typer.Option(metavar="V:D:C", help="A PCI function: vendor, device, class, as 8086:15f3:020000.")
    ] = "",
    facts: Annotated[
        Path | None,
        typer.Option(metavar="FACTS", help="Any question as JSON (docs/policy.md), '-' for stdin."),
    ] = None,
    exchange: Annotated[Kind | None, typer.Option(help="What is to cross the partition's border.")] = None,
    lease: Annotated[
        int | None, typer.Option(metavar="HOURS", min=0, max=1_000_000, help="Offline, by the wall clock.")
    ] = None,
    port: Annotated[str, typer.Option(metavar="P", help="The port it is plugged into, such as 1-2.3.")] = "",
    serial: Annotated[str, typer.Option(metavar="S", help="The device's serial number.")] = "",
    removable: Annotated[YesNo, typer.Option(help="Whether it can be unplugged.")] = YesNo.YES,
    owner: Annotated[
        Path | None,
        typer.Option(metavar="RULES", help="The owner's document, for a device; without it, none."),
    ] = None,
    way: Annotated[Way, typer.Option(help="Which way it is to cross.")] = Way.TO,
    size: Annotated[int, typer.Option(min=0, max=2**62, help="Its size in bytes.")] = 0,
    type_: Annotated[
        str, typer.Option("--type", metavar="T", help="Its media type; of an address, its scheme.")
    ] = "",
    counted: Annotated[
        int, typer.Option(metavar="HOURS", min=0, max=1_000_000, help="Offline, by the laptop's own count.")
    ] = 0,
    proven: Annotated[
        int, typer.Option(metavar="HOURS", min=0, max=1_000_000, help="Offline, by the server's signed time.")
    ] = 0,
    json: output.Json = False,
) -> None:
    """Say what a policy decides on a device, an exchange or a lease; none of them has to be there.

    The exit status is 0 whatever it decides.
    """
    from twinhull_policy.exchange import ExchangeFacts
    from twinhull_policy.explain import explain as answer
    from twinhull_policy.explain import usb_facts
    from twinhull_policy.parse import MAX_BYTES, parse_owner_rules
    from twinhull_policy.questions import (
        MAX_FACTS_BYTES,
        LeaseFacts,
        Question,
        parse_question,
        pci_facts,
    )

    if [usb_descriptors, pci or None, facts, exchange, lease].count(None) != 4:
        raise BadUsage(detail="Give one of --usb-descriptors, --pci, --facts, --exchange and --lease.")
    policy = _read(file)
    rules = None if owner is None else parse_owner_rules(read_bytes(owner, MAX_BYTES))
    built_in = removable is YesNo.NO
    question: Question
    if usb_descriptors is not None:
        dump = _descriptors(usb_descriptors)
        question = usb_facts(dump, serial=serial, port=port, removable=not built_in)
    elif pci:
        question = pci_facts(pci, port=port, removable=not built_in)
    elif facts is not None:
        question = parse_question(read_bytes(facts, MAX_FACTS_BYTES))
    elif exchange is not None:
        question = ExchangeFacts(
            way="to_corporate" if way is Way.TO else "from_corporate",
            kind=exchange.value,
            size_bytes=size,
            type=type_,
        )
    else:
        question = LeaseFacts(offline_hours=lease or 0, counted_hours=counted, proven_hours=proven)
    decision = answer(policy, question, rules)
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
    inventory: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON list of device facts to compare verdicts on, '-' for stdin."),
    ] = None,
    usb_descriptors: Annotated[
        list[Path] | None,
        typer.Option(
            "--usb-descriptors", metavar="DUMP", help="A device to compare verdicts on; repeatable."
        ),
    ] = None,
    json: output.Json = False,
) -> None:
    """Show what changes for people from one policy to another: verdicts on devices, and the rest in words."""
    from twinhull_policy.diff import diff as compare
    from twinhull_policy.explain import usb_facts
    from twinhull_policy.questions import MAX_INVENTORY_BYTES, parse_inventory

    devices = [usb_facts(_descriptors(dump)) for dump in usb_descriptors or []]
    if inventory is not None:
        devices += parse_inventory(read_bytes(inventory, MAX_INVENTORY_BYTES))
    found = compare(_read(old), _read(new), devices)
    if json:
        output.emit(found)
        return
    if devices:
        output.say(f"Changes {len(found.changes)} of {found.compared} device x partition verdicts.")
    for change in found.changes:
        device = change.device
        where = f" in {device.port}" if device.port else ""
        name = f"{device.bus} {device.vendor}:{device.product}{where} ({' '.join(device.interfaces[:4])})"
        before, after = (
            f"{corner}{f' ({rule})' if rule else ''}"
            for corner, rule in ((change.old, change.old_rule), (change.new, change.new_rule))
        )
        output.say(f"  {name}, {change.partition}: {before} -> {after}")
    for sentence in found.words:
        output.say(sentence)
    if not found.sections:
        output.say("Both say the same.")


def _descriptors(file: Path) -> bytes:
    from twinhull_policy.descriptors import MAX_BYTES

    return read_bytes(file, MAX_BYTES)


def _read(file: Path) -> Policy:
    from twinhull_policy.parse import MAX_BYTES, parse_policy

    return parse_policy(read_bytes(file, MAX_BYTES))


def _document(text: str) -> None:
    import msgspec

    output.document(msgspec.json.format(text, indent=2))
