"""``twinhull device``: where devices are, where they may go, and sending them there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from twinhull_policy.names import Partition

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.cli.files import read_bytes
from twinhull_client.cli.group import command_group
from twinhull_client.errors import BadUsage, UnknownDevice

if TYPE_CHECKING:
    from twinhull_policy.api.types import DeviceInfo, Status

app = command_group("Devices, where they are and why.")
Port = Annotated[
    str, typer.Argument(metavar="PORT", help="Where it is plugged in, as 'twinhull device list' names it.")
]


class Answer(StrEnum):
    """What can be answered for a device that is asked about."""

    CORPORATE = "corporate"
    PERSONAL = "personal"
    DENY = "deny"


class Switch(StrEnum):
    """What can be switched off for every partition."""

    CAMERA = "camera"
    MICROPHONE = "microphone"


class Position(StrEnum):
    """Positions of a switch."""

    ON = "on"
    OFF = "off"


@app.command("list")
def list_devices(
    json: output.Json = False,
    pci: Annotated[bool, typer.Option("--pci", help="Show the PCI devices inside the computer too.")] = False,
) -> None:
    """List the devices, where each is, and what waits for you."""
    devices = call(lambda daemon: daemon.devices())
    if json:
        output.emit(devices)
        return
    shown = [device for device in devices if device.bus == "usb"]
    if not shown:
        output.say("There are no devices to show.")
    else:
        rows = [[d.port, d.name, d.state, d.attached_to or "-", d.rule] for d in shown]
        output.table(["port", "name", "state", "in", "rule"], rows)
    if pci:
        inside = [device for device in devices if device.bus == "pci"]
        output.table(["slot", "name", "state", "why"], [[d.port, d.name, d.state, d.reason] for d in inside])
    for device in shown:
        _ask(device)
    _hindrances(call(lambda daemon: daemon.status()))


def _ask(device: DeviceInfo) -> None:
    """What the person has to do for this device, if anything."""
    if device.state == "asking":
        choices = ", ".join([*device.targets, "deny"])
        output.say(f"{device.name} asks: 'twinhull device answer {device.port} ANSWER' ({choices}).")
        output.say(f"  {device.reason}")
    if device.state == "admission" and device.code:
        output.say(f"{device.name} is new: type {device.code} and Enter on it to let it in.")


def _hindrances(status: Status) -> None:
    switches = status.kill_switches
    for name, off in (("camera", switches.camera_off), ("microphone", switches.microphone_off)):
        if off:
            output.say(f"The {name} is switched off; 'twinhull device switch {name} on' switches it on.")
    if status.devices_problem:
        output.say(f"Devices are not followed just now: {status.devices_problem}")


@app.command()
def explain(port: Port, json: output.Json = False) -> None:
    """Say why a device is where it is."""
    found = next((d for d in call(lambda daemon: daemon.devices()) if port in (d.port, d.id)), None)
    if found is None:
        raise UnknownDevice(id=port)
    if json:
        output.emit(found)
        return
    output.fields(
        f"{found.name} ({found.id})",
        [
            ("state", found.state + (f" to {found.attached_to}" if found.attached_to else "")),
            ("reason", found.reason),
            ("rule", found.rule),
            ("verdict", found.verdict),
            ("may go to", ", ".join(found.targets)),
            ("kind", found.kind),
            ("model", found.model),
            ("interfaces", " ".join(found.interfaces)),
            ("descriptors", found.facts_sha256),
        ],
    )


@app.command()
def attach(
    port: Port,
    partition: Annotated[Partition, typer.Argument(metavar="PARTITION", help="corporate or personal.")],
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Give storage as a disk that cannot be written to.")
    ] = False,
) -> None:
    """Send a device to a partition it may go to."""
    call(
        lambda daemon: daemon.attach_device(port, partition, read_only=read_only),
        f"Giving {port} to {partition}",
    )
    output.say(f"The device in {port} is in the {partition} partition, until it is unplugged or taken back.")


@app.command()
def detach(port: Port) -> None:
    """Take a device back; it goes nowhere until it is attached or plugged in again."""
    call(lambda daemon: daemon.detach_device(port), f"Taking {port} back")
    output.say(f"The device in {port} is in no partition.")


@app.command()
def answer(
    port: Port,
    answer: Annotated[Answer, typer.Argument(metavar="ANSWER", help="corporate, personal or deny.")],
    remember: Annotated[
        bool, typer.Option("--remember", help="Answer the same from now on, without asking.")
    ] = False,
) -> None:
    """Say where a device goes that is asked about."""
    call(lambda daemon: daemon.answer_device(port, answer.value, remember=remember))
    kept = "remembered" if remember else "for this time"
    output.say(f"Answered for the device in {port}: {answer} ({kept}).")


@app.command()
def forget(port: Port) -> None:
    """Forget what a port has seen and was answered; decide anew."""
    call(lambda daemon: daemon.forget_device(port))
    output.say(f"What was known of {port} is forgotten.")


@app.command()
def switch(
    what: Annotated[Switch, typer.Argument(metavar="WHAT", help="camera or microphone.")],
    position: Annotated[Position, typer.Argument(metavar="on|off", help="on or off.")],
) -> None:
    """Switch camera or microphone off for both partitions, or on again."""
    off = position is Position.OFF
    call(lambda daemon: daemon.set_kill_switch(what.value, off=off))
    output.say(f"The {what} is switched {position}.")


@app.command()
def rules(
    set_file: Annotated[
        Path | None, typer.Option("--set", metavar="FILE", help="Replace your rules; '-' for standard input.")
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Go back to the rules of the start.")] = False,
) -> None:
    """Show or replace your own rules for devices."""
    if set_file is not None and defaults:
        raise BadUsage(detail="--set and --defaults exclude each other.")
    if set_file is not None:
        from twinhull_policy.parse import MAX_BYTES, canonical, parse_owner_rules

        document = canonical(parse_owner_rules(read_bytes(set_file, MAX_BYTES))).decode()
        call(lambda daemon: daemon.set_owner_rules(document))
        output.say("Your rules are in force.")
    elif defaults:
        call(lambda daemon: daemon.set_owner_rules(""))
        output.say("The rules of the start are in force.")
    else:
        output.document(call(lambda daemon: daemon.owner_rules()))
