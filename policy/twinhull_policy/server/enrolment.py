"""Enrolment: one token, one device.

The token is stored hashed and consumed by a conditional UPDATE inside the transaction that makes the device,
so of two laptops that present it at once exactly one gets in. A laptop that lost the answer asks again with
the same key and gets the same identity; any other key is refused. With another token the same key is the same
laptop enrolling again: what it was before is revoked, so that no laptop counts twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import secrets
import time

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.engine import Row

from twinhull_policy.server import storage as s
from twinhull_policy.server.director import Director
from twinhull_policy.server.errors import (
    BadRequest,
    DeviceRevoked,
    SubnetFull,
    TokenExpired,
    TokenRevoked,
    TokenUsed,
    TokenWrong,
)
from twinhull_policy.server.pki import DeviceAuthority, check_csr, key_sha256
from twinhull_policy.trust.token import parse_token


class EnrolRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/enrol``."""

    token: str
    csr: str
    wireguard_public_key: str


class EnrolAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the laptop now is. ``roots`` are the texts of all versions of root.json, from 1."""

    tenant: str
    device_id: str
    enrol_epoch: int
    certificate: str
    device_ca: str
    roots: list[str]


class RenewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /v1/renew``: a request made with the same device key."""

    csr: str


class RenewAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The next certificate."""

    certificate: str


def enrol(
    storage: s.Storage,
    authority: DeviceAuthority,
    director: Director,
    roots: list[bytes],
    untrusted_request: EnrolRequest,
) -> EnrolAnswer:
    """Turn a token into a device. Everything happens in one transaction.

    Raises:
        TokenMalformed, TokenWrong, TokenUsed, TokenExpired, TokenRevoked: the token does not let it in.
        BadRequest: the request's certificate or WireGuard key is no good; the token stays unused.
        SubnetFull: no tunnel address is left.
    """
    token_hash = hash_secret(parse_token(untrusted_request.token).secret)
    key = check_csr(untrusted_request.csr)
    wireguard = _check_wireguard(untrusted_request.wireguard_public_key)
    name = key_sha256(key)
    with storage.write() as connection:
        now = time.time()
        consumed = connection.execute(
            update(s.tokens)
            .where(
                s.tokens.c.hash == token_hash,
                s.tokens.c.used_at.is_(None),
                s.tokens.c.revoked_at.is_(None),
                s.tokens.c.expires_at > now,
            )
            .values(used_at=now, used_key=name)
        )
        token = connection.execute(select(s.tokens).where(s.tokens.c.hash == token_hash)).first()
        if token is None:
            raise TokenWrong
        if consumed.rowcount == 1:
            device_id = _add_device(connection, token, name, wireguard)
            pem = _issue(connection, authority, device_id, key)
            director.update(connection, len(roots), device_id)
        else:
            device_id, pem = _enrolled_before(connection, token, name, now)
    return EnrolAnswer(
        tenant=director.tenant,
        device_id=device_id,
        enrol_epoch=1,
        certificate=pem,
        device_ca=authority.pem(),
        roots=[root.decode() for root in roots],
    )


def renew(
    storage: s.Storage, authority: DeviceAuthority, device_id: str, untrusted_request: RenewRequest
) -> RenewAnswer:
    """A new certificate for the same device and the same key. Raises BadRequest, DeviceRevoked."""
    key = check_csr(untrusted_request.csr)
    with storage.write() as connection:
        device = connection.execute(select(s.devices).where(s.devices.c.device_id == device_id)).one()
        if device.revoked_at is not None:
            raise DeviceRevoked
        if device.key_sha256 != key_sha256(key):
            raise BadRequest(detail="the request is for another key than the device enrolled with")
        return RenewAnswer(_issue(connection, authority, device_id, key))


def hash_secret(secret: bytes) -> str:
    """How a token's secret is stored: it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(secret).hexdigest()


def fingerprint(certificate: x509.Certificate) -> str:
    """The name of a certificate in the database: SHA-256 of its DER."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _enrolled_before(
    connection: Connection, token: Row[tuple[object, ...]], key_name: str, now: float
) -> tuple[str, str]:
    """The answer that was lost, if it is the same laptop that asks; else why the token does not work."""
    if token.revoked_at is not None:
        raise TokenRevoked
    if token.used_at is None:
        raise TokenExpired
    if token.used_key != key_name:
        raise TokenUsed
    device = connection.execute(select(s.devices).where(s.devices.c.device_id == token.device_id)).one()
    if device.revoked_at is not None:
        raise DeviceRevoked
    table = s.certificates
    query = select(table.c.pem).where(table.c.device_id == token.device_id, table.c.not_after > now)
    pem = connection.execute(query.order_by(table.c.not_after.desc()).limit(1)).scalar()
    if pem is None:
        raise TokenUsed
    return device.device_id, pem


def _add_device(connection: Connection, token: Row[tuple[object, ...]], key_name: str, wireguard: str) -> str:
    device_id = f"d-{secrets.token_hex(8)}"
    now = time.time()
    again = update(s.devices).where(s.devices.c.key_sha256 == key_name, s.devices.c.revoked_at.is_(None))
    if connection.execute(again.values(revoked_at=now, address=None)).rowcount:
        s.record(connection, device_id, "supersede", f"key {key_name} enrolled before")
    connection.execute(
        insert(s.devices).values(
            device_id=device_id,
            group=token.group,
            enrol_epoch=1,
            key_sha256=key_name,
            wireguard_public_key=wireguard,
            address=_free_address(connection),
            enrolled_at=now,
            last_seen=now,
        )
    )
    connection.execute(update(s.tokens).where(s.tokens.c.number == token.number).values(device_id=device_id))
    s.record(connection, device_id, "enrol", f"token {token.number}, group {token.group}, key {key_name}")
    return device_id


def _issue(
    connection: Connection, authority: DeviceAuthority, device_id: str, key: ec.EllipticCurvePublicKey
) -> str:
    certificate = authority.issue(device_id, key)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    connection.execute(
        insert(s.certificates).values(
            fingerprint=fingerprint(certificate),
            device_id=device_id,
            pem=pem,
            issued_at=time.time(),
            not_after=certificate.not_valid_after_utc.timestamp(),
        )
    )
    return pem


def _free_address(connection: Connection) -> str:
    """The lowest free address of the tunnel subnet, CIDR; .0, .1 (the gateway) and the last are left out."""
    subnet = ipaddress.ip_network(s.setting(connection, "tunnel_subnet"))
    query = select(s.devices.c.address).where(s.devices.c.address.is_not(None))
    taken = set(connection.execute(query).scalars())
    for number in range(2, subnet.num_addresses - 1):
        address = f"{subnet[number]}/{subnet.max_prefixlen}"
        if address not in taken:
            return address
    raise SubnetFull(subnet=subnet)


def _check_wireguard(untrusted_key: str) -> str:
    try:
        decoded = base64.b64decode(untrusted_key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(detail="the WireGuard key is not base64") from error
    if len(decoded) != 32 or base64.b64encode(decoded).decode() != untrusted_key:
        raise BadRequest(detail="the WireGuard key is not 32 bytes")
    return untrusted_key
