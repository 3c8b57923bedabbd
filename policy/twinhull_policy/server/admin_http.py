"""The administrators' HTTP interface: one table of typed routes, from which handlers, description and
client come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from aiohttp import web

from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import errors as e
from twinhull_policy.server.accounts import Role, SignedIn, Who
from twinhull_policy.server.answers import convert, json_answer, read_json
from twinhull_policy.server.desk import Desk
from twinhull_policy.server.limiter import FailureCounter, RateLimiter
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store.accounts import Account
from twinhull_policy.server.store.approvals import Approval
from twinhull_policy.server.store.audit import Line, Verdict
from twinhull_policy.server.store.grants import Grant
from twinhull_policy.server.store.groups import Group
from twinhull_policy.server.store.policies import Draft, Policy
from twinhull_policy.server.store.rollouts import Rollout
from twinhull_policy.server.store.tokens import Token

PREFIX = "/admin/v1"


@dataclass(frozen=True)
class Route:
    """One request an administrator may make.

    Attributes:
        method, path: ``{name}`` parts of the path are texts, ``{number}`` is a number.
        summary: one sentence.
        role: what it takes; None for nothing at all.
        run: ``(desk, who, path argument or None, request or None) -> answer``, blocking.
        answer: type of the answer.
        asked: type of the body, or of the query for GET; None for neither.
        pushes: whether laptops may have to be told afterwards.
        refusals: which errors it has of its own.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    role: Role | None
    run: Callable[[Desk, Who, Any, Any], Any]
    answer: Any
    asked: type[msgspec.Struct] | None = None
    pushes: bool = False
    refusals: tuple[type[TwinhullError], ...] = ()


def _get(
    path: str, summary: str, run: Callable[..., Any], answer: Any, asked: Any = None, **more: Any
) -> Route:
    return Route("GET", path, summary, more.pop("role", Role.VIEWER), run, answer, asked, **more)


def _post(
    path: str,
    summary: str,
    role: Role,
    run: Callable[..., Any],
    asked: Any,
    answer: Any = t.Done,
    **more: Any,
) -> Route:
    return Route("POST", path, summary, role, run, answer, asked, **more)


