"""The one canonical JSON form of signed documents: what is hashed is exactly what is read.

Canonical means: UTF-8, no white space, keys sorted, every field of the schema written, nothing twice. A
document that survives ``encode(decode(document)) == document`` therefore holds no duplicate key, no second
spelling of a number or string, and no field the schema does not know; that comparison is the whole check
and costs one encoding.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """The canonical bytes of a struct (or of anything made of dicts, lists, strings and integers)."""
    return _encoder.encode(value)


class NotCanonicalError(ValueError):
    """Raised to callers inside this package: well formed, but not in canonical form."""


class CanonicalDecoder(Generic[T]):
    """Decodes canonical documents of one struct type and nothing else.

    The type must be closed throughout (``forbid_unknown_fields``, no ``Any``): then what does not fit is
    refused where it begins, and no nesting is ever followed further than the type itself goes.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind, strict=True)

    def decode(self, untrusted: bytes) -> T:
        """The value ``untrusted`` holds; bounding its size is the caller's part.

        Raises ValueError, with the path of the field where there is one, for everything else:
        ``msgspec.ValidationError`` and ``NotCanonicalError`` are ValueErrors.
        """
        value = self._decoder.decode(untrusted)
        if encode(value) != untrusted:
            raise NotCanonicalError("not in canonical form (sorted keys, no white space, nothing twice)")
        return value
