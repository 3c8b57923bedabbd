"""Changing the root of trust: draft, sign on as many machines as there are keys, publish.

A draft is a root.json that lacks signatures. It travels as a file; signing needs the file and one private key
and nothing else, so each root key can stay on its own medium and machine. Publishing verifies the draft with
the rules the laptops use, and with one more: that this server can go on signing under it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from twinhull_policy.server import key_errors as e
from twinhull_policy.server.errors import FileUnreadable
from twinhull_policy.server.keys import read_signer
from twinhull_policy.server.layout import write_file
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.documents import DELEGATED_ROLES, DELEGATIONS_FIELD
from twinhull_policy.trust.limits import LIMITS

TUF_ROLES = ("root", "targets", "snapshot", "timestamp")
ROLES = (*TUF_ROLES, *DELEGATED_ROLES)
ROOT_LIFE = datetime.timedelta(days=365)
KEYID_SHOWN = 12
"""Characters of a key id that people see and may type."""


@dataclass(frozen=True)
class Changes:
    """What a draft changes; the date is always new. Key ids may be shortened."""

    add: Sequence[tuple[str, Key]] = ()
    remove: Sequence[tuple[str, str]] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Review:
    """What publishing a draft would do, in words, and which signatures it still lacks."""

    version: int
    expires_at: float
    changes: list[str]
    signed_by: list[str]
    missing: list[str]


def role_keys(root: Root, role: str) -> list[str]:
    """The key ids of a role; none for one the root does not delegate. Raises UnknownRole."""
    if role in TUF_ROLES:
        return list(root.roles[role].keyids)
    if role not in DELEGATED_ROLES:
        raise e.UnknownRole(role=role)
    delegation = _delegations(root).get(role)
    return list(delegation["keyids"]) if delegation else []


def role_threshold(root: Root, role: str) -> int:
    """How many of a role's keys must sign."""
    if role in TUF_ROLES:
        return root.roles[role].threshold
    delegation = _delegations(root).get(role)
    return int(delegation["threshold"]) if delegation else 1


def draft(current: bytes, changes: Changes) -> bytes:
    """The unsigned next root: ``current`` with ``changes``, a year from now.

    Raises UnknownRole, KeyInUse, KeyNotInRole, ThresholdFixed, TooFewKeys.
    """
    root = Metadata[Root].from_bytes(current).signed
    before = set(root.keys)
    root.version += 1
    root.expires = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + ROOT_LIFE
    wanted = {role: role_keys(root, role) for role in ROLES}
    for role, keyid in changes.remove:
        wanted[_known(role)].remove(_full_keyid(wanted[_known(role)], role, keyid))
    for role, key in changes.add:
        for other, keyids in wanted.items():
            if key.keyid in keyids:
                raise e.KeyInUse(keyid=key.keyid[:KEYID_SHOWN], role=other)
        wanted[_known(role)].append(key.keyid)
        root.keys[key.keyid] = key
    thresholds = {role: role_threshold(root, role) for role in ROLES}
    for role, threshold in changes.thresholds.items():
        if _known(role) != Root.type or not 1 <= threshold <= LIMITS.signatures:
            raise e.ThresholdFixed(role=role)
        thresholds[role] = threshold
    for role, keyids in wanted.items():
        if len(keyids) < thresholds[role] and (keyids or role in TUF_ROLES or role_keys(root, role)):
            raise e.TooFewKeys(role=role, keys=len(keyids), threshold=thresholds[role])
    for role in TUF_ROLES:
        root.roles[role].keyids = wanted[role]
        root.roles[role].threshold = thresholds[role]
    root.unrecognized_fields[DELEGATIONS_FIELD] = {
        role: {"keyids": wanted[role], "threshold": thresholds[role]}
        for role in DELEGATED_ROLES
        if wanted[role]
    }
    used = {keyid for keyids in wanted.values() for keyid in keyids}
    for keyid in before - used:
        del root.keys[keyid]
    return Metadata(root).to_bytes()


