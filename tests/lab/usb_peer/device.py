"""What a host sees of an emulated device: answers to requests, data on endpoints, and a record of it all."""

from __future__ import annotations

import struct
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from .descriptors import CONFIGURATION, DEVICE, STRING, Endpoint, Interface, Model
from .protocol import Status

GET_STATUS, CLEAR_FEATURE, SET_FEATURE, GET_DESCRIPTOR = 0, 1, 3, 6
_REMEMBERED = 10_000
"""Requests kept in a record; older ones are forgotten, their effects on the other counts are not."""


F = TypeVar("F", bound="Function")


@dataclass(frozen=True)
class Setup:
    """A control request (USB 2.0, 9.3)."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @property
    def standard(self) -> bool:
        """Whether it is one that any device knows, and not of a class or vendor."""
        return self.request_type & 0x60 == 0

    @property
    def to_interface(self) -> bool:
        """Whether it is meant for an interface, whose number is in the low byte of ``index``."""
        return self.request_type & 0x1F == 1


@dataclass
class Record:
    """What the host did with the device since it was made."""

    connects: int = 0
    resets: int = 0
    requests: deque[Setup] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    configured: list[int] = field(default_factory=list)
    """bConfigurationValues set, in order."""
    alternates: list[tuple[int, int]] = field(default_factory=list)
    """Interface and setting of each SET_INTERFACE."""
    driver_requests: int = 0
    """Class and vendor requests, and those for an interface's own descriptors: a driver sends these."""
    polled: set[int] = field(default_factory=set)
    """Interrupt and isochronous endpoints the host started to read."""
    received: Counter[int] = field(default_factory=Counter)
    """Bytes the host sent, by endpoint."""
    sent: Counter[int] = field(default_factory=Counter)
    """Bytes the host was given, by endpoint."""
    scsi: Counter[int] = field(default_factory=Counter)
    """SCSI commands by operation code; 0x12 is INQUIRY."""
    reports: list[bytes] = field(default_factory=list)
    """Output reports to a HID function: a keyboard's lights."""

    @property
    def bound(self) -> bool:
        """Whether any driver of the host worked with it, beyond the USB core's reading and configuring."""
        return bool(self.driver_requests or self.polled or self.received or self.sent)

    def summary(self) -> dict[str, Any]:
        """The record in JSON's types, without the requests one by one."""
        return {
            "bound": self.bound,
            "connects": self.connects,
            "resets": self.resets,
            "configured": self.configured,
            "alternates": self.alternates,
            "driver_requests": self.driver_requests,
            "polled": [f"{endpoint:#04x}" for endpoint in sorted(self.polled)],
            "received": {f"{endpoint:#04x}": number for endpoint, number in self.received.items()},
            "sent": {f"{endpoint:#04x}": number for endpoint, number in self.sent.items()},
            "scsi": {f"{code:#04x}": number for code, number in self.scsi.items()},
            "reports": [report.hex() for report in self.reports],
        }


class Function:
    """What is behind an interface, or behind several of them. This one answers nothing and has nothing."""

    def __init__(self) -> None:
        self.record = Record()
        self.wake: Callable[[], None] = lambda: None
        self._outbox: deque[tuple[float, int, bytes]] = deque()
        self._lock = threading.Lock()

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """Answer a class, vendor or interface request; None stalls it."""
        return None

    def receive(self, endpoint: int, untrusted: bytes) -> Status:
        """Take what the host sent to a bulk or interrupt endpoint."""
        return Status.SUCCESS

    def give(self, endpoint: int, length: int) -> bytes | Status | None:
        """At most ``length`` bytes from a bulk endpoint, a status, or None while there is nothing."""
        return None

    def reset(self) -> None:
        """Forget what was going on."""

    def post(self, endpoint: int, data: bytes, delay: float = 0.0) -> None:
        """Send ``data`` from an interrupt endpoint, ``delay`` seconds after what was posted before."""
        with self._lock:
            before = self._outbox[-1][0] if self._outbox else 0.0
            self._outbox.append((max(before, monotonic()) + delay, endpoint, data))
        self.wake()

    def due(self, polled: set[int]) -> tuple[list[tuple[int, bytes]], float | None]:
        """What is to be sent now on endpoints in ``polled``, and the seconds until there is more."""
        ready = []
        with self._lock:
            now = monotonic()
            while self._outbox and self._outbox[0][0] <= now and self._outbox[0][1] in polled:
                _, endpoint, data = self._outbox.popleft()
                ready.append((endpoint, data))
            # What nobody reads yet waits without a time: a read by the host wakes the sender.
            waits = self._outbox and self._outbox[0][1] in polled
            return ready, max(0.0, self._outbox[0][0] - now) if waits else None


