"""Targets: resumed where they were cut off, bounded, checked whole, and only then given their name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from .durable import sync_directory
from .errors import RepositoryUnreachable, TargetWrong
from .http import PoolFetcher, read_chunks

Progress = Callable[[int], None]
"""Told how many bytes are there. May raise to stop; what was received stays for the next time."""


def download(fetcher: PoolFetcher, url: str, info: TargetFile, destination: Path, progress: Progress) -> None:
    """Bring a target to ``destination``, going on with what an earlier try left behind.

    Args:
        fetcher: what to download through.
        url: of the target's file.
        info: length and hashes from verified metadata.
        destination: its final path; beside it lies a hidden ``.partial`` while it is incomplete.
        progress: told now and then how far it is.

    Raises:
        RepositoryUnreachable: cut short; ask again to go on.
        TargetWrong: other content, or more of it, than the metadata lists; it was removed.
    """
    destination.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if _is_right(info, destination):
        progress(info.length)
        return
    partial = partial_path(destination, info)
    try:
        if not partial.exists() or _size(partial) < info.length:
            _receive(fetcher, url, info, partial, progress)
    except DownloadHTTPError as error:
        if error.status_code != 416:
            raise RepositoryUnreachable(detail=str(error)) from error
        partial.unlink(missing_ok=True)
        raise RepositoryUnreachable(detail="the server has less of it than was received") from error
    except DownloadError as error:
        raise RepositoryUnreachable(detail=str(error)) from error
    if not _is_right(info, partial):
        partial.unlink(missing_ok=True)
        raise TargetWrong(name=info.path)
    partial.chmod(0o640)
    partial.replace(destination)
    sync_directory(destination.parent)


def partial_path(destination: Path, info: TargetFile) -> Path:
    """Where the incomplete file lies: named by what it is to become, so another version starts afresh."""
    wanted = hashlib.sha256(repr(sorted(info.hashes.items())).encode()).hexdigest()[:16]
    return destination.with_name(f".{wanted}.partial")


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _receive(fetcher: PoolFetcher, url: str, info: TargetFile, partial: Path, progress: Progress) -> None:
    response, start = fetcher.open(url, _size(partial))
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(partial, flags, 0o640), "wb") as stream:
        stream.truncate(start)
        stream.seek(start)
        received = start
        window_start, window_bytes = time.monotonic(), 0
        with contextlib.closing(read_chunks(response, url)) as chunks:
            for chunk in chunks:
                received += len(chunk)
                if received > info.length:
                    stream.close()
                    partial.unlink()
                    raise TargetWrong(name=info.path)
                stream.write(chunk)
                progress(received)
                window_bytes += len(chunk)
                if time.monotonic() - window_start > fetcher.limits.slow_window_seconds:
                    if window_bytes < fetcher.limits.slow_window_bytes:
                        raise RepositoryUnreachable(detail=f"{url}: too slow")
                    window_start, window_bytes = time.monotonic(), 0
        stream.flush()
        os.fsync(stream.fileno())
    if received < info.length:
        raise RepositoryUnreachable(detail=f"{url}: ended after {received} of {info.length} bytes")


def _is_right(info: TargetFile, path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            info.verify_length_and_hashes(stream)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True
