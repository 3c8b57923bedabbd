"""The console's requests: who is signed in, that a form is ours, and one handler a page."""

from __future__ import annotations

import asyncio
import hmac
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import answers
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import errors as e
from twinhull_policy.server.accounts import Role, Who
from twinhull_policy.server.admin_http import SignInDesk
from twinhull_policy.server.console.render import HEADERS, HERE, Renderer, qr_svg
from twinhull_policy.server.desk import Desk
from twinhull_policy.server.device_grants import normal_code
from twinhull_policy.server.limiter import RateLimiter
from twinhull_policy.server.limits import LIMITS

COOKIE = "__Host-session"
"""The prefix makes browsers refuse it without Secure, with a Domain, or below another path (RFC 6265bis)."""
WHO = web.RequestKey("who", Who)
STATIC = {"console.css": "text/css", "console.js": "text/javascript"}
FIELDS = 40
T = TypeVar("T")
Form = dict[str, str]
Page = Callable[[web.Request, Who], Awaitable[web.StreamResponse]]
Action = Callable[[web.Request, Who, Form], Awaitable[web.StreamResponse]]


class Console:
    """Handlers over a desk."""

    def __init__(self, desk: Desk, signing_in: SignInDesk, push: Callable[[], Awaitable[None]]) -> None:
        self._desk = desk
        self._signing_in = signing_in
        self._push = push
        self._renderer = Renderer()
        self._anonymous = RateLimiter(LIMITS.anonymous_burst, LIMITS.anonymous_per_second)
        self._static = {name: (HERE / "static" / name).read_bytes() for name in STATIC}

    def routes(self) -> list[web.RouteDef]:
        """For aiohttp."""
        number = "{number:[1-9][0-9]{0,14}}"
        device = "{device_id:[a-z0-9][a-z0-9-]{0,63}}"
        pages: dict[str, Page] = {
            "/": self._overview,
            "/devices": self._devices,
            f"/devices/{device}": self._device,
            "/policies": self._policies,
            "/policies/edit": self._editor,
            "/policies/{sha256:[0-9a-f]{64}}": self._policy,
            "/tokens": self._tokens,
            "/rings": self._rings,
            "/grants": self._grants,
            "/approvals": self._approvals,
            "/audit": self._audit,
            "/accounts": self._accounts,
        }
        actions: dict[str, Action] = {
            f"/devices/{device}/revoke": self._revoke,
            "/policies/check": self._check,
            "/policies/propose": self._propose,
            "/policies/assign": self._assign,
            f"/drafts/{number}/withdraw": self._withdraw_draft,
            "/groups": self._new_group,
            "/tokens": self._new_token,
            f"/tokens/{number}/withdraw": self._withdraw_token,
            f"/rings/{number}": self._steer,
            "/grants": self._decide,
            "/approvals": self._ask_wipe,
            f"/approvals/{number}": self._approve,
            "/accounts/{name:[a-z][a-z0-9-]{0,31}}/disable": self._disable,
            "/sign-out": self._sign_out,
        }
        return [
            web.get("/sign-in", self._sign_in_page),
            web.post("/sign-in", self._sign_in),
            web.get("/static/{name}", self._static_file),
            *(web.get(path, self._page(handler)) for path, handler in pages.items()),
            *(web.post(path, self._action(handler)) for path, handler in actions.items()),
        ]

    async def guard(self, request: web.Request, handler: answers.Handler) -> web.StreamResponse:
        """Every failure leaves as a page, and whoever is not signed in is led to where that is done."""

        def refuse(error: TwinhullError) -> web.StreamResponse:
            if isinstance(error, e.SignInNeeded) and request.method == "GET":
                where = urllib.parse.quote(request.path_qs, safe="")
                return _see(f"/sign-in?next={where}" if request.path != "/" else "/sign-in")
            who = request.get(WHO)
            status = answers.status_of(error)
            page = self._renderer.page("error.html", status, who=who, error=error, code=status, here="")
            if status == 429:
                page.headers.update(answers.RETRY)
            return page

        return await answers.guard(request, handler, refuse)

    def _page(self, handler: Page) -> answers.Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request, await self._who(request))

        return handle

    def _action(self, handler: Action) -> answers.Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            who = await self._who(request)
            form = await _form(request)
            untrusted_csrf = form.pop("csrf", "")
            if _from_elsewhere(request) or not hmac.compare_digest(
                untrusted_csrf.encode(), who.csrf.encode()
            ):
                raise e.FormNotOurs
            return await handler(request, who, form)

        return handle

    async def _who(self, request: web.Request) -> Who:
        untrusted_token = request.cookies.get(COOKIE, "")
        try:
            if not 1 <= len(untrusted_token) <= 100:
                raise e.SignInNeeded
            who = await asyncio.to_thread(self._desk.accounts.who, untrusted_token)
        except e.SignInNeeded:
            self._anonymous.take(request.remote or "")
            raise
        request[WHO] = who
        return who

    async def _ask(self, method: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(method, *arguments)

    def _render(self, template: str, who: Who, here: str, **values: Any) -> web.Response:
        return self._renderer.page(template, who=who, here=here, role=Role, **values)

    async def _static_file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise e.NotFound
        headers = HEADERS | {"Cache-Control": "max-age=3600"}
        return web.Response(body=self._static[name], content_type=STATIC[name], headers=headers)

    async def _sign_in_page(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        after = _own_path(request.query.get("next", ""))
        return self._renderer.page("sign_in.html", who=None, here="", problem="", name="", after=after)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        if _from_elsewhere(request):
            raise e.FormNotOurs
        form = await _form(request)
        after = _own_path(form.pop("next", ""))
        asked = answers.convert(form, t.SignIn)
        try:
            made = await self._signing_in.sign_in(asked, request.remote or "")
        except (e.SignInRefused, e.TooManyAttempts) as error:
            problem = f"{error.message} {error.next_step}"
            return self._renderer.page(
                "sign_in.html",
                answers.status_of(error),
                who=None,
                here="",
                problem=problem,
                name=asked.name,
                after=after,
            )
        response = _see(after)
        response.set_cookie(COOKIE, made.token, path="/", secure=True, httponly=True, samesite="Strict")
        return response

    async def _sign_out(self, request: web.Request, _who: Who, _form: Form) -> web.StreamResponse:
        await self._ask(self._desk.accounts.sign_out, request.cookies.get(COOKIE, ""))
        response = _see("/sign-in")
        response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
        response.headers["Clear-Site-Data"] = '"cookies", "storage"'
        return response

    async def _overview(self, _request: web.Request, who: Who) -> web.StreamResponse:
        return self._render("overview.html", who, "/", fleet=await self._ask(self._desk.overview, who))

    async def _devices(self, request: web.Request, who: Who) -> web.StreamResponse:
        query = answers.convert(dict(request.query), t.DeviceQuery)
        page = await self._ask(self._desk.device_page, who, query)
        groups = await self._ask(self._desk.group_list, who)
        onwards = {**{k: v for k, v in request.query.items() if v and k != "after"}, "after": page.next}
        return self._render(
            "devices.html",
            who,
            "/devices",
            page=page,
            query=query,
            groups=groups,
            onwards=urllib.parse.urlencode(onwards),
        )

    async def _device(self, request: web.Request, who: Who) -> web.StreamResponse:
        view = await self._ask(self._desk.device, who, request.match_info["device_id"])
        shown = [
            (report, msgspec.json.format(report.body, indent=2) if _is_json(report.body) else report.body)
            for report in view.reports
        ]
        return self._render("device.html", who, "/devices", view=view, reports=shown)

    async def _revoke(self, request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        device_id = request.match_info["device_id"]
        asked = answers.convert(form, t.Revoke)
        await self._ask(self._desk.revoke, who, device_id, asked)
        await self._push()
        return _see(f"/devices/{device_id}")

    async def _policies(self, _request: web.Request, who: Who) -> web.StreamResponse:
        groups = await self._ask(self._desk.group_list, who)
        policies = await self._ask(self._desk.policy_list, who)
        drafts = await self._ask(self._desk.drafts, who)
        return self._render(
            "policies.html", who, "/policies", groups=groups, policies=list(reversed(policies)), drafts=drafts
        )

    async def _policy(self, request: web.Request, who: Who) -> web.StreamResponse:
        view = await self._ask(self._desk.policy, who, request.match_info["sha256"])
        groups = await self._ask(self._desk.group_list, who)
        document = msgspec.json.format(view.document, indent=2)
        return self._render("policy.html", who, "/policies", view=view, document=document, groups=groups)

    async def _editor(self, request: web.Request, who: Who) -> web.StreamResponse:
        groups = await self._ask(self._desk.group_list, who)
        wanted = request.query.get("group", groups[0].name if groups else "")
        group = next((group for group in groups if group.name == wanted), None)
        if group is None:
            raise e.UnknownGroup(name=wanted)
        document = ""
        if group.policy_sha256:
            view = await self._ask(self._desk.policy, who, group.policy_sha256)
            document = msgspec.json.format(view.document, indent=2)
        return self._edit(who, groups, group.name, group.policy_sha256 or "", document, "", None)

    def _edit(
        self, who: Who, groups: Any, group: str, base: str, document: str, note: str, checked: Any
    ) -> web.Response:
        return self._render(
            "editor.html",
            who,
            "/policies",
            groups=groups,
            group=group,
            base=base,
            document=document,
            note=note,
            checked=checked,
        )

    async def _check(self, request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        """The whole page again with what was found; for the script only that part."""
        fields = {name: form.get(name, "") for name in ("group", "document")}
        checked = await self._ask(self._desk.check, who, answers.convert(fields, t.AskCheck))
        if request.headers.get("Accept") == "text/x-fragment+html":
            return self._renderer.page("checked.html", checked=checked)
        groups = await self._ask(self._desk.group_list, who)
        return self._edit(
            who,
            groups,
            fields["group"],
            form.get("base", ""),
            fields["document"],
            form.get("note", ""),
            checked,
        )

    async def _propose(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        asked = answers.convert(form, t.AskDraft)
        checked = await self._ask(
            self._desk.check, who, t.AskCheck(group=asked.group, document=asked.document)
        )
        if checked.problem:
            groups = await self._ask(self._desk.group_list, who)
            return self._edit(who, groups, asked.group, asked.base, asked.document, asked.note, checked)
        await self._ask(self._desk.propose, who, asked)
        return _see("/policies#drafts")

    async def _assign(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        asked = answers.convert(form, t.Assign)
        await self._ask(self._desk.assign, who, asked)
        await self._push()
        return _see("/rings" if asked.rings else "/policies")

    async def _withdraw_draft(self, request: web.Request, who: Who, _form: Form) -> web.StreamResponse:
        await self._ask(self._desk.withdraw_draft, who, int(request.match_info["number"]))
        return _see("/policies#drafts")

    async def _new_group(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        await self._ask(self._desk.new_group, who, answers.convert(form, t.AskGroup))
        return _see("/policies")

    async def _tokens(self, _request: web.Request, who: Who) -> web.StreamResponse:
        return await self._token_page(who, None)

    async def _token_page(self, who: Who, made: t.MadeToken | None) -> web.Response:
        groups = await self._ask(self._desk.group_list, who)
        tokens = await self._ask(self._desk.token_list, who)
        qr = qr_svg(f"{made.url}#{made.token}") if made else ""
        return self._render("tokens.html", who, "/tokens", groups=groups, tokens=tokens, made=made, qr=qr)

    async def _new_token(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        made = await self._ask(self._desk.new_token, who, answers.convert(form, t.AskToken))
        return await self._token_page(who, made)

    async def _withdraw_token(self, request: web.Request, who: Who, _form: Form) -> web.StreamResponse:
        await self._ask(self._desk.withdraw_token, who, int(request.match_info["number"]))
        return _see("/tokens")

    async def _rings(self, _request: web.Request, who: Who) -> web.StreamResponse:
        views = await self._ask(self._desk.rollout_list, who)
        return self._render("rings.html", who, "/rings", views=views)

    async def _steer(self, request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        asked = answers.convert(form, t.Steer)
        await self._ask(self._desk.steer, who, int(request.match_info["number"]), asked)
        await self._push()
        return _see("/rings")

    async def _grants(self, request: web.Request, who: Who) -> web.StreamResponse:
        waiting = await self._ask(self._desk.waiting, who)
        groups = await self._ask(self._desk.group_list, who)
        untrusted_code = request.query.get("code", "")
        code = normal_code(untrusted_code) if untrusted_code else ""
        fingerprint = self._desk.grants.server_fingerprint
        found = {"waiting": waiting, "groups": groups, "code": code, "fingerprint": fingerprint}
        return self._render("grants.html", who, "/grants", **found)

    async def _decide(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        if form.pop("answer", "") != "approve":
            form["group"] = ""
        await self._ask(self._desk.decide, who, answers.convert(form, t.Decide))
        return _see("/grants")

    async def _approvals(self, _request: web.Request, who: Who) -> web.StreamResponse:
        requests = await self._ask(self._desk.approval_list, who)
        return self._render("approvals.html", who, "/approvals", requests=requests)

    async def _ask_wipe(self, _request: web.Request, who: Who, form: Form) -> web.StreamResponse:
        fields: dict[str, Any] = {
            "devices": form.get("devices", "").split(),
            "reason": form.get("reason", ""),
        }
        await self._ask(self._desk.ask_wipe, who, answers.convert(fields, t.AskWipe))
        return _see("/approvals")

    async def _approve(self, request: web.Request, who: Who, _form: Form) -> web.StreamResponse:
        await self._ask(self._desk.approve, who, int(request.match_info["number"]))
        return _see("/approvals")

    async def _audit(self, request: web.Request, who: Who) -> web.StreamResponse:
        query = answers.convert(dict(request.query), t.AuditQuery)
        lines = await self._ask(self._desk.audit_page, who, query)
        verdict = await self._ask(self._desk.audit_verdict, who)
        before = lines[-1].number if len(lines) == LIMITS.page else 0
        onwards = urllib.parse.urlencode({"before": before, "text": query.text}) if before > 1 else ""
        return self._render(
            "audit.html", who, "/audit", lines=lines, verdict=verdict, query=query, onwards=onwards
        )

    async def _accounts(self, _request: web.Request, who: Who) -> web.StreamResponse:
        accounts = await self._ask(self._desk.accounts_of, who)
        return self._render("accounts.html", who, "/accounts", accounts=accounts)

    async def _disable(self, request: web.Request, who: Who, _form: Form) -> web.StreamResponse:
        await self._ask(self._desk.disable_account, who, request.match_info["name"])
        return _see("/accounts")


async def _form(request: web.Request) -> Form:
    """A form's fields, each once, line breaks as they were meant. Raises BadRequest."""
    untrusted_body = await answers.read_body(request)
    try:
        pairs = urllib.parse.parse_qsl(
            untrusted_body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS
        )
    except ValueError as error:
        raise e.BadRequest(detail="not a form") from error
    fields = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if len(fields) != len(pairs):
        raise e.BadRequest(detail="a field is there twice")
    return fields


def _from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that another site's page sent this (Fetch Metadata); all current ones say it."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def _own_path(untrusted_path: str) -> str:
    """Where to go after signing in: a path of this server, or the front page."""
    parts = urllib.parse.urlsplit(untrusted_path[:500])
    plain = untrusted_path.isascii() and untrusted_path.isprintable() and "\\" not in untrusted_path
    if not plain or parts.scheme or parts.netloc or not untrusted_path.startswith("/"):
        return "/"
    return "/" if untrusted_path.startswith("//") else untrusted_path[:500]


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except ValueError:
        return False
    return True


def _see(path: str) -> web.Response:
    """Go and look there (303), so that loading a page again repeats nothing."""
    return web.Response(status=303, headers=HEADERS | {"Location": path})