ROUTES: tuple[Route, ...] = (
    _get("/overview", "The fleet at a glance.", lambda d, w, _a, _q: d.overview(w), t.Overview),
    _get(
        "/devices", "A page of devices.", lambda d, w, _a, q: d.device_page(w, q), t.DevicePage, t.DeviceQuery
    ),
    _get(
        "/devices/{device_id}",
        "One device: desired, actual, history.",
        lambda d, w, a, _q: d.device(w, a),
        t.DeviceView,
        refusals=(e.UnknownDevice,),
    ),
    _post(
        "/devices/{device_id}/revoke",
        "Shut a laptop out.",
        Role.OPERATOR,
        lambda d, w, a, q: d.revoke(w, a, q),
        t.Revoke,
        pushes=True,
        refusals=(e.UnknownDevice,),
    ),
    _get("/tokens", "The newest enrolment tokens.", lambda d, w, _a, _q: d.token_list(w), list[Token]),
    _post(
        "/tokens",
        "A token that enrols one laptop; told once.",
        Role.OPERATOR,
        lambda d, w, _a, q: d.new_token(w, q),
        t.AskToken,
        t.MadeToken,
        refusals=(e.UnknownGroup,),
    ),
    Route(
        "DELETE",
        "/tokens/{number}",
        "Withdraw an unused token.",
        Role.OPERATOR,
        lambda d, w, a, _q: d.withdraw_token(w, a),
        t.Done,
        refusals=(e.UnknownToken,),
    ),
    _get("/groups", "All groups.", lambda d, w, _a, _q: d.group_list(w), list[Group]),
    _post(
        "/groups",
        "Make a group.",
        Role.OWNER,
        lambda d, w, _a, q: d.new_group(w, q),
        t.AskGroup,
        refusals=(e.GroupExists,),
    ),
    _get("/policies", "Published policies.", lambda d, w, _a, _q: d.policy_list(w), list[Policy]),
    _get(
        "/policies/{sha256}",
        "One published policy.",
        lambda d, w, a, _q: d.policy(w, a),
        t.PolicyView,
        refusals=(e.UnknownPolicy,),
    ),
    _post(
        "/policies/check",
        "What is wrong with a policy, or what it would change.",
        Role.VIEWER,
        lambda d, w, _a, q: d.check(w, q),
        t.AskCheck,
        t.Checked,
        refusals=(e.UnknownGroup,),
    ),
    _post(
        "/policies",
        "Publish a policy that the policy key has signed.",
        Role.AUTHOR,
        lambda d, w, _a, q: d.publish(w, q),
        t.Publish,
        t.Published,
        pushes=True,
        refusals=(e.PolicyUnsigned, e.UnknownGroup, e.StaleBase, e.RolloutOpen),
    ),
    _post(
        "/policies/assign",
        "Have a group have a policy published before.",
        Role.AUTHOR,
        lambda d, w, _a, q: d.assign(w, q),
        t.Assign,
        t.Published,
        pushes=True,
        refusals=(e.UnknownPolicy, e.UnknownGroup, e.StaleBase, e.RolloutOpen),
    ),
    _get("/drafts", "Policies that wait for the policy key.", lambda d, w, _a, _q: d.drafts(w), list[Draft]),
    _post(
        "/drafts",
        "Propose a policy.",
        Role.AUTHOR,
        lambda d, w, _a, q: d.propose(w, q),
        t.AskDraft,
        refusals=(e.UnknownGroup, e.StaleBase),
    ),
    Route(
        "DELETE",
        "/drafts/{number}",
        "Drop a draft.",
        Role.AUTHOR,
        lambda d, w, a, _q: d.withdraw_draft(w, a),
        t.Done,
        refusals=(e.UnknownDraft,),
    ),
    _get(
        "/rollouts", "Rollouts and how they do.", lambda d, w, _a, _q: d.rollout_list(w), list[t.RolloutView]
    ),
    _post(
        "/rollouts/{number}",
        "Advance, halt, resume or withdraw a rollout.",
        Role.AUTHOR,
        lambda d, w, a, q: d.steer(w, a, q),
        t.Steer,
        Rollout,
        pushes=True,
        refusals=(e.UnknownRollout,),
    ),
    _get("/grants", "Laptops that ask to be let in.", lambda d, w, _a, _q: d.waiting(w), list[Grant]),
    _post(
        "/grants",
        "Let a laptop in, or refuse it.",
        Role.OPERATOR,
        lambda d, w, _a, q: d.decide(w, q),
        t.Decide,
        refusals=(e.UnknownGrant, e.UnknownGroup),
    ),
    _get(
        "/approvals",
        "What was asked that needs two.",
        lambda d, w, _a, _q: d.approval_list(w),
        list[Approval],
    ),
    _post(
        "/approvals",
        "Ask to have laptops wiped.",
        Role.OPERATOR,
        lambda d, w, _a, q: d.ask_wipe(w, q),
        t.AskWipe,
        refusals=(e.UnknownDevice,),
    ),
    Route(
        "POST",
        "/approvals/{number}/approve",
        "Approve what somebody else asked.",
        Role.OPERATOR,
        lambda d, w, a, _q: d.approve(w, a),
        t.Done,
        refusals=(e.UnknownApproval, e.SecondPersonNeeded),
    ),
    _get(
        "/audit", "A page of the audit log.", lambda d, w, _a, q: d.audit_page(w, q), list[Line], t.AuditQuery
    ),
    _get("/audit/verdict", "Whether its chain is whole.", lambda d, w, _a, _q: d.audit_verdict(w), Verdict),
    _get("/accounts", "All accounts.", lambda d, w, _a, _q: d.accounts_of(w), list[Account], role=Role.OWNER),
    Route(
        "POST",
        "/accounts/{name}/disable",
        "Shut an account out.",
        Role.OWNER,
        lambda d, w, a, _q: d.disable_account(w, a),
        t.Done,
        refusals=(e.UnknownAccount, e.SecondPersonNeeded),
    ),
)
"""Everything but signing in and out."""

