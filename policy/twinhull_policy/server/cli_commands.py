"""``twinhull-server device lock|unlock|wipe|release|rotate-vpn-key|commands|withdraw``."""

from __future__ import annotations

from typing import Annotated

import typer

from twinhull_policy.server import admin, commanding, output
from twinhull_policy.server import storage as s
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.store import commands
from twinhull_policy.trust.documents import Action

Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Devices = Annotated[list[str], typer.Argument(help="Ids of laptops, as 'device list' has them.")]
Approval = Annotated[
    int | None, typer.Option(help="Number of a second administrator's approval, for several laptops at once.")
]
Hours = Annotated[int, typer.Option(help="How long the command may wait for its laptop, 1 to 2160.")]
COLUMNS = ["number", "device_id", "action", "state", "issued_by", "issued_at", "ended_at", "detail"]
SHOWN = 200


def add_to(device: typer.Typer) -> None:
    """Register the subcommands."""

    @device.command("lock")
    def lock(context: Context, devices: Devices, hours: Hours = 168, json: Json = False) -> None:
        """Have a laptop's corporate partition shut down and its volume closed until 'unlock'."""
        _issue(context, devices, "lock", hours, json)

    @device.command("unlock")
    def unlock(context: Context, devices: Devices, hours: Hours = 168, json: Json = False) -> None:
        """Let a locked corporate partition start again."""
        _issue(context, devices, "unlock", hours, json)

    @device.command("wipe")
    def wipe(
        context: Context,
        devices: Devices,
        hours: Hours = 720,
        approval: Approval = None,
        json: Json = False,
    ) -> None:
        """Destroy the keys and contents of a laptop's corporate partition, for good."""
        _issue(context, devices, "wipe", hours, json, approval)

    @device.command("rotate-vpn-key")
    def rotate_vpn_key(context: Context, devices: Devices, hours: Hours = 168, json: Json = False) -> None:
        """Have a laptop make a new tunnel key; signed with the director key, as it takes nothing away."""
        _issue(context, devices, "rotate-vpn-key", hours, json)

    @device.command("release")
    def release(
        context: Context,
        devices: Devices,
        hours: Hours = 720,
        without_laptop: Annotated[
            bool, typer.Option("--without-laptop", help="It is gone: take it out of the fleet here and now.")
        ] = False,
        approval: Approval = None,
        json: Json = False,
    ) -> None:
        """Have a laptop destroy its corporate partition and leave the company."""
        if not without_laptop:
            _issue(context, devices, "release", hours, json, approval)
            return
        for device_id in devices:
            admin.revoke_device(_storage(context), device_id, release=True)
        _notify(context)

    @device.command("commands")
    def list_commands(
        context: Context,
        device_id: Annotated[str, typer.Argument(help="Of this laptop only.")] = "",
        json: Json = False,
    ) -> None:
        """List commands and how far the laptops say they are."""
        with _storage(context).read() as tx:
            found = commands.of_device(tx, device_id, SHOWN) if device_id else commands.newest(tx, SHOWN)
        _show(found, json)

    @device.command("receipt")
    def receipt(context: Context, number: int) -> None:
        """Print the newest receipt of a command, as its laptop signed it."""
        with _storage(context).read() as tx:
            kept = commands.receipt(tx, number)
        if kept is None:
            raise commanding.NoReceipt(number=number)
        output.result(kept.decode())

    @device.command("withdraw")
    def withdraw(context: Context, number: int) -> None:
        """Stop sending a command. A laptop that has it already may carry it out all the same."""
        commanding.withdraw(_storage(context), number, admin.actor())
        _notify(context)


def _issue(
    context: Context,
    devices: list[str],
    action: Action,
    hours: int,
    json: bool,
    approval: int | None = None,
) -> None:
    distinct = list(dict.fromkeys(devices))
    made = commanding.issue(
        _layout(context),
        _storage(context),
        distinct,
        action,
        hours=hours,
        actor=admin.actor(),
        approval=approval,
    )
    _notify(context)
    _show(made, json)


def _show(found: list[commands.Command], json: bool) -> None:
    rows = commanding.table(found)
    if json:
        output.as_json(rows)
    else:
        output.table(rows, COLUMNS)


def _layout(context: Context) -> Layout:
    layout = context.obj
    if not isinstance(layout, Layout):
        raise TypeError("options() has not run")
    return layout


def _storage(context: Context) -> s.Storage:
    return s.open_storage(_layout(context).database)


def _notify(context: Context) -> None:
    if not admin.notify(_layout(context)):
        output.say("The server does not run; this takes effect when it starts.")
