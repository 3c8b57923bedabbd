"""What laptops ask for beyond enrolment and reports: closed, bounded structs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from twinhull_policy.escrow import Generation
from twinhull_policy.server.device_grants import CLIENT_ID
from twinhull_policy.server.limits import LIMITS


class StatementQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A long poll: wait up to ``wait`` seconds for a statement newer than ``after``."""

    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    wait: Annotated[int, Meta(ge=0, le=LIMITS.long_poll_seconds)] = 0


class ShareQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which generation of its volume's key a laptop needs the server's part."""

    generation: Generation


class DeviceAuthorizationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``POST /v1/device-authorization`` (RFC 8628, section 3.1), as a form. ``initiator``: who says they
    started it."""

    client_id: Annotated[str, Meta(pattern=f"^{CLIENT_ID}$")]
    csr: Annotated[str, Meta(max_length=4096)]
    initiator: Annotated[str, Meta(max_length=100)] = ""


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``POST /v1/token`` (RFC 8628, section 3.4), as a form."""

    client_id: Annotated[str, Meta(pattern=f"^{CLIENT_ID}$")]
    device_code: Annotated[str, Meta(max_length=128)]
    grant_type: Annotated[str, Meta(max_length=64)]
