"""``twinhull-server``: the administrator's command line, and the serving process (design.md section 9).

What serves or speaks HTTP is imported by the commands that need it: it takes as long as all else together.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.parse import canonical, parse_policy
from twinhull_policy.server import (
    admin,
    cli_commands,
    cli_escrow,
    cli_keys,
    cli_people,
    cli_remote,
    output,
    repository,
    setup,
)
from twinhull_policy.server import storage as s
from twinhull_policy.server.errors import BadSetting, FileUnreadable, StorageFailed
from twinhull_policy.server.layout import Layout
from twinhull_policy.trust.policy_body import sign_policy

if TYPE_CHECKING:
    from twinhull_policy.server.serve import Address

app = typer.Typer(help="Twinhull's fleet server.", no_args_is_help=True, pretty_exceptions_enable=False)
token = typer.Typer(help="Enrolment tokens.", no_args_is_help=True)
policy = typer.Typer(help="Policies.", no_args_is_help=True)
image = typer.Typer(help="Golden images.", no_args_is_help=True)
device = typer.Typer(help="Enrolled laptops.", no_args_is_help=True)
group = typer.Typer(help="Groups of laptops.", no_args_is_help=True)
report = typer.Typer(help="What laptops reported.", no_args_is_help=True)
for _name, _part in {
    "token": token,
    "policy": policy,
    "image": image,
    "device": device,
    "group": group,
    "report": report,
    "key": cli_keys.key,
    "root": cli_keys.root,
    "escrow": cli_escrow.escrow,
    "account": cli_people.account,
    "audit": cli_people.audit,
    "rollout": cli_people.rollout,
    "approval": cli_people.approval,
    "remote": cli_remote.remote,
}.items():
    app.add_typer(_part, name=_name)

cli_commands.add_to(device)

Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Group = Annotated[str, typer.Option("--group", help="Which group of laptops.")]


@app.callback()
def options(
    context: Context,
    directory: Annotated[Path, typer.Option("--dir", help="The server's directory.")] = Path(
        "/var/lib/twinhull-server"
    ),
) -> None:
    """Twinhull's fleet server: enrols laptops, pushes signed policy, publishes golden images."""
    context.obj = Layout(directory.absolute())


@app.command()
def init(
    context: Context,
    tenant: Annotated[str, typer.Option(help="The company's short name.")] = "example",
    host: Annotated[str, typer.Option(help="Name or address laptops reach the server at.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port laptops reach the server at.")] = 8443,
    tunnel_subnet: Annotated[
        str, typer.Option(help="Laptops' addresses in the tunnel are taken from here.")
    ] = "10.77.1.0/24",
    owner: Annotated[str, typer.Option(help="User the serving process runs as (needs root).")] = "",
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Do nothing if it is done.")] = False,
) -> None:
    """Make a new server: certificates, signing keys, repository, database."""
    layout = _layout(context)
    if if_needed and setup.is_initialised(layout):
        output.say(f"{layout.directory} is initialised already.")
        return
    setup.initialise(layout, setup.Settings(tenant, host, port, tunnel_subnet), owner)
    output.say(
        f"{layout.directory} is ready. Move {layout.offline} to removable media, and attach it for "
        "'image add' and 'root rotate'. Keep authority/ from the user that serves."
    )


@app.command("serve")
def serve_command(
    context: Context,
    listen: Annotated[str, typer.Option(help="ADDRESS:PORT; port 0 takes any free one.")] = "127.0.0.1:8443",
    admin_listen: Annotated[
        str,
        typer.Option(help="ADDRESS:PORT of the console and the administrators' interface; empty for none."),
    ] = "",
) -> None:
    """Serve laptops, and administrators, until stopped; the log goes to stderr."""
    from twinhull_policy.server import serve

    administrators = _address("--admin-listen", admin_listen) if admin_listen else None
    serve.run(_layout(context), _address("--listen", listen), administrators)


@app.command()
def fingerprint(context: Context) -> None:
    """Print this server's fingerprint, which laptops without a token show (docs/enrolment.md)."""
    from twinhull_policy.server.admin_app import device_grants

    output.result(device_grants(_layout(context), _storage(context)).server_fingerprint)


