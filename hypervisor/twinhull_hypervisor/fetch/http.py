"""Plain GETs for the repository plane: bounded in time, resumable, redirects and proxies not followed.

Metadata and targets authenticate themselves, so TLS is not what their safety rests on; with an enrolled
server it is still pinned to that server's CA.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Iterator

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3Timeout

from .limits import LIMITS, FetchLimits


class PoolFetcher(FetcherInterface):
    """What tuf.ngclient downloads metadata through.

    Each body is read as it comes, never longer than ``metadata_seconds`` of its limits in all, so a server
    that drips cannot hold an update.

    Attributes:
        limits: bounds on times; downloads through it keep to them too.
    """

    def __init__(self, context: ssl.SSLContext | None = None, limits: FetchLimits = LIMITS) -> None:
        self.limits = limits
        timeout = urllib3.Timeout(connect=limits.connect_seconds, read=limits.silence_seconds)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout, ssl_context=context)

    def open(self, url: str, start: int = 0) -> tuple[urllib3.BaseHTTPResponse, int]:
        """Ask for ``url`` from byte ``start`` on. Returns the response and the byte it really starts at.

        Raises DownloadError, DownloadHTTPError, SlowRetrievalError.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            response = self._pool.request(
                "GET", url, headers=headers, preload_content=False, redirect=False, decode_content=False
            )
        except Urllib3Timeout as error:
            raise SlowRetrievalError(f"{url}: no answer in time") from error
        except (HTTPError, ValueError) as error:
            raise DownloadError(f"{url}: {error}") from error
        if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            return response, start
        if response.status == 200:
            return response, 0
        response.close()
        raise DownloadHTTPError(f"{url}: HTTP status {response.status}", response.status)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _fetch(self, url: str) -> Iterator[bytes]:
        response, _ = self.open(url)
        return self._chunks(response, url)

    def _chunks(self, response: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
        deadline = time.monotonic() + self.limits.metadata_seconds
        for chunk in read_chunks(response, url):
            if time.monotonic() > deadline:
                raise SlowRetrievalError(f"{url}: too slow")
            yield chunk


def read_chunks(response: urllib3.BaseHTTPResponse, url: str) -> Generator[bytes, None, None]:
    """The body as it arrives. Raises DownloadError (cut short), SlowRetrievalError (stalled)."""
    finished = False
    try:
        while chunk := response.read1(LIMITS.chunk_bytes, decode_content=False):
            yield chunk
        finished = True
    except Urllib3Timeout as error:
        raise SlowRetrievalError(f"{url}: stalled") from error
    except (HTTPError, OSError) as error:
        raise DownloadError(f"{url}: {error}") from error
    finally:
        if finished:
            response.release_conn()
        else:
            response.close()
