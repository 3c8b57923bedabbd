"""When the state database cannot be relied on: what is still allowed, from what, and the way back.

The core then works on documents in memory. They come from the copy beside the database, whole or not at all;
without one, from what the volumes themselves say. The database is left alone but by :meth:`SafeMode.recover`,
which keeps the damaged file. What policy decides fails closed: the corporate partition runs only under a
statement whose signature was verified again, devices go nowhere by what an owner once answered, and calls
that would have to be remembered are refused (``Rule.in_safe_mode``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec
from twinhull_policy.api.types import GradeCheck
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..storage.files import sync_directory
from ..storage.paths import VolumePaths
from ..storage.standing import read_standing, unnamed
from . import state_file
from .paths import Paths
from .state import PARTITION_DOCUMENTS, PartitionRecord, Position, State
from .state_file import StateUnusable

logger = logging.getLogger(__name__)

Source = Literal["copy", "volumes"]
FIX = "Run 'sudo twinhull doctor --recover-state'; the damaged file is kept beside the new one."


class InSafeMode(TwinhullError):
    """Twinhull is in safe mode, where nothing is changed. {reason}"""

    code = "TH-DMN-040"
    next_step = "Run 'sudo twinhull doctor --recover-state'; the damaged file is kept beside the new one."


class NotInSafeMode(TwinhullError):
    """There is nothing to recover: the state database is in order."""

    code = "TH-DMN-041"
    next_step = "Nothing to do."


@dataclass(frozen=True)
class Recovered:
    """What came of a recovery: where the damaged file is now, or None when it was in order again."""

    kept: Path | None


class SafeMode:
    """The reason for it and what follows.

    Attributes:
        reason: why, in a sentence.
        source: where what is known comes from.
    """

    def __init__(self, paths: Paths, cause: StateUnusable) -> None:
        self.reason = cause.message
        copied = state_file.read_copy(state_file.copy_of(paths.database))
        self.source: Source = "volumes" if copied is None else "copy"
        self._paths = paths
        self.state = State.in_memory(_from_volumes(paths) if copied is None else copied)
        followed = self.state.position() != Position()
        self._lost = copied is None or (followed and self.state.get_bytes("lease") is None)
        self.state.log("refused", f"Safe mode: {self.reason}")
        logger.error("safe mode: %s %s", cause.code, self.reason)

    def closed(self, in_force: object | None) -> str:
        """Why the corporate partition may not run, in words; empty when it may.

        Args:
            in_force: the statement and policy whose signatures were verified again, or None.
        """
        unread = self.state.undecodable & {"lease", "commands", "position", "identity"}
        if not self._lost and not unread and in_force is not None:
            return ""
        return "Twinhull is in safe mode, and nothing left of its state proves that your employer allows it."

    def check(self) -> GradeCheck:
        """As a line of what 'twinhull doctor' shows; it caps no grade, since isolation is as it was."""
        return GradeCheck(
            name="state", passed=False, caps_at="A", reason=f"Safe mode: {self.reason}", fix=FIX
        )

    def recover(self) -> Recovered:
        """Put the damaged database aside and make a new one of what is known; the core has to start anew.

        Cut short at any moment it can be called again after the next start, which is in safe mode as well.

        Raises:
            StateUnusable: the new one cannot be written; the old one is where it was.
        """
        database = self._paths.database
        try:
            open_usable(self._paths).close()
        except StateUnusable as error:
            logger.info("recovering: %s", error.message)
        else:
            return Recovered(None)
        new, kept = database.with_name(database.name + ".recovered"), _free_name(database)
        if new.exists():
            new.unlink()
        line = f"The state database was recovered; the damaged one is {kept.name}"
        state_file.create(new, self.state.documents(), line=line, at=time.time())
        try:
            # The database first: what is beside it alone is never taken for a whole one.
            if database.exists() or database.is_symlink():
                database.rename(kept)
            for side in state_file.side_files(database):
                side.rename(kept.with_name(kept.name + side.name.removeprefix(database.name)))
            sync_directory(database.parent)
            new.rename(database)
            sync_directory(database.parent)
        except OSError as error:
            raise StateUnusable(path=database, detail=state_file.words(error)) from error
        return Recovered(kept)


def open_usable(paths: Paths) -> State:
    """The state, if its database can be relied on.

    Raises:
        StateUnusable: it cannot, or is missing where there are partitions.
    """
    missing = not paths.database.exists() and not paths.database.is_symlink()
    if missing and any(_told_by(paths, name).exists() for name in Partition):
        raise StateUnusable(path=paths.database, detail="it is gone, and there are partitions")
    return State(paths.database)


def _free_name(database: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number, kept = 1, database.with_name(f"{database.name}.damaged-{stamp}")
    while kept.exists() or kept.is_symlink():
        number += 1
        kept = database.with_name(f"{database.name}.damaged-{stamp}-{number}")
    return kept


def _from_volumes(paths: Paths) -> Mapping[str, bytes]:
    """A record of each partition that has a disk, read from the disk's own header."""
    found: dict[str, bytes] = {}
    for name in Partition:
        record = _record_of(_told_by(paths, name))
        if record is not None:
            found[PARTITION_DOCUMENTS[name]] = msgspec.json.encode(record)
    return found


def _told_by(paths: Paths, name: Partition) -> Path:
    """Where a disk's own header is: beside a volume that is closed, or in the disk itself."""
    volume = VolumePaths(paths.volume(name))
    return volume.head if volume.head.exists() else volume.overlay


def _record_of(overlay: Path) -> PartitionRecord | None:
    """What an overlay says of itself: the golden image it stands on and its size.

    The image is verified before a start all the same. The machine gets another UUID than before.
    """
    try:
        found = read_standing(overlay)
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    return PartitionRecord(
        uuid=str(uuid5(NAMESPACE_URL, overlay.absolute().as_uri())),
        image=unnamed(found.sha256),
        image_sha256=found.sha256,
        disk_gib=found.disk_gib,
        created=True,
    )
