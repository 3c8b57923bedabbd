"""A network that wants a sign-in, as a program: ``portal.py``, started in the router's namespace.

Until somebody signs in it takes every connection to port 80 that comes from the laptop, lets nothing else
through, and answers every name. Its page is at ``http://portal.lan/login``. Prints ``ready``.
"""

from __future__ import annotations

import http.server
import os
import subprocess
import threading

HOST, ADDRESS, INSIDE = "portal.lan", "192.168.44.1", "laptop0"
RULES = f"""
table ip captive {{
    chain taken {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "{INSIDE}" ip daddr != {ADDRESS} tcp dport 80 redirect to :8080
    }}
    chain through {{
        type filter hook forward priority filter - 1; policy accept;
        iifname "{INSIDE}" drop
    }}
    chain here {{
        type filter hook input priority filter; policy accept;
        iifname "{INSIDE}" ip daddr != {ADDRESS} udp dport 53 drop
    }}
}}
"""


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Whatever was asked for: go and sign in."""

    def do_GET(self) -> None:
        """Send everybody to the page, by its name."""
        self.send_response(302)
        self.send_header("Location", f"http://{HOST}/login?from={self.path}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Page(Elsewhere):
    """The page itself, which knows itself by its name alone."""

    def do_GET(self) -> None:
        """The form."""
        if self.headers["Host"] != HOST or not self.path.startswith("/login"):
            super().do_GET()
            return
        self._say("Room number? <form method=post action=/login>")

    def do_POST(self) -> None:
        """Somebody signs in: the network opens."""
        self.rfile.read(int(self.headers["Content-Length"]))
        subprocess.run(["nft", "delete", "table", "ip", "captive"], check=True)
        self._say("Welcome.")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


def main() -> None:
    """Close the network and serve until ended."""
    everything = http.server.ThreadingHTTPServer(("", 8080), Elsewhere)
    page = http.server.ThreadingHTTPServer((ADDRESS, 80), Page)
    subprocess.run(["nft", "-f", "-"], input=RULES.encode(), check=True)
    threading.Thread(target=everything.serve_forever, daemon=True).start()
    os.write(1, b"ready\n")
    page.serve_forever()


if __name__ == "__main__":
    main()
