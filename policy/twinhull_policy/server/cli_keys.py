"""``twinhull-server key …`` and ``root …``: who may sign what, changed by the offline root (docs/keys.md)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from securesystemslib.signer import CryptoSigner

from twinhull_policy.server import admin, ceremony, commanding, expiry, output, repository, resign
from twinhull_policy.server import key_errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.errors import KeyUnavailable
from twinhull_policy.server.keys import load_signer, make_key
from twinhull_policy.server.layout import Layout, write_file
from twinhull_policy.server.store import audit

key = typer.Typer(help="Signing keys: list, make, rotate, revoke.", no_args_is_help=True)
root = typer.Typer(help="The root of trust: draft, sign, publish.", no_args_is_help=True)

Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DraftOut = Annotated[
    Path | None,
    typer.Option("--draft", help="Write the draft here for 'root sign' instead of publishing at once."),
]


@key.command("list")
def key_list(context: Context, json: Json = False) -> None:
    """List every role's keys, and what expires when; warnings go to stderr."""
    layout = _layout(context)
    current = repository.current_root(layout)
    rows: list[dict[str, Any]] = []
    for role in ceremony.ROLES:
        directory = repository.key_directory(layout, role)
        held = _held(directory)
        rows += [
            {
                "role": role,
                "keyid": keyid if json else keyid[: ceremony.KEYID_SHOWN],
                "threshold": ceremony.role_threshold(current, role),
                "private_key": str(held.get(keyid, "")),
            }
            for keyid in ceremony.role_keys(current, role)
        ]
    warned = expiry.warnings(layout, time.time())
    if json:
        dates = [{"what": each.what, "expires_at": each.expires_at} for each in expiry.expiries(layout)]
        output.as_json({"root_version": current.version, "keys": rows, "expiries": dates, "warnings": warned})
    else:
        output.table(rows, ["role", "keyid", "threshold", "private_key"])
    for sentence in warned:
        output.say(sentence)


@key.command("new")
def key_new(file: Path) -> None:
    """Make a key: FILE holds the private half, FILE.pub what 'root draft --add' needs."""
    public = file.with_name(file.name + ".pub")
    for path in (file, public):
        if path.exists():
            raise e.FileExists(path=path)
    signer = CryptoSigner.generate_ed25519()
    write_file(file, signer.private_bytes, 0o600)
    ceremony.write_public(public, signer)
    output.result(signer.public_key.keyid)


@key.command("rotate")
def key_rotate(context: Context, role: str, draft: DraftOut = None) -> None:
    """Give a role a new key. Root keys are exchanged with 'root draft' instead."""
    layout = _layout(context)
    if role not in repository.SIGNING_ROLES:
        raise e.UnknownRole(role=role)
    current = repository.current_root(layout)
    _check_may_write(repository.key_directory(layout, role))
    signer = make_key(repository.key_directory(layout, role), f"{role}.next")
    _give_like(layout, repository.key_directory(layout, role) / f"{role}.next.key")
    old = [(role, keyid) for keyid in ceremony.role_keys(current, role)]
    _change(context, ceremony.Changes(add=[(role, signer.public_key)], remove=old), draft)


@key.command("revoke")
def key_revoke(context: Context, role: str, keyid: str, draft: DraftOut = None) -> None:
    """Take one key (its id may be shortened) from a role that has others; else rotate it."""
    _change(context, ceremony.Changes(remove=[(role, keyid)]), draft)


@root.command("rotate")
def root_rotate(context: Context, json: Json = False) -> None:
    """Publish the next root with the same keys for another year, signed with the root keys attached."""
    layout = _layout(context)
    with layout.repository_lock():
        version = repository.rotate_root(layout)
    _published(context, version, json)


