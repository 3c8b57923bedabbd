"""The golden images the core holds, by hash."""

from __future__ import annotations

import os
from pathlib import Path

from ..images.errors import ImageMissing
from ..images.store import image_path, import_image, verify


class ImageStore:
    """The directory of verified images. Calls block: an image is read from end to end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, sha256: str) -> bool:
        """Whether the image was verified and stored."""
        return self.path(sha256).exists()

    def path(self, sha256: str) -> Path:
        """Where the image is, or will be."""
        return image_path(self._directory, sha256)

    def add(self, untrusted_source: Path, sha256: str, length: int) -> None:
        """Copy a downloaded file into the store while hashing it; raises unless it is exactly that image."""
        try:
            untrusted_fd = os.open(untrusted_source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise ImageMissing(image=sha256[:16]) from error
        try:
            import_image(untrusted_fd, sha256, length, self._directory)
        finally:
            os.close(untrusted_fd)

    def verify(self, sha256: str) -> Path:
        """Read the image through, compare its hash, and return its path; raises if a byte changed."""
        path = self.path(sha256)
        verify(path, sha256)
        return path

    def least_disk_gib(self, sha256: str) -> int:
        """The smallest disk that holds the image, GiB; the image is read through for it."""
        return -(-verify(self.path(sha256), sha256).virtual_bytes // 2**30)
