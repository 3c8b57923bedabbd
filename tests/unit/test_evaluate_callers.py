"""One absolute evaluator: who calls it, that nobody else makes verdicts, that nothing is given without it.

Read from the source, every module; and tried on the core's real loop with an evaluator that says no to all.
"""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from twinhull_hypervisor.daemon.device_errors import NotAllowed, NotAsked
from twinhull_hypervisor.devices.results import PciFacts, PciFunction
from twinhull_policy import compiled
from twinhull_policy.evaluate import Answers, Decision
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import DeviceRule, Match, OwnerRule
from twinhull_policy.names import Partition

from tests.support.device_laptop import DeviceLaptop, device_laptop
from tests.support.source import modules
from tests.support.usb_kinds import STICK

SOURCES = {name: tree for name, _, tree in modules()}
EVALUATOR = "twinhull_policy.evaluate"


def calls(tree: ast.AST) -> Iterator[str]:
    """Names of everything a piece of source calls, as written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


CALLED = {module: {call.rpartition(".")[2] for call in calls(tree)} for module, tree in SOURCES.items()}


def callers(name: str) -> set[str]:
    """The modules in which something of that name is called."""
    return {module for module, called in CALLED.items() if name in called}


def function(module: str, qualified: str) -> ast.AST:
    """A function or method in a module's source."""
    node: ast.AST = SOURCES[module]
    for part in qualified.split("."):
        node = next(
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name == part
        )
    return node


def test_only_the_evaluator_makes_verdicts() -> None:
    assert callers("Decision") == {EVALUATOR}
    assert callers("conclude") == {EVALUATOR, "twinhull_policy.compiled"}
    # Before this program runs, early boot lets keyboards, pointers and hubs in by the same safety rules.
    assert callers("safety_verdict") == {EVALUATOR, "twinhull_hypervisor.devices.sandbox"}
    assert callers("past_tunnel") == {EVALUATOR}
    assert callers("RuleIndex") == {"twinhull_policy.compiled"}


def test_who_asks_it() -> None:
    daemon = "twinhull_hypervisor.daemon"
    assert callers("CompiledPolicy") == {"twinhull_policy.diff", f"{daemon}.devices"}
    assert callers("decide_all") == {f"{daemon}.devices"}
    assert callers("explain_device") <= {"twinhull_policy.explain", "twinhull_client.cli.policy"}


DAEMON = "twinhull_hypervisor.daemon"
# What leads to a device in a machine -> the calls on its way to the evaluator, one function a line.
WAYS: dict[str, list[tuple[str, str, str]]] = {
    "hot-plug, a new policy, a resume, a restart": [
        (f"{DAEMON}.devices", "DeviceManager._round", "self._look"),
        (f"{DAEMON}.devices", "DeviceManager._look", "decide_all"),
        (f"{DAEMON}.device_view", "decide_all", "rules.decide"),
        ("twinhull_policy.compiled", "CompiledPolicy.decide", "conclude"),
    ],
    "attach by hand": [
        (f"{DAEMON}.device_commands", "DeviceCommands.attach", "self._manager.hands_on"),
        (f"{DAEMON}.devices", "DeviceManager.hands_on", "self._look"),
    ],
    "an answer": [
        (f"{DAEMON}.device_commands", "DeviceCommands.answer", "self._manager.rules().decide"),
        (f"{DAEMON}.devices", "DeviceManager.rules", "CompiledPolicy"),
    ],
    "the start of a machine": [
        (f"{DAEMON}.partitions", "Partitions._start", "granted_pci"),
        (f"{DAEMON}.slot", "granted_pci", "pci_for"),
        (f"{DAEMON}.main", "_build", "Partitions"),
        (f"{DAEMON}.device_commands", "DeviceCommands.pci_for", "pci_grants"),
        (f"{DAEMON}.device_pci", "pci_grants", "rules.decide"),
    ],
}


@pytest.mark.parametrize(("way", "steps"), list(WAYS.items()))
def test_every_way_to_a_machine_leads_through_it(way: str, steps: list[tuple[str, str, str]]) -> None:
    for module, qualified, call in steps:
        assert call in set(calls(function(module, qualified))), (way, qualified)


def test_a_device_is_given_in_one_place_only() -> None:
    """devd authorises for a guest, and libvirt attaches, where the plan's ``Give`` is carried out."""
    attaching = [
        (module, node.name)
        for module, tree in SOURCES.items()
        if module.startswith(DAEMON)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "self._guests.attach" in ast.unparse(node)
    ]
    assert attaching == [(f"{DAEMON}.devices", "_give")]
    assert callers("Give") == {f"{DAEMON}.device_plan"}
    builds = {module for module in callers("domain_xml") if module.startswith(DAEMON)}
    assert builds == {f"{DAEMON}.partitions"}


def no(
    facts: DeviceFacts, corporate: DeviceRule | None, owner: OwnerRule | None, answers: Answers
) -> Decision:
    """An evaluator that refuses."""
    return Decision(verdict="deny", targets=(), rule="test:no", reason="No.")


CARD = PciFunction(
    address="0000:03:00.0",
    vendor="8086",
    device="15f3",
    class_code="01:08:02",
    group="7",
    group_members=["0000:03:00.0"],
    reset_methods=["flr"],
    driver="nvme",
    boot_vga=False,
    removable=False,
)


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[DeviceLaptop]:
    async with device_laptop(tmp_path) as laptop:
        laptop.ports.pci = PciFacts(remapping=True, unsafe=[], functions=[CARD])
        laptop.set_owner("corporate")
        laptop.set_rules(everything=("require", Match()))
        yield laptop


async def test_with_the_evaluator_every_way_gives(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "corporate")
    assert await laptop.commands.pci_for(Partition.CORPORATE) == (["0000:03:00.0"], {})


async def test_when_it_says_no_nothing_gives(laptop: DeviceLaptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "conclude", no)
    laptop.ports.plug("1-2", STICK)
    info = await laptop.becomes("1-2", "blocked")
    assert info.rule == "test:no"
    with pytest.raises(NotAllowed):
        await laptop.commands.attach("1-2", Partition.CORPORATE, read_only=False)
    for answer in ("corporate", "personal"):
        with pytest.raises(NotAsked):
            await laptop.commands.answer("1-2", answer, remember=True)
    await laptop.rest()
    assert laptop.machines.history == []
    assert await laptop.commands.pci_for(Partition.CORPORATE) == ([], {})
    assert not laptop.ports.at("1-2").authorised


async def test_what_it_takes_back_goes_by_every_way(
    laptop: DeviceLaptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "corporate")
    monkeypatch.setattr(compiled, "conclude", no)
    await laptop.restart_core()
    await laptop.becomes("1-2", "blocked")
    assert laptop.machines.held(Partition.CORPORATE) == []
