"""What is remembered of devices: the owner's rules and answers, the switches, and what each port has seen.

All of it is in core's state, bounded, and survives a restart; what ports have seen, and what was said of
single devices, is of one boot only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from twinhull_policy.api.types import KillSwitch, KillSwitches
from twinhull_policy.evaluate import Answer, answer_key
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import OwnerRules
from twinhull_policy.owner_defaults import default_owner_rules
from twinhull_policy.parse import PolicyError, canonical, parse_owner_rules

from .device_plan import Choice, Identity
from .state import State

MAX_ANSWERS = 500
"""Answers kept; the oldest goes first, and its device is asked about again."""
MAX_SEEN = 64
"""Different devices a port may see in one boot before it takes none it does not know."""
MAX_PORTS = 512
"""Ports of which that is kept."""
CHANGED = "changed"

Key = tuple[str, str, str, str]


class _Answers(msgspec.Struct, frozen=True, kw_only=True):
    answers: list[tuple[Key, Answer]] = []


class _Ports(msgspec.Struct, frozen=True, kw_only=True):
    """``seen``: by port, then by vendor, product and serial number: the descriptors' hash, or CHANGED."""

    boot: str
    seen: dict[str, dict[str, str]] = {}


class _Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said of single devices, while they stay plugged in."""

    boot: str
    choices: list[tuple[Identity, Choice | None]] = []


class DeviceMemory:
    """Reads everything once and writes what changes. Not safe to use from several threads at once.

    Args:
        closed: what is kept cannot be relied on (``safe_mode``): the owner's rules and answers give nothing
            away now, and the switches are off unless they are kept as on.
    """

    def __init__(self, state: State, boot_id: str, *, closed: bool = False) -> None:
        self._state = state
        stored = None if closed else state.get("device-answers", _Answers)
        self._answers: dict[Key, Answer] = dict(stored.answers) if stored else {}
        ports = state.get("device-ports", _Ports)
        self._seen = ports.seen if ports is not None and ports.boot == boot_id else {}
        self._boot = boot_id
        self._unsaved = False
        chosen = None if closed else state.get("device-choices", _Choices)
        self._chosen = dict(chosen.choices) if chosen is not None and chosen.boot == boot_id else {}
        self._switches = state.get("kill-switches", KillSwitches) or KillSwitches(
            camera_off=closed, microphone_off=closed
        )
        self._owner = OwnerRules() if closed else self._load_owner()

    def _load_owner(self) -> OwnerRules:
        stored = self._state.get_bytes("owner-rules")
        if stored is None:
            return default_owner_rules()
        try:
            return parse_owner_rules(stored)
        except PolicyError:
            # Written by a newer program: give nothing away until the owner has looked at it.
            return OwnerRules()

    @property
    def owner(self) -> OwnerRules:
        """The owner's rules, or the defaults."""
        return self._owner

    def set_owner(self, untrusted_document: bytes) -> None:
        """Keep the owner's document, or go back to the defaults with an empty one. Raises PolicyError."""
        if untrusted_document.strip():
            rules = parse_owner_rules(untrusted_document)
            self._state.put_bytes("owner-rules", canonical(rules))
            self._owner = rules
        else:
            self._state.forget("owner-rules")
            self._owner = default_owner_rules()

    @property
    def answers(self) -> Mapping[Key, Answer]:
        """What the owner answered and wanted remembered."""
        return self._answers

    def remember(self, facts: DeviceFacts, answer: Answer) -> None:
        """Keep an answer for a device (one without serial number: for its port)."""
        key = answer_key(facts)
        self._answers.pop(key, None)
        self._answers[key] = answer
        while len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._put_answers()

    def forget_answer(self, facts: DeviceFacts) -> None:
        """Ask about a device again."""
        if self._answers.pop(answer_key(facts), None) is not None:
            self._put_answers()

    def _put_answers(self) -> None:
        self._state.put("device-answers", _Answers(answers=list(self._answers.items())))

    @property
    def switches(self) -> KillSwitches:
        """Both kill switches."""
        return self._switches

    @property
    def switched_off(self) -> frozenset[KillSwitch]:
        """The switches that are off, by name."""
        off: set[KillSwitch] = set()
        if self._switches.camera_off:
            off.add("camera")
        if self._switches.microphone_off:
            off.add("microphone")
        return frozenset(off)

    def switch(self, kind: KillSwitch, *, off: bool) -> None:
        """Set a switch; it is on disk when this returns."""
        switches = msgspec.structs.replace(self._switches, **{f"{kind}_off": off})
        self._state.put("kill-switches", switches)
        self._switches = switches

    def see(self, facts: DeviceFacts, sha256: str) -> DeviceFacts:
        """The facts, marked as changed if this device was here in this boot and described itself otherwise.

        It stays changed until the port is forgotten, also when it shows its first face again. A port that has
        seen more devices than it keeps treats every further one so: what can no longer be told is refused.
        """
        known = self._seen.get(facts.port, {})
        key = f"{facts.vendor}:{facts.product}:{facts.serial}"
        before = known.get(key)
        if before == sha256:
            return facts
        if before is None and len(known) < MAX_SEEN and (known or len(self._seen) < MAX_PORTS):
            self._seen.setdefault(facts.port, {})[key] = sha256
            self._unsaved = True
            return facts
        if before is not None and before != CHANGED:
            known[key] = CHANGED
            self._unsaved = True
        return msgspec.structs.replace(facts, changed=True)

    def save_seen(self) -> None:
        """Write what ports have seen, if there is anything new."""
        if self._unsaved:
            self._state.put("device-ports", _Ports(boot=self._boot, seen=self._seen))
            self._unsaved = False

    @property
    def choices(self) -> Mapping[Identity, Choice | None]:
        """What a person said of single devices, as it was last kept in this boot."""
        return self._chosen

    def keep_choices(self, choices: Mapping[Identity, Choice | None]) -> None:
        """Keep what a person said of single devices; on disk when this returns."""
        if choices != self._chosen:
            self._state.put("device-choices", _Choices(boot=self._boot, choices=list(choices.items())))
            self._chosen = dict(choices)

    def forget_port(self, port: str) -> None:
        """Forget what a port has seen."""
        self._seen.pop(port, None)
        self._unsaved = True
        self.save_seen()


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """What tells this boot from every other (random(4))."""
    return path.read_text("ascii").strip()
