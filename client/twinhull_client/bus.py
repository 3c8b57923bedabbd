"""The daemon as the command line and the desktop app see it: typed calls over the system bus.

:func:`connected` opens the bus, :class:`Daemon` wraps each method of
:class:`~twinhull_policy.api.interface.DaemonInterface`, decodes its JSON into the structs of
``twinhull_policy.api.types`` and turns every failure into a :class:`~twinhull_policy.errors.TwinhullError`.
Secrets travel through pipes (:func:`secret_pipe`), never as arguments.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec
from sdbus import (
    DbusAccessDeniedError,
    DbusFailedError,
    DbusInteractiveAuthorizationRequiredError,
    DbusNameHasNoOwnerError,
    DbusNoReplyError,
    DbusServiceUnknownError,
    SdBusLibraryError,
    SdBusUnmappedMessageError,
    sd_bus_open_system,
)
from sdbus.sd_bus_internals import SdBus
from twinhull_policy.api.interface import (
    BUS_NAME,
    OBJECT_PATH,
    SECRET_LIMIT,
    DaemonError,
    DaemonInterface,
)
from twinhull_policy.api.types import (
    DeviceAnswer,
    DeviceInfo,
    EnrolmentInfo,
    ExchangeAnswer,
    ExchangeOutcome,
    Grade,
    GrantProgress,
    GrantPrompt,
    KeySlot,
    KillSwitch,
    Log,
    SnapshotInfo,
    StateRecovered,
    Status,
    UnlockKind,
    VpnProof,
    WipeDone,
)
from twinhull_policy.errors import ErrorReport, RemoteError, TwinhullError, printable
from twinhull_policy.escrow import Sealed
from twinhull_policy.exchange import ExchangeFacts

from twinhull_client.errors import (
    CallFailed,
    DaemonUnreachable,
    NotAuthorised,
    ReplyNotUnderstood,
    SecretTooLong,
)

CALL_TIMEOUT = 3600
"""Seconds a call may take: the longest are enrolment over a slow line and a shutdown under emulation."""

T = TypeVar("T")


class Daemon:
    """Calls on ``org.twinhull.Daemon1``. From :func:`connected` or a :class:`Line`; for one event loop."""

    def __init__(self, bus: SdBus) -> None:
        self.proxy = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, bus)

    async def status(self) -> Status:
        """Everything at a glance."""
        return _decode(await _answer(self.proxy.get_status), Status)

    async def grade(self) -> Grade:
        """The isolation grade, checked now."""
        return _decode(await _answer(self.proxy.get_grade), Grade)

    async def devices(self) -> list[DeviceInfo]:
        """The devices there are and where they went."""
        return _decode(await _answer(self.proxy.list_devices), list[DeviceInfo])

    async def log(self, limit: int) -> Log:
        """The newest ``limit`` (1 to ``LOG_LIMIT``) log entries, newest last."""
        return _decode(await _answer(lambda: self.proxy.get_log(limit)), Log)

    async def enrol(self, url: str, token: str) -> EnrolmentInfo:
        """Enrol this laptop at ``url`` with a one-time token, up to the first statement in force."""
        with secret_pipe(token, "enrolment token") as pipe:
            return _decode(await _answer(lambda: self.proxy.enrol(url, pipe)), EnrolmentInfo)

    async def begin_device_grant(self, url: str, initiator: str) -> GrantPrompt:
        """Ask the server at ``url`` to let this laptop in; it is told that ``initiator`` has started this."""
        return _decode(await _answer(lambda: self.proxy.begin_device_grant(url, initiator)), GrantPrompt)

    async def poll_device_grant(self, server_fingerprint: str) -> GrantProgress:
        """What came of it; enrols once it was granted. ``server_fingerprint`` is what was compared."""
        return _decode(await _answer(lambda: self.proxy.poll_device_grant(server_fingerprint)), GrantProgress)

    async def create_partition(self, name: str, passphrase: str) -> None:
        """Create a partition's encrypted volume."""
        with secret_pipe(passphrase, "passphrase") as pipe:
            await _answer(lambda: self.proxy.create_partition(name, pipe))

    async def start_partition(self, name: str, passphrase: str) -> None:
        """Start a partition; an empty passphrase uses the key held since the last unlock."""
        with secret_pipe(passphrase, "passphrase") as pipe:
            await _answer(lambda: self.proxy.start_partition(name, pipe))

    async def stop_partition(self, name: str, *, force: bool = False) -> None:
        """Shut a partition down and wait for it; with ``force`` cut its power."""
        await _answer(lambda: self.proxy.stop_partition(name, force))

    async def suspend_partition(self, name: str) -> None:
        """Pause a partition in memory."""
        await _answer(lambda: self.proxy.suspend_partition(name))

    async def resume_partition(self, name: str) -> None:
        """Let a paused partition go on."""
        await _answer(lambda: self.proxy.resume_partition(name))

    async def reset_partition(self, name: str) -> None:
        """Throw away everything a stopped partition wrote."""
        await _answer(lambda: self.proxy.reset_partition(name))

    async def update_partition(self, name: str, passphrase: str) -> None:
        """Start a stopped partition over the newer golden image. An empty passphrase as for a start."""
        with secret_pipe(passphrase, "passphrase") as pipe:
            await _answer(lambda: self.proxy.update_partition(name, pipe))

    async def snapshots(self, name: str) -> list[SnapshotInfo]:
        """The states that a partition can go back to, oldest first."""
        return _decode(await _answer(lambda: self.proxy.list_snapshots(name)), list[SnapshotInfo])

    async def snapshot_partition(self, name: str, title: str) -> SnapshotInfo:
        """Keep a partition's disk as it is."""
        return _decode(await _answer(lambda: self.proxy.snapshot_partition(name, title)), SnapshotInfo)

    async def roll_back_partition(self, name: str, snapshot: str, passphrase: str) -> SnapshotInfo:
        """Go back to a snapshot; what was there, as a snapshot. An empty passphrase as for a start."""
        with secret_pipe(passphrase, "passphrase") as pipe:
            answer = await _answer(lambda: self.proxy.roll_back_partition(name, snapshot, pipe))
            return _decode(answer, SnapshotInfo)

    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        """Remove a snapshot for good."""
        await _answer(lambda: self.proxy.remove_snapshot(name, snapshot))

    async def key_slots(self, name: str) -> list[KeySlot]:
        """What opens a partition's volume."""
        return _decode(await _answer(lambda: self.proxy.get_key_slots(name)), list[KeySlot])

    async def add_passphrase(self, name: str, kind: UnlockKind, secret: str, new: str) -> None:
        """Let another passphrase open a volume too."""
        with secret_pipe(secret, kind) as old, secret_pipe(new, "passphrase") as added:
            await _answer(lambda: self.proxy.add_passphrase(name, kind, old, added))

    async def change_passphrase(self, name: str, old: str, new: str) -> None:
        """Put one passphrase in another's place."""
        with secret_pipe(old, "passphrase") as former, secret_pipe(new, "passphrase") as added:
            await _answer(lambda: self.proxy.change_passphrase(name, former, added))

    async def add_recovery_code(self, name: str, kind: UnlockKind, secret: str) -> str:
        """Make a recovery code: its words."""
        with secret_pipe(secret, kind) as pipe:
            return _handed_over(await _answer(lambda: self.proxy.add_recovery_code(name, kind, pipe)))

    async def add_pin(self, name: str, kind: UnlockKind, secret: str, pin: str) -> None:
        """Let this laptop's security chip open a volume for a PIN."""
        with secret_pipe(secret, kind) as old, secret_pipe(pin, "PIN") as added:
            await _answer(lambda: self.proxy.add_pin(name, kind, old, added))

    async def unlock_volume(self, name: str, kind: UnlockKind, secret: str) -> None:
        """Open a volume; its key is held from then on."""
        with secret_pipe(secret, kind) as pipe:
            await _answer(lambda: self.proxy.unlock_volume(name, kind, pipe))

    async def remove_key_slot(self, name: str, slot: str, kind: UnlockKind, secret: str) -> None:
        """Take a way to open a volume away."""
        with secret_pipe(secret, kind) as pipe:
            await _answer(lambda: self.proxy.remove_key_slot(name, slot, kind, pipe))

    async def recover_volume(self, name: str, code: str, new: str) -> str:
        """Open a volume by its recovery code and set a passphrase: the words of the next code."""
        with secret_pipe(code, "recovery code") as typed, secret_pipe(new, "passphrase") as added:
            return _handed_over(await _answer(lambda: self.proxy.recover_volume(name, typed, added)))

    async def rotate_volume_key(self, name: str, passphrase: str) -> str:
        """Give a volume a new key: the words of its new recovery code."""
        with secret_pipe(passphrase, "passphrase") as pipe:
            return _handed_over(await _answer(lambda: self.proxy.rotate_volume_key(name, pipe)))

    async def recover_state(self) -> StateRecovered:
        """Have the daemon make a new state database and keep the damaged one."""
        return _decode(await _answer(self.proxy.recover_state), StateRecovered)

    async def restore_header(self, name: str) -> None:
        """Put the verified backup of a disk's header back."""
        await _answer(lambda: self.proxy.restore_header(name))

    async def lock_volume(self, name: str) -> None:
        """Close a stopped partition's volume."""
        await _answer(lambda: self.proxy.lock_volume(name))

    async def grow_volume(self, name: str) -> int:
        """Have a volume take the room there is for it; its bytes."""
        return await _answer(lambda: self.proxy.grow_volume(name))

    async def wipe_partition(self, name: str) -> WipeDone:
        """Destroy a partition for good."""
        return _decode(await _answer(lambda: self.proxy.wipe_partition(name)), WipeDone)

    async def escrow(self, name: str) -> Sealed:
        """What the employer can open the corporate volume with."""
        return _decode(await _answer(lambda: self.proxy.get_escrow(name)), Sealed)

    async def open_display(self, name: str) -> int:
        """A new SPICE connection to a running partition; the caller owns and closes the descriptor."""
        return await _answer(lambda: self.proxy.open_display(name))

    async def ask_exchange(self, facts: ExchangeFacts) -> ExchangeAnswer:
        """Whether something may cross the border; what it is, never its content."""
        question = msgspec.json.encode(facts).decode()
        return _decode(await _answer(lambda: self.proxy.ask_exchange(question)), ExchangeAnswer)

    async def settle_exchange(self, ticket: str, outcome: ExchangeOutcome) -> None:
        """Have the daemon keep a receipt; ``sent`` before the content goes, which it may still refuse."""
        await _answer(lambda: self.proxy.settle_exchange(ticket, outcome))

    async def prove_vpn(self) -> VpnProof:
        """Run the leak canaries now."""
        return _decode(await _answer(self.proxy.prove_vpn), VpnProof)

    async def attach_device(self, port: str, partition: str, *, read_only: bool = False) -> None:
        """Send a device to a partition it may go to; returns once it is there."""
        await _answer(lambda: self.proxy.attach_device(port, partition, read_only))

    async def detach_device(self, port: str) -> None:
        """Take a device back."""
        await _answer(lambda: self.proxy.detach_device(port))

    async def answer_device(self, port: str, answer: DeviceAnswer, *, remember: bool = False) -> None:
        """Say where a device goes that is asked about."""
        await _answer(lambda: self.proxy.answer_device(port, answer, remember))

    async def forget_device(self, port: str) -> None:
        """Forget what was seen in a port and answered for its device."""
        await _answer(lambda: self.proxy.forget_device(port))

    async def set_kill_switch(self, kind: KillSwitch, *, off: bool) -> None:
        """Switch camera or microphone off everywhere, or on again."""
        await _answer(lambda: self.proxy.set_kill_switch(kind, off))

    async def owner_rules(self) -> str:
        """The owner's document, JSON."""
        return await _answer(self.proxy.get_owner_rules)

    async def set_owner_rules(self, document: str) -> None:
        """Replace the owner's document; empty for the defaults."""
        await _answer(lambda: self.proxy.set_owner_rules(document))

    async def changes(self) -> AsyncIterator[str]:
        """The names of what changed, as the daemon says so; ends only with the caller."""
        async for subject in self.proxy.changed:
            yield subject


