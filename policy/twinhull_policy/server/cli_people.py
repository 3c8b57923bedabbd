"""``twinhull-server account``, ``audit`` and ``rollout``: on the server's own machine, in its directory."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Literal

import msgspec
import segno
import typer

from twinhull_policy.server import admin, output, two_persons
from twinhull_policy.server import rollout as rollouts_
from twinhull_policy.server import storage as s
from twinhull_policy.server.accounts import Accounts, NewAccount, Role
from twinhull_policy.server.errors import AuditBroken
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.store import approvals as approvals_
from twinhull_policy.server.store import audit as lines
from twinhull_policy.server.store import rollouts

account = typer.Typer(help="Administrators' accounts.", no_args_is_help=True)
audit = typer.Typer(help="The audit log.", no_args_is_help=True)
rollout = typer.Typer(help="Policies that come ring by ring.", no_args_is_help=True)
approval = typer.Typer(help="What needs two administrators.", no_args_is_help=True)

Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, one line.")
]


@account.command("new")
def account_new(
    context: Context,
    name: str,
    role: Annotated[Literal["viewer", "operator", "author", "owner"], typer.Option(help="What it may do.")],
    password_stdin: PasswordStdin = False,
    json: Json = False,
) -> None:
    """Make an account; shows once what the person's authenticator app needs."""
    accounts = _accounts(context)
    made = accounts.new(name, Role.named(role), _password(password_stdin), admin.actor())
    _show_account(made, json)


@account.command("reset")
def account_reset(
    context: Context, name: str, password_stdin: PasswordStdin = False, json: Json = False
) -> None:
    """Give an account a new password and a new authenticator code; its sessions end."""
    made = _accounts(context).reset(name, _password(password_stdin), admin.actor())
    _show_account(made, json)


@account.command("role")
def account_role(context: Context, name: str, role: Literal["viewer", "operator", "author", "owner"]) -> None:
    """Give an account another role; its sessions end."""
    _accounts(context).set_role(name, Role.named(role), admin.actor())


@account.command("disable")
def account_disable(context: Context, name: str) -> None:
    """Shut an account out; its sessions end."""
    _accounts(context).disable(name, admin.actor())


@account.command("list")
def account_list(context: Context, json: Json = False) -> None:
    """List accounts."""
    rows = [msgspec.structs.asdict(one) for one in _accounts(context).everyone()]
    _show(rows, ["name", "role", "created_at", "disabled_at"], json)


@audit.command("list")
def audit_list(
    context: Context,
    containing: Annotated[str, typer.Option(help="Only lines that hold this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Of the newest lines.")] = 100,
    json: Json = False,
) -> None:
    """Print the audit log, oldest first."""
    with _storage(context).read() as tx:
        found = lines.newest(tx, limit, containing=containing)
    rows = [msgspec.structs.asdict(line) for line in reversed(found)]
    _show(rows, ["number", "at", "actor", "action", "detail"], json)


@audit.command("verify")
def audit_verify(
    context: Context,
    head: Annotated[
        str, typer.Option(help="A hash noted earlier: it must still be in the log, or its end was cut off.")
    ] = "",
    json: Json = False,
) -> None:
    """Check that no line of the audit log was changed, left out or put in between. Status 1 if one was."""
    with _storage(context).read() as tx:
        verdict = lines.verify(tx)
        known = not head or lines.holds(tx, head)
    if json:
        output.as_json({**msgspec.structs.asdict(verdict), "head_found": known})
    if verdict.broken_at is not None:
        raise AuditBroken(detail=f"line {verdict.broken_at} does not follow from the one before")
    if not known:
        raise AuditBroken(detail="the hash that was noted is no longer in it, so its end was cut off")
    if not json:
        output.result(f"{verdict.lines} lines, whole; newest hash {verdict.head}")


@rollout.command("list")
def rollout_list(context: Context, json: Json = False) -> None:
    """List rollouts, newest first."""
    with _storage(context).read() as tx:
        rows = [msgspec.structs.asdict(one) for one in rollouts.newest(tx, 100)]
    _show(rows, ["number", "group", "percent", "state", "reason", "started_by", "started_at"], json)


@rollout.command("steer")
def rollout_steer(
    context: Context, number: int, action: Literal["advance", "halt", "resume", "withdraw"]
) -> None:
    """Advance, halt, resume or withdraw a rollout."""
    with _storage(context).write() as tx:
        done = rollouts_.steer(tx, number, action, admin.actor())
    admin.notify(_layout(context))
    output.result(f"rollout {done.number}: {done.percent} %, {done.state}")


@approval.command("list")
def approval_list(context: Context, json: Json = False) -> None:
    """List what was asked for that needs two, newest first."""
    with _storage(context).read() as tx:
        rows = [msgspec.structs.asdict(one) for one in approvals_.newest(tx, 100)]
    columns = ["number", "action", "reason", "requested_by", "requested_at", "approved_by", "used_at"]
    _show(rows, columns, json)


@approval.command("approve")
def approval_approve(context: Context, number: int) -> None:
    """Approve what somebody else asked for."""
    with _storage(context).write() as tx:
        two_persons.approve(tx, number, admin.actor())


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Password: ")


def _show_account(made: NewAccount, json: bool) -> None:
    if json:
        output.as_json(made)
        return
    output.say(f"Account {made.name}, {made.role}. Scan this with an authenticator app; it is shown once.")
    if sys.stdout.isatty():
        segno.make(made.totp_uri, error="m").terminal(compact=True)
    output.result(made.totp_uri)


def _layout(context: Context) -> Layout:
    layout = context.obj
    if not isinstance(layout, Layout):
        raise TypeError("options() has not run")
    return layout


def _storage(context: Context) -> s.Storage:
    return s.open_storage(_layout(context).database)


def _accounts(context: Context) -> Accounts:
    return Accounts(_layout(context), _storage(context))


def _show(rows: list[admin.Record], columns: list[str], json: bool) -> None:
    if json:
        output.as_json(rows)
    else:
        output.table(rows, columns)
