"""``org.twinhull.Daemon1`` on the bus: authorise, bound, hand over to the core, translate errors.

A method reaches the core only through :func:`guarded`, which takes its polkit action from ``RULES``; a method
without a rule fails at import, so it cannot be served.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args

import msgspec
from sdbus import dbus_method_async_override, get_current_message
from twinhull_policy.api.interface import (
    FINGERPRINT_LIMIT,
    INITIATOR_LIMIT,
    LOG_LIMIT,
    PORT_LIMIT,
    QUESTION_LIMIT,
    RULES,
    RULES_LIMIT,
    URL_LIMIT,
    DaemonError,
    DaemonInterface,
)
from twinhull_policy.api.types import SNAPSHOT_NAME_LIMIT, DeviceAnswer, ExchangeOutcome, KillSwitch
from twinhull_policy.errors import Blame, TwinhullError, printable
from twinhull_policy.exchange import ExchangeFacts
from twinhull_policy.names import Partition

from ..storage.slots import RecoveryCode
from .authority import Authority
from .core import Core
from .key_slots import proof
from .safe_mode import InSafeMode
from .secret import read_secret, secrets, wipe

logger = logging.getLogger(__name__)

PORT = re.compile(rf"[0-9a-z][0-9a-z.:-]{{0,{PORT_LIMIT - 1}}}")
SLOT = re.compile("[0-9a-f]{16}")
SNAPSHOT = re.compile("s-[0-9a-f]{8}")
TICKET = re.compile("[0-9a-f]{32}")
P = ParamSpec("P")
R = TypeVar("R")


class UnknownPartition(TwinhullError):
    """There is no partition called “{name}”."""

    code = "TH-DMN-006"
    blame = Blame.MALFORMED
    next_step = "The partitions are 'corporate' and 'personal'."


class ArgumentOutOfBounds(TwinhullError):
    """The argument {argument} is out of bounds: {detail}."""

    code = "TH-DMN-007"
    blame = Blame.MALFORMED
    next_step = "Run the command with --help to see what it takes."


class Unexpected(TwinhullError):
    """Something unexpected went wrong inside the Twinhull service."""

    code = "TH-DMN-008"
    next_step = "Look at the service's log ('journalctl -u twinhulld') and report it."


def _as_bus_error(error: TwinhullError) -> DaemonError:
    return DaemonError(msgspec.json.encode(error.report()).decode())


def guarded(
    method: Callable[Concatenate[DaemonService, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[DaemonService, P], Coroutine[Any, Any, R]]:
    """Serve a method only to callers its rule allows; every failure leaves as DaemonError."""
    action = RULES[method.__name__].action

    async def wrapper(self: DaemonService, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            await self.authority.check(_sender(), action)
            if self.core.safe_mode is not None and not RULES[method.__name__].in_safe_mode:
                raise InSafeMode(reason=self.core.safe_mode.reason)
            return await method(self, *args, **kwargs)
        except TwinhullError as error:
            raise _as_bus_error(error) from error
        except Exception as error:
            logger.exception("unexpected error in %s", method.__name__)
            raise _as_bus_error(Unexpected()) from error

    functools.update_wrapper(wrapper, method)
    return dbus_method_async_override()(wrapper)


def _sender() -> str:
    """The unique name on the bus of who calls; the bus never gives one twice."""
    sender = get_current_message().sender
    if sender is None:
        raise ArgumentOutOfBounds(argument="sender", detail="the call has no sender")
    return sender


def _check_url(untrusted_url: str) -> None:
    if (
        len(untrusted_url) > URL_LIMIT
        or not untrusted_url.isprintable()
        or not untrusted_url.startswith("https://")
    ):
        detail = f"an https:// address of at most {URL_LIMIT} characters"
        raise ArgumentOutOfBounds(argument="URL", detail=detail)


def _partition(untrusted_name: str) -> Partition:
    try:
        return Partition(untrusted_name)
    except ValueError as error:
        raise UnknownPartition(name=printable(untrusted_name, 40)) from error


def _port(untrusted_port: str) -> str:
    """The name of a port or device, as far as its shape goes; whether there is one is for others to say."""
    if PORT.fullmatch(untrusted_port) is None:
        raise ArgumentOutOfBounds(argument="port", detail="a port as 'twinhull device list' has it")
    return untrusted_port


def _snapshot(untrusted_id: str) -> str:
    if SNAPSHOT.fullmatch(untrusted_id) is None:
        raise ArgumentOutOfBounds(
            argument="snapshot", detail="an id as 'twinhull partition snapshots' has it"
        )
    return untrusted_id


def _exchange(untrusted_question: str) -> ExchangeFacts:
    """What somebody wants to pass on; bounded, closed, and of printable words only."""
    try:
        if len(untrusted_question) > QUESTION_LIMIT:
            raise msgspec.DecodeError
        facts = msgspec.json.decode(untrusted_question, type=ExchangeFacts)
    except msgspec.DecodeError as error:
        raise ArgumentOutOfBounds(argument="question", detail="way, kind, size_bytes and type") from error
    return msgspec.structs.replace(facts, type=printable(facts.type, 200))


def _one_of(untrusted_word: str, words: Any, argument: str) -> Any:
    """A word of a closed set, which ``words`` is the Literal of."""
    if untrusted_word not in get_args(words):
        raise ArgumentOutOfBounds(argument=argument, detail="one of " + ", ".join(get_args(words)))
    return untrusted_word


def _lent(fd: int) -> int:
    """A descriptor for a reply, which duplicates it when it is built, in this same step of the loop."""
    asyncio.get_running_loop().call_soon(os.close, fd)
    return fd


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()


class DaemonService(DaemonInterface):
    """The served object.

    Attributes:
        core: does the work.
        authority: decides who may ask for it.
    """

    def __init__(self, core: Core, authority: Authority) -> None:
        super().__init__()
        self.core = core
        self.authority = authority
        core.on_change = self.changed.emit

    @guarded
    async def get_status(self) -> str:
        return _json(await self.core.status())

    @guarded
    async def get_grade(self) -> str:
        return _json(await self.core.grade())

    @guarded
    async def recover_state(self) -> str:
        return _json(await self.core.recover_state())

    @guarded
    async def list_devices(self) -> str:
        return _json(await self.core.devices.infos())

    @guarded
    async def get_log(self, limit: int) -> str:
        if not 1 <= limit <= LOG_LIMIT:
            raise ArgumentOutOfBounds(argument="limit", detail=f"1 to {LOG_LIMIT}")
        return _json(await self.core.log(limit))

    @guarded
    async def enrol(self, url: str, token: int) -> str:
        _check_url(url)
        secret = await asyncio.to_thread(read_secret, token)
        try:
            return _json(await self.core.enrol(url, secret))
        finally:
            wipe(secret)

    @guarded
    async def begin_device_grant(self, url: str, initiator: str) -> str:
        _check_url(url)
        if len(initiator) > INITIATOR_LIMIT or not initiator.isprintable():
            raise ArgumentOutOfBounds(
                argument="initiator", detail=f"at most {INITIATOR_LIMIT} printable characters"
            )
        return _json(await self.core.begin_grant(url, initiator, _sender()))

    @guarded
    async def poll_device_grant(self, server_fingerprint: str) -> str:
        if len(server_fingerprint) > FINGERPRINT_LIMIT:
            raise ArgumentOutOfBounds(argument="fingerprint", detail="as the approval page shows it")
        return _json(await self.core.poll_grant(server_fingerprint, _sender()))

    @guarded
    async def create_partition(self, name: str, passphrase: int) -> None:
        partition = _partition(name)
        secret = await asyncio.to_thread(read_secret, passphrase)
        try:
            await self.core.disks.create(partition, secret)
        finally:
            wipe(secret)

    @guarded
    async def start_partition(self, name: str, passphrase: int) -> None:
        partition = _partition(name)
        secret = await asyncio.to_thread(read_secret, passphrase)
        try:
            await self.core.partitions.start(partition, secret)
        finally:
            wipe(secret)

    @guarded
    async def stop_partition(self, name: str, force: bool) -> None:
        await self.core.partitions.stop(_partition(name), force=force)

    @guarded
    async def suspend_partition(self, name: str) -> None:
        await self.core.partitions.suspend(_partition(name))

    @guarded
    async def resume_partition(self, name: str) -> None:
        await self.core.partitions.resume(_partition(name))

    @guarded
    async def reset_partition(self, name: str) -> None:
        await self.core.disks.reset(_partition(name))

    @guarded
    async def update_partition(self, name: str, passphrase: int) -> None:
        partition = _partition(name)
        async with secrets(passphrase) as (secret,):
            await self.core.updates.update(partition, secret)

    @guarded
    async def list_snapshots(self, name: str) -> str:
        return _json(await self.core.disks.snapshots(_partition(name)))

    @guarded
    async def snapshot_partition(self, name: str, title: str) -> str:
        if len(title) > SNAPSHOT_NAME_LIMIT or not title.isprintable():
            detail = f"at most {SNAPSHOT_NAME_LIMIT} printable characters"
            raise ArgumentOutOfBounds(argument="name", detail=detail)
        return _json(await self.core.disks.snapshot(_partition(name), title))

    @guarded
    async def roll_back_partition(self, name: str, snapshot: str, passphrase: int) -> str:
        partition, chosen = _partition(name), _snapshot(snapshot)
        async with secrets(passphrase) as (secret,):
            return _json(await self.core.disks.roll_back(partition, chosen, secret))

    @guarded
    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        await self.core.disks.remove_snapshot(_partition(name), _snapshot(snapshot))

    @guarded
    async def get_key_slots(self, name: str) -> str:
        return _json(await self.core.key_slots.infos(_partition(name)))

    @guarded
    async def add_passphrase(self, name: str, kind: str, secret: int, new: int) -> None:
        partition = _partition(name)
        async with secrets(secret, new) as (old, added):
            await self.core.key_slots.add_passphrase(partition, proof(kind, partition, old), added)

    @guarded
    async def change_passphrase(self, name: str, old: int, new: int) -> None:
        partition = _partition(name)
        async with secrets(old, new) as (former, added):
            await self.core.key_slots.change_passphrase(partition, former, added)

    @guarded
    async def add_recovery_code(self, name: str, kind: str, secret: int) -> int:
        partition = _partition(name)
        async with secrets(secret) as (old,):
            return _lent(await self.core.key_slots.add_recovery_code(partition, proof(kind, partition, old)))

    @guarded
    async def add_pin(self, name: str, kind: str, secret: int, pin: int) -> None:
        partition = _partition(name)
        async with secrets(secret, pin) as (old, added):
            await self.core.key_slots.add_pin(partition, proof(kind, partition, old), added)

    @guarded
    async def unlock_volume(self, name: str, kind: str, secret: int) -> None:
        partition = _partition(name)
        if kind == "recovery-code":
            raise ArgumentOutOfBounds(argument="kind", detail="a recovery code opens by recover_volume")
        async with secrets(secret) as (typed,):
            await self.core.key_slots.unlock(partition, proof(kind, partition, typed))

    @guarded
    async def remove_key_slot(self, name: str, slot: str, kind: str, secret: int) -> None:
        partition = _partition(name)
        if SLOT.fullmatch(slot) is None:
            raise ArgumentOutOfBounds(argument="slot", detail="an id as 'twinhull disk slots' has it")
        async with secrets(secret) as (old,):
            await self.core.key_slots.remove(partition, slot, proof(kind, partition, old))

    @guarded
    async def recover_volume(self, name: str, code: int, new: int) -> int:
        partition = _partition(name)
        async with secrets(code, new) as (typed, added):
            return _lent(await self.core.key_slots.recover(partition, RecoveryCode.of(bytes(typed)), added))

    @guarded
    async def rotate_volume_key(self, name: str, passphrase: int) -> int:
        partition = _partition(name)
        async with secrets(passphrase) as (old,):
            return _lent(await self.core.key_slots.rotate(partition, old))

    @guarded
    async def restore_header(self, name: str) -> None:
        await self.core.key_slots.restore_header(_partition(name))

    @guarded
    async def lock_volume(self, name: str) -> None:
        await self.core.disks.lock(_partition(name))

    @guarded
    async def grow_volume(self, name: str) -> int:
        return await self.core.disks.grow(_partition(name))

    @guarded
    async def wipe_partition(self, name: str) -> str:
        return _json(await self.core.wipes.wipe(_partition(name)))

    @guarded
    async def get_escrow(self, name: str) -> str:
        return _json(await self.core.key_slots.escrow(_partition(name)))

    @guarded
    async def open_display(self, name: str) -> int:
        return _lent(await self.core.partitions.open_display(_partition(name)))

    @guarded
    async def ask_exchange(self, question: str) -> str:
        return _json(self.core.exchanges.ask(_exchange(question), _sender()))

    @guarded
    async def settle_exchange(self, ticket: str, outcome: str) -> None:
        if TICKET.fullmatch(ticket) is None:
            raise ArgumentOutOfBounds(argument="ticket", detail="as ask_exchange gave it")
        self.core.exchanges.settle(ticket, _one_of(outcome, ExchangeOutcome, "outcome"), _sender())

    @guarded
    async def prove_vpn(self) -> str:
        return _json(await self.core.prove_vpn())

    @guarded
    async def attach_device(self, port: str, partition: str, read_only: bool) -> None:
        await self.core.devices.attach(_port(port), _partition(partition), read_only=read_only)

    @guarded
    async def detach_device(self, port: str) -> None:
        await self.core.devices.detach(_port(port))

    @guarded
    async def answer_device(self, port: str, answer: str, remember: bool) -> None:
        await self.core.devices.answer(
            _port(port), _one_of(answer, DeviceAnswer, "answer"), remember=remember
        )

    @guarded
    async def forget_device(self, port: str) -> None:
        await self.core.devices.forget(_port(port))

    @guarded
    async def set_kill_switch(self, kind: str, off: bool) -> None:
        await self.core.devices.switch(_one_of(kind, KillSwitch, "switch"), off=off)

    @guarded
    async def get_owner_rules(self) -> str:
        return self.core.devices.owner_rules()

    @guarded
    async def set_owner_rules(self, document: str) -> None:
        if len(document.encode()) > RULES_LIMIT:
            raise ArgumentOutOfBounds(argument="rules", detail=f"at most {RULES_LIMIT} bytes")
        self.core.devices.set_owner_rules(document)
