"""OpenAPI 3.1 of both interfaces, made from the types that the handlers read and answer with.

``docs/openapi.json`` is this document, kept equal by tests/unit/test_server_openapi.py.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from twinhull_policy.errors import ErrorReport, TwinhullError
from twinhull_policy.report import Item, Report
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import errors as e
from twinhull_policy.server.accounts import Role
from twinhull_policy.server.admin_http import PATH_PATTERNS, PREFIX, ROUTES
from twinhull_policy.server.answers import status_of
from twinhull_policy.server.commanding import CommandUnknown
from twinhull_policy.server.device_grants import (
    GRANT_TYPE,
    AccessToken,
    DeviceAuthorization,
    OAuthError,
)
from twinhull_policy.server.device_requests import (
    DeviceAuthorizationRequest,
    ShareQuery,
    StatementQuery,
    TokenRequest,
)
from twinhull_policy.server.enrolment import EnrolAnswer, EnrolRequest, RenewAnswer, RenewRequest
from twinhull_policy.server.shares import ShareAnswer
from twinhull_policy.trust.envelope import Envelope
from twinhull_policy.trust.errors import SignatureInvalid

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
REF = "#/components/schemas/{name}"
LAPTOPS, ADMINISTRATORS = "laptops", "administrators"


@dataclass(frozen=True)
class Operation:
    """One request, as the description tells of it.

    Attributes:
        tag: whose it is.
        security: what it takes: ``mutualTLS``, ``session``, or empty for nothing.
        request: type of the body; ``form`` if it comes as a form.
        query: type of the query.
        answer: type of the answer, or (a text) its media type.
        empty: whether it may answer 204.
        refusals: errors of its own, beside those that anything may answer.
    """

    method: str
    path: str
    summary: str
    tag: str
    security: str
    answer: Any
    request: Any = None
    form: bool = False
    query: Any = None
    empty: bool = False
    refusals: tuple[type[TwinhullError], ...] = ()
    example: Any = None


_ENROL = (
    e.TokenWrong,
    e.TokenUsed,
    e.TokenExpired,
    e.TokenRevoked,
    e.TokenNotForKey,
    e.DeviceRevoked,
    e.SubnetFull,
)
_DEVICE = (e.CertificateNeeded, e.DeviceRevoked)
_REPORT = Report(
    seq=7,
    policy="4f" * 32,
    applied_at=1_800_000_000,
    items=(Item(name="policy", desired="4f" * 32, actual="4f" * 32, state="active"),),
)
_CSR = "-----BEGIN CERTIFICATE REQUEST-----\n…\n-----END CERTIFICATE REQUEST-----\n"
_LAPTOPS: tuple[Operation, ...] = (
    Operation("GET", "/v1/ca", "The server's CA, pinned by a token.", LAPTOPS, "", "application/x-pem-file"),
    Operation("GET", "/v1/report-schema", "JSON Schema of a report.", LAPTOPS, "", dict[str, Any]),
    Operation(
        "POST",
        "/v1/enrol",
        "Turn a token into a device.",
        LAPTOPS,
        "",
        EnrolAnswer,
        EnrolRequest,
        refusals=_ENROL,
        example={
            "token": f"th1.{'A' * 43}.{'0' * 64}.{'0' * 64}",
            "csr": _CSR,
            "wireguard_public_key": f"{'A' * 42}8=",
        },
    ),
    Operation(
        "POST",
        "/v1/device-authorization",
        "Ask to be let in (RFC 8628).",
        LAPTOPS,
        "",
        DeviceAuthorization,
        DeviceAuthorizationRequest,
        form=True,
        refusals=(e.GrantsFull, e.NoConsole),
        example={"client_id": "twinhull", "csr": _CSR, "initiator": "the front desk"},
    ),
    Operation(
        "POST",
        "/v1/token",
        "Whether it was let in (RFC 8628).",
        LAPTOPS,
        "",
        AccessToken,
        TokenRequest,
        form=True,
        example={"client_id": "twinhull", "device_code": "A" * 43, "grant_type": GRANT_TYPE},
    ),
    Operation(
        "POST",
        "/v1/renew",
        "The next certificate, for the same key.",
        LAPTOPS,
        "mutualTLS",
        RenewAnswer,
        RenewRequest,
        refusals=_DEVICE,
        example={"csr": _CSR},
    ),
    Operation(
        "GET",
        "/v1/stream",
        "Statements as server-sent events; Last-Event-ID is the newest sequence known.",
        LAPTOPS,
        "mutualTLS",
        "text/event-stream",
        refusals=_DEVICE,
    ),
    Operation(
        "GET",
        "/v1/statement",
        "The newest statement; with `wait`, once there is one newer than `after` (204 when none came).",
        LAPTOPS,
        "mutualTLS",
        dict[str, Any],
        query=StatementQuery,
        empty=True,
        refusals=_DEVICE,
    ),
    Operation(
        "GET",
        "/v1/share",
        "The server's part of the key of the laptop's corporate volume, while it is not locked.",
        LAPTOPS,
        "mutualTLS",
        ShareAnswer,
        query=ShareQuery,
        refusals=(*_DEVICE, e.ShareWithheld),
    ),
    Operation(
        "GET",
        "/v1/bodies/{sha256}",
        "A policy body.",
        LAPTOPS,
        "mutualTLS",
        dict[str, Any],
        refusals=(*_DEVICE, e.NotFound),
    ),
    Operation(
        "POST",
        "/v1/report",
        "Desired versus actual; answered once it is on the disk.",
        LAPTOPS,
        "mutualTLS",
        dict[str, Any],
        Report,
        refusals=_DEVICE,
        example=msgspec.to_builtins(_REPORT),
    ),
    Operation(
        "POST",
        "/v1/receipt",
        "How a command to the laptop goes: an envelope signed with the key of its certificate.",
        LAPTOPS,
        "mutualTLS",
        dict[str, Any],
        Envelope,
        refusals=(*_DEVICE, CommandUnknown, SignatureInvalid),
        example={"payload": "e30=", "payloadType": "application/vnd.twinhull.receipt+json", "signatures": []},
    ),
)
_EXAMPLES: dict[Any, Any] = {
    t.AskToken: {"group": "default", "hours": 24, "label": "front desk"},
    t.Revoke: {"release": False},
    t.AskGroup: {"name": "engineering"},
    t.AskCheck: {"group": "default", "document": "{}"},
    t.AskDraft: {"group": "default", "document": "{}", "base": "", "note": "no storage"},
    t.Publish: {"group": "default", "base": "", "envelope": "{}", "rings": True},
    t.Assign: {"group": "default", "policy_sha256": "4f" * 32, "base": "", "rings": True},
    t.Steer: {"action": "halt"},
    t.Decide: {"user_code": "BCDF-GHJK", "group": "default"},
    t.AskWipe: {"devices": ["d-0123456789abcdef"], "reason": "stolen van"},
}


def _administrators() -> list[Operation]:
    found = [
        Operation(
            "POST",
            f"{PREFIX}/session",
            "Sign in.",
            ADMINISTRATORS,
            "",
            t.Session,
            t.SignIn,
            refusals=(e.SignInRefused,),
            example={"name": "alice", "password": "correct horse battery", "code": "000000"},
        ),
        Operation("GET", f"{PREFIX}/session", "Who is signed in.", ADMINISTRATORS, "session", t.Me),
        Operation("DELETE", f"{PREFIX}/session", "Sign out.", ADMINISTRATORS, "session", t.Done),
    ]
    for route in ROUTES:
        gets = route.method == "GET"
        more: tuple[type[TwinhullError], ...] = (e.RoleNeeded,) if route.role != Role.VIEWER else ()
        found.append(
            Operation(
                route.method,
                PREFIX + route.path,
                f"{route.summary} Role: {(route.role or Role.VIEWER).label}.",
                ADMINISTRATORS,
                "session",
                route.answer,
                None if gets else route.asked,
                query=route.asked if gets else None,
                refusals=(*route.refusals, *more),
                example=None if gets else _EXAMPLES.get(route.asked),
            )
        )
    return found


@functools.cache
def document() -> dict[str, Any]:
    """The whole description."""
    operations = [*_LAPTOPS, *_administrators()]
    types: list[Any] = [ErrorReport, OAuthError]
    for one in operations:
        types += [x for x in (one.answer, one.request, one.query) if x is not None and not isinstance(x, str)]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = list(zip(types, schemas, strict=True))

    def schema(kind: Any) -> Any:
        return next(made for known, made in by_type if known is kind or known == kind)

    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schema, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Twinhull fleet server",
            "version": "1",
            "description": "Laptops and administrators have a listener each, on ports of their own.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "mutualTLS": {"type": "mutualTLS", "description": "The certificate from enrolment."},
                "session": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(one: Operation, schema: Any, components: dict[str, Any]) -> dict[str, Any]:
    refused: dict[int, list[type[TwinhullError]]] = {
        400: [e.BadRequest],
        429: [e.TooManyRequests],
        500: [e.ServerFailed],
    }
    if one.security == "session":
        refused.setdefault(401, []).append(e.SignInNeeded)
    for error in one.refusals:
        refused.setdefault(status_of(error(**_fields(error))), []).append(error)
    answer = (
        {one.answer: {"schema": {"type": "string"}}}
        if isinstance(one.answer, str)
        else {JSON: {"schema": schema(one.answer)}}
    )
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": answer}}
    if one.empty:
        responses["204"] = {"description": "Nothing new."}
    for status, errors in sorted(refused.items()):
        words = " ".join(f"{error.code}: {(error.__doc__ or '').splitlines()[0]}" for error in errors)
        report = schema(ErrorReport)
        if one.path == "/v1/token":
            report = {"anyOf": [schema(OAuthError), report]}
        responses[str(status)] = {"description": words, "content": {JSON: {"schema": report}}}
    made: dict[str, Any] = {
        "operationId": _identifier(one),
        "tags": [one.tag],
        "summary": one.summary,
        "responses": responses,
        "security": [{one.security: []}] if one.security else [],
    }
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", one.path)]
    if one.query is not None:
        parameters += _query_parameters(schema(one.query), components)
    if parameters:
        made["parameters"] = parameters
    if one.request is not None:
        content: dict[str, Any] = {"schema": schema(one.request)}
        if one.example is not None:
            content["example"] = one.example
        made["requestBody"] = {"required": True, "content": {FORM if one.form else JSON: content}}
    return made


def _identifier(one: Operation) -> str:
    words = re.findall(r"[a-z0-9]+", one.path.replace("/admin/v1", "admin").replace("/v1", "laptop"))
    return "_".join((one.method.lower(), *words))


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^{PATH_PATTERNS[name]}$"}
    if name == "number":
        schema = {"type": "integer", "minimum": 1, "maximum": 10**15 - 1}  # type: ignore[dict-item]
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(reference: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    found = components[reference["$ref"].rpartition("/")[2]]
    return [
        {"name": name, "in": "query", "required": name in found["required"], "schema": schema}
        for name, schema in found["properties"].items()
    ]


def _fields(error: type[TwinhullError]) -> dict[str, str]:
    return dict.fromkeys(re.findall(r"{(\w+)}", (error.__doc__ or "").splitlines()[0]), "")
