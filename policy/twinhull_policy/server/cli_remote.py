"""``twinhull-server remote``: administer a server from another machine, over its administrators' interface.

The session is kept in a file of mode 0600; the policy key stays where this runs.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from twinhull_policy.parse import parse_policy
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import output
from twinhull_policy.server.errors import FileUnreadable
from twinhull_policy.server.keys import load_signer
from twinhull_policy.server.layout import write_file
from twinhull_policy.trust.policy_body import sign_policy

if TYPE_CHECKING:  # with the rest of what speaks HTTP, which takes long to import
    from twinhull_policy.server.client import AdminClient

remote = typer.Typer(help="Administer a server from another machine.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SessionFile = Annotated[Path, typer.Option("--session", help="Where the session is kept.")]
DEFAULT_SESSION = Path("~/.local/state/twinhull-server-session.json")


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session in its file."""

    url: str
    ca_file: str
    token: str


@remote.command("sign-in")
def sign_in(
    url: Annotated[str, typer.Argument(help="https://HOST:PORT of --admin-listen.")],
    name: Annotated[str, typer.Option(help="Name of the account.")],
    ca: Annotated[Path, typer.Option(help="PEM file of the server's CA.")],
    session: SessionFile = DEFAULT_SESSION,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read password and code from standard input, a line each.")
    ] = False,
) -> None:
    """Begin a session; asks for password and code."""
    from twinhull_policy.server.client import AdminClient

    if stdin:
        password, code = (sys.stdin.readline().rstrip("\n") for _ in range(2))
    else:
        password, code = getpass.getpass("Password: "), input("Code from your authenticator: ")
    _bytes(ca)
    client = AdminClient(url, ca)
    made = client.sign_in(name, password, code)
    path = session.expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, msgspec.json.encode(Kept(url, str(ca.absolute()), made.token)), 0o600)
    output.say(f"Signed in as {made.name}, {made.role}.")


@remote.command("sign-out")
def sign_out(session: SessionFile = DEFAULT_SESSION) -> None:
    """End the session."""
    _client(session).sign_out()
    session.expanduser().unlink(missing_ok=True)


@remote.command("overview")
def overview(session: SessionFile = DEFAULT_SESSION, json: Json = False) -> None:
    """The fleet at a glance."""
    fleet = _client(session).overview()
    if json:
        output.as_json(fleet)
        return
    output.result(f"{fleet.devices} laptops, {fleet.connected} connected, {fleet.silent} silent")
    for health, number in fleet.by_health.items():
        output.result(f"{health}: {number}")


@remote.command("devices")
def devices(
    text: Annotated[str, typer.Argument(help="What its name or id begins with.")] = "",
    session: SessionFile = DEFAULT_SESSION,
    json: Json = False,
) -> None:
    """Find laptops, at most 500."""
    page = _client(session).devices(t.DeviceQuery(text=text, limit=500))
    if json:
        output.as_json(page)
        return
    rows = [msgspec.structs.asdict(device) for device in page.devices]
    output.table(rows, ["device_id", "label", "group", "health", "problem", "last_seen"])


@remote.command("publish")
def publish(
    file: Path,
    key_directory: Annotated[Path, typer.Option(help="Directory that holds policy.key.")],
    base: Annotated[str, typer.Option(help="SHA-256 of the policy it replaces, '' for none.")],
    group: Annotated[str, typer.Option(help="Which group of laptops.")] = "default",
    rings: Annotated[bool, typer.Option("--rings", help="To 1 %, 10 %, then all of the group.")] = False,
    session: SessionFile = DEFAULT_SESSION,
    json: Json = False,
) -> None:
    """Sign a policy here and publish it there."""
    signed = sign_policy(parse_policy(_bytes(file)), [load_signer(key_directory, "policy")])
    asked = t.Publish(group=group, base=base, envelope=signed.decode(), rings=rings)
    published = _client(session).publish(asked)
    if json:
        output.as_json(published)
    else:
        output.result(f"{published.sha256} {'published' if published.changed else 'unchanged'}")


def _client(session: Path) -> AdminClient:
    from twinhull_policy.server.client import AdminClient

    path = session.expanduser()
    try:
        kept = msgspec.json.decode(_bytes(path), type=Kept)
    except ValueError as error:
        raise FileUnreadable(path=path, detail="it holds no session; sign in again") from error
    return AdminClient(kept.url, Path(kept.ca_file), kept.token)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileUnreadable(path=path, detail=error.strerror) from error
