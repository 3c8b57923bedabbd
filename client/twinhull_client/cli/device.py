"""``twinhull device``: the devices there are and where policy sends them."""

from __future__ import annotations

from typing import Annotated

import typer

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.cli.group import command_group
from twinhull_client.errors import NotThereYet, UnknownDevice

app = command_group("Devices, where they are and why.")
DeviceId = Annotated[
    str, typer.Argument(metavar="DEVICE", help="A device as 'twinhull device list' names it.")
]
MEANWHILE = "no device goes to a partition in this version"


@app.command("list")
def list_devices(json: output.Json = False) -> None:
    """List the devices, what policy says of each, and where it is."""
    devices = call(lambda daemon: daemon.devices())
    if json:
        output.emit(devices)
    elif not devices:
        output.say("There are no devices to show.")
    else:
        rows = [[d.id, d.name, d.verdict, d.attached_to or "-", d.rule] for d in devices]
        output.table(["device", "name", "verdict", "attached to", "rule"], rows)


@app.command()
def explain(device: DeviceId, json: output.Json = False) -> None:
    """Say why policy decides on a device as it does."""
    found = next((d for d in call(lambda daemon: daemon.devices()) if d.id == device), None)
    if found is None:
        raise UnknownDevice(id=device)
    if json:
        output.emit(found)
        return
    output.fields(
        f"{found.name} ({found.id})",
        [
            ("verdict", found.verdict),
            ("rule", found.rule),
            ("reason", found.reason),
            ("port", found.port),
            ("attached to", found.attached_to),
        ],
    )


@app.command()
def attach(device: DeviceId, json: output.Json = False) -> None:
    """Not there yet: hand a device to a partition."""
    raise NotThereYet(command="device attach", meanwhile=MEANWHILE)


@app.command()
def detach(device: DeviceId, json: output.Json = False) -> None:
    """Not there yet: take a device from its partition."""
    raise NotThereYet(command="device detach", meanwhile=MEANWHILE)
