"""The web pages of the demonstration, and the small server that serves one of them.

``python3 pages.py ADDRESS PORT intranet|internet`` binds, becomes ``nobody``, prints ``ready`` and serves.
Plain HTML 4 and a little CSS, so that the lightest browser renders them.
"""

from __future__ import annotations

import http.server
import os
import pwd
import socket
import socketserver
import sys

STYLE = (
    "body{{margin:0;background:#f4f6f8;font-family:sans-serif;color:#1d2733}}"
    ".bar{{background:{dark};color:#ffffff;padding:18px 32px;font-size:22px;font-weight:bold}}"
    ".bar span{{font-weight:normal;font-size:14px}}"
    ".card{{background:#ffffff;border:1px solid #d5dbe1;border-top:4px solid {accent};"
    "margin:24px 32px;padding:16px 24px}}"
    "h1{{font-size:26px;margin:4px 0 12px 0}}h2{{font-size:17px;color:{dark};margin:4px 0 8px 0}}"
    "p,td{{font-size:15px;line-height:150%}}td{{padding:4px 24px 4px 0}}"
    ".foot{{margin:0 32px;font-size:12px;color:#67727e}}"
)

INTRANET = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<title>Intranet - corp.example</title><style>{style}</style></head>
<body>
<div class="bar">corp.example <span>&nbsp; company intranet</span></div>
<div class="card"><h1>Good day.</h1>
<p>You are inside the company network. This page exists only behind the VPN gateway:
if you can read it, you came through the tunnel.</p>
<table><tr><td><b>Your address here</b></td><td>{peer}</td></tr>
<tr><td><b>This server</b></td><td>intranet.corp.example, 10.77.0.80</td></tr></table></div>
<div class="card"><h2>Today</h2>
<table><tr><td>09:30</td><td>Stand-up, room 2</td></tr>
<tr><td>12:00</td><td>Canteen: vegetable curry</td></tr>
<tr><td>15:00</td><td>Quarterly figures, large hall</td></tr></table></div>
<p class="foot">Internal. Served by Twinhull's demonstration company.</p>
</body></html>
"""

INTERNET = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<title>www.example - the internet</title><style>{style}</style></head>
<body>
<div class="bar">www.example <span>&nbsp; a stand-in for the internet</span></div>
<div class="card"><h1>Hello from the outside.</h1>
<p>This is the open internet of the demonstration. Nobody here can see the company's network,
and the company cannot see who visits from a personal partition.</p>
<table><tr><td><b>You appear as</b></td><td>{peer}</td></tr>
<tr><td><b>This server</b></td><td>www.example, 198.51.100.1</td></tr></table></div>
<p class="foot">Served by Twinhull's demonstration internet.</p>
</body></html>
"""

PAGES = {
    "intranet": (INTRANET, STYLE.format(dark="#12355b", accent="#2f7fd1")),
    "internet": (INTERNET, STYLE.format(dark="#2d5b2f", accent="#58a55c")),
}
CONNECTIVITY_PATH = "/generate_204"
"""What desktops ask for to see whether they are online; answered with 204, no content."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """HTTP on one address; rebinding at once after a restart."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, port: int, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), handler)

    def server_bind(self) -> None:
        """Bind without asking the name service for our own name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def handler(name: str) -> type[http.server.BaseHTTPRequestHandler]:
    """A request handler that serves one of PAGES on every path."""
    page, style = PAGES[name]

    class Handler(http.server.BaseHTTPRequestHandler):
        server_version = "demo"
        sys_version = ""
        timeout = 30

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            if name == "internet" and self.path == CONNECTIVITY_PATH:
                self.send_response(204)
                self.end_headers()
                return
            content = page.format(style=style, peer=self.client_address[0]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged."""

    return Handler


def main() -> None:
    """Serve as nobody until ended."""
    address, port, name = sys.argv[1:4]
    with Server(address, int(port), handler(name)) as server:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        os.write(sys.stdout.fileno(), b"ready\n")
        server.serve_forever()


if __name__ == "__main__":
    main()
