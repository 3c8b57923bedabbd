"""Whether the packet filter of a namespace is still the one that was loaded.

The kernel numbers the generations of a namespace's rule sets (NFT_MSG_GETGEN, linux/netfilter/nf_tables.h),
so as long as nobody changed anything the answer costs one small message. After a change the table is read and
compared.
"""

from __future__ import annotations

import socket
import struct

from . import namespaces, rules
from .errors import NetworkChangeFailed
from .events import NETLINK_NETFILTER

NFT_MSG_GETGEN = 10 << 8 | 16
NLM_F_REQUEST = 1
NFTA_GEN_ID = 1
_HEADER = struct.Struct("=LHHLL")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct(">L")
REPLY_SECONDS = 5.0


def generation(namespace: str) -> int:
    """The number of the rule set in force in a namespace. Raises NetworkChangeFailed."""

    def ask() -> int:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as connection:
            connection.settimeout(REPLY_SECONDS)
            size = _HEADER.size + _FAMILY.size
            connection.send(_HEADER.pack(size, NFT_MSG_GETGEN, NLM_F_REQUEST, 1, 0) + _FAMILY.pack(0, 0, 0))
            return _generation(connection.recv(4096))

    try:
        return namespaces.inside(namespace, ask)
    except (OSError, struct.error) as error:
        raise NetworkChangeFailed(reason=f"the packet filter's generation: {error}") from error


def _generation(reply: bytes) -> int:
    offset = _HEADER.size + _FAMILY.size
    while offset + _ATTRIBUTE.size <= len(reply):
        size, kind = _ATTRIBUTE.unpack_from(reply, offset)
        if kind & 0x3FFF == NFTA_GEN_ID:
            return int(_NUMBER.unpack_from(reply, offset + _ATTRIBUTE.size)[0])
        offset += max(size + 3 & ~3, _ATTRIBUTE.size)
    raise NetworkChangeFailed(reason="the kernel names no generation of the packet filter")


class Filter:
    """The packet filter of one namespace, and what it read like when it was loaded."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._known: tuple[int, str] | None = None

    def load(self, ruleset: str) -> str:
        """Load a rule set and return its fingerprint, to be remembered."""
        rules.apply(self._namespace, ruleset)
        return rules.fingerprint(self._namespace)

    def intact(self, fingerprint: str) -> bool:
        """Whether what is loaded reads like what was."""
        number = generation(self._namespace)
        if self._known is None or self._known[0] != number:
            # The number first: a change while it is read makes the next question read again.
            self._known = (number, rules.fingerprint(self._namespace))
        return bool(fingerprint) and self._known[1] == fingerprint
