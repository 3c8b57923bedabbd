"""Every size, count and time limit of the serving process, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerLimits:
    """Bounds on what a client may ask and how long it may take."""

    body_bytes: int = 64 * 1024
    """Any request body."""
    admin_body_bytes: int = 3 * 1024 * 1024
    """A request of an administrator: a signed policy of 1 MiB as base64 in JSON fits."""
    body_seconds: float = 10.0
    """To send a request's body."""
    first_request_seconds: float = 15.0
    """From the end of the TLS handshake to the first whole request head."""
    silence_looks: int = 5
    """How often within that time it is looked whether a connection is silent; each look is another pass of
    the loop, so who waits to be read is not cut off for it."""
    handshake_seconds: float = 300.0
    """From being accepted; a whole fleet that comes back at once has to queue for the processor."""
    goodbye_seconds: float = 1.0
    """For the other end to agree that a connection ends; then it is cut."""
    backlog: int = 4096
    """Connections that wait to be accepted."""
    rollout_seconds: float = 15.0
    """How often to see whether a rollout can go on."""
    stream_buffer_bytes: int = 256 * 1024
    """What may wait for a slow reader before it is cut off."""
    streams_per_device: int = 4
    long_poll_seconds: int = 30
    """Longest wait of a long poll."""
    reports_at_once: int = 2000
    """Reports of one commit."""
    keep_alive_seconds: float = 15.0
    """Between comments on an idle stream; a device revoked unnoticed is caught then at the latest."""
    keep_alive_slice_seconds: float = 0.25
    """A fraction of the streams is kept alive at a time, so often."""
    failures_a_minute: int = 20
    """Failed enrolments from one address before it has to wait."""
    addresses_remembered: int = 10_000
    """Addresses whose failures are counted."""
    enrolments_at_once: int = 8
    reports_kept: int = 50
    """Per device."""
    statements_kept: int = 50
    """Per device."""
    resign_seconds: float = 600.0
    """How often to look for signatures that are due."""
    revocation_seconds: float = 0.5
    """How often to look for devices that were revoked without this process being told."""
    seen_seconds: float = 5.0
    """How often "last seen" is written: all devices in one transaction."""

    session_seconds: float = 12 * 3600.0
    """An administrator's session, however busy."""
    session_idle_seconds: float = 30 * 60.0
    """Without a request."""
    session_noted_seconds: float = 60.0
    """How exactly the last request of a session is written down."""
    sign_in_failures_a_minute: int = 10
    """For one address, and for one account name."""
    sign_ins_at_once: int = 2
    """Each takes 64 MiB for its password."""
    anonymous_burst: float = 60.0
    anonymous_per_second: float = 2.0
    """Requests without a certificate or a session, from one address."""
    static_burst: float = 60_000.0
    static_per_second: float = 400.0
    """The repository's files: a whole office comes from one address."""
    grant_seconds: float = 600.0
    """How long a device grant waits for an answer, and then for the laptop to take it."""
    grant_poll_seconds: int = 5
    grants_pending: int = 500
    """Device grants that wait at once, from everywhere."""
    approval_seconds: float = 24 * 3600.0
    approval_devices: int = 1000
    page: int = 50
    """Lines of one page of a list."""
    drafts_listed: int = 100


LIMITS = ServerLimits()
