"""What may cross and what became of it, asked of the real core over its bus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sdbus import sd_bus_open_system
from twinhull_hypervisor.daemon.exchanges import (
    MOST_OPEN,
    TICKET_SECONDS,
    ExchangeDenied,
    Exchanges,
    NoSuchExchange,
)
from twinhull_hypervisor.daemon.state import State
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, DaemonInterface
from twinhull_policy.api.types import ExchangeAnswer, ExchangeOutcome
from twinhull_policy.example import example_policy
from twinhull_policy.exchange import ExchangeFacts
from twinhull_policy.model import Policy

from tests.support.core_laptop import core_laptop

IN = ExchangeFacts(way="to_corporate", kind="clipboard", size_bytes=120, type="text/plain")
OUT = msgspec.structs.replace(IN, way="from_corporate")


def question(facts: ExchangeFacts) -> str:
    return msgspec.json.encode(facts).decode()


async def test_the_policy_in_force_decides_and_the_log_has_receipts(tmp_path: Path) -> None:
    async with core_laptop(tmp_path) as laptop:
        ask, settle = laptop.daemon.ask_exchange, laptop.daemon.settle_exchange
        denied = msgspec.json.decode(await ask(question(OUT)), type=ExchangeAnswer)
        assert (denied.decision.verdict, denied.ticket) == ("deny", "")
        asked = msgspec.json.decode(await ask(question(IN)), type=ExchangeAnswer)
        assert asked.decision.verdict == "ask"
        assert (await laptop.refusal(settle(asked.ticket, "used"))).code == "TH-DMN-033"  # it was not sent
        other_bus = sd_bus_open_system()
        other = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, other_bus)
        assert (await laptop.refusal(other.settle_exchange(asked.ticket, "sent"))).code == "TH-DMN-033"
        other_bus.close()
        await settle(asked.ticket, "sent")
        assert (await laptop.refusal(settle(asked.ticket, "sent"))).code == "TH-DMN-033"
        await settle(asked.ticket, "used")
        assert (await laptop.refusal(settle(asked.ticket, "used"))).code == "TH-DMN-033"
        state = State(laptop.paths.database)
        told = [entry for entry in state.read_log(100) if entry.text.startswith("Exchange")]
        state.close()
        what = "Exchange: clipboard (text/plain), 120 bytes, "
        assert [(entry.kind, entry.text, entry.body) for entry in told] == [
            (
                "refused",
                what + "corporate to personal: denied by corporate:exchange.from_corporate.clipboard",
                "",
            ),
            ("done", what + "personal to corporate: sent", ""),
            ("done", what + "personal to corporate: taken, and cleared", ""),
        ]


BAD: dict[str, str] = {
    "no JSON": "{",
    "content along with it": '{"way":"to_corporate","kind":"urls","size_bytes":1,"type":"https","text":"x"}',
    "a way of its own": '{"way":"sideways","kind":"urls","size_bytes":1}',
    "negative": '{"way":"to_corporate","kind":"urls","size_bytes":-1}',
    "a long type": question(msgspec.structs.replace(IN, type="x" * 201)),
    "too long": " " * 1025,
}


async def test_malformed_questions_and_outcomes_are_refused(tmp_path: Path) -> None:
    async with core_laptop(tmp_path, enrolled=False) as laptop:
        for case, untrusted in BAD.items():
            assert (await laptop.refusal(laptop.daemon.ask_exchange(untrusted))).code == "TH-DMN-007", case
        for ticket, outcome in (("", "sent"), ("x" * 32, "sent"), ("0" * 32, "stolen")):
            refused = await laptop.refusal(laptop.daemon.settle_exchange(ticket, outcome))
            assert refused.code == "TH-DMN-007"
        no_policy = msgspec.json.decode(await laptop.daemon.ask_exchange(question(IN)), type=ExchangeAnswer)
        assert no_policy.decision.rule == "default"


class Desk:
    """Exchanges with a policy and a clock that a test sets."""

    def __init__(self, path: Path) -> None:
        self.policy: Policy | None = example_policy()
        self.now = 0.0
        self.state = State(path / "state.db")
        self.exchanges = Exchanges(self.state, lambda: self.policy, lambda: self.now)

    def ticket(self) -> str:
        return self.exchanges.ask(IN, ":1.1").ticket

    def settle(self, ticket: str, outcome: ExchangeOutcome) -> Any:
        return self.exchanges.settle(ticket, outcome, ":1.1")


def test_a_policy_that_changed_meanwhile_is_asked_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ticket = desk.ticket()
    desk.policy = None
    with pytest.raises(ExchangeDenied):
        desk.settle(ticket, "sent")
    desk.policy = example_policy()
    with pytest.raises(NoSuchExchange):
        desk.settle(ticket, "sent")
    assert [entry.kind for entry in desk.state.read_log(9)] == ["refused"]
    desk.state.close()


def test_answers_grow_old_and_few_are_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ticket = desk.ticket()
    desk.now = TICKET_SECONDS
    with pytest.raises(NoSuchExchange):
        desk.settle(ticket, "sent")
    first, *others = [desk.ticket() for _ in range(MOST_OPEN + 1)]
    with pytest.raises(NoSuchExchange):
        desk.settle(first, "cancelled")
    for each in others:
        desk.settle(each, "cancelled")
    desk.state.close()
