"""Receipts: what a laptop says of a command, or of a wipe, signed with the key it enrolled with. Pure."""

from __future__ import annotations

from typing import TypeVar

from securesystemslib.signer import Key, Signer

from ..canonical import CanonicalDecoder, encode
from . import envelope
from .documents import RECEIPT_TYPE, WIPE_TYPE, Receipt, WipeReceipt
from .errors import ReceiptForAnother, ReceiptMalformed
from .limits import LIMITS
from .statement import DeviceIdentity

R = TypeVar("R", Receipt, WipeReceipt)

_decoder = CanonicalDecoder(Receipt)
_wipe_decoder = CanonicalDecoder(WipeReceipt)


def verify_receipt(untrusted: bytes, *, key: Key, device: DeviceIdentity) -> Receipt:
    """Accept a receipt only if all of this holds, checked in this order:

    1. The envelope has at most 4 KiB (DocumentTooLarge), is canonical (EnvelopeMalformed), and holds a
       receipt (WrongPayloadType).
    2. The device's own ``key`` signed it (SignatureInvalid).
    3. The payload is a canonical receipt (ReceiptMalformed).
    4. It speaks for exactly the device whose key that is (ReceiptForAnother).
    """
    payload = _payload(untrusted, RECEIPT_TYPE, key, LIMITS.receipt_bytes)
    return _of_device(parse_receipt(payload), device)


def parse_receipt(untrusted_payload: bytes) -> Receipt:
    """Read a canonical receipt. Raises ReceiptMalformed."""
    try:
        return _decoder.decode(untrusted_payload)
    except ValueError as error:
        raise ReceiptMalformed(detail=str(error)) from error


def sign_receipt(receipt: Receipt, signer: Signer) -> bytes:
    """The receipt's envelope."""
    return envelope.sign(RECEIPT_TYPE, encode(receipt), [signer])


def verify_wipe(untrusted: bytes, *, key: Key, device: DeviceIdentity) -> WipeReceipt:
    """Accept the receipt of an owner's wipe as :func:`verify_receipt` does one of a command."""
    payload = _payload(untrusted, WIPE_TYPE, key, LIMITS.wipe_receipt_bytes)
    return _of_device(parse_wipe(payload), device)


def parse_wipe(untrusted_payload: bytes) -> WipeReceipt:
    """Read the canonical receipt of a wipe. Raises ReceiptMalformed."""
    try:
        return _wipe_decoder.decode(untrusted_payload)
    except ValueError as error:
        raise ReceiptMalformed(detail=str(error)) from error


def sign_wipe(receipt: WipeReceipt, signer: Signer) -> bytes:
    """The envelope of a wipe's receipt."""
    return envelope.sign(WIPE_TYPE, encode(receipt), [signer])


def _payload(untrusted: bytes, payload_type: str, key: Key, limit: int) -> bytes:
    return envelope.verify(
        untrusted,
        payload_type=payload_type,
        keys=[key],
        threshold=1,
        role="device",
        what="receipt",
        limit=limit,
    )


def _of_device(receipt: R, device: DeviceIdentity) -> R:
    if DeviceIdentity(receipt.tenant, receipt.device_id, receipt.enrol_epoch) != device:
        raise ReceiptForAnother
    return receipt