class Line:
    """The system bus for one event loop: opened once, used again as long as it holds, closed in the end.

    sdbus 0.14.3 takes a bus's descriptor out of the event loop a second time when the closed bus is
    collected, and by then that number may be the next connection's, which hears nothing from then on. So a
    service that comes and goes costs no connection, and one that broke is kept, closed, until this goes.
    """

    def __init__(self) -> None:
        self._bus: SdBus | None = None
        self._broken: list[SdBus] = []

    def daemon(self) -> Daemon:
        """The daemon on the connection there is, or on a new one. Raises DaemonUnreachable without a bus."""
        if self._bus is None:
            self._bus = _opened()
        return Daemon(self._bus)

    def learn(self, error: TwinhullError) -> None:
        """Take note of what a call ended with: after a connection that broke, the next daemon has another."""
        if self._bus is not None and isinstance(error.__cause__, SdBusLibraryError):
            self._bus.close()
            self._broken.append(self._bus)
            self._bus = None

    def close(self) -> None:
        """Close the connection; the event loop has to end before this object does."""
        if self._bus is not None:
            self._bus.close()


def _opened() -> SdBus:
    try:
        bus = sd_bus_open_system()
    except SdBusLibraryError as error:
        raise DaemonUnreachable(reason="there is no system bus") from error
    bus.method_call_timeout_usec = CALL_TIMEOUT * 1_000_000
    return bus


