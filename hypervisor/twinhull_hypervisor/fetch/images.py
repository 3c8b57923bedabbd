"""Downloads of golden images: one thread each, going on by themselves after a broken connection."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust.documents import ImageReference

from .download import download
from .errors import RepositoryUnreachable, TargetUnknown
from .http import PoolFetcher
from .layout import Layout
from .limits import LIMITS
from .repository import Repository

Opener = Callable[[], tuple[Repository, PoolFetcher, str]]
"""Gives the repository, a fetcher and the server's address, afresh for each try."""
AT_ONCE = 2


class Stopped(Exception):
    """Ends a download thread from inside its progress callback."""


@dataclass
class Job:
    """One image on its way.

    Attributes:
        received: bytes here.
        done: complete and right.
        error: why it was given up; a broken connection is no reason.
    """

    received: int = 0
    done: bool = False
    error: str = ""
    thread: threading.Thread | None = field(default=None, repr=False)


class Images:
    """All downloads of the service."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._jobs: dict[ImageReference, Job] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    def ask(self, image: ImageReference, opener: Opener) -> Job:
        """How far an image is. The first time, and after an error was told, its download is started."""
        with self._lock:
            job = self._jobs.get(image)
            if job is None:
                job = self._jobs[image] = Job()
                job.thread = threading.Thread(
                    target=self._run, args=(image, job, opener), name=f"image-{image.sha256[:8]}"
                )
                job.thread.start()
            elif job.error:
                del self._jobs[image]
            return job

    def stop(self) -> None:
        """End all downloads; what was received stays for the next time."""
        self._stopping.set()
        with self._lock:
            jobs = list(self._jobs.values())
            self._jobs.clear()
        for job in jobs:
            if job.thread is not None:
                job.thread.join()
        self._stopping.clear()

    def _run(self, image: ImageReference, job: Job, opener: Opener) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._slots:
                    self._try(image, job, opener)
                job.done = True
                return
            except Stopped:
                return
            except RepositoryUnreachable:
                failures += 1
            except TwinhullError as error:
                job.error = str(error)
                return
            except OSError as error:
                job.error = error.strerror or str(error)
                return
            longest = min(LIMITS.retry_cap_seconds, LIMITS.retry_base_seconds * 2 ** min(failures, 16))
            self._stopping.wait(random.uniform(0, longest))  # noqa: S311

    def _try(self, image: ImageReference, job: Job, opener: Opener) -> None:
        def progress(received: int) -> None:
            job.received = received
            if self._stopping.is_set():
                raise Stopped

        repository, fetcher, server = opener()
        try:
            listed = repository.find(f"{server}/repository/metadata", image.target)
            if listed.info.length != image.length or listed.info.hashes.get("sha256") != image.sha256:
                raise TargetUnknown(name=image.target)
            url = f"{server}/repository/targets/{quote(listed.path)}"
            download(fetcher, url, listed.info, self._layout.targets / image.target, progress)
        finally:
            fetcher.close()
