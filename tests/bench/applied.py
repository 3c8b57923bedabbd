"""From publishing a policy to its being in force on real laptops.

``python -m tests.bench.applied --laptops 8 --rounds 10``: the real server, and for each laptop a process with
the real fetch over mutual TLS and the real core with its verification, its database and its bus.
``whole_ms`` is from the start of the administrator's command, which loads Python, signs for each laptop and
commits; ``after_push_ms`` from when the server has written to the streams, by its log, until the policy is in
force. Every laptop counts in every round. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.push import percentiles
from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.fleet_processes import FetchService, FleetServer

PATIENCE = 120.0


def sequence(laptop: CoreLaptop) -> int:
    """Of the statement in force."""
    in_force = laptop.core.fleet.inbox.in_force
    return 0 if in_force is None else in_force.statement.seq


def pushed_at(server: FleetServer) -> float:
    """When the server wrote to the stream last, seconds since the epoch; 0 for not yet."""
    lines = [] if server.running is None else server.running.log
    stamps = [found[1] for line in lines if (found := re.search(r"^ts=(\S+ \S+) .* pushed signed=\d", line))]
    if not stamps:
        return 0.0
    moment = datetime.strptime(stamps[-1], "%Y-%m-%d %H:%M:%S,%f")
    return moment.replace(tzinfo=UTC).timestamp()


async def laptop_process(directory: Path, url: str) -> None:
    """One laptop: enrols with the token of standard input, then prints when each statement came in force."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("not in a task")
    # Not killed outright, as its fetch would be left.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    token = bytearray(sys.stdin.readline().strip().encode())
    async with core_laptop(directory, enrolled=False) as laptop:
        fetch = FetchService(directory)
        fetch.directory, fetch.socket = laptop.paths.fetch, laptop.paths.fetch_socket
        fetch.start()
        try:
            await laptop.core.enrol(url, token)
            had = 0
            while True:
                if (now := sequence(laptop)) > had:
                    had = now
                    sys.stdout.write(json.dumps(time.time()) + "\n")
                    sys.stdout.flush()
                await asyncio.sleep(0.002)
        finally:
            fetch.stop()


async def next_time(process: asyncio.subprocess.Process) -> float:
    """When the next statement came into force on a laptop, seconds since the epoch."""
    if process.stdout is None:
        raise RuntimeError("no standard output")
    async with asyncio.timeout(PATIENCE):
        return float(await process.stdout.readline())


async def bench(laptops: int, rounds: int, directory: Path) -> dict[str, Any]:
    """Enrol the laptops, then publish ``rounds`` times."""
    server = FleetServer(directory / "server")
    server.publish_example(directory)
    server.start()
    whole: list[float] = []
    after: list[float] = []
    processes: list[asyncio.subprocess.Process] = []
    try:
        for number in range(laptops):
            (own := directory / str(number)).mkdir()
            command = (sys.executable, "-m", "tests.bench.applied", "--laptop", str(own), "--url", server.url)
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            processes.append(process)
            if process.stdin is None:
                raise RuntimeError("no standard input")
            process.stdin.write(server.token().encode() + b"\n")
            await process.stdin.drain()
            await next_time(process)
        for number in range(rounds):
            began = time.time()
            publishing = asyncio.create_task(
                asyncio.to_thread(server.publish_example, directory, f"round {number}")
            )
            applied = await asyncio.gather(*map(next_time, processes))
            await publishing
            while (pushed := pushed_at(server)) < began:  # noqa: ASYNC110 - another process's log
                await asyncio.sleep(0.01)
            whole += [at - began for at in applied]
            after += [at - pushed for at in applied]
    finally:
        for process in processes:
            process.terminate()
            await process.wait()
        server.stop()
    return {
        "laptops": laptops,
        "rounds": rounds,
        "whole_ms": percentiles(whole),
        "after_push_ms": percentiles(after),
    }


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laptops", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--laptop", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.laptop is not None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(laptop_process(chosen.laptop, chosen.url))
        return
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(bench(chosen.laptops, chosen.rounds, Path(directory)))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
