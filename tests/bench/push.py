"""Push to a fleet, against mosquitto with mutual TLS and the same bytes: ``python -m tests.bench.push
--laptops 1000``.

Simulated laptops, each with a certificate and a TLS connection of its own, hold a stream to
``twinhull-server`` and a subscription to mosquitto at the same time. Rounds go by turns: a statement to
every stream, the same bytes to every subscription. Timed is from the first byte handed over until each
laptop has the whole message. All on the loopback of one machine, whose processors server, broker and
laptops share. Prints JSON; ratios are mosquitto's time by ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical
from twinhull_policy.server import repository
from twinhull_policy.server.pki import device_ca_path, server_certificate_path, server_key_path

from tests.bench.fleet_keys import BenchFleet
from tests.support.fleet_processes import ENVIRONMENT, SERVER

PATIENCE = 600.0
CONNECTING = 64
"""Handshakes under way at once, while the fleet assembles; the herd has no such limit."""
TOPIC = b"d"


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


async def assemble(
    fleet: BenchFleet, port: int, kind: str, at_once: int, pems: list[Path]
) -> tuple[list[Laptop], int]:
    """Connect every laptop; how many had to be refused or broke is the second figure."""
    slots = asyncio.Semaphore(at_once)
    loop = asyncio.get_running_loop()
    failures = 0

    async def connect(number: int) -> Laptop | None:
        nonlocal failures
        device_id = fleet.ids[number]
        if kind == "sse":
            hello = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            made = lambda: Laptop(hello, sse_messages)  # noqa: E731 - two short factories side by side
        else:
            made = lambda: Laptop(mqtt_hello(device_id), mqtt_messages)  # noqa: E731
        async with slots:
            try:
                async with asyncio.timeout(PATIENCE):
                    _, laptop = await loop.create_connection(
                        made,
                        "127.0.0.1",
                        port,
                        ssl=fleet.context(pems[number]),
                        server_hostname="localhost",
                        ssl_handshake_timeout=PATIENCE,
                        # One address has some 28,000 ports to connect from.
                        local_addr=(f"127.0.0.{2 + number % 8}", 0),
                    )
                    await laptop.ready
            except (OSError, TimeoutError) as error:
                failures += 1
                sys.stderr.write(f"{kind} {number}: {type(error).__name__}: {error}\n")
                return None
        return laptop

    made = await asyncio.gather(*(connect(number) for number in range(len(fleet.ids))))
    return [laptop for laptop in made if laptop is not None], failures


def memory_kib(pid: int) -> int:
    """Memory that is a process's own or its share of (PSS), in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def percentiles(samples: list[float]) -> dict[str, float]:
    ordered = sorted(samples)
    return {
        "p50_ms": round(1000 * statistics.median(ordered), 1),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
    }


async def run_process(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, env=ENVIRONMENT, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"{command[-1]} failed")


async def logged(pattern: bytes, *command: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start a process and wait for the port it says; what it says afterwards is read and dropped."""
    process = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT, stderr=asyncio.subprocess.PIPE)
    stream = process.stderr
    if stream is None:
        raise RuntimeError("no stderr")
    async with asyncio.timeout(PATIENCE):
        while line := await stream.readline():
            if found := re.search(pattern, line):
                process.drain = asyncio.create_task(stream.read())  # type: ignore[attr-defined]  # kept alive
                return process, int(found[1])
    raise RuntimeError(f"{command} ended")


async def start_broker(fleet: BenchFleet, directory: Path) -> tuple[asyncio.subprocess.Process, int]:
    """mosquitto that asks for the same client certificates, with the server's own key."""
    port = 18883 + os.getpid() % 1000
    settings = directory / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\ncafile {device_ca_path(fleet.layout)}\n"
        f"certfile {server_certificate_path(fleet.layout)}\nkeyfile {server_key_path(fleet.layout)}\n"
        "require_certificate true\nallow_anonymous true\ntls_version tlsv1.3\npersistence false\n"
        f"max_inflight_messages 0\nmax_queued_messages 0\nuser {os.environ.get('USER', 'root')}\n"
    )
    command = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    return await logged(rb"Opening ipv4 listen socket on port (\d+)", command, "-c", str(settings), "-v")