@token.command("new")
def token_new(
    context: Context,
    group: Group = setup.DEFAULT_GROUP,
    hours: Annotated[int, typer.Option(help="How long it is good for, 1 to 720.")] = 24,
    label: Annotated[str, typer.Option(help="What the laptop will be called in lists.")] = "",
    json: Json = False,
) -> None:
    """Make a token that enrols one laptop; stdout holds the token and nothing else."""
    made = admin.new_token(_layout(context), _storage(context), group, hours, label=label)
    if json:
        output.as_json(made)
        return
    output.say(f"Token {made.number}, good once and for {hours} h. On the laptop: twinhull enroll {made.url}")
    output.result(made.token)


@token.command("list")
def token_list(context: Context, json: Json = False) -> None:
    """List tokens (never their secrets)."""
    rows = admin.list_tokens(_storage(context))
    columns = ["number", "group", "created_at", "expires_at", "used_at", "device_id", "revoked_at"]
    _show(rows, columns, json)


@token.command("revoke")
def token_revoke(context: Context, number: int) -> None:
    """Withdraw an unused token."""
    admin.revoke_token(_storage(context), number)


@policy.command("check")
def policy_check(file: Path) -> None:
    """Check a policy document without publishing it."""
    output.say(f"{parse_policy(_read(file)).name}: a valid policy.")


@policy.command("publish")
def policy_publish(
    context: Context,
    file: Path,
    group: Group = setup.DEFAULT_GROUP,
    base: Annotated[
        str | None, typer.Option(help="SHA-256 of the policy it replaces ('' for none): refuse if it is not.")
    ] = None,
    rings: Annotated[
        bool, typer.Option("--rings", help="To 1 %, 10 %, then all of the group, halting when it fails.")
    ] = False,
    json: Json = False,
) -> None:
    """Check, sign and assign a policy to a group, and push it."""
    layout = _layout(context)
    storage = _storage(context)
    parsed = parse_policy(_read(file))
    envelope = sign_policy(parsed, [repository.signer_for(layout, "policy")])
    published = admin.publish_policy(layout, storage, canonical(parsed), envelope, group, base, rings=rings)
    published["pushed"] = _notify(layout)
    if json:
        output.as_json(published)
    else:
        output.result(f"{published['sha256']} {'published' if published['changed'] else 'unchanged'}")


@policy.command("drafts")
def policy_drafts(context: Context, json: Json = False) -> None:
    """List drafts that wait to be signed."""
    columns = ["number", "group", "author", "created_at", "state", "note"]
    _show(admin.list_drafts(_storage(context)), columns, json)


@policy.command("sign")
def policy_sign(
    context: Context,
    number: int,
    rings: Annotated[
        bool, typer.Option("--rings/--at-once", help="To 1 %, 10 %, then all, or to everybody now.")
    ] = True,
    json: Json = False,
) -> None:
    """Sign a draft with the policy key and publish it, if what it was based on still holds."""
    layout = _layout(context)
    storage = _storage(context)
    draft = admin.get_draft(storage, number)
    parsed = parse_policy(draft.document.encode())
    envelope = sign_policy(parsed, [repository.signer_for(layout, "policy")])
    published = admin.publish_policy(
        layout,
        storage,
        canonical(parsed),
        envelope,
        draft.group,
        draft.base_sha256,
        rings=rings and bool(draft.base_sha256),
        draft=number,
    )
    published["pushed"] = _notify(layout)
    if json:
        output.as_json(published)
    else:
        output.result(f"{published['sha256']} published")


@policy.command("list")
def policy_list(context: Context, json: Json = False) -> None:
    """List published policies and the groups that have them."""
    _show(admin.list_policies(_storage(context)), ["sha256", "published_at", "groups"], json)


@policy.command("show")
def policy_show(context: Context, sha256: str) -> None:
    """Print a published policy; the hash may be shortened."""
    output.result(admin.show_policy(_storage(context), sha256))


