"""The LUKS2 header of a container: only one that says exactly what ours say is ever opened. Pure.

Layout and fields are those of the LUKS2 On-Disk Format Specification 1.1.1, chapters 2 and 3. The schema is
closed: another cipher (cipher_null among them), other segments, a requirement, a token or a derivation that
would take hours is no header of ours. All of it is parsed as untrusted.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

HEADER_BYTES = 4 * 2**20
"""Two metadata areas and eight key slots; the data begins behind it."""
METADATA_BYTES = 16 * 1024
KEYSLOTS_BYTES = HEADER_BYTES - 2 * METADATA_BYTES
CIPHER = "aes-xts-plain64"
SECTOR_BYTES = 4096
FIXED = struct.Struct(">6sHQQ48s32s64s40s48sQ184s64s")
MAGIC, VERSION = b"LUKS\xba\xbe", 2
SUM_OFFSET, SUM_BYTES = 448, 64
BINARY_BYTES = 4096
NAME = "header-{}.backup"


class BadHeader(ValueError):
    """What is in the header's place is not one of ours."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base: closed."""


class _Af(_Closed, frozen=True):
    type: Literal["luks1"]
    stripes: Literal[4000]
    hash: Literal["sha256"]


class _Area(_Closed, frozen=True):
    type: Literal["raw"]
    offset: str
    size: str
    encryption: Literal["aes-xts-plain64"]
    key_size: Literal[64]


class _Kdf(_Closed, frozen=True):
    type: Literal["argon2id"]
    time: Annotated[int, msgspec.Meta(ge=4, le=16)]
    memory: Annotated[int, msgspec.Meta(ge=32, le=1024 * 1024)]
    cpus: Annotated[int, msgspec.Meta(ge=1, le=16)]
    salt: str


class _Keyslot(_Closed, frozen=True):
    type: Literal["luks2"]
    key_size: Literal[64]
    af: _Af
    area: _Area
    kdf: _Kdf
    priority: Literal[1] = 1


class _Segment(_Closed, frozen=True):
    type: Literal["crypt"]
    offset: Literal["4194304"]
    size: Literal["dynamic"]
    iv_tweak: Literal["0"]
    encryption: Literal["aes-xts-plain64"]
    sector_size: Literal[4096]


class _Digest(_Closed, frozen=True):
    type: Literal["pbkdf2"]
    keyslots: list[str]
    segments: list[Literal["0"]]
    salt: str
    digest: str
    hash: Literal["sha256"]
    iterations: Annotated[int, msgspec.Meta(ge=1000, le=10_000_000)]


class _Config(_Closed, frozen=True):
    json_size: Literal["12288"]
    keyslots_size: Literal["4161536"]


SlotNumber = Literal["0", "1", "2", "3", "4", "5", "6", "7"]


class _Metadata(_Closed, frozen=True):
    keyslots: Annotated[dict[SlotNumber, _Keyslot], msgspec.Meta(max_length=8)]
    tokens: Annotated[dict[str, str], msgspec.Meta(max_length=0)]
    segments: Annotated[dict[Literal["0"], _Segment], msgspec.Meta(min_length=1, max_length=1)]
    digests: Annotated[dict[Literal["0"], _Digest], msgspec.Meta(min_length=1, max_length=1)]
    config: _Config


@dataclass(frozen=True, slots=True)
class Header:
    """One of ours.

    Attributes:
        name: what a backup of it is called, by all its bytes.
        slots: the numbers of the key slots that hold a key, at least one.
    """

    name: str
    slots: tuple[int, ...]


def parse(untrusted: bytes | memoryview) -> Header:
    """The header at the beginning of a container. Raises BadHeader."""
    if len(untrusted) != HEADER_BYTES:
        raise BadHeader("the container is shorter than its header")
    fields = FIXED.unpack_from(untrusted)
    if (fields[0], fields[1]) != (MAGIC, VERSION):
        raise BadHeader("it does not begin as a LUKS2 header does")
    if (fields[2], fields[9]) != (METADATA_BYTES, 0) or fields[5].rstrip(b"\0") != b"sha256":
        raise BadHeader("its sizes or its checksum are not ours")
    area = bytearray(untrusted[:METADATA_BYTES])
    area[SUM_OFFSET : SUM_OFFSET + SUM_BYTES] = bytes(SUM_BYTES)
    if hashlib.sha256(area).digest().ljust(SUM_BYTES, b"\0") != fields[11]:
        raise BadHeader("its checksum is wrong")
    text, _, _ = bytes(area[BINARY_BYTES:]).partition(b"\0")
    try:
        metadata = msgspec.json.decode(text, type=_Metadata)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadHeader(f"what it says is not what ours say ({error})") from error
    if not metadata.keyslots:
        raise BadHeader("it holds no key at all")
    _require_places(metadata.keyslots)
    told = hashlib.sha256(untrusted).hexdigest()[:32]
    return Header(NAME.format(told), tuple(sorted(int(number) for number in metadata.keyslots)))


def _require_places(keyslots: Mapping[SlotNumber, _Keyslot]) -> None:
    """Each key slot lies within the header, and none over another."""
    end = 2 * METADATA_BYTES
    areas = sorted((_number(slot.area.offset), _number(slot.area.size)) for slot in keyslots.values())
    for offset, size in areas:
        if offset < end or not 0 < size <= HEADER_BYTES - offset:
            raise BadHeader("a key slot lies where none may be")
        end = offset + size


def _number(untrusted: str) -> int:
    """An offset, which LUKS2 writes as text."""
    if not untrusted.isascii() or not untrusted.isdigit() or len(untrusted) > 10:
        raise BadHeader("an offset is no number")
    return int(untrusted)
