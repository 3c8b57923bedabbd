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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from twinhull_policy.server import storage as s
from twinhull_policy.server.director import Director
from twinhull_policy.server.errors import (
    BadRequest,
    DeviceRevoked,
    SubnetFull,
    TokenExpired,
    TokenNotForKey,
    TokenRevoked,
    TokenUsed,
    TokenWrong,
)
from twinhull_policy.server.pki import DeviceAuthority, check_csr, key_sha256
from twinhull_policy.server.store import audit, devices, settings, tokens
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
        TokenMalformed, TokenWrong, TokenUsed, TokenExpired, TokenRevoked, TokenNotForKey: the token does
        not let it in.
        BadRequest: the request's certificate or WireGuard key is no good; the token stays unused.
        SubnetFull: no tunnel address is left.
    """
    token_hash = hash_secret(parse_token(untrusted_request.token).secret)
    key = check_csr(untrusted_request.csr)
    wireguard = _check_wireguard(untrusted_request.wireguard_public_key)
    name = key_sha256(key)
    with storage.write() as tx:
        now = time.time()
        consumed = tokens.consume(tx, token_hash, name, now)
        token = tokens.by_hash(tx, token_hash)
        if token is None:
            raise TokenWrong
        if consumed:
            device_id = _add_device(tx, token, name, wireguard, now)
            pem = _issue(tx, authority, device_id, key)
            director.update(tx, len(roots), device_id)
        else:
            device_id, pem = _enrolled_before(tx, token, name, now)
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
    with storage.write() as tx:
        device = devices.get(tx, device_id)
        if device is None or device.revoked_at is not None:
            raise DeviceRevoked
        if device.key_sha256 != key_sha256(key):
            raise BadRequest(detail="the request is for another key than the device enrolled with")
        return RenewAnswer(_issue(tx, authority, device_id, key))


def hash_secret(secret: bytes) -> str:
    """How a token's secret is stored: it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(secret).hexdigest()


def fingerprint(der: bytes) -> str:
    """The name of a certificate in the database: SHA-256 of its DER."""
    return hashlib.sha256(der).hexdigest()


def _enrolled_before(tx: s.Tx, token: tokens.SecretToken, key_name: str, now: float) -> tuple[str, str]:
    """The answer that was lost, if it is the same laptop that asks; else why the token does not work."""
    if token.revoked_at is not None:
        raise TokenRevoked
    if token.used_at is None:
        raise TokenExpired if token.expires_at <= now else TokenNotForKey
    if token.used_key != key_name or token.device_id is None:
        raise TokenUsed
    device = devices.get(tx, token.device_id)
    if device is None or device.revoked_at is not None:
        raise DeviceRevoked
    pem = devices.valid_certificate(tx, device.device_id, now)
    if pem is None:
        raise TokenUsed
    return device.device_id, pem


def _add_device(tx: s.Tx, token: tokens.SecretToken, key_name: str, wireguard: str, now: float) -> str:
    device_id = f"d-{secrets.token_hex(8)}"
    if devices.supersede(tx, key_name, now):
        audit.append(tx, device_id, "supersede", f"key {key_name} enrolled before")
    devices.add(
        tx,
        device_id=device_id,
        group=token.group,
        key_sha256=key_name,
        wireguard_public_key=wireguard,
        address=_free_address(tx),
        label=token.label,
        ring=secrets.randbelow(1 << 31),
        now=now,
    )
    tokens.note_device(tx, token.number, device_id)
    audit.append(tx, device_id, "enrol", f"token {token.number}, group {token.group}, key {key_name}")
    return device_id


def _issue(tx: s.Tx, authority: DeviceAuthority, device_id: str, key: ec.EllipticCurvePublicKey) -> str:
    certificate = authority.issue(device_id, key)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    devices.add_certificate(
        tx,
        devices.Certificate(
            fingerprint=fingerprint(certificate.public_bytes(serialization.Encoding.DER)),
            device_id=device_id,
            pem=pem,
            issued_at=time.time(),
            not_after=certificate.not_valid_after_utc.timestamp(),
        ),
    )
    return pem


def _free_address(tx: s.Tx) -> str:
    """The lowest free address of the tunnel subnet, CIDR; .0, .1 (the gateway) and the last are left out."""
    subnet = ipaddress.ip_network(settings.get(tx, "tunnel_subnet"))
    taken = devices.addresses(tx)
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