async def bench(laptops: int, rounds: int, directory: Path) -> dict[str, Any]:
    fleet = BenchFleet(directory, laptops)
    pems = fleet.pem_files()
    policy = directory / "policy.json"
    document = json.loads(canonical(example_policy()))

    async def publish(number: int) -> None:
        policy.write_text(json.dumps(document | {"description": f"round {number}"}))
        await run_process(*SERVER, "--dir", str(fleet.layout.directory), "policy", "publish", str(policy))

    await publish(0)
    serve = (*SERVER, "--dir", str(fleet.layout.directory), "serve", "--listen", "127.0.0.1:0")
    server, server_port = await logged(rb"serving host=\S+ port=(\d+)", *serve)
    broker, broker_port = await start_broker(fleet, directory)
    result: dict[str, Any] = {"laptops": laptops, "rounds": rounds}
    try:
        before = memory_kib(server.pid), memory_kib(broker.pid)
        began = time.perf_counter()
        streams, failed = await assemble(fleet, server_port, "sse", CONNECTING, pems)
        result["connect_s"] = round(time.perf_counter() - began, 1)
        subscribed, failed_there = await assemble(fleet, broker_port, "mqtt", CONNECTING, pems)
        result["failed_to_connect"] = {"ours": failed, "mosquitto": failed_there}
        after = memory_kib(server.pid), memory_kib(broker.pid)
        result["kib_per_connection"] = {
            name: round((now - then) / laptops, 1)
            for name, now, then in zip(("ours", "mosquitto"), after, before, strict=True)
        }
        ours: list[float] = []
        theirs: list[float] = []
        whole: list[float] = []
        own_bytes = 0
        for number in range(1, rounds + 1):
            had = [stream.messages for stream in streams]
            received = [stream.received for stream in streams]
            begin = time.perf_counter()
            await publish(number)
            await until(lambda: all(s.messages > h for s, h in zip(streams, had, strict=True)))  # noqa: B023
            arrived = [stream.at for stream in streams]
            # The server signs for everybody, commits, then sends: sending begins where the first arrives.
            first = min(arrived)
            ours += [at - first for at in arrived]
            whole += [at - begin for at in arrived]
            own_bytes = max(s.received - r for s, r in zip(streams, received, strict=True))
            theirs += await publish_mqtt(fleet, broker_port, subscribed, own_bytes, pems)
        result["fan_out"] = {"ours": percentiles(ours), "mosquitto": percentiles(theirs)}
        result["publish_to_arrival"] = percentiles(whole)
        result["ratio_p99"] = round(
            result["fan_out"]["mosquitto"]["p99_ms"] / max(0.1, result["fan_out"]["ours"]["p99_ms"]), 2
        )
        result["bytes_own_change"] = own_bytes
        result["bytes_other_change"] = await others(fleet, streams, server.pid)
        for stream in streams:
            stream.transport.close()
        for stream in subscribed:
            stream.transport.close()
        await asyncio.sleep(1)
        began = time.perf_counter()
        streams, failed = await assemble(fleet, server_port, "sse", laptops, pems)
        result["herd"] = {"seconds": round(time.perf_counter() - began, 1), "errors": failed}
        for stream in streams:
            stream.transport.close()
    finally:
        for process in (server, broker):
            process.terminate()
            await process.wait()
    return result


async def publish_mqtt(
    fleet: BenchFleet, port: int, subscribed: list[Laptop], length: int, pems: list[Path]
) -> list[float]:
    """The same number of bytes to every laptop's own topic, from one more connection; when each arrived."""
    had = [laptop.messages for laptop in subscribed]
    loop = asyncio.get_running_loop()
    connect = mqtt_string(b"MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + mqtt_string(b"publisher")
    ready = mqtt_packet(0x10, connect) + mqtt_packet(
        0x82, struct.pack(">H", 1) + mqtt_string(b"none") + b"\0"
    )
    transport, publisher = await loop.create_connection(
        lambda: Laptop(ready, mqtt_messages),
        "127.0.0.1",
        port,
        ssl=fleet.context(pems[0]),
        server_hostname="localhost",
    )
    await publisher.ready
    body = b"x" * length
    packets = [
        mqtt_packet(0x30, mqtt_string(TOPIC + b"/" + device_id.encode()) + body) for device_id in fleet.ids
    ]
    for packet in packets:
        transport.write(packet)
    await until(lambda: all(one.messages > h for one, h in zip(subscribed, had, strict=True)))
    transport.close()
    # As for ours: from where the first arrives.
    first = min(laptop.at for laptop in subscribed)
    return [laptop.at - first for laptop in subscribed]


async def others(fleet: BenchFleet, streams: list[Laptop], pid: int) -> int:
    """Bytes that everybody else receives when one laptop's own desired state changes."""
    repository.sign_online(fleet.layout)
    before = [stream.received for stream in streams[1:]]
    had = streams[0].messages
    directory = str(fleet.layout.directory)
    await run_process(*SERVER, "--dir", directory, "device", "rotate-vpn-key", fleet.ids[0])
    await until(lambda: streams[0].messages > had)
    after = [stream.received for stream in streams[1:]]
    # Comments that keep a stream alive (16 bytes each) are there with and without changes.
    changes = [now - then for now, then in zip(after, before, strict=True)]
    return max((change for change in changes if change > 64), default=0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the laptops see."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - seen by ten thousand protocols, and no event of one
            await asyncio.sleep(0.02)


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laptops", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = uvloop.run(bench(chosen.laptops, chosen.rounds, Path(directory)))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
