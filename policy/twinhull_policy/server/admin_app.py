"""The administrators' application: their HTTP interface and the console, on a listener of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from yarl import URL

from twinhull_policy.server import storage as s
from twinhull_policy.server.admin_http import PREFIX, AdminInterface, SignInDesk
from twinhull_policy.server.answers import Handler, guard, refusal
from twinhull_policy.server.console.console import Console
from twinhull_policy.server.desk import Desk
from twinhull_policy.server.device_grants import DeviceGrants
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import server_ca_sha256
from twinhull_policy.server.store import settings
from twinhull_policy.trust.envelope import envelope_hash


def admin_application(desk: Desk, push: Callable[[], Awaitable[None]]) -> web.Application:
    """Everything administrators reach over the network."""
    signing_in = SignInDesk(desk)
    interface = AdminInterface(desk, signing_in, push)
    console = Console(desk, signing_in, push)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(f"{PREFIX}/"):
            return await guard(request, handler, refusal)
        return await console.guard(request, handler)

    application = web.Application(middlewares=[guarded], client_max_size=LIMITS.admin_body_bytes)
    application.add_routes([*interface.routes(), *console.routes()])
    return application


def device_grants(layout: Layout, storage: s.Storage) -> DeviceGrants:
    """Device grants of this server, which yield tokens that name its root and CA."""
    with storage.read() as tx:
        host = URL(settings.get(tx, "url")).host or "localhost"
    root = (layout.metadata / "1.root.json").read_bytes()
    named = f"[{host}]" if ":" in host else host
    return DeviceGrants(storage, envelope_hash(root), server_ca_sha256(layout), named)
