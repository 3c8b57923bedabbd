"""The server's part of the key of a corporate volume: derived, so that there is one secret to keep.

It is another for each device, enrolment and generation of the volume's key. A laptop that is revoked or
locked gets none. Whoever loses the secret loses every volume whose key has such a part (docs/adr/0020).
"""

from __future__ import annotations

import base64
import secrets
import time

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from twinhull_policy.canonical import encode
from twinhull_policy.server import storage as s
from twinhull_policy.server.errors import DeviceRevoked, ShareWithheld
from twinhull_policy.server.store import commands, devices, settings

SECRET = "volume_share_secret"  # noqa: S105 - the name of a setting
SHARE_BYTES = 32
COMMANDS = 64
"""How far back the last lock is looked for."""


class ShareAnswer(msgspec.Struct, frozen=True):
    """``GET /v1/share``."""

    share: bytes


def share(storage: s.Storage, tenant: str, device_id: str, generation: str) -> ShareAnswer:
    """The share of one device's volume key. Raises DeviceRevoked, ShareWithheld."""
    with storage.read() as tx:
        device = devices.get(tx, device_id)
        if device is None or device.revoked_at is not None:
            raise DeviceRevoked
        if _locked(tx, device_id):
            raise ShareWithheld
        found = settings.find(tx, SECRET)
    if found is None:
        found = _new_secret(storage)
    info = encode(["twinhull volume share 1", tenant, device_id, device.enrol_epoch, generation])
    return ShareAnswer(share=HKDF(SHA256(), SHARE_BYTES, None, info).derive(base64.b64decode(found)))


def _new_secret(storage: s.Storage) -> str:
    """Made when it is first needed; whoever comes second takes the one that is there."""
    with storage.write() as tx:
        found = settings.find(tx, SECRET)
        if found is None:
            found = base64.b64encode(secrets.token_bytes(SHARE_BYTES)).decode()
            settings.add(tx, {SECRET: found})
    return found


def _locked(tx: s.Tx, device_id: str) -> bool:
    """Whether the newest word to a device about its lock is that it is locked."""
    now = time.time()
    for command in commands.of_device(tx, device_id, COMMANDS):
        void = command.shown(now) in ("withdrawn", "expired", "failed")
        if command.action in ("lock", "unlock") and not void:
            return command.action == "lock"
    return False