class Device:
    """A device that can be plugged in.

    Args:
        model: its descriptors.
        functions: what is behind each interface, by its number and class, in every configuration.
        later: other descriptors, which it shows after a bus reset that follows a configuration, and after
            each re-plug: the device that is one thing when looked at and another when used.
    """

    def __init__(
        self,
        model: Model,
        functions: Mapping[tuple[int, int], Function] | None = None,
        later: Model | None = None,
    ) -> None:
        self.model = model
        self.functions = dict(functions or {})
        self.record = Record()
        self.configuration = 0
        self._alternates: dict[int, int] = {}
        self._later = later
        for function in self.functions.values():
            function.record = self.record

    def find(self, kind: type[F]) -> F:
        """The function of that kind.

        Raises:
            LookupError: it has none.
        """
        for function in self.functions.values():
            if isinstance(function, kind):
                return function
        raise LookupError(f"the device has no {kind.__name__}")

    def plugged(self) -> None:
        """It was plugged in (again)."""
        if self.record.connects:
            self._change()
        self.record.connects += 1
        self._start_over()

    def reset(self) -> None:
        """The host reset the bus."""
        self.record.resets += 1
        if self.configuration:
            self._change()
        self._start_over()

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """Answer a request; None stalls it."""
        self.record.requests.append(setup)
        if not setup.standard or (setup.to_interface and setup.request == GET_DESCRIPTOR):
            self.record.driver_requests += 1
            answer = self._addressed(setup).control(setup, untrusted)
        else:
            answer = self._standard(setup)
        return None if answer is None else answer[: setup.length]

    def configure(self, value: int) -> bool:
        """SET_CONFIGURATION; whether there is one of that value."""
        self.record.configured.append(value)
        if not 0 <= value <= len(self.model.configurations):
            return False
        self._start_over()
        self.configuration = value
        return True

    def choose(self, interface: int, alternate: int) -> bool:
        """SET_INTERFACE; whether there is that setting."""
        self.record.alternates.append((interface, alternate))
        there = any((one.number, one.alternate) == (interface, alternate) for one in self._described())
        if not self.configuration or not there:
            return False
        self._alternates[interface] = alternate
        return True

    def alternate(self, interface: int) -> int:
        """GET_INTERFACE."""
        return self._alternates.get(interface, 0)

    def interfaces(self) -> list[Interface]:
        """The interfaces of the configuration in force in the settings chosen; of the first before that."""
        return [one for one in self._described() if one.alternate == self.alternate(one.number)]

    def endpoints(self) -> dict[int, tuple[Endpoint, Interface]]:
        """Endpoints in force by address, with their interface; none before a configuration."""
        if not self.configuration:
            return {}
        return {e.address: (e, one) for one in self.interfaces() for e in one.endpoints}

    def function(self, endpoint: int) -> Function:
        """What is behind an endpoint; one that does nothing where there is none."""
        found = self.endpoints().get(endpoint)
        return self._behind(found[1]) if found else _NOTHING

    def _described(self) -> tuple[Interface, ...]:
        configurations = self.model.configurations
        return configurations[max(self.configuration, 1) - 1].interfaces if configurations else ()

    def _start_over(self) -> None:
        self.configuration = 0
        self._alternates = {}
        for function in self.functions.values():
            function.reset()

    def _change(self) -> None:
        if self._later is not None:
            self.model = self._later

    def _behind(self, interface: Interface) -> Function:
        return self.functions.get((interface.number, interface.triple[0]), _NOTHING)

    def _addressed(self, setup: Setup) -> Function:
        """Who answers a driver; of a device with one function that also answers for the whole."""
        if setup.to_interface:
            there = [one for one in self.interfaces() if one.number == setup.index & 0xFF]
            return self._behind(there[0]) if there else _NOTHING
        return next(iter(self.functions.values())) if len(self.functions) == 1 else _NOTHING

    def _standard(self, setup: Setup) -> bytes | None:
        if setup.request == GET_DESCRIPTOR:
            kind, index = setup.value >> 8, setup.value & 0xFF
            if kind == DEVICE:
                return self.model.device_descriptor()
            if kind == CONFIGURATION and index < len(self.model.configurations):
                return self.model.configuration(index)
            if kind == STRING:
                return self.model.string(index)
            return None
        if setup.request == GET_STATUS:
            return struct.pack("<H", 0)
        if setup.request in (CLEAR_FEATURE, SET_FEATURE):
            return b""
        return None


_NOTHING = Function()
