"""What crosses between the partitions: the policy's answer, and a receipt of what became of it.

The content never comes here. The desktop app holds it, between two viewers; this decides, by the one
evaluator, and keeps kind, size, direction and outcome in the owner's log.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from twinhull_policy.api.types import ExchangeAnswer, ExchangeOutcome
from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.exchange import ExchangeFacts, decide_exchange
from twinhull_policy.model import Policy

from .state import State

MOST_OPEN = 16
"""Exchanges that are under way at once; the oldest is forgotten for one more."""
TICKET_SECONDS = 600.0
"""How long an answer counts: long enough to read a preview."""
TICKET_BYTES = 16
_KINDS = {"clipboard": "clipboard", "urls": "link", "files": "file"}
_WAYS = {"to_corporate": "personal to corporate", "from_corporate": "corporate to personal"}
_WORDS: dict[ExchangeOutcome, str] = {
    "sent": "sent",
    "used": "taken, and cleared",
    "expired": "not taken in time, and cleared",
    "cancelled": "not sent, the person decided against it",
    "failed": "did not get there",
}


class ExchangeDenied(TwinhullError):
    """By the rule {rule} this may not cross any more: {reason}"""

    code = "TH-DMN-032"
    blame = Blame.DENIED
    next_step = "'twinhull policy show' has what may be copied between the computers."


class NoSuchExchange(TwinhullError):
    """There is no exchange under way that this could be about."""

    code = "TH-DMN-033"
    next_step = "Copy it again."


@dataclass
class _Open:
    facts: ExchangeFacts
    caller: str
    until: float
    sent: bool = False


class Exchanges:
    """Answers and receipts.

    Args:
        state: holds the owner's log.
        policy: the one in force, None before the first.
        now: a clock that nobody sets, seconds.
    """

    def __init__(
        self, state: State, policy: Callable[[], Policy | None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._policy = policy
        self._now = now
        self._open: dict[str, _Open] = {}

    def ask(self, facts: ExchangeFacts, caller: str) -> ExchangeAnswer:
        """What the policy says; a ticket for ``caller``, a unique bus name, unless it is denied."""
        policy = self._policy()
        decision = decide_exchange(facts, policy.exchange if policy is not None else None)
        if decision.verdict == "deny":
            self._state.log("refused", f"{_words(facts)}: denied by {decision.rule}")
            return ExchangeAnswer(decision=decision)
        now = self._now()
        self._open = {ticket: each for ticket, each in self._open.items() if each.until > now}
        while len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        ticket = secrets.token_hex(TICKET_BYTES)
        self._open[ticket] = _Open(facts, caller, now + TICKET_SECONDS)
        return ExchangeAnswer(decision=decision, ticket=ticket)

    def settle(self, ticket: str, outcome: ExchangeOutcome, caller: str) -> None:
        """Keep a receipt of what became of it.

        Raises:
            NoSuchExchange: it is over, another caller's, too old, or has not been sent or has been already.
            ExchangeDenied: it is to be sent, and the policy in force by now does not let it.
        """
        found = self._open.get(ticket)
        if found is None or found.caller != caller or found.until <= self._now():
            raise NoSuchExchange
        if found.sent != (outcome in ("used", "expired")) and outcome != "failed":
            raise NoSuchExchange
        if outcome == "sent":
            policy = self._policy()
            decision = decide_exchange(found.facts, policy.exchange if policy is not None else None)
            if decision.verdict == "deny":
                del self._open[ticket]
                self._state.log("refused", f"{_words(found.facts)}: denied by {decision.rule}")
                raise ExchangeDenied(rule=decision.rule, reason=decision.reason)
            found.sent = True
        else:
            del self._open[ticket]
        self._state.log("done", f"{_words(found.facts)}: {_WORDS[outcome]}")


def _words(facts: ExchangeFacts) -> str:
    what = _KINDS[facts.kind] + (f" ({facts.type})" if facts.type else "")
    return f"Exchange: {what}, {facts.size_bytes} bytes, {_WAYS[facts.way]}"