@asynccontextmanager
async def connected() -> AsyncIterator[Daemon]:
    """Open the system bus and yield the daemon on it, once in an event loop's life; else use :class:`Line`.

    libsystemd finds the bus, so ``DBUS_SYSTEM_BUS_ADDRESS`` can name another one. Raises
    :class:`DaemonUnreachable` when there is no bus.
    """
    line = Line()
    daemon = line.daemon()
    try:
        yield daemon
    finally:
        line.close()


def run(operation: Callable[[Daemon], Awaitable[T]]) -> T:
    """Run one operation on the daemon to its end, from code that has no event loop."""

    async def scenario() -> T:
        async with connected() as daemon:
            return await operation(daemon)

    return asyncio.run(scenario())


class Session:
    """One connection for several operations with a person's answers between them. Made by :func:`session`."""

    def __init__(self, runner: asyncio.Runner, daemon: Daemon) -> None:
        self._runner = runner
        self._daemon = daemon

    def run(self, operation: Callable[[Daemon], Coroutine[Any, Any, T]]) -> T:
        """Run one operation to its end; for the daemon all of them have the same caller."""
        return self._runner.run(operation(self._daemon))


@contextmanager
def session() -> Iterator[Session]:
    """Open the bus for several operations, from code that has no event loop. Raises DaemonUnreachable."""
    with asyncio.Runner() as runner:
        connection = connected()
        daemon = runner.run(connection.__aenter__())
        try:
            yield Session(runner, daemon)
        finally:
            runner.run(connection.__aexit__(None, None, None))


