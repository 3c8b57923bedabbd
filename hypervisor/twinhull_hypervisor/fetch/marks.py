"""What must never be forgotten about a repository: the greatest versions seen, and the latest time proven.

tuf.ngclient keeps this knowledge only in its cached metadata; with the cache emptied (a power cut is enough)
it accepts an older repository. This record is written with fsync after the metadata it speaks of.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from .durable import write_durably
from .errors import NotInitialised, StateDamaged

FILE_NAME = ".twinhull-marks"
"""Not ``.json``: those are the roles' own names."""
MARKED_ROLES = (Timestamp.type, Snapshot.type, Targets.type)
Version = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Marks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The record.

    ``time_floor`` is the wall clock of the last successful refresh, seconds. A refresh succeeds only while
    the timestamp metadata is unexpired, so a clock set wildly forward cannot push it beyond that.
    ``keys`` names the keys that timestamp and snapshot had: a rotation of those by the offline root takes
    the versions back (TUF specification 5.3.11), for a thief may have pushed them to the greatest number.
    """

    first_root_sha256: str
    root_version: Version
    root_sha256: str
    versions: dict[str, Version]
    keys: str
    time_floor: float

    def under(self, root: Root) -> Marks:
        """The marks to hold against metadata that ``root`` vouches for."""
        keys = key_names(root)
        return self if keys == self.keys else msgspec.structs.replace(self, keys=keys, versions={})


def key_names(root: Root) -> str:
    """One name for the keys of timestamp and snapshot."""
    named = [
        (role, sorted(root.roles[role].keyids), root.roles[role].threshold)
        for role in (Timestamp.type, Snapshot.type)
    ]
    return hashlib.sha256(repr(named).encode()).hexdigest()


def load_marks(directory: Path) -> Marks:
    """Read the record. Raises NotInitialised, StateDamaged (never treated as a fresh start)."""
    path = directory / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Marks)
    except FileNotFoundError as error:
        raise NotInitialised(directory=directory) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateDamaged(path=path, detail=str(error)) from error


def save_marks(directory: Path, marks: Marks) -> None:
    """Write the record durably."""
    write_durably(directory / FILE_NAME, msgspec.json.encode(marks))
