"""cryptsetup and the programs of the file system inside, as diskd runs them.

A key is 32 random bytes in somebody's memory file (memfd_create(2)), named by descriptor: it is in no
argument and no environment, and this process never reads it. As it is random it needs no stretching, and
Argon2id takes the least there is; what a person types is stretched before (``storage.slots``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from twinhull_policy.names import Partition

from ..run import Completed, last_line, run
from .errors import BadDiskArgument, ContainerFailed, ContainerKey
from .header import CIPHER, HEADER_BYTES, KEYSLOTS_BYTES, METADATA_BYTES, SECTOR_BYTES

KEY_BYTES = 32
SECONDS = 300.0
"""For one program. Making or growing a large file system on a slow disk takes tens of seconds."""
WRONG_KEY = 2
"""cryptsetup(8), "RETURN CODES": no permission (bad passphrase)."""
DERIVATION = (
    *("--pbkdf", "argon2id", "--pbkdf-force-iterations", "4"),
    *("--pbkdf-memory", "32", "--pbkdf-parallel", "1"),
)
REPAIRED = 1
"""e2fsck(8): errors were corrected; above it something is left to be done."""
OPTIONS = "nosuid,nodev,noexec,noatime"


def require_key(fd: int) -> Path:
    """A descriptor's name for a program, once it is memory with a key. Raises BadDiskArgument."""
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 0 or about.st_size != KEY_BYTES:
        raise BadDiskArgument(detail=f"a key is {KEY_BYTES} bytes in anonymous memory")
    return Path(f"/proc/self/fd/{fd}")


class Luks:
    """One partition's container, as programs see it. Each method raises ContainerFailed.

    Args:
        partition: whose, for what is raised.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self.name = f"twinhull-{partition.value}"

    @property
    def mapped(self) -> Path:
        """Where what is inside is, while it is open."""
        return Path("/dev/mapper") / self.name

    def format(self, device: Path, key: int) -> None:
        """Make a LUKS2 header with one key slot."""
        options = ["--type", "luks2", "--cipher", CIPHER, "--key-size", "512", "--hash", "sha256"]
        options += ["--sector-size", str(SECTOR_BYTES), "--offset", str(HEADER_BYTES // 512)]
        options += [
            "--luks2-metadata-size",
            str(METADATA_BYTES),
            "--luks2-keyslots-size",
            str(KEYSLOTS_BYTES),
        ]
        options += [*DERIVATION, "--key-slot", "0", "--key-file", str(require_key(key))]
        self._must("making its header", ["cryptsetup", "luksFormat", "-q", *options, device], [key])

    def open(self, device: Path, key: int, *, discard: bool) -> None:
        """Map it. Raises ContainerKey."""
        options = ["--type", "luks2", "--disable-keyring", "--disable-external-tokens"]
        options += ["--allow-discards"] if discard else []
        options += ["--key-file", str(require_key(key))]
        self._judge("opening it", self._run(["cryptsetup", "open", "-q", *options, device, self.name], [key]))

    def opens(self, header: int, key: int) -> None:
        """Whether a copy of the header, in memory, opens by a key. Raises ContainerKey."""
        options = ["--type", "luks2", "--test-passphrase", "--disable-external-tokens"]
        options += ["--key-file", str(require_key(key)), f"/proc/self/fd/{header}"]
        self._judge("trying its key", self._run(["cryptsetup", "open", "-q", *options], [header, key]))

    def close(self) -> None:
        """Unmap it: the kernel forgets its key."""
        self._must("closing it", ["cryptsetup", "close", "-q", self.name])

    def add_key(self, device: Path, key: int, new: int, slot: int) -> None:
        """Have ``new`` open it, too. Raises ContainerKey."""
        options = [*DERIVATION, "--key-slot", str(slot), "--key-file", str(require_key(key))]
        command: list[str | Path] = ["cryptsetup", "luksAddKey", "-q", *options, device, require_key(new)]
        self._judge("adding a key", self._run(command, [key, new]))

    def erase_key(self, device: Path, slot: int) -> None:
        """Overwrite a key slot; not the last one, which is the caller's to see to."""
        self._must("erasing a key", ["cryptsetup", "luksKillSlot", "-q", device, str(slot)])

    def make_files(self, owner: int, group: int) -> None:
        """Make the file system inside, whose top belongs to ``owner``."""
        extended = f"root_owner={owner}:{group},nodiscard"
        options = ["-q", "-F", "-b", str(SECTOR_BYTES), "-m", "0", "-E", extended]
        self._must("making its file system", ["mkfs.ext4", *options, self.mapped])

    def mount(self, where: Path, *, discard: bool) -> None:
        """Mount what is inside, in order; its kind is given and never probed."""
        checked = self._run(["e2fsck", "-p", self.mapped])
        if checked.status > REPAIRED:
            reason = last_line(checked.stdout or checked.stderr)
            raise ContainerFailed(partition=self._partition.value, step="checking its files", reason=reason)
        options = OPTIONS + (",discard" if discard else "")
        self._must("mounting it", ["mount", "-i", "-t", "ext4", "-o", options, self.mapped, where])

    def unmount(self, where: Path) -> Completed:
        """Write all and take it away; the caller judges, as it may be in use."""
        return self._run(["umount", "-i", where])

    def grow(self) -> None:
        """Have the mapping, and the file system in it, take all the room there is."""
        self._must("growing it", ["cryptsetup", "resize", "-q", self.name])
        self._must("growing its file system", ["resize2fs", self.mapped])

    def _judge(self, step: str, completed: Completed) -> None:
        if completed.status == WRONG_KEY:
            raise ContainerKey(partition=self._partition.value)
        if completed.status != 0:
            reason = last_line(completed.stderr or completed.stdout)
            raise ContainerFailed(partition=self._partition.value, step=step, reason=reason)

    def _must(self, step: str, command: Sequence[str | Path], fds: Sequence[int] = ()) -> None:
        self._judge(step, self._run(command, fds))

    @staticmethod
    def _run(command: Sequence[str | Path], fds: Sequence[int] = ()) -> Completed:
        return run(command, timeout=SECONDS, pass_fds=fds, check=False)
