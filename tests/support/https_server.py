"""A web server over TLS in a process of its own, which serves a directory with Range and can misbehave.

``python -m tests.support.https_server DIRECTORY``: serves ``DIRECTORY/files``; ``DIRECTORY/misbehave.json``
says, by path, what to do instead; requests are noted in ``DIRECTORY/requests.log``, a path and its Range a
line. Its port is the one line on stdout.
"""

from __future__ import annotations

import http.server
import json
import os
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    """GET only; everything else is as the directory says."""

    directory: Path
    lock = threading.Lock()

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = self.headers.get("Range", "")
        with self.lock, (self.directory / "requests.log").open("a") as log:
            log.write(f"{path} {asked}\n")
        file = self.directory / "files" / path
        content = file.read_bytes() if file.is_file() else None
        what: dict[str, Any] = json.loads((self.directory / "misbehave.json").read_text()).get(path, {})
        try:
            if what:
                self._misbehave(what, content or b"")
            elif content is None:
                self.send_error(404)
            else:
                self._serve(content, asked)
        except OSError:
            self.close_connection = True

    def _serve(self, content: bytes, asked: str) -> None:
        start = 0
        if asked:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def _misbehave(self, what: dict[str, Any], content: bytes) -> None:
        self.send_response(200)
        if what["kind"] == "cut":  # promise everything, send so many bytes, and hang up
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: what["bytes"]])
            self.close_connection = True
        elif what["kind"] == "endless":  # what was asked for, then more and more, until the client has enough
            self.end_headers()
            self.wfile.write(content)
            while True:
                self.wfile.write(b" " * 65536)
        elif what["kind"] == "drip":  # a byte now and then, so that the connection never goes silent
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for byte in content:
                self.wfile.write(bytes((byte,)))
                time.sleep(what["seconds"])
        elif what["kind"] == "silent":  # the head, and nothing else
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            time.sleep(what["seconds"])

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    """Serve until killed."""
    Handler.directory = Path(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Handler.directory / "server.pem", Handler.directory / "server.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    os.write(1, f"{server.server_address[1]}\n".encode())
    server.serve_forever()


if __name__ == "__main__":
    main()
