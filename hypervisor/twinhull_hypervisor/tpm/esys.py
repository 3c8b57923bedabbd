"""The Enhanced System API of the TPM Software Stack (TCG; libtss2-esys of tpm2-tss), as much as is used here.

Structures stay opaque: they are made from and turned into the specification's bytes by the stack's own
libtss2-mu. The stack does sessions, their authorisation, and encryption of what goes to and from the chip.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any, Self

from twinhull_hypervisor.tpm.structures import AES, CFB, DIGEST_BYTES, SHA256

NONE, PASSWORD, OWNER = 0xFFF, 0x0FF, 0x101
"""ESYS_TR_NONE, ESYS_TR_PASSWORD and ESYS_TR_RH_OWNER (tss2_esys.h)."""
HMAC_SESSION, POLICY_SESSION = 0x00, 0x01
CONTINUE_SESSION, DECRYPT, ENCRYPT = 0x01, 0x20, 0x40
CAP_TPM_PROPERTIES = 0x00000006
ROOM = 8192
"""Bytes; more than any structure of the stack takes."""
MOST_PROPERTIES = 64


class ResponseError(Exception):
    """A response code of the chip or of the stack below it.

    Attributes:
        step: the command, "Unseal" for instance; "" when no chip could be reached at all.
        code: TSS2_RC.
    """

    def __init__(self, step: str, code: int) -> None:
        super().__init__(f"{step}: {code:#x}")
        self.step = step
        self.code = code

    @property
    def from_chip(self) -> bool:
        """Whether it is the chip's own answer (or the kernel's resource manager's), not a lower layer's."""
        return self.code >> 16 in (0x00, 0x0B, 0x0C)

    @property
    def reason(self) -> int:
        """The code without which parameter or session it is about (Part 2, 6.6: format one and zero)."""
        code = self.code & 0xFFFF
        return code & 0x00BF if code & 0x0080 else code & 0x0FFF


class Library:
    """The shared libraries. Raises OSError when they are not there."""

    def __init__(self) -> None:
        self.esys = ctypes.CDLL("libtss2-esys.so.0")
        self.mu = ctypes.CDLL("libtss2-mu.so.0")
        self.loader = ctypes.CDLL("libtss2-tctildr.so.0")
        self.esys.Esys_Free.argtypes = [c_void_p]
        self.esys.Esys_Free.restype = None


class Esys:
    """One connection to a chip.

    Args:
        tcti: how it is reached, as libtss2-tctildr has it: "device:/dev/tpmrm0".

    Raises:
        OSError: the libraries are not there.
        ResponseError: no chip is reached by that.
    """

    def __init__(self, tcti: str) -> None:
        self._library = Library()
        self._tcti, self._context = c_void_p(), c_void_p()
        opened = self._library.loader.Tss2_TctiLdr_Initialize(c_char_p(tcti.encode()), byref(self._tcti))
        self._judge("", opened)
        try:
            self._judge(
                "", self._library.esys.Esys_Initialize(byref(self._context), self._tcti, c_void_p(None))
            )
        except ResponseError:
            self._library.loader.Tss2_TctiLdr_Finalize(byref(self._tcti))
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._library.esys.Esys_Finalize(byref(self._context))
        self._library.loader.Tss2_TctiLdr_Finalize(byref(self._tcti))

    def measured(self, selection: bytes) -> list[bytes]:
        """The values of the selected registers, lowest first; fewer than asked for if a bank is missing."""
        with self._answers(1) as (values,):
            wanted = self._made("TPML_PCR_SELECTION", selection)
            self._do("PCR_Read", NONE, NONE, NONE, wanted, None, None, byref(values))
            raw = self._bytes("TPML_DIGEST", values)
        (count,) = struct.unpack_from(">I", raw)
        found, place = [], 4
        for _ in range(count):
            (length,) = struct.unpack_from(">H", raw, place)
            found.append(raw[place + 2 : place + 2 + length])
            place += 2 + length
        return found

    def properties(self, first: int) -> dict[int, int]:
        """TPM2_PT_… from ``first`` on."""
        more = c_uint8()
        with self._answers(1) as (capability,):
            numbers = c_uint32(CAP_TPM_PROPERTIES), c_uint32(first), c_uint32(MOST_PROPERTIES)
            self._do("GetCapability", NONE, NONE, NONE, *numbers, byref(more), byref(capability))
            raw = self._bytes("TPMS_CAPABILITY_DATA", capability)
        (count,) = struct.unpack_from(">I", raw, 4)
        return dict(struct.iter_unpack(">II", raw[8 : 8 + 8 * count]))

    @contextmanager
    def primary(self, public: bytes) -> Iterator[int]:
        """The owner hierarchy's key of this template; made anew, always the same one."""
        handle = c_uint32()
        nothing = self._made("TPM2B_SENSITIVE_CREATE", struct.pack(">HHH", 4, 0, 0))
        template = self._made("TPM2B_PUBLIC", public)
        none = self._made("TPML_PCR_SELECTION", bytes(4))
        data = (c_uint16 * 40)()  # an empty TPM2B_DATA
        words = (OWNER, PASSWORD, NONE, NONE, nothing, template, data, none, byref(handle))
        self._do("CreatePrimary", *words, None, None, None, None)
        with self._flushed(handle.value):
            yield handle.value

    @contextmanager
    def session(self, kind: int, salt_key: int, attributes: int) -> Iterator[int]:
        """A session whose salt is encrypted to a key of the chip's; AES-128-CFB for parameters."""
        handle = c_uint32()
        cipher = (c_uint16 * 3)(AES, 128, CFB)  # TPMT_SYM_DEF
        words = (c_uint32(salt_key), NONE, NONE, NONE, NONE, None, c_uint8(kind), cipher, c_uint16(SHA256))
        self._do("StartAuthSession", *words, byref(handle))
        with self._flushed(handle.value):
            flags = c_uint8(attributes | CONTINUE_SESSION)
            self._do("TRSess_SetAttributes", handle, flags, c_uint8(0xFF))
            yield handle.value

    def create(self, parent: int, session: int, sensitive: bytes, public: bytes) -> tuple[bytes, bytes]:
        """A new object under ``parent``: TPM2B_PUBLIC, and TPM2B_PRIVATE without its length."""
        held = self._made("TPM2B_SENSITIVE_CREATE", sensitive)
        template = self._made("TPM2B_PUBLIC", public)
        none = self._made("TPML_PCR_SELECTION", bytes(4))
        data = (c_uint16 * 40)()
        try:
            with self._answers(2) as (private, made):
                words = (parent, session, NONE, NONE, held, template, data, none)
                self._do("Create", *words, byref(private), byref(made), None, None, None)
                return self._bytes("TPM2B_PUBLIC", made), _simple(private)
        finally:
            ctypes.memset(held, 0, ROOM)

    @contextmanager
    def loaded(self, parent: int, public: bytes, private: bytes) -> Iterator[int]:
        """An object that :meth:`create` made. Raises ValueError: it is none, by its shape."""
        handle = c_uint32()
        half = self._made("TPM2B_PRIVATE", struct.pack(">H", len(private)) + private)
        self._do(
            "Load", parent, PASSWORD, NONE, NONE, half, self._made("TPM2B_PUBLIC", public), byref(handle)
        )
        with self._flushed(handle.value):
            yield handle.value

    def policy(self, session: int, selection: bytes) -> None:
        """TPM2_PolicyPCR as the registers are now, then TPM2_PolicyAuthValue."""
        empty = self._made("TPM2B_DIGEST", bytes(2))
        wanted = self._made("TPML_PCR_SELECTION", selection)
        self._do("PolicyPCR", session, NONE, NONE, NONE, empty, wanted)
        self._do("PolicyAuthValue", session, NONE, NONE, NONE)

    def unseal(self, item: int, session: int, auth: bytes) -> bytes:
        """What an object holds."""
        value = self._made("TPM2B_DIGEST", struct.pack(">H", len(auth)) + auth)
        self._do("TR_SetAuth", item, value)
        ctypes.memset(value, 0, ROOM)
        with self._answers(1) as (content,):
            self._do("Unseal", item, session, NONE, NONE, byref(content))
            return _simple(content, wipe=True)

    def name(self, handle: int) -> bytes:
        """What an object is called: a hash of its public part."""
        with self._answers(1) as (name,):
            self._do("TR_GetName", handle, byref(name))
            return _simple(name)

    @contextmanager
    def _flushed(self, handle: int) -> Iterator[None]:
        """Something that lies in the chip for as long; without it, there would be no room for the next."""
        try:
            yield
        finally:
            self._library.esys.Esys_FlushContext(self._context, c_uint32(handle))

    @contextmanager
    def _answers(self, count: int) -> Iterator[Sequence[Any]]:
        """Pointers that the stack sets to memory of its own, which is freed on leaving."""
        pointers = [c_void_p() for _ in range(count)]
        try:
            yield pointers
        finally:
            for pointer in pointers:
                self._library.esys.Esys_Free(pointer)

    def _made(self, kind: str, content: bytes) -> Any:
        """A structure of the stack's from the specification's bytes. Raises ValueError: it is none."""
        if kind.startswith("TPM2B_") and int.from_bytes(content[:2]) != len(content) - 2:
            raise ValueError(f"not a {kind}: it does not say its length")  # the stack does not look
        room, place = ctypes.create_string_buffer(ROOM), c_size_t(0)
        unmarshal = getattr(self._library.mu, f"Tss2_MU_{kind}_Unmarshal")
        if unmarshal(
            c_char_p(content), c_size_t(len(content)), byref(place), room
        ) != 0 or place.value != len(content):
            raise ValueError(f"not a {kind}")
        return room

    def _bytes(self, kind: str, structure: Any) -> bytes:
        """The specification's bytes of a structure of the stack's."""
        room, place = ctypes.create_string_buffer(ROOM), c_size_t(0)
        marshal = getattr(self._library.mu, f"Tss2_MU_{kind}_Marshal")
        self._judge(kind, marshal(structure, room, c_size_t(ROOM), byref(place)))
        return room.raw[: place.value]

    def _do(self, command: str, *arguments: Any) -> None:
        function = getattr(self._library.esys, f"Esys_{command}")
        plain = [c_uint32(word) if isinstance(word, int) else word for word in arguments]
        self._judge(command, function(self._context, *plain))

    @staticmethod
    def _judge(step: str, code: int) -> None:
        if code != 0:
            raise ResponseError(step, code & 0xFFFFFFFF)


def _simple(pointer: c_void_p, *, wipe: bool = False) -> bytes:
    """The content of a TPM2B of bytes."""
    if not pointer.value:
        return b""
    length = ctypes.cast(pointer, POINTER(c_uint16)).contents.value
    content = ctypes.string_at(pointer.value + 2, length)
    if wipe:
        ctypes.memset(pointer.value + 2, 0, length)
    return content


def is_digest(value: bytes) -> bool:
    """Whether a register of the SHA-256 bank was answered."""
    return len(value) == DIGEST_BYTES