PATH_PATTERNS = {
    "number": r"[1-9][0-9]{0,14}",
    "device_id": r"[a-z0-9][a-z0-9-]{0,63}",
    "sha256": r"[0-9a-f]{64}",
    "name": r"[a-z][a-z0-9-]{0,31}",
}
"""What may stand in a path."""


class SignInDesk:
    """Signing in with limits: for one address, for one name, and for the memory passwords take."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failures = FailureCounter(LIMITS.sign_in_failures_a_minute)
        self._slots = asyncio.Semaphore(LIMITS.sign_ins_at_once)

    async def sign_in(self, asked: t.SignIn, address: str) -> SignedIn:
        """Raises SignInRefused, TooManyAttempts."""
        keys = (f"address {address}", f"name {asked.name}")
        for key in keys:
            self._failures.check(key)
        async with self._slots:
            try:
                return await asyncio.to_thread(
                    self._desk.accounts.sign_in, asked.name, asked.password, asked.code, address
                )
            except e.SignInRefused:
                for key in keys:
                    self._failures.count(key)
                raise


class AdminInterface:
    """Handlers over a desk.

    Args:
        desk: what can be done.
        signing_in: shared with the console, and so are its limits.
        push: tells laptops what changed.
    """

    def __init__(self, desk: Desk, signing_in: SignInDesk, push: Callable[[], Awaitable[None]]) -> None:
        self._desk = desk
        self._signing_in = signing_in
        self._push = push
        self._anonymous = RateLimiter(LIMITS.anonymous_burst, LIMITS.anonymous_per_second)

    def routes(self) -> list[web.RouteDef]:
        """For aiohttp."""
        found = [
            web.post(f"{PREFIX}/session", self._sign_in),
            web.delete(f"{PREFIX}/session", self._sign_out),
            web.get(f"{PREFIX}/session", self._me, allow_head=False),
        ]
        # /policies/check before /policies/{sha256}: the first that fits counts.
        for route in sorted(ROUTES, key=lambda route: "{" in route.path):
            path = route.path
            for name, pattern in PATH_PATTERNS.items():
                path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
            found.append(web.route(route.method, PREFIX + path, self._handler(route)))
        return found

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            who = await self._who(request)
            untrusted_argument: Any = next(iter(request.match_info.values()), None)
            argument = int(untrusted_argument) if "{number}" in route.path else untrusted_argument
            asked: Any = None
            if route.asked is not None:
                if route.method == "GET":
                    asked = convert(dict(request.query), route.asked)
                else:
                    asked = await read_json(request, route.asked)
            answer = await asyncio.to_thread(route.run, self._desk, who, argument, asked)
            if route.pushes:
                await self._push()
            return json_answer(answer)

        return handle

    async def _who(self, request: web.Request) -> Who:
        kind, _, untrusted_token = request.headers.get("Authorization", "").partition(" ")
        try:
            if kind.lower() != "bearer" or not 1 <= len(untrusted_token) <= 100:
                raise e.SignInNeeded
            return await asyncio.to_thread(self._desk.accounts.who, untrusted_token)
        except e.SignInNeeded:
            self._anonymous.take(request.remote or "")
            raise

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        asked = await read_json(request, t.SignIn)
        made = await self._signing_in.sign_in(asked, request.remote or "")
        who = made.who
        return json_answer(
            t.Session(token=made.token, name=who.name, role=who.role.label, expires_at=who.expires_at)
        )

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        await self._who(request)
        untrusted_token = request.headers["Authorization"].partition(" ")[2]
        await asyncio.to_thread(self._desk.accounts.sign_out, untrusted_token)
        return json_answer(t.Done())

    async def _me(self, request: web.Request) -> web.StreamResponse:
        who = await self._who(request)
        return json_answer(t.Me(name=who.name, role=who.role.label, expires_at=who.expires_at))