@root.command("draft")
def root_draft(
    context: Context,
    out: Path,
    add: Annotated[list[str] | None, typer.Option(help="ROLE=FILE.pub: this key joins.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="ROLE=KEYID: this key leaves.")] = None,
    threshold: Annotated[list[str] | None, typer.Option(help="root=N: so many must sign.")] = None,
) -> None:
    """Write the next root, unsigned, to OUT; without options it only gets a new date."""
    changes = ceremony.Changes(
        add=[(role, ceremony.read_public(Path(file))) for role, file in _pairs(add, "ROLE=FILE.pub")],
        remove=_pairs(remove, "ROLE=KEYID"),
        thresholds={role: _number(n) for role, n in _pairs(threshold, "root=N")},
    )
    _write_draft(_layout(context), changes, out)


@root.command("sign")
def root_sign(draft: Path, key: Annotated[Path, typer.Option(help="The private key to sign with.")]) -> None:
    """Add a signature to a draft. Needs these two files only, so it can be done on any machine."""
    output.result(f"{draft} signed with {ceremony.sign(draft, key)[: ceremony.KEYID_SHOWN]}")


@root.command("show")
def root_show(context: Context, draft: Path, json: Json = False) -> None:
    """Say what publishing a draft would change, and which signatures it lacks."""
    made = ceremony.read_draft(draft)
    found = ceremony.review(repository.root_chain(_layout(context))[-1], made)
    if json:
        output.as_json(found)
        return
    output.result(f"root version {found.version}")
    for line in found.changes:
        output.result(f"  {line}")
    output.result(f"signed by: {', '.join(found.signed_by) or 'nobody'}")
    output.result(f"missing: {'; '.join(found.missing) or 'nothing'}")


@root.command("publish")
def root_publish(context: Context, draft: Path, json: Json = False) -> None:
    """Put a signed draft in force; publishing it again finishes what was cut short."""
    layout = _layout(context)
    made = ceremony.read_draft(draft)
    with layout.repository_lock():
        version = repository.publish_root(layout, made)
    _published(context, version, json)


def _change(context: Context, changes: ceremony.Changes, draft: Path | None) -> None:
    layout = _layout(context)
    if draft is not None:
        _write_draft(layout, changes, draft)
        return
    with layout.repository_lock():
        version = repository.change_root(layout, changes)
    _published(context, version, json=False)


def _write_draft(layout: Layout, changes: ceremony.Changes, out: Path) -> None:
    if out.exists():
        raise e.FileExists(path=out)
    current = repository.root_chain(layout)[-1]
    write_file(out, ceremony.draft(current, changes))
    found = ceremony.review(current, ceremony.read_draft(out))
    output.say(f"{out} is the draft of root version {found.version}. It needs {'; '.join(found.missing)}.")


def _published(context: Context, version: int, json: bool) -> None:
    layout = _layout(context)
    storage = s.open_storage(layout.database)
    with storage.write() as tx:
        audit.append(tx, admin.actor(), "root publish", f"version {version}")
    signed = resign.resign_policies(layout, storage, admin.actor())
    signed += commanding.sign_again(layout, storage, admin.actor())
    pushed = admin.notify(layout)
    if not pushed:
        output.say("The server does not run; this takes effect when it starts.")
    if json:
        output.as_json({"version": version, "signed_again": signed, "pushed": pushed})
    else:
        output.result(f"root version {version}")


def _held(directory: Path) -> dict[str, Path]:
    """Key ids of the private keys that can be read here."""
    held = {}
    for path in sorted(directory.glob("*.key")):
        try:
            held[load_signer(directory, path.name.removesuffix(".key")).public_key.keyid] = path
        except KeyUnavailable:
            continue
    return held


def _check_may_write(directory: Path) -> None:
    if not os.access(directory, os.W_OK):
        raise KeyUnavailable(role=directory.name, path=directory)


def _give_like(layout: Layout, path: Path) -> None:
    """A key of the serving process belongs to the user it runs as, whoever made it."""
    if path.parent == layout.online and os.getuid() == 0:
        owner = layout.online.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _pairs(texts: Sequence[str] | None, form: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        left, separator, right = text.partition("=")
        if not (left and separator and right):
            raise e.BadChange(text=text, form=form)
        pairs.append((left, right))
    return pairs


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise e.BadChange(text=text, form="root=N")
    return int(text)


def _layout(context: Context) -> Layout:
    layout = context.obj
    if not isinstance(layout, Layout):
        raise TypeError("options() has not run")
    return layout