@image.command("add")
def image_add(
    context: Context,
    file: Path,
    name: Annotated[str, typer.Option(help="Name of the image.")],
    partition: Annotated[Partition, typer.Option(help="Which partition it is for.")],
    group: Group = setup.DEFAULT_GROUP,
    json: Json = False,
) -> None:
    """Publish a golden image as a signed target and assign it to a group."""
    layout = _layout(context)
    added = admin.add_image(layout, _storage(context), file, name, partition.value, group)
    added["pushed"] = _notify(layout)
    if json:
        output.as_json(added)
    else:
        output.result(f"{added['target']} {'published' if added['changed'] else 'unchanged'}")


@image.command("list")
def image_list(context: Context, json: Json = False) -> None:
    """List golden images."""
    _show(admin.list_images(_storage(context)), ["target", "partition", "length", "added_at"], json)


@image.command("renew")
def image_renew(context: Context) -> None:
    """Sign the list of images again as it is, for another 90 days."""
    layout = _layout(context)
    with layout.repository_lock():
        version = repository.renew_targets(layout)
    _notify(layout)
    output.result(f"list of images version {version}")


@device.command("list")
def device_list(context: Context, json: Json = False) -> None:
    """List laptops."""
    columns = ["device_id", "group", "address", "enrolled_at", "last_seen", "statement", "revoked_at"]
    _show(admin.list_devices(_storage(context)), columns, json)


@device.command("show")
def device_show(context: Context, device_id: str, json: Json = False) -> None:
    """Show a laptop and its newest report."""
    shown = admin.show_device(_storage(context), device_id)
    if json:
        output.as_json(shown)
        return
    for key, value in shown.items():
        output.result(f"{key.replace('_', ' ')}: {'-' if value is None else value}")


@device.command("revoke")
def device_revoke(context: Context, device_id: str) -> None:
    """Shut a laptop out: its certificate stops working and its stream is cut."""
    admin.revoke_device(_storage(context), device_id)
    _notify(_layout(context))


@device.command("wireguard-peers")
def device_wireguard_peers(context: Context) -> None:
    """Print [Peer] sections for the gateway's 'wg syncconf'."""
    sys.stdout.write(admin.wireguard_peers(_storage(context)))


@group.command("new")
def group_new(context: Context, name: str) -> None:
    """Make a group."""
    admin.new_group(_storage(context), name)


@group.command("list")
def group_list(context: Context, json: Json = False) -> None:
    """List groups and what they are assigned."""
    columns = ["name", "policy_sha256", "corporate_target", "personal_target"]
    _show(admin.list_groups(_storage(context)), columns, json)


@report.command("list")
def report_list(context: Context, json: Json = False) -> None:
    """List the reports kept."""
    _show(admin.list_reports(_storage(context)), ["number", "device_id", "at", "body"], json)


def main() -> None:
    """Run; every failure leaves as one sentence with a code, never as a traceback."""
    try:
        app()
    except TwinhullError as error:
        sys.exit(output.fail(error))
    except s.DatabaseError as error:
        sys.exit(output.fail(StorageFailed(detail=str(error.orig))))
    except OSError as error:
        sys.exit(
            output.fail(StorageFailed(detail=f"{error.filename or ''} {error.strerror or error}".strip()))
        )


def _address(option: str, text: str) -> Address:
    from twinhull_policy.server.serve import Address

    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadSetting(option=option, value=text)
    return Address(host.strip("[]"), int(port))


def _layout(context: Context) -> Layout:
    layout = context.obj
    if not isinstance(layout, Layout):
        raise TypeError("options() has not run")
    return layout


def _storage(context: Context) -> s.Storage:
    return s.open_storage(_layout(context).database)


def _notify(layout: Layout) -> bool:
    pushed = admin.notify(layout)
    if not pushed:
        output.say("The server does not run; this takes effect when it starts.")
    return pushed


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileUnreadable(path=file, detail=error.strerror) from error


def _show(rows: list[admin.Record], columns: list[str], json: bool) -> None:
    if json:
        output.as_json(rows)
    else:
        output.table(rows, columns)