def read_draft(path: Path) -> Metadata[Root]:
    """Read a draft. Raises FileUnreadable, NotADraft."""
    try:
        with path.open("rb") as stream:
            untrusted_draft = stream.read(LIMITS.root_bytes + 1)
    except OSError as error:
        raise FileUnreadable(path=path, detail=error.strerror) from error
    if len(untrusted_draft) > LIMITS.root_bytes:
        raise e.NotADraft(path=path, detail=f"more than {LIMITS.root_bytes} bytes")
    try:
        made: Metadata[Root] = Metadata.from_bytes(untrusted_draft)
    except (RepositoryError, ValueError) as error:
        raise e.NotADraft(path=path, detail="not TUF metadata") from error
    if not isinstance(made.signed, Root):
        raise e.NotADraft(path=path, detail="it is another role's metadata")
    return made


def sign(path: Path, key_path: Path) -> str:
    """Add the signature of one private key to a draft, in place. Returns the key's id.

    Raises FileUnreadable, NotADraft, KeyUnavailable.
    """
    made = read_draft(path)
    signer = read_signer(key_path, Root.type)
    made.sign(signer, append=True)
    write_file(path, made.to_bytes())
    return signer.public_key.keyid


def review(current: bytes, made: Metadata[Root]) -> Review:
    """Compare a draft with the root in force."""
    old, new = Metadata[Root].from_bytes(current).signed, made.signed
    changes = [f"expires {new.expires:%Y-%m-%d}, was {old.expires:%Y-%m-%d}"]
    for role in ROLES:
        before, after = role_keys(old, role), role_keys(new, role)
        changes += [f"{role}: key {keyid[:KEYID_SHOWN]} leaves" for keyid in before if keyid not in after]
        changes += [f"{role}: key {keyid[:KEYID_SHOWN]} is new" for keyid in after if keyid not in before]
        if role_threshold(old, role) != role_threshold(new, role):
            changes.append(f"{role}: threshold {role_threshold(new, role)}, was {role_threshold(old, role)}")
    missing = []
    for name, root in (("the root in force", old), ("the new root", new)):
        result = root.get_verification_result(Root.type, made.signed_bytes, made.signatures)
        if not result:
            lacking = result.threshold - len(result.signed)
            keyids = ", ".join(sorted(keyid[:KEYID_SHOWN] for keyid in result.unsigned))
            missing.append(f"{lacking} more of {name} (of {keyids})")
    signed_by = sorted(keyid[:KEYID_SHOWN] for keyid in made.signatures)
    return Review(new.version, new.expires.timestamp(), changes, signed_by, missing)


def check(current: bytes, made: Metadata[Root]) -> bytes:
    """The bytes to publish, if laptops that have ``current`` will follow.

    Raises DraftStale, SignaturesMissing, and like ``trust.root.update``.
    """
    trusted = trust_root.load_stored(current)
    if made.signed.version != trusted.version + 1:
        raise e.DraftStale(found=made.signed.version, expected=trusted.version + 1)
    missing = review(current, made).missing
    if missing:
        raise e.SignaturesMissing(version=made.signed.version, missing="; ".join(missing))
    content = made.to_bytes()
    trust_root.update(trusted, content)
    return content


def write_public(path: Path, signer: CryptoSigner) -> None:
    """Write the public half of a key for ``root draft``."""
    public = signer.public_key
    write_file(path, msgspec.json.format(msgspec.json.encode({"keyid": public.keyid, **public.to_dict()})))


def read_public(path: Path) -> Key:
    """Read the public half of a key. Raises FileUnreadable, NotAPublicKey."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        keyid = document.pop("keyid")
        key = SSlibKey.from_dict(keyid, document)
    except OSError as error:
        raise FileUnreadable(path=path, detail=error.strerror) from error
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
        raise e.NotAPublicKey(path=path) from error
    return key


def _known(role: str) -> str:
    if role not in ROLES:
        raise e.UnknownRole(role=role)
    return role


def _full_keyid(keyids: Sequence[str], role: str, shortened: str) -> str:
    found = [keyid for keyid in keyids if shortened and keyid.startswith(shortened)]
    if len(found) != 1:
        raise e.KeyNotInRole(role=role, keyid=shortened)
    return found[0]


def _delegations(root: Root) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = root.unrecognized_fields.get(DELEGATIONS_FIELD, {})
    return found
