"""What a file is told to be before it crosses, and the guest's end of it by itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_client.gui.errors import FileTooLarge
from twinhull_client.gui.exchange_file import NAME_BYTES, UNKNOWN, examine_file, media_type, safe_name
from twinhull_client.viewer import protocol
from twinhull_policy.exchange import FILE_BYTES, ExchangeFacts, decide_exchange
from twinhull_policy.model import Direction, ExchangeSection, TypedTransfer

from tests.support.file_guest import (
    BEGIN,
    END,
    FRAME,
    MAGIC,
    NOTHING,
    OFFERED,
    READ,
    STOP,
    TAKEN,
    WRITE,
    Desk,
    old,
)

# What the guest calls it -> what it is called when it crosses.
NAMES = {
    "report.pdf": "report.pdf",
    "Bericht März.odt": "Bericht März.odt",
    "見積書.pdf": "見積書.pdf",
    "../../etc/passwd": "_._etc_passwd",
    "/etc/passwd": "_etc_passwd",
    "..": "file",
    "...": "file",
    "": "file",
    " ": "file",
    ".bashrc": "bashrc",
    "-rf": "rf",
    "a\nb": "a_b",
    "a\0b": "a_b",
    "invoice\u202efdp.exe": "invoice_fdp.exe",
    "a\u200b.txt": "a_.txt",
    "\u3164": "_",
    'a:b*c?d"e<f>g|h\\i': "a_b_c_d_e_f_g_h_i",
    "trailing. . ": "trailing",
    "x" * 300 + ".pdf": "x" * (NAME_BYTES - 4) + ".pdf",
    "é" * 300 + ".pdf": "é" * ((NAME_BYTES - 4) // 2) + ".pdf",
    "a." + "b" * 300: ("a." + "b" * 300)[:NAME_BYTES],
}


@pytest.mark.parametrize("said", list(NAMES))
def test_a_name_is_only_a_name(said: str) -> None:
    assert safe_name(said) == NAMES[said]


@given(st.text(max_size=300))
def test_whatever_a_guest_calls_it(said: str) -> None:
    name = safe_name(said)
    assert 1 <= len(name.encode()) <= NAME_BYTES
    assert name not in (".", "..") and name[0] not in ".- " and name[-1] not in ". "
    assert name.isprintable() and not set(name) & set('/\\:*?"<>|')


TYPES = {
    b"%PDF-1.7": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"RIFF\0\0\0\0WEBPVP8 ": "image/webp",
    b"RIFX\0\0\0\0WEBPVP8 ": UNKNOWN,
    b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.oasis.opendocument.text": (
        "application/vnd.oasis.opendocument.text"
    ),
    b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml": "application/zip",
    bytes(30) + b"mimetypeapplication/vnd.oasis.opendocument.text": UNKNOWN,
    b"\x7fELF\2\1\1": "application/x-executable",
    b"MZ\x90\0": "application/vnd.microsoft.portable-executable",
    b"#!/bin/sh\n": "application/x-shellscript",
    b"\0\0\0\x20ftypisom": "video/mp4",
    b"hello\n": "text/plain",
    "grüße\r\n\t".encode(): "text/plain",
    b" \n<!DOCTYPE HTML><script>": "text/html",
    "\ufeff<?xml version='1.0'?>".encode(): "application/xml",
    b"a\x1b[2J": UNKNOWN,
    b"\xff\xfe": UNKNOWN,
    b"": UNKNOWN,
}


@pytest.mark.parametrize("content", list(TYPES))
def test_the_type_is_what_the_content_begins_like(content: bytes) -> None:
    assert media_type(content)[0] == TYPES[content]


@given(st.binary(max_size=64), st.binary(min_size=1, max_size=255))
def test_whatever_a_guest_offers_can_be_asked_about(content: bytes, name: bytes) -> None:
    allowed = ExchangeSection(to_corporate=Direction(files=TypedTransfer(verdict="ask")))
    (question,) = examine_file(content, name).questions("to_corporate")
    assert decide_exchange(question, allowed).verdict == "ask"


def test_what_a_person_is_told() -> None:
    program = examine_file(b"\x7fELF", b"invoice.pdf")
    assert (program.program, program.disguised, program.renamed, program.beginning) == (True, True, False, "")
    honest = examine_file(b"%PDF-", b"invoice.pdf")
    assert (honest.program, honest.disguised) == (False, False)
    office = examine_file(b"PK\x03\x04", b"table.xlsx")
    assert not office.disguised
    hidden = examine_file(b"a\xe2\x80\xaeb" + b"x" * 9000, b"\xff\n.txt")
    assert hidden.beginning.startswith("a[U+202E]b")
    assert not hidden.whole
    assert hidden.renamed and hidden.said == "\ufffd[U+000B].txt"
    script = examine_file(b"#!/bin/sh\nrm -rf ~\n", b"notes.txt")
    assert script.program and script.whole and "rm -rf" in script.beginning
    with pytest.raises(FileTooLarge):
        examine_file(bytes(FILE_BYTES + 1), b"a")
    assert examine_file(b"", b"a").questions("to_corporate") == (
        ExchangeFacts(way="to_corporate", kind="files", size_bytes=0, type=UNKNOWN),
    )


# -- the program in the guest --------------------------------------------------------------------------------


class Host:
    """The host's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._number = connection, 7

    def ask(self, kind: int, value: int = 0, content: bytes = b"") -> tuple[int, int, bytes]:
        """Send one request; kind, value and bytes of the answer."""
        self._number += 1
        self.say(FRAME.pack(MAGIC, kind, self._number, value, len(content)) + content)
        magic, told, number, said, length = self.hear()
        assert (magic, number) == (MAGIC, self._number)
        return told, said, self._exactly(length)

    def say(self, frame: bytes) -> None:
        """Send what may be a request."""
        self._socket.sendall(frame)

    def hear(self) -> tuple[bytes, int, int, int, int]:
        """The head of the next answer."""
        magic, kind, number, value, length = FRAME.unpack(self._exactly(FRAME.size))
        return magic, kind, number, value, length

    def bring(self, name: bytes, content: bytes) -> int:
        """Have a file kept; the kind of the last answer."""
        told = self.ask(BEGIN, len(content), name)[0]
        for kind, value, part in ((WRITE, 0, content), (END, 0, b"")):
            if told != NOTHING:
                told = self.ask(kind, value, part)[0]
        return told

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self._socket.recv(size - len(content))
            assert part
            content += part
        return content


