"""Every size, count and time limit of the fetcher, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchLimits:
    """Bounds on what a server may send and how long it may take."""

    url_characters: int = 256
    ca_bytes: int = 64 * 1024
    answer_bytes: int = 4 * 1024 * 1024
    """An enrolment answer: the chain of roots is most of it."""
    error_bytes: int = 8 * 1024
    statement_bytes: int = 64 * 1024
    body_bytes: int = 2 * 1024 * 1024
    event_bytes: int = 128 * 1024
    """One server-sent event."""
    report_bytes: int = 32 * 1024
    token_bytes: int = 1024
    root_bytes: int = 512 * 1024
    """One version of root.json."""
    grant_interval_seconds: float = 60.0
    """Longest time between two questions about a device grant."""
    root_rotations: int = 256
    bodies: int = 8
    connect_seconds: float = 20.0
    request_seconds: float = 60.0
    """One request with its whole answer, images apart."""
    silence_seconds: float = 45.0
    """Without a byte, also on the push stream: the server sends a comment every 15 s."""
    held_seconds: float = 10.0
    """From the request for a stream to its first byte, which the server writes at once."""
    long_poll_seconds: int = 30
    """A long poll; the server takes at most this."""
    polling_seconds: float = 1800.0
    """How long to poll where streams are held back, before a stream is tried again; jittered by half."""
    poll_pause_seconds: float = 1.0
    """Shortest time between two polls."""
    slow_window_seconds: float = 30.0
    slow_window_bytes: int = 30 * 1024
    """An image that brings less than this in a window is given up and resumed later."""
    metadata_seconds: float = 60.0
    """One metadata file."""
    chunk_bytes: int = 256 * 1024
    image_bytes: int = 64 * 2**30
    retry_base_seconds: float = 0.5
    retry_cap_seconds: float = 60.0
    """Full-jitter back-off: a random time up to base * 2^n, at most the cap."""
    reconcile_seconds: float = 900.0
    """A reconcile comes after a random half to once and a half of this."""


LIMITS = FetchLimits()
