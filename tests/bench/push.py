"""Push to a fleet, against mosquitto with mutual TLS and the same bytes: ``python -m tests.bench.push
--laptops 1000``.

Simulated laptops, each with a certificate and a TLS connection of its own, hold a stream to
``twinhull-server`` and a subscription to mosquitto at the same time. Rounds go by turns: a statement to
every stream, the same bytes to every subscription. Timed is from the first byte handed over until each
laptop has the whole message. All on the loopback of one machine, whose processors server, broker and
laptops share. The laptops are in several processes (tests/bench/crowd.py). Prints JSON; ratios are
mosquitto's time by ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical
from twinhull_policy.server import repository
from twinhull_policy.server.pki import (
    device_ca_path,
    server_ca_path,
    server_certificate_path,
    server_key_path,
)

from tests.bench.crowd import PATIENCE, TOPIC, Laptop, mqtt_hello, mqtt_messages, mqtt_packet, mqtt_string
from tests.bench.fleet_keys import BenchFleet
from tests.support.fleet_processes import ENVIRONMENT, SERVER

CONNECTING = 64
"""Handshakes under way at once, while the fleet assembles; the herd has no such limit."""
MEMBERS = 4000
"""Laptops of one process, which holds two connections of each and, when they come back, three."""
LONGEST_LINE = 4 * 1024 * 1024


class Crowds:
    """The simulated fleet: processes that do the same, each with its part of the laptops."""

    def __init__(self, fleet: BenchFleet) -> None:
        self._members = [
            {"device_id": device_id, "pem": str(pem)}
            for device_id, pem in zip(fleet.ids, fleet.pem_files(), strict=True)
        ]
        self._ca = str(server_ca_path(fleet.layout))
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start the processes."""
        parts = -(-len(self._members) // MEMBERS)
        for part in range(parts):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.crowd",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
            )
            self._processes.append(process)
            await self._tell(process, do="gather", members=self._members[part::parts], ca=self._ca)

    async def tell(self, **task: Any) -> dict[str, list[Any]]:
        """Have all of them do something at once; their answers, put together."""
        answers = await asyncio.gather(*(self._tell(process, **task) for process in self._processes))
        return {name: [one for answer in answers for one in answer[name]] for name in answers[0]}

    async def _tell(self, process: asyncio.subprocess.Process, **task: Any) -> dict[str, list[Any]]:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no pipes")
        process.stdin.write(json.dumps(task).encode() + b"\n")
        await process.stdin.drain()
        answer: dict[str, list[Any]] = json.loads(await process.stdout.readline())
        return answer

    async def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()


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
    crowds = Crowds(fleet)
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
        await crowds.start()
        before = memory_kib(server.pid), memory_kib(broker.pid)
        began = time.perf_counter()
        failed = await connect(crowds, "sse", server_port, CONNECTING)
        result["connect_s"] = round(time.perf_counter() - began, 1)
        failed_there = await connect(crowds, "mqtt", broker_port, CONNECTING)
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
            await crowds.tell(do="mark", kind="sse")
            begin = time.perf_counter()
            await publish(number)
            arrived = await crowds.tell(do="arrived", kind="sse")
            # The server signs for everybody, commits, then sends: sending begins where the first arrives.
            first = min(arrived["at"])
            ours += [at - first for at in arrived["at"]]
            whole += [at - begin for at in arrived["at"]]
            own_bytes = max(arrived["bytes"])
            theirs += await publish_mqtt(fleet, broker_port, crowds, own_bytes)
        result["fan_out"] = {"ours": percentiles(ours), "mosquitto": percentiles(theirs)}
        result["publish_to_arrival"] = percentiles(whole)
        result["ratio_p99"] = round(
            result["fan_out"]["mosquitto"]["p99_ms"] / max(0.1, result["fan_out"]["ours"]["p99_ms"]), 2
        )
        result["bytes_own_change"] = own_bytes
        result["bytes_other_change"] = await others(fleet, crowds)
        await crowds.tell(do="hang_up", kind="sse")
        await crowds.tell(do="hang_up", kind="mqtt")
        await asyncio.sleep(1)
        began = time.perf_counter()
        failed = await connect(crowds, "sse", server_port, laptops)
        result["herd"] = {"seconds": round(time.perf_counter() - began, 1), "errors": failed}
    finally:
        await crowds.stop()
        for process in (server, broker):
            process.terminate()
            await process.wait()
    return result


async def connect(crowds: Crowds, kind: str, port: int, at_once: int) -> int:
    """Connect every laptop; how many had to be refused or broke, and why on standard error."""
    answer = await crowds.tell(do="connect", kind=kind, port=port, at_once=at_once)
    for failure in answer["failures"]:
        sys.stderr.write(f"{kind} {failure}\n")
    return len(answer["failures"])


async def publish_mqtt(fleet: BenchFleet, port: int, crowds: Crowds, length: int) -> list[float]:
    """The same number of bytes to every laptop's own topic, from one more connection; when each arrived."""
    await crowds.tell(do="mark", kind="mqtt")
    loop = asyncio.get_running_loop()
    ready = mqtt_hello("publisher")
    transport, publisher = await loop.create_connection(
        lambda: Laptop(ready, mqtt_messages),
        "127.0.0.1",
        port,
        ssl=fleet.context(fleet.pem_files()[0]),
        server_hostname="localhost",
    )
    await publisher.ready
    body = b"x" * length
    packets = [
        mqtt_packet(0x30, mqtt_string(TOPIC + b"/" + device_id.encode()) + body) for device_id in fleet.ids
    ]
    for packet in packets:
        transport.write(packet)
    arrived = await crowds.tell(do="arrived", kind="mqtt")
    transport.close()
    # As for ours: from where the first arrives.
    first = min(arrived["at"])
    return [at - first for at in arrived["at"]]


async def others(fleet: BenchFleet, crowds: Crowds) -> int:
    """Bytes that everybody else receives when one laptop's own desired state changes."""
    repository.sign_online(fleet.layout)
    await crowds.tell(do="mark", kind="sse")
    directory = str(fleet.layout.directory)
    await run_process(*SERVER, "--dir", directory, "device", "rotate-vpn-key", fleet.ids[0])
    # The first laptop is the first of the first process; whoever else has a message by then was told, too.
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = await crowds.tell(do="received", kind="sse")
            if seen["messages"][0]:
                break
            await asyncio.sleep(0.2)
    changes = seen["bytes"][1:]
    # Comments that keep a stream alive (16 bytes each) are there with and without changes.
    return max((change for change in changes if change > 64), default=0)


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
