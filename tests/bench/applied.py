"""From publishing a policy to its being in force on a real laptop.

``python -m tests.bench.applied --rounds 20``: the real server, the real fetch over mutual TLS, and the real
core with its verification, its database and its bus. ``whole_ms`` is from the start of the administrator's
command, which loads Python, signs for the laptop and commits; ``after_push_ms`` from when the server has
written to the stream, by its log, until the policy is in force. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
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
    """When the server wrote to the stream last, seconds since the epoch."""
    lines = [] if server.running is None else server.running.log
    stamps = [found[1] for line in lines if (found := re.search(r"^ts=(\S+ \S+) .* pushed signed=1 ", line))]
    moment = datetime.strptime(stamps[-1], "%Y-%m-%d %H:%M:%S,%f")
    return moment.replace(tzinfo=UTC).timestamp()


async def bench(rounds: int, directory: Path) -> dict[str, Any]:
    server = FleetServer(directory / "server")
    server.publish_example(directory)
    server.start()
    (directory / "l").mkdir()
    whole: list[float] = []
    after: list[float] = []
    try:
        async with core_laptop(directory / "l", enrolled=False) as laptop:
            fetch = FetchService(directory / "l")
            fetch.directory, fetch.socket = laptop.paths.fetch, laptop.paths.fetch_socket
            fetch.start()
            try:
                token = bytearray(server.token().encode())
                await laptop.core.enrol(server.url, token)
                for number in range(rounds):
                    had = sequence(laptop)
                    began = time.time()
                    publishing = asyncio.create_task(
                        asyncio.to_thread(server.publish_example, directory, f"round {number}")
                    )
                    async with asyncio.timeout(PATIENCE):
                        while sequence(laptop) <= had:  # noqa: ASYNC110 - finer than what is measured
                            await asyncio.sleep(0.002)
                    applied = time.time()
                    await publishing
                    whole.append(applied - began)
                    after.append(applied - pushed_at(server))
            finally:
                fetch.stop()
    finally:
        server.stop()
    return {"rounds": rounds, "whole_ms": percentiles(whole), "after_push_ms": percentiles(after)}


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(bench(chosen.rounds, Path(directory)))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
