"""A stand-in for ``twinhulld`` that serves the real D-Bus interface from memory.

The peer is faked, not the functions: clients under test talk to it over a real bus through
``twinhull_policy.api.interface``. Use the fixture ``standin`` (tests/conftest.py) or :func:`standin_daemon`::

    with standin_daemon(tmp_path) as standin:
        standin.fail("start_partition", ErrorReport("TH-PAR-001", "No.", "Do this.", 1))
        standin.status = demonstration_status(corporate="running")
        standin.announce("partition:corporate")
        assert standin.calls == [("get_status", ())]
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sdbus import DbusAccessDeniedError, DbusFailedError, dbus_method_async_override, sd_bus_open_system
from twinhull_policy.api.interface import (
    BUS_NAME,
    OBJECT_PATH,
    SECRET_LIMIT,
    DaemonError,
    DaemonInterface,
)
from twinhull_policy.api.types import (
    ExchangeAnswer,
    GrantProgress,
    GrantPrompt,
    KeySlot,
    Log,
    LogEntry,
    PartitionState,
    SnapshotInfo,
    SnapshotKind,
    StateRecovered,
    VpnCanary,
    VpnProof,
    WipeDone,
)
from twinhull_policy.errors import ErrorReport
from twinhull_policy.escrow import Sealed
from twinhull_policy.example import example_policy
from twinhull_policy.exchange import ExchangeFacts, decide_exchange
from twinhull_policy.recovery_code import to_words

from tests.support.demonstration import DIGEST, demonstration_devices, demonstration_status
from tests.support.private_bus import private_bus

START_TIMEOUT = 20.0


class StandInDaemon(DaemonInterface):
    """Answers every method from its public attributes, which a test sets before or during the run."""

    def __init__(self) -> None:
        super().__init__()
        self.status = demonstration_status()
        self.devices = demonstration_devices()
        self.owner_rules = '{"schema":"twinhull.owner/1","devices":[]}'
        self.log = Log(
            entries=[
                LogEntry(at=1_790_000_050.0, kind="received", text="statement 3", body='{"sequence":3}'),
                LogEntry(at=1_790_000_060.0, kind="reported", text="state", body='{"policy":"everyday"}'),
                LogEntry(at=1_790_000_070.0, kind="done", text="policy everyday applied"),
            ]
        )
        self.proof = VpnProof(
            at=1_790_000_300.0,
            passed=True,
            canaries=[VpnCanary(name="tunnel-down", passed=True, evidence="0 packets left the underlay")],
        )
        self.grant = GrantPrompt(
            server="https://fleet.example",
            user_code="BCDF-GHJK",
            verification_uri="https://fleet.example:8444/grants",
            verification_uri_complete="https://fleet.example:8444/grants?code=BCDF-GHJK",
            expires_in=600,
            key_sha256=DIGEST,
            server_fingerprint="0123 4567 89ab cdef 0123 4567 89ab cdef",
        )
        self.grant_progress = [
            GrantProgress(wait_seconds=0.01),
            GrantProgress(wait_seconds=0.0, enrolment=self.status.enrolment),
        ]
        """What poll_device_grant answers, one after the other; the last one for ever."""
        self.key_slots = [
            KeySlot(id="0123456789abcdef", kind="passphrase"),
            KeySlot(id="fedcba9876543210", kind="escrow", escrow_key="A" * 43 + "="),
        ]
        self.wiped = WipeDone(
            partition="personal",
            at=1_790_000_400.0,
            survived=[],
            other_untouched=True,
            receipt='{"type":"twinhull.wipe/1"}',
            envelope='{"payload":""}',
            unsigned="",
        )
        self.recovered = StateRecovered(
            kept="/var/lib/twinhull/state.sqlite.damaged-20260901T120000Z", source="copy"
        )
        self.snapshots: list[SnapshotInfo] = []
        self.recovery_code = to_words(bytes(16))
        """What is handed out whenever a code is made."""
        self.escrow = Sealed(
            tenant="example",
            device_id="laptop-1",
            slot="fedcba9876543210",
            generation="0" * 32,
            public_key="A" * 43 + "=",
            sealed=bytes(64),
        )
        self.exchange = example_policy().exchange
        """What may cross between the partitions."""
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        """Method names and arguments as they came; a secret appears as the text read from its pipe."""
        self.display: Callable[[str], int] = self._loose_display
        """Makes the descriptor open_display returns; the stand-in closes its own copy after sending it."""
        self.display_peers: list[socket.socket] = []
        """The far ends of the descriptors handed out by the default ``display``."""
        self.during_start: Callable[[], None] = lambda: None
        """Runs while the caller of start_partition waits."""
        self._failures: dict[str, DbusFailedError] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def fail(self, method: str, report: ErrorReport) -> None:
        """From now on ``method`` ends with this error."""
        self._failures[method] = DaemonError(msgspec.json.encode(report).decode())

    def deny(self, method: str) -> None:
        """From now on ``method`` is refused as polkit refuses."""
        self._failures[method] = DbusAccessDeniedError("not authorised")

    def break_with(self, method: str, error: DbusFailedError) -> None:
        """From now on ``method`` ends with an arbitrary D-Bus error."""
        self._failures[method] = error

    def allow(self, method: str) -> None:
        """Undo ``fail``, ``deny`` and ``break_with`` for ``method``."""
        self._failures.pop(method, None)

    def announce(self, subject: str) -> None:
        """Emit ``changed(subject)``; callable from any thread."""
        if self._loop is None:
            raise RuntimeError("the stand-in is not serving")
        self._loop.call_soon_threadsafe(self.changed.emit, subject)

    def set_partition(self, name: str, **changes: object) -> None:
        """Replace fields of one partition in the status."""
        partitions = [
            msgspec.structs.replace(p, **changes) if p.name == name else p for p in self.status.partitions
        ]
        self.status = msgspec.structs.replace(self.status, partitions=partitions)

    def close(self) -> None:
        """Close the far ends of displays handed out."""
        for peer in self.display_peers:
            peer.close()

    def _record(self, method: str, *arguments: object) -> None:
        self.calls.append((method, arguments))
        if method in self._failures:
            raise self._failures[method]

    def _loose_display(self, name: str) -> int:
        near, far = socket.socketpair()
        self.display_peers.append(far)
        return near.detach()

    @dbus_method_async_override()
    async def get_status(self) -> str:
        self._record("get_status")
        return msgspec.json.encode(self.status).decode()

    @dbus_method_async_override()
    async def get_grade(self) -> str:
        self._record("get_grade")
        return msgspec.json.encode(self.status.grade).decode()

    @dbus_method_async_override()
    async def list_devices(self) -> str:
        self._record("list_devices")
        return msgspec.json.encode(self.devices).decode()

    @dbus_method_async_override()
    async def get_log(self, limit: int) -> str:
        self._record("get_log", limit)
        return msgspec.json.encode(Log(entries=self.log.entries[-limit:])).decode()

    @dbus_method_async_override()
    async def enrol(self, url: str, token: int) -> str:
        self._record("enrol", url, await read_secret(token))
        enrolment = demonstration_status().enrolment
        self.status = msgspec.structs.replace(self.status, enrolment=enrolment)
        self.changed.emit("enrolment")
        return msgspec.json.encode(enrolment).decode()

    @dbus_method_async_override()
    async def begin_device_grant(self, url: str, initiator: str) -> str:
        self._record("begin_device_grant", url, initiator)
        return msgspec.json.encode(self.grant).decode()

    @dbus_method_async_override()
    async def poll_device_grant(self, server_fingerprint: str) -> str:
        self._record("poll_device_grant", server_fingerprint)
        several = len(self.grant_progress) > 1
        progress = self.grant_progress.pop(0) if several else self.grant_progress[0]
        return msgspec.json.encode(progress).decode()

    @dbus_method_async_override()
    async def create_partition(self, name: str, passphrase: int) -> None:
        self._record("create_partition", name, await read_secret(passphrase))
        self._becomes(name, "stopped")

    @dbus_method_async_override()
    async def start_partition(self, name: str, passphrase: int) -> None:
        self._record("start_partition", name, await read_secret(passphrase))
        self.during_start()
        self._becomes(name, "running")

    @dbus_method_async_override()
    async def stop_partition(self, name: str, force: bool) -> None:
        self._record("stop_partition", name, force)
        self._becomes(name, "stopped")

    @dbus_method_async_override()
    async def suspend_partition(self, name: str) -> None:
        self._record("suspend_partition", name)
        self._becomes(name, "paused")

    @dbus_method_async_override()
    async def resume_partition(self, name: str) -> None:
        self._record("resume_partition", name)
        self._becomes(name, "running")

    @dbus_method_async_override()
    async def reset_partition(self, name: str) -> None:
        self._record("reset_partition", name)
        self._becomes(name, "stopped")

    @dbus_method_async_override()
    async def update_partition(self, name: str, passphrase: int) -> None:
        self._record("update_partition", name, await read_secret(passphrase))
        self._becomes(name, "running")

    @dbus_method_async_override()
    async def list_snapshots(self, name: str) -> str:
        self._record("list_snapshots", name)
        return msgspec.json.encode(self.snapshots).decode()

    @dbus_method_async_override()
    async def snapshot_partition(self, name: str, title: str) -> str:
        self._record("snapshot_partition", name, title)
        return self._new_snapshot("asked", title)

    @dbus_method_async_override()
    async def roll_back_partition(self, name: str, snapshot: str, passphrase: int) -> str:
        self._record("roll_back_partition", name, snapshot, await read_secret(passphrase))
        return self._new_snapshot("rollback", "")

    @dbus_method_async_override()
    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        self._record("remove_snapshot", name, snapshot)
        self.snapshots = [one for one in self.snapshots if one.id != snapshot]

    def _new_snapshot(self, kind: SnapshotKind, title: str) -> str:
        number = len(self.snapshots)
        made = SnapshotInfo(
            id=f"s-{number:08x}", kind=kind, name=title, at=1_790_000_000.0 + number, bytes=2**20
        )
        self.snapshots = [*self.snapshots, made]
        return msgspec.json.encode(made).decode()

    @dbus_method_async_override()
    async def get_key_slots(self, name: str) -> str:
        self._record("get_key_slots", name)
        return msgspec.json.encode(self.key_slots).decode()

    @dbus_method_async_override()
    async def add_passphrase(self, name: str, kind: str, secret: int, new: int) -> None:
        self._record("add_passphrase", name, kind, await read_secret(secret), await read_secret(new))

    @dbus_method_async_override()
    async def change_passphrase(self, name: str, old: int, new: int) -> None:
        self._record("change_passphrase", name, await read_secret(old), await read_secret(new))

    @dbus_method_async_override()
    async def add_recovery_code(self, name: str, kind: str, secret: int) -> int:
        self._record("add_recovery_code", name, kind, await read_secret(secret))
        return self._code_pipe()

    @dbus_method_async_override()
    async def add_pin(self, name: str, kind: str, secret: int, pin: int) -> None:
        self._record("add_pin", name, kind, await read_secret(secret), await read_secret(pin))

    @dbus_method_async_override()
    async def unlock_volume(self, name: str, kind: str, secret: int) -> None:
        self._record("unlock_volume", name, kind, await read_secret(secret))

    @dbus_method_async_override()
    async def remove_key_slot(self, name: str, slot: str, kind: str, secret: int) -> None:
        self._record("remove_key_slot", name, slot, kind, await read_secret(secret))

    @dbus_method_async_override()
    async def recover_volume(self, name: str, code: int, new: int) -> int:
        self._record("recover_volume", name, await read_secret(code), await read_secret(new))
        return self._code_pipe()

    @dbus_method_async_override()
    async def rotate_volume_key(self, name: str, passphrase: int) -> int:
        self._record("rotate_volume_key", name, await read_secret(passphrase))
        return self._code_pipe()

    @dbus_method_async_override()
    async def recover_state(self) -> str:
        self._record("recover_state")
        return msgspec.json.encode(self.recovered).decode()

    @dbus_method_async_override()
    async def restore_header(self, name: str) -> None:
        self._record("restore_header", name)

    @dbus_method_async_override()
    async def lock_volume(self, name: str) -> None:
        self._record("lock_volume", name)

    @dbus_method_async_override()
    async def grow_volume(self, name: str) -> int:
        self._record("grow_volume", name)
        return 40 * 2**30

    @dbus_method_async_override()
    async def wipe_partition(self, name: str) -> str:
        self._record("wipe_partition", name)
        self._becomes(name, "absent")
        return msgspec.json.encode(self.wiped).decode()

    @dbus_method_async_override()
    async def get_escrow(self, name: str) -> str:
        self._record("get_escrow", name)
        return msgspec.json.encode(self.escrow).decode()

    def _code_pipe(self) -> int:
        reading, writing = os.pipe()
        os.write(writing, self.recovery_code.encode())
        os.close(writing)
        asyncio.get_running_loop().call_later(5, os.close, reading)
        return reading

    @dbus_method_async_override()
    async def open_display(self, name: str) -> int:
        self._record("open_display", name)
        descriptor = self.display(name)
        asyncio.get_running_loop().call_later(5, os.close, descriptor)
        return descriptor

    @dbus_method_async_override()
    async def ask_exchange(self, question: str) -> str:
        self._record("ask_exchange", question)
        decision = decide_exchange(msgspec.json.decode(question, type=ExchangeFacts), self.exchange)
        ticket = "" if decision.verdict == "deny" else f"{len(self.calls):032x}"
        return msgspec.json.encode(ExchangeAnswer(decision=decision, ticket=ticket)).decode()

    @dbus_method_async_override()
    async def settle_exchange(self, ticket: str, outcome: str) -> None:
        self._record("settle_exchange", ticket, outcome)

    @dbus_method_async_override()
    async def prove_vpn(self) -> str:
        self._record("prove_vpn")
        return msgspec.json.encode(self.proof).decode()

    @dbus_method_async_override()
    async def attach_device(self, port: str, partition: str, read_only: bool) -> None:
        self._record("attach_device", port, partition, read_only)
        self.set_device(port, state="attached", attached_to=partition, read_only=read_only)

    @dbus_method_async_override()
    async def detach_device(self, port: str) -> None:
        self._record("detach_device", port)
        self.set_device(port, state="blocked", attached_to="", read_only=False)

    @dbus_method_async_override()
    async def answer_device(self, port: str, answer: str, remember: bool) -> None:
        self._record("answer_device", port, answer, remember)
        if answer == "deny":
            self.set_device(port, state="blocked", verdict="deny", rule="answer", targets=[])
        else:
            self.set_device(port, state="attached", attached_to=answer, verdict=answer, rule="answer")

    @dbus_method_async_override()
    async def forget_device(self, port: str) -> None:
        self._record("forget_device", port)
        self.changed.emit("devices")

    @dbus_method_async_override()
    async def set_kill_switch(self, kind: str, off: bool) -> None:
        self._record("set_kill_switch", kind, off)
        switches = msgspec.structs.replace(self.status.kill_switches, **{f"{kind}_off": off})
        self.status = msgspec.structs.replace(self.status, kill_switches=switches)
        self.changed.emit("devices")

    @dbus_method_async_override()
    async def get_owner_rules(self) -> str:
        self._record("get_owner_rules")
        return self.owner_rules

    @dbus_method_async_override()
    async def set_owner_rules(self, document: str) -> None:
        self._record("set_owner_rules", document)
        self.owner_rules = document
        self.changed.emit("devices")

    def set_device(self, port: str, **changes: object) -> None:
        """Replace fields of the device in ``port`` (or with that id) and say that devices changed."""
        self.devices = [
            msgspec.structs.replace(d, **changes) if port in (d.port, d.id) else d for d in self.devices
        ]
        self.changed.emit("devices")

    def _becomes(self, name: str, state: PartitionState) -> None:
        self.set_partition(name, state=state, unlocked=state not in ("absent", "locked"))
        self.changed.emit(f"partition:{name}")

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Serve on the system bus until ``stop``; for :func:`standin_daemon`."""
        self._loop = asyncio.get_running_loop()
        bus = sd_bus_open_system()
        try:
            handle = self.export_to_dbus(OBJECT_PATH, bus)
            await bus.request_name_async(BUS_NAME, 0)
            ready.set()
            await stop.wait()
            handle.stop()
        finally:
            bus.close()


async def read_secret(descriptor: int) -> str:
    """Read what a client put into the pipe, as the daemon does, without blocking the loop."""
    return await asyncio.to_thread(_read_all, descriptor)


def _read_all(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as pipe:
        return pipe.read(SECRET_LIMIT).decode()


@contextmanager
def standin_daemon(directory: Path) -> Iterator[StandInDaemon]:
    """A private bus, which ``DBUS_SYSTEM_BUS_ADDRESS`` names, with the stand-in on it in its own thread."""
    with private_bus(directory), standin_service() as standin:
        yield standin


@contextmanager
def standin_service() -> Iterator[StandInDaemon]:
    """The stand-in on the bus that there is, in its own thread; it has left the bus in the end."""
    standin = StandInDaemon()
    ready = threading.Event()
    holder: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        holder.append((asyncio.get_running_loop(), stop))
        await standin.serve(ready, stop)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="standin-daemon")
    thread.start()
    try:
        if not ready.wait(START_TIMEOUT):
            raise RuntimeError("the stand-in did not get its name on the bus")
        yield standin
    finally:
        for loop, stop in holder:
            loop.call_soon_threadsafe(stop.set)
        thread.join(START_TIMEOUT)
        standin.close()
