"""Enrolment, the laptop's side. Nothing is trusted that does not follow from the token.

The token names the server's CA and the first root by hash. The CA is fetched without verification and
believed only for its hash; everything after that is TLS verified against it. Each step can be cut off and
done again: the device key is on disk before it is used, and the identity is written in one piece at the end.
"""

from __future__ import annotations

import hashlib
import ssl
import time

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.documents import Identifier, Sequence
from twinhull_policy.trust.token import EnrolmentToken, format_token

from .durable import remove_tree, write_durably
from .errors import BadServerAnswer, WrongServer
from .fleet_client import FleetClient
from .http import PoolFetcher
from .identity import Identity, IdentityStore, check_certificate, pinned_context
from .layout import Layout
from .limits import LIMITS
from .repository import HISTORY, Repository


class EnrolAnswer(msgspec.Struct, frozen=True):
    """The server's answer. Unknown fields are ignored, so that a newer server can say more."""

    tenant: Identifier
    device_id: Identifier
    enrol_epoch: Sequence
    certificate: str
    device_ca: str
    roots: list[str]


async def enrol(
    layout: Layout, store: IdentityStore, server: str, token: EnrolmentToken, wireguard_public_key: str
) -> Identity:
    """Enrol with ``server`` (as ``check_url`` returned it) and write the identity.

    Raises:
        ServerUnreachable: try again.
        WrongServer: what answers is not the server of the token.
        RemoteError: the server refused the token.
        TrustError: the server's root is not the one of the token, or its rotations do not follow.
        BadServerAnswer: anything else that does not fit.
    """
    server_ca, ca_sha256 = await fetch_ca(server)
    if ca_sha256 != token.ca_sha256:
        raise WrongServer
    key = store.key()
    request = {
        "token": format_token(token),
        "csr": store.request(),
        "wireguard_public_key": wireguard_public_key,
    }
    async with FleetClient(server, pinned_context(server_ca)) as client:
        untrusted_answer = await client.post("/v1/enrol", msgspec.json.encode(request), LIMITS.answer_bytes)
    try:
        answer = msgspec.json.decode(untrusted_answer, type=EnrolAnswer)
    except (ValueError, RecursionError) as error:
        raise BadServerAnswer(detail=str(error)) from error
    untrusted_roots = [root.encode() for root in answer.roots]
    if not untrusted_roots:
        raise BadServerAnswer(detail="it holds no root")
    first = trust_root.load_first(untrusted_roots[0], token.root_sha256)
    trust_root.update_chain(first, untrusted_roots[1:])
    check_certificate(answer.certificate, answer.device_ca, key.public_key(), answer.device_id)
    _start_repository(layout, untrusted_roots)
    identity = Identity(
        server=server,
        tenant=answer.tenant,
        device_id=answer.device_id,
        enrol_epoch=answer.enrol_epoch,
        enrolled_at=time.time(),
        certificate=answer.certificate,
        device_ca=answer.device_ca,
        server_ca=server_ca,
    )
    store.save(identity)
    return identity


async def fetch_ca(server: str) -> tuple[str, str]:
    """The CA that a server says it has (PEM) and the SHA-256 of its DER, over an unverified connection.

    Nothing makes it the right one but that hash, which the caller compares or has compared. Raises
    ServerUnreachable, BadServerAnswer.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    async with FleetClient(server, unverified) as client:
        untrusted_ca = await client.get("/v1/ca", LIMITS.ca_bytes)
    try:
        certificate = x509.load_pem_x509_certificate(untrusted_ca)
    except ValueError as error:
        raise BadServerAnswer(detail="its CA is not a certificate") from error
    pem = certificate.public_bytes(Encoding.PEM).decode()
    return pem, hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _start_repository(layout: Layout, roots: list[bytes]) -> None:
    """Trust the verified chain. What an earlier, unfinished enrolment left is cleared first."""
    remove_tree(layout.metadata)
    remove_tree(layout.inbox)
    layout.prepare()
    Repository(layout.metadata, PoolFetcher()).initialise(roots[0])
    for version, root in enumerate(roots, 1):
        # tuf.ngclient verifies each again before it uses it; core follows them from here.
        write_durably(layout.metadata / HISTORY / f"{version}.root.json", root)
