"""PCI functions: which a partition gets when it starts, and why the others not.

Nobody is asked about one, and none is given to a machine that runs, only taken: what no rule sends to a
partition outright stays with the host. The rules of safety (group, reset, interrupts) are in ``devices.pci``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twinhull_policy.api.types import DeviceInfo, DeviceState, KillSwitch
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.evaluate import Decision
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.kinds import kind_of

from ..devices.pci import refusals
from ..devices.results import PciFacts, PciFunction

_SENSES: tuple[tuple[str, frozenset[KillSwitch]], ...] = (
    ("04:00", frozenset({"camera"})),
    ("04:", frozenset({"microphone"})),
    ("0c:03", frozenset({"camera", "microphone"})),
)
"""Video, audio, and USB controllers, behind which can be both (PCI Code and ID Assignment, 1.5 and 1.13)."""


def pci_device_facts(function: PciFunction) -> DeviceFacts:
    """The facts of a PCI function; it has one class and no serial number."""
    return DeviceFacts(
        bus="pci",
        vendor=function.vendor,
        product=function.device,
        interfaces=(function.class_code,),
        port=function.address,
        removable=function.removable,
    )


def pci_senses(class_code: str) -> frozenset[KillSwitch]:
    """Which kill switches concern a function of this class."""
    return next((found for prefix, found in _SENSES if class_code.startswith(prefix)), frozenset())


def pci_grants(
    facts: PciFacts, rules: CompiledPolicy, partition: str, off: frozenset[KillSwitch]
) -> tuple[list[str], dict[str, list[str]]]:
    """The functions a partition gets when it starts, and those a rule sends there but that it may not have.

    What is refused may be another's companion in its IOMMU group, so the rest is judged again without it.
    """
    wanted = {
        function.address: function
        for function in facts.functions
        if rules.decide(pci_device_facts(function), {}).verdict == partition
    }
    refused: dict[str, list[str]] = {}
    while True:
        now = {}
        for address, function in wanted.items():
            reasons = refusals(function, facts, wanted)
            reasons += [
                f"the {kind} is switched off" for kind in sorted(pci_senses(function.class_code) & off)
            ]
            if reasons:
                now[address] = reasons
        if not now:
            return sorted(wanted), refused
        refused |= now
        wanted = {address: function for address, function in wanted.items() if address not in now}


def pci_revoked(
    facts: PciFacts, rules: CompiledPolicy, partition: str, held: Collection[str], off: frozenset[KillSwitch]
) -> dict[str, str]:
    """Which of the functions that a running machine has it may not have any more, each with the reason.

    Only what a document or a switch says counts here: a group or a reset does not change under a machine.
    """
    revoked = {}
    for function in facts.functions:
        if function.address not in held:
            continue
        decision = rules.decide(pci_device_facts(function), {})
        switched = sorted(pci_senses(function.class_code) & off)
        if decision.verdict != partition:
            revoked[function.address] = f"by the rule {decision.rule}"
        elif switched:
            revoked[function.address] = f"the {switched[0]} is switched off"
    return revoked


def pci_infos(facts: PciFacts, rules: CompiledPolicy, held: Mapping[str, str]) -> list[DeviceInfo]:
    """Every PCI function with what is decided and why it could or could not be passed on.

    Args:
        held: the partition that has a function now, by address.
    """
    infos = []
    for function in facts.functions:
        found = pci_device_facts(function)
        decision = rules.decide(found, {})
        reasons = refusals(function, facts)
        partition = held.get(function.address, "")
        safety = f"It cannot be passed on: {'; '.join(reasons)}." if reasons else "It could be passed on."
        infos.append(
            DeviceInfo(
                id=f"pci-{function.address}",
                bus="pci",
                name=f"PCI {kind_of(found)} {function.vendor}:{function.device}, slot {function.address}",
                port=function.address,
                verdict=decision.verdict,
                rule=decision.rule,
                reason=f"{decision.reason} {safety}",
                attached_to=partition,
                state=_state(decision, partition, safe=not reasons),
                kind=kind_of(found),
                model=f"{function.vendor}:{function.device}",
                interfaces=[function.class_code],
            )
        )
    return infos


def _state(decision: Decision, partition: str, *, safe: bool) -> DeviceState:
    if partition:
        return "attached"
    if decision.verdict in ("corporate", "personal"):
        return "waiting" if safe else "blocked"
    return "host"
