"""Golden images: only what was signed gets in, and only what is still that is used."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.images.errors import ImageChanged, ImageMissing, ImageUnsafe, ImageWrongLength
from twinhull_hypervisor.images.qcow2 import HEADER, BadHeader, parse_header
from twinhull_hypervisor.images.store import image_path, import_image, verify

GIB = 1024**3


def header(
    *,
    magic: bytes = b"QFI\xfb",
    version: int = 3,
    backing_offset: int = 0,
    backing_length: int = 0,
    cluster_bits: int = 16,
    size: int = GIB,
    encryption: int = 0,
    snapshots: int = 0,
    incompatible: int = 0,
) -> bytes:
    """A version 3 header with one thing wrong, or nothing."""
    return HEADER.pack(
        magic,
        version,
        backing_offset,
        backing_length,
        cluster_bits,
        size,
        encryption,
        2,
        3 << 16,
        1 << 16,
        1,
        snapshots,
        0,
        incompatible,
        0,
        0,
        4,
        104,
    )


CONTENT = header() + bytes(range(256)) * 8192
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def import_bytes(tmp_path: Path, content: bytes, sha256: str, length: int) -> Path:
    """Import through a real file, as from the fetcher."""
    source = tmp_path / "download"
    source.write_bytes(content)
    (tmp_path / "store").mkdir(exist_ok=True)
    fd = os.open(source, os.O_RDONLY)
    try:
        return import_image(fd, sha256, length, tmp_path / "store")
    finally:
        os.close(fd)


def test_a_good_image_is_kept_read_only(tmp_path: Path) -> None:
    path = import_bytes(tmp_path, CONTENT, SHA256, len(CONTENT))
    assert path == tmp_path / "store" / f"{SHA256}.qcow2"
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    told: list[tuple[int, int]] = []
    assert verify(path, SHA256, lambda done, total: told.append((done, total))).virtual_bytes == GIB
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) == 3


def test_a_second_import_is_the_first(tmp_path: Path) -> None:
    path = import_bytes(tmp_path, CONTENT, SHA256, len(CONTENT))
    inode = path.stat().st_ino
    assert import_bytes(tmp_path, CONTENT, SHA256, len(CONTENT)).stat().st_ino == inode


def test_a_leftover_of_a_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f".{SHA256}.new").write_bytes(b"half")
    assert import_bytes(tmp_path, CONTENT, SHA256, len(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "length", "error"),
    [
        (CONTENT[:-1] + b"\0", len(CONTENT), ImageChanged),
        (CONTENT + b"\0", len(CONTENT), ImageWrongLength),
        (CONTENT[:-1], len(CONTENT), ImageWrongLength),
        (b"", len(CONTENT), ImageWrongLength),
        (CONTENT, 0, ImageUnsafe),
        (CONTENT, -1, ImageUnsafe),
        (CONTENT, 65 * GIB, ImageUnsafe),
    ],
)
def test_what_was_not_signed_is_not_kept(
    tmp_path: Path, content: bytes, length: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        import_bytes(tmp_path, content, SHA256, length)
    assert list((tmp_path / "store").iterdir()) == []


def test_a_flipped_bit_names_the_image(tmp_path: Path) -> None:
    path = import_bytes(tmp_path, CONTENT, SHA256, len(CONTENT))
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(len(CONTENT) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ImageChanged, match=SHA256[:16]):
        verify(path, SHA256)


def test_no_image_and_a_link_are_both_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageMissing):
        verify(image_path(tmp_path, SHA256), SHA256)
    (tmp_path / "elsewhere").write_bytes(CONTENT)
    image_path(tmp_path, SHA256).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageMissing):
        verify(image_path(tmp_path, SHA256), SHA256)


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, SHA256 + "\n", SHA256[:-1]])
def test_a_malformed_hash_is_no_path(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(ImageUnsafe):
        image_path(tmp_path, sha256)


BAD_HEADERS = {
    "it is not in qcow2 format": header(magic=b"QFI\0"),
    "its qcow2 version is not 3": header(version=2),
    "it refers to a backing file": header(backing_offset=512, backing_length=11),
    "it is encrypted": header(encryption=2),
    "it keeps its data in another file": header(incompatible=4),
    "it was not closed cleanly or uses features not known here": header(incompatible=1),
    "it holds snapshots": header(snapshots=1),
    "its cluster size is out of bounds": header(cluster_bits=63),
    "its disk size is out of bounds": header(size=2**63),
}


@pytest.mark.parametrize("reason", BAD_HEADERS)
def test_a_signed_image_that_reaches_outside_is_refused(tmp_path: Path, reason: str) -> None:
    content = BAD_HEADERS[reason]
    with pytest.raises(ImageUnsafe, match=reason):
        import_bytes(tmp_path, content, hashlib.sha256(content).hexdigest(), len(content))
    assert list((tmp_path / "store").iterdir()) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(untrusted: bytes) -> None:
    with pytest.raises(BadHeader):
        parse_header(untrusted)


@given(st.integers(0, 103), st.binary(min_size=8, max_size=8))
def test_any_change_leaves_an_image_that_stands_alone(offset: int, patch: bytes) -> None:
    changed = bytearray(header())
    changed[offset : offset + 8] = patch
    untrusted = bytes(changed[:104])
    try:
        parse_header(untrusted)
    except BadHeader:
        return
    assert untrusted[:8] == b"QFI\xfb\0\0\0\3"
    assert struct.unpack_from(">QI", untrusted, 8) == (0, 0)
    assert struct.unpack_from(">Q", untrusted, 72)[0] & 7 == 0
