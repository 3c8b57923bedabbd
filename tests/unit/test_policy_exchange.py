"""What may cross the border: the host's limits and the policy's, as tables, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinhull_policy.exchange import ExchangeFacts, decide_exchange
from twinhull_policy.model import Direction, ExchangeSection, Transfer, TypedTransfer

from tests.support.policies import EXCHANGES

WIDE = TypedTransfer(verdict="allow", limit_bytes=2**40)
OPEN = Direction(clipboard=WIDE, files=WIDE, urls=Transfer(verdict="allow", limit_bytes=2**40))
EVERYTHING = ExchangeSection(to_corporate=OPEN, from_corporate=OPEN)
TYPED = ExchangeSection(
    to_corporate=Direction(
        clipboard=TypedTransfer(verdict="ask", limit_bytes=100, types=("text/plain",)),
        files=TypedTransfer(verdict="allow", limit_bytes=1000, types=("image/*", "application/pdf")),
    ),
    from_corporate=Direction(urls=Transfer(verdict="ask")),
)
RULE = "corporate:exchange."


def facts(way: str, kind: str, size: int, type_: str = "") -> ExchangeFacts:
    made: Any = {"way": way, "kind": kind, "size_bytes": size, "type": type_}
    return ExchangeFacts(**made)


TO, FROM = "to_corporate", "from_corporate"
# facts, section -> verdict, targets, rule
TABLE: list[tuple[ExchangeFacts, ExchangeSection | None, str, tuple[str, ...], str]] = [
    (facts(TO, "files", 1), None, "deny", (), "default"),
    (facts(TO, "files", 1), ExchangeSection(), "deny", (), RULE + "to_corporate.files"),
    (
        facts(FROM, "clipboard", 1, "text/plain"),
        ExchangeSection(),
        "deny",
        (),
        RULE + "from_corporate.clipboard",
    ),
    (facts(TO, "files", 32 * 2**20 + 1), EVERYTHING, "deny", (), "host:too-much"),
    (facts(TO, "files", 32 * 2**20), EVERYTHING, "allow", ("corporate",), RULE + "to_corporate.files"),
    (facts(FROM, "files", 5), EVERYTHING, "allow", ("personal",), RULE + "from_corporate.files"),
    (
        facts(TO, "clipboard", 65536, "text/plain"),
        EVERYTHING,
        "allow",
        ("corporate",),
        RULE + "to_corporate.clipboard",
    ),
    (facts(TO, "clipboard", 65537, "text/plain"), EVERYTHING, "deny", (), "host:too-much"),
    (facts(TO, "clipboard", 65537, "text/html"), EVERYTHING, "deny", (), "host:too-much"),
    (facts(TO, "clipboard", 65537), EVERYTHING, "deny", (), "host:too-much"),
    (
        facts(TO, "clipboard", 65537, "image/png"),
        EVERYTHING,
        "allow",
        ("corporate",),
        RULE + "to_corporate.clipboard",
    ),
    (
        facts(TO, "clipboard", 4 * 2**20, "image/png"),
        EVERYTHING,
        "allow",
        ("corporate",),
        RULE + "to_corporate.clipboard",
    ),
    (facts(TO, "clipboard", 4 * 2**20 + 1, "image/png"), EVERYTHING, "deny", (), "host:too-much"),
    (
        facts(TO, "files", 4 * 2**20 + 1, "image/png"),
        EVERYTHING,
        "allow",
        ("corporate",),
        RULE + "to_corporate.files",
    ),
    (facts(TO, "urls", 8192, "https"), EVERYTHING, "allow", ("corporate",), RULE + "to_corporate.urls"),
    (facts(TO, "urls", 8193, "https"), EVERYTHING, "deny", (), "host:too-much"),
    (facts(TO, "urls", 10, "file"), EVERYTHING, "deny", (), "host:scheme"),
    (facts(FROM, "urls", 10, "javascript"), EVERYTHING, "deny", (), "host:scheme"),
    (facts(FROM, "urls", 10, "HTTPS"), EVERYTHING, "deny", (), "host:malformed"),
    (facts(FROM, "urls", 10), EVERYTHING, "deny", (), "host:malformed"),
    (facts(TO, "files", 10, "text/plain; charset=utf-8"), EVERYTHING, "deny", (), "host:malformed"),
    (facts(TO, "files", 10, "Text/Plain"), EVERYTHING, "deny", (), "host:malformed"),
    (facts(TO, "files", 10, "image/*"), EVERYTHING, "deny", (), "host:malformed"),
    (facts(TO, "files", 10, "image/png\n"), EVERYTHING, "deny", (), "host:malformed"),
    (facts(TO, "files", -1), EVERYTHING, "deny", (), "host:malformed"),
    (
        facts(TO, "clipboard", 100, "text/plain"),
        TYPED,
        "ask",
        ("corporate",),
        RULE + "to_corporate.clipboard",
    ),
    (facts(TO, "clipboard", 101, "text/plain"), TYPED, "deny", (), RULE + "to_corporate.clipboard"),
    (facts(TO, "clipboard", 10, "text/html"), TYPED, "deny", (), RULE + "to_corporate.clipboard"),
    (facts(TO, "clipboard", 10), TYPED, "deny", (), RULE + "to_corporate.clipboard"),
    (facts(TO, "files", 10, "image/png"), TYPED, "allow", ("corporate",), RULE + "to_corporate.files"),
    (facts(TO, "files", 10, "imagex/png"), TYPED, "deny", (), RULE + "to_corporate.files"),
    (facts(TO, "files", 10, "application/pdf"), TYPED, "allow", ("corporate",), RULE + "to_corporate.files"),
    (facts(TO, "files", 10, "application/pdfx"), TYPED, "deny", (), RULE + "to_corporate.files"),
    (facts(FROM, "urls", 10, "http"), TYPED, "ask", ("personal",), RULE + "from_corporate.urls"),
]


@pytest.mark.parametrize(("asked", "section", "verdict", "targets", "rule"), TABLE)
def test_verdicts(
    asked: ExchangeFacts, section: ExchangeSection | None, verdict: str, targets: tuple[str, ...], rule: str
) -> None:
    told = decide_exchange(asked, section)
    assert (told.verdict, told.targets, told.rule) == (verdict, targets, rule)
    assert told.reason.endswith(".")


@settings(max_examples=200)
@given(
    EXCHANGES,
    st.sampled_from([TO, FROM]),
    st.sampled_from(["clipboard", "files", "urls"]),
    st.integers(0, 2**41) | st.integers(0, 70_000),
    st.sampled_from(["", "text/plain", "image/png", "application/pdf", "https", "file"])
    | st.text(max_size=5),
)
def test_nothing_crosses_that_the_policy_does_not_name(
    section: ExchangeSection, way: str, kind: str, size: int, type_: str
) -> None:
    told = decide_exchange(facts(way, kind, size, type_), section)
    assert bool(told.targets) == (told.verdict != "deny")
    if told.verdict == "deny":
        return
    transfer = getattr(getattr(section, way), kind)
    assert told.verdict == transfer.verdict
    assert size <= transfer.limit_bytes
    assert told.targets == (("corporate",) if way == TO else ("personal",))
