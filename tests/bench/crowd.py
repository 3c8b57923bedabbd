"""Part of a simulated fleet, in a process of its own: one process may not open descriptors for all.

``python -m tests.bench.crowd`` is told what to do, and answers, in lines of JSON on its standard streams;
tests/bench/push.py tells it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import uvloop

PATIENCE = 600.0
TOPIC = b"d"
HELLO_STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Member(msgspec.Struct, frozen=True):
    """One laptop.

    Attributes:
        device_id: its name.
        pem: its certificate and key.
    """

    device_id: str
    pem: str


class Task(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One thing to do.

    Attributes:
        do: which method of Crowd.
        kind: of connection.
        members: the laptops, for ``gather``.
        ca: what the server's certificate is signed by, for ``gather``.
        port: where the server listens, for ``connect``.
        at_once: handshakes under way at once, for ``connect``.
    """

    do: Literal["gather", "connect", "mark", "arrived", "received", "hang_up"]
    kind: Literal["sse", "mqtt"] = "sse"
    members: list[Member] = []
    ca: str = ""
    port: int = 0
    at_once: int = 0


class Laptop(asyncio.Protocol):
    """One connection that counts whole messages.

    Attributes:
        received: bytes so far.
        at: when the newest message was whole (perf_counter).
    """

    def __init__(self, hello: bytes, complete: Callable[[bytearray], int]) -> None:
        self._hello = hello
        self._complete = complete
        self._pending = bytearray()
        self.received = 0
        self.messages = 0
        self.at = 0.0
        self.lost = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self._hello)  # type: ignore[attr-defined]  # a writing transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._pending += data
        found = self._complete(self._pending)
        if found:
            self.messages += found
            self.at = time.perf_counter()
            if not self.ready.done():
                self.ready.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("lost"))


def sse_messages(pending: bytearray) -> int:
    """Whole statements in what came; they are taken out. The answer's head goes with the first."""
    found = 0
    while (begin := pending.find(b"event: statement\n")) >= 0:
        end = pending.find(b"\n\n\r\n", begin)
        if end < 0:
            return found
        del pending[: end + 4]
        found += 1
    return found


def mqtt_messages(pending: bytearray) -> int:
    """Whole packets in what came that are SUBACK or PUBLISH (MQTT 3.1.1, section 2); all are taken out."""
    found = 0
    while len(pending) >= 2:
        length = shift = 0
        for index in range(1, min(5, len(pending))):
            length |= (pending[index] & 127) << shift
            shift += 7
            if not pending[index] & 128:
                break
        else:
            return found
        if len(pending) < index + 1 + length:
            return found
        found += pending[0] >> 4 in (3, 9)
        del pending[: index + 1 + length]
    return found


def mqtt_string(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def mqtt_packet(kind: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (128 if length else 0))
        if not length:
            return bytes([kind]) + bytes(encoded) + body


def mqtt_hello(name: str) -> bytes:
    """CONNECT with a clean session and no keep-alive, and SUBSCRIBE to the laptop's own topic."""
    connect = mqtt_string(b"MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + mqtt_string(name.encode())
    subscribe = struct.pack(">H", 1) + mqtt_string(TOPIC + b"/" + name.encode()) + b"\0"
    return mqtt_packet(0x10, connect) + mqtt_packet(0x82, subscribe)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the laptops see."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - seen by thousands of protocols, and no event of one
            await asyncio.sleep(0.02)


class Crowd:
    """The laptops of this process and their connections of each kind."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._ca = ""
        self._connected: dict[str, list[Laptop]] = {}
        self._had: list[tuple[int, int]] = []

    async def gather(self, task: Task) -> dict[str, Any]:
        """Know who belongs to this process."""
        self._members, self._ca = task.members, task.ca
        return {}

    async def connect(self, task: Task) -> dict[str, Any]:
        """Connect every laptop; answers what failed."""
        slots = asyncio.Semaphore(task.at_once)
        failures: list[str] = []

        async def one(number: int, member: Member) -> Laptop | None:
            async with slots:
                try:
                    async with asyncio.timeout(PATIENCE):
                        return await self._connect(task, number, member)
                except (OSError, TimeoutError) as error:
                    failures.append(f"{member.device_id}: {type(error).__name__}: {error}")
                    return None

        made = await asyncio.gather(*(one(n, member) for n, member in enumerate(self._members)))
        self._connected[task.kind] = [laptop for laptop in made if laptop is not None]
        return {"failures": failures}

    async def _connect(self, task: Task, number: int, member: Member) -> Laptop:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self._ca)
        context.load_cert_chain(member.pem)
        hello, complete = HELLO_STREAM, sse_messages
        if task.kind == "mqtt":
            hello, complete = mqtt_hello(member.device_id), mqtt_messages
        _, laptop = await asyncio.get_running_loop().create_connection(
            lambda: Laptop(hello, complete),
            "127.0.0.1",
            task.port,
            ssl=context,
            server_hostname="localhost",
            ssl_handshake_timeout=PATIENCE,
            # One address has some 28,000 ports to connect from.
            local_addr=(f"127.0.0.{2 + number % 8}", 0),
        )
        await laptop.ready
        return laptop

    async def mark(self, task: Task) -> dict[str, Any]:
        """Remember how much everyone has received."""
        self._had = [(one.messages, one.received) for one in self._connected[task.kind]]
        return {}

    async def arrived(self, task: Task) -> dict[str, Any]:
        """Wait until everyone has a message more than marked; answers when (monotonic) and how many bytes."""
        connected = self._connected[task.kind]
        await until(
            lambda: all(one.messages > had for one, (had, _) in zip(connected, self._had, strict=True))
        )
        return {"at": [one.at for one in connected], **await self.received(task)}

    async def received(self, task: Task) -> dict[str, Any]:
        """Answers how many messages and bytes everyone has received since the mark."""
        pairs = list(zip(self._connected[task.kind], self._had, strict=True))
        return {
            "messages": [one.messages - messages for one, (messages, _) in pairs],
            "bytes": [one.received - received for one, (_, received) in pairs],
        }

    async def hang_up(self, task: Task) -> dict[str, Any]:
        """Close every connection of a kind."""
        for one in self._connected.pop(task.kind):
            one.transport.close()
        return {}


async def work() -> None:
    """Do what the lines say until there are no more."""
    crowd = Crowd()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        task = msgspec.json.decode(line, type=Task)
        answer = await getattr(crowd, task.do)(task)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(work())
