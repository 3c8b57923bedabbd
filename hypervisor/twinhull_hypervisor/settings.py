"""Host settings, ``/etc/twinhull/host.json``: what this machine's owner or installer decided.

Read once by each process's ``main`` and passed down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from twinhull_policy.errors import Blame, TwinhullError

from twinhull_hypervisor.tpm.structures import Pcr

S = TypeVar("S", bound=msgspec.Struct)
SETTINGS_PATH = Path("/etc/twinhull/host.json")
SIZE_LIMIT = 64 * 1024


class BadSettings(TwinhullError):
    """The host settings in {path} cannot be used: {detail}."""

    code = "TH-DMN-001"
    blame = Blame.MALFORMED
    next_step = "Mend the file; docs/architecture.md lists its fields."


class PersonalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The personal partition's share of the machine; its owner's choice, out of any policy's reach."""

    vcpus: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    memory_mib: Annotated[int, msgspec.Meta(ge=256, le=1024 * 1024)] = 2048
    disk_gib: Annotated[int, msgspec.Meta(ge=1, le=16 * 1024)] = 32


class HostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything in the file; a missing file means the defaults, which are the strict ones."""

    underlay_namespace: Annotated[str, msgspec.Meta(pattern="^([a-z][a-z0-9-]{0,31})?$")] = ""
    """Network namespace the tunnel's UDP socket lives in; empty for the host's own."""
    uplink_mbit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """How fast the laptop's link sends, Mbit/s, so that the laptop decides who goes first; 0 if unknown."""
    downlink_mbit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """How fast it receives."""
    personal_dns: Annotated[list[str], msgspec.Meta(max_length=4)] = []
    """DNS servers of the personal side, IP addresses; empty for none."""
    allow_unconfined: bool = False
    """Start partitions although the kernel has no mandatory access control (recorded by the owner)."""
    owner: Annotated[str, msgspec.Meta(max_length=32)] = ""
    """Login name of the person this laptop belongs to."""
    owner_phrase: Annotated[str, msgspec.Meta(max_length=80)] = ""
    """The phrase shown in the strip, chosen by the owner."""
    tpm_pcrs: Annotated[list[Pcr], msgspec.Meta(min_length=1, max_length=16)] = msgspec.field(
        default_factory=lambda: [7]
    )
    """The TPM's registers a PIN is bound to when its slot is made; 7 is the state of Secure Boot."""
    personal: PersonalSettings = PersonalSettings()


def load_settings(path: Path = SETTINGS_PATH) -> HostSettings:
    """Read the settings; strict defaults when there is no file.

    Raises:
        BadSettings: the file is unreadable, too long, or not of the closed schema.
    """
    return read_settings(path, HostSettings)


def read_settings(path: Path, kind: type[S]) -> S:
    """Read a file of settings as ``kind``, whose defaults hold when there is none.

    Raises:
        BadSettings: the file is unreadable, too long, or not of the closed schema.
    """
    try:
        with path.open("rb") as file:
            untrusted_settings = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        return kind()
    except OSError as error:
        raise BadSettings(path=path, detail=error.strerror) from error
    if len(untrusted_settings) > SIZE_LIMIT:
        raise BadSettings(path=path, detail=f"longer than {SIZE_LIMIT} bytes")
    try:
        return msgspec.json.decode(untrusted_settings, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadSettings(path=path, detail=error) from error
