"""A disk that fails for real: ext4 on a loop device whose own file lies on a tmpfs. Needs root.

Where the tmpfs has no room left, what ext4 writes back ends as an I/O error, after which it is read-only, as
on a disk that dies. What was not synced is lost then, and as well when the device's file is copied as it is,
which is what a power cut leaves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinhull_hypervisor.run import run

SIZE = "48m"
ROOM = "160m"
SECONDS = 60.0


class SmallDisk:
    """The disk, mounted at ``top``.

    Args:
        place: existing and empty.
    """

    def __init__(self, place: Path) -> None:
        self._under = place / "under"
        self._image = self._under / "image"
        self._device = ""
        self.top = place / "top"
        self._under.mkdir()
        self.top.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", self._under], timeout=SECONDS)
        run(["truncate", "-s", SIZE, self._image], timeout=SECONDS)
        run(
            [
                "mkfs.ext4",
                "-q",
                "-F",
                "-m",
                "0",
                "-J",
                "size=4",
                "-E",
                "lazy_itable_init=0,nodiscard",
                self._image,
            ],
            timeout=SECONDS,
        )
        self.mount()
        self.top.chmod(0o711)

    def mount(self) -> None:
        """Attach and mount what there is, after the journal."""
        run(["e2fsck", "-fy", self._image], timeout=SECONDS, check=False)
        attached = run(["losetup", "-f", "--show", self._image], timeout=SECONDS)
        self._device = attached.text.strip()
        run(["mount", self._device, self.top], timeout=SECONDS)

    def unmount(self) -> None:
        """Let go of it; what it refuses to take is lost."""
        if self._device:
            run(["umount", self.top], timeout=SECONDS)
            run(["losetup", "-d", self._device], timeout=SECONDS)
            self._device = ""

    def kept(self) -> Path:
        """All of it as it is on the disk, in order."""
        self.unmount()
        copy = self._under / "kept"
        run(["cp", "--sparse=always", self._image, copy], timeout=SECONDS)
        self.mount()
        return copy

    def put_back(self, kept: Path) -> None:
        """The disk of then."""
        self.unmount()
        run(["cp", "--sparse=always", kept, self._image], timeout=SECONDS)
        self.mount()

    def power_cut(self) -> None:
        """What is on the disk now stays, what the kernel had not written yet does not."""
        cut = self._under / "cut"
        run(["cp", "--sparse=always", self._image, cut], timeout=SECONDS)
        self.unmount()
        cut.replace(self._image)
        self.mount()

    def read_only(self) -> None:
        """From now on each write is refused (EROFS)."""
        run(["mount", "-o", "remount,ro", self.top], timeout=SECONDS)

    @contextmanager
    def dying(self, after_kib: int) -> Iterator[None]:
        """It takes so much where nothing was before, and then fails (EIO, and EROFS from then on)."""
        filler = self._under / "filler"
        fill(filler, after_kib)
        try:
            yield
        finally:
            self.unmount()
            filler.unlink()
            self.mount()

    @contextmanager
    def full(self, but_kib: int) -> Iterator[None]:
        """It has room for so much more and then none (ENOSPC)."""
        filler = self.top / "filler"
        fill(filler, but_kib)
        try:
            yield
        finally:
            filler.unlink()

    def end(self) -> None:
        """Forget it."""
        with suppress(OSError):
            self.unmount()
        run(["umount", self._under], timeout=SECONDS)
        shutil.rmtree(self._under)


def fill(path: Path, but_kib: int) -> None:
    """A file that takes all room of its file system but so much."""
    with path.open("wb", buffering=0) as file:
        about = os.fstatvfs(file.fileno())
        most = about.f_bfree * about.f_frsize - but_kib * 1024 - 2**20
        os.posix_fallocate(file.fileno(), 0, max(most, 4096))
        file.seek(0, os.SEEK_END)
        with suppress(OSError):  # no room is what is wanted
            while (about := os.fstatvfs(file.fileno())).f_bfree * about.f_frsize > but_kib * 1024:
                file.write(bytes(4096))
                os.fsync(file.fileno())