@contextmanager
def program(folder: Path) -> Iterator[tuple[Desk, Host]]:
    """The program, answering in a home of its own."""
    desk = Desk(folder)
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with ours, theirs, desk.serving(theirs):
        yield desk, Host(ours)


def test_the_program_gives_what_is_offered_and_nothing_else(tmp_path: Path) -> None:
    with program(tmp_path) as (desk, host):
        secret = desk.home / "secret.txt"
        secret.write_bytes(b"secret")
        assert host.ask(OFFERED)[0] == NOTHING
        assert host.ask(READ)[0] == NOTHING
        sent = desk.home / "a.txt"
        sent.write_bytes(bytes(200_000))
        desk.offer(sent)
        assert host.ask(OFFERED) == (OFFERED, 200_000, b"a.txt")
        assert len(host.ask(READ, 0)[2]) == 65536
        assert host.ask(READ, 199_990) == (READ, 199_990, bytes(10))
        assert host.ask(READ, 200_000) == (READ, 200_000, b"")
        assert host.ask(READ, 2**63)[0] == NOTHING
        sent.unlink()
        sent.symlink_to(secret)  # what is in its place now was not chosen
        assert host.ask(OFFERED)[0] == NOTHING
        sent.unlink()
        os.mkfifo(sent)
        assert host.ask(OFFERED)[0] == NOTHING
        sent.unlink()
        sent.write_bytes(b"again")
        assert host.ask(OFFERED) == (OFFERED, 5, b"a.txt")
        assert host.ask(TAKEN)[0] == TAKEN
        assert host.ask(OFFERED)[0] == NOTHING
        desk.offer(sent)
        old(desk, 61)
        assert host.ask(OFFERED)[0] == NOTHING
        old_link = desk.runtime / "twinhull-offer"
        assert not old_link.is_symlink()


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b".bashrc", b"../x", b"/x", b"a/b", b"a\nb", b"\xff", b"a\0b"]
)
def test_the_program_keeps_nothing_under_what_is_no_name(name: bytes, tmp_path: Path) -> None:
    with program(tmp_path) as (desk, host):
        assert host.bring(name, b"x") == NOTHING
        assert desk.kept() == {}


def test_the_program_writes_over_nothing_and_no_more_than_was_announced(tmp_path: Path) -> None:
    with program(tmp_path) as (desk, host):
        desk.downloads.mkdir()
        secret = desk.home / "secret.txt"
        secret.write_bytes(b"secret")
        (desk.downloads / "a.txt").symlink_to(secret)
        (desk.downloads / ".twinhull-arriving").symlink_to(secret)
        assert host.bring(b"a.txt", b"new") == END
        assert secret.read_bytes() == b"secret"
        assert desk.kept() == {"a.txt": b"secret", "a (2).txt": b"new"}
        assert host.ask(BEGIN, 3, b"b.txt")[0] == BEGIN
        assert host.ask(WRITE, 0, b"four")[0] == NOTHING
        assert host.ask(END)[0] == NOTHING
        assert host.ask(BEGIN, 3, b"b.txt")[0] == BEGIN
        assert host.ask(STOP)[0] == STOP
        assert host.ask(END)[0] == NOTHING
        assert host.ask(BEGIN, 2**62, b"b.txt")[0] == NOTHING
        assert set(desk.kept()) == {"a.txt", "a (2).txt"}


def test_the_program_finds_the_next_request_after_one_that_was_cut_off(tmp_path: Path) -> None:
    """What is cut off takes the next one with it, at most."""
    with program(tmp_path) as (_desk, host):
        host.say(FRAME.pack(MAGIC, BEGIN, 1, 3, 5)[:-7] + b"TWH")
        for number in (1, 2, 3):
            host.say(FRAME.pack(MAGIC, STOP, number, 0, 0))
        assert [host.hear() for _ in range(2)] == [(MAGIC, STOP, number, 0, 0) for number in (2, 3)]


def test_both_ends_have_the_same_limits() -> None:
    assert protocol.MAX_FILE == FILE_BYTES
    assert protocol.MAX_FILE_NAME >= NAME_BYTES
