"""Templates to pages: autoescaped, and under a policy that lets a browser run and load only what is ours."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import segno
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from twinhull_policy.server.desk import SILENT_SECONDS

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Cache-Control": "no-store",
}
HEALTH_WORDS = {
    "ok": "as desired",
    "pending": "not confirmed yet",
    "failed": "failed",
    "new": "never reported",
    "revoked": "revoked",
}
ITEM_WORDS = {"policy": "Policy in force", "corporate-image": "Corporate image"}
COMMAND_HEALTH = {
    "queued": "new",
    "delivered": "pending",
    "started": "pending",
    "done": "ok",
    "failed": "failed",
    "expired": "failed",
    "withdrawn": "revoked",
}
COMMAND_WORDS = {
    "queued": "nothing heard of it from the laptop",
    "delivered": "the laptop has it and has not begun",
    "started": "the laptop has begun; how it ended is not known",
    "done": "the laptop says so",
    "failed": "the laptop says so",
    "expired": "the laptop had not begun in time, by its receipts",
    "withdrawn": "sent no longer; a laptop that has it may carry it out all the same",
}
BAR_WIDTH = 200


def _moment(at: float | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _machine_moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _ago(at: float | None) -> str:
    if at is None:
        return "never"
    seconds = max(0, time.time() - at)
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"


def _bar(by_health: dict[str, int]) -> list[dict[str, Any]]:
    """A stacked bar of :data:`BAR_WIDTH`: what each part is, where it begins, how wide it is."""
    total = sum(by_health.values())
    parts, at = [], 0.0
    for health in HEALTH_WORDS:
        width = BAR_WIDTH * by_health.get(health, 0) / total if total else 0.0
        if width:
            parts.append({"health": health, "x": round(at, 2), "width": round(width, 2)})
            at += width
    return parts


def qr_svg(text: str) -> str:
    """A QR code as SVG that may stand in a page: no style, no script, black on white in either theme."""
    return str(segno.make(text, error="m").svg_inline(scale=4, border=4, dark="black", light="white"))


class Renderer:
    """Makes pages."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "moment": _moment,
            "machine_moment": _machine_moment,
            "ago": _ago,
            "bar": _bar,
        }
        self._environment.globals |= {
            "health_words": HEALTH_WORDS,
            "silent_hours": int(SILENT_SECONDS // 3600),
            "bar_width": BAR_WIDTH,
            "item_words": ITEM_WORDS,
            "command_health": COMMAND_HEALTH,
            "command_words": COMMAND_WORDS,
        }

    def page(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """A page from a template."""
        text = self._environment.get_template(template).render(**values)
        return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)