@contextmanager
def secret_pipe(secret: str, kind: str) -> Iterator[int]:
    """The read end of a pipe that holds ``secret`` and then ends; closed on leaving.

    ``kind`` names the secret in the error raised when it exceeds ``SECRET_LIMIT`` bytes. A pipe holds 4096
    bytes at least (pipe(7)), so writing first cannot block.
    """
    content = secret.encode()
    if len(content) > SECRET_LIMIT:
        raise SecretTooLong(kind=kind, limit=SECRET_LIMIT)
    read_end, write_end = os.pipe()
    try:
        with os.fdopen(write_end, "wb") as writer:
            writer.write(content)
        yield read_end
    finally:
        os.close(read_end)


def _handed_over(pipe: int) -> str:
    """What the daemon has written into a pipe before it answered."""
    with os.fdopen(pipe, "rb") as reader:
        return reader.read(SECRET_LIMIT).decode()


async def _answer(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except (DbusFailedError, SdBusUnmappedMessageError, SdBusLibraryError) as error:
        raise explain(error) from error


def explain(error: Exception) -> TwinhullError:
    """What a failed D-Bus call means to a person."""
    match error:
        case DaemonError():
            return _remote(str(error.args[0]) if error.args else "")
        case DbusAccessDeniedError() | DbusInteractiveAuthorizationRequiredError():
            return NotAuthorised()
        case DbusServiceUnknownError() | DbusNameHasNoOwnerError():
            return DaemonUnreachable(reason="twinhulld is not running")
        case DbusNoReplyError():
            return DaemonUnreachable(reason="it went away before it had answered")
        case SdBusLibraryError():
            return DaemonUnreachable(reason="the connection to the system bus broke")
        case SdBusUnmappedMessageError() if ".Spawn." in str(error.args[0] if error.args else ""):
            return DaemonUnreachable(reason="twinhulld did not start")
        case _:
            return CallFailed(reason=printable(str(error)) or type(error).__name__)


def _remote(untrusted_report: str) -> TwinhullError:
    try:
        return RemoteError(msgspec.json.decode(untrusted_report, type=ErrorReport))
    except msgspec.DecodeError as error:
        return ReplyNotUnderstood(reason=printable(str(error)))


def _decode(untrusted_reply: str, wanted: type[T]) -> T:
    try:
        return msgspec.json.decode(untrusted_reply, type=wanted)
    except msgspec.DecodeError as error:
        raise ReplyNotUnderstood(reason=printable(str(error))) from error
