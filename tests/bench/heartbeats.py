"""Durable reports a second, shared commits against one commit each: ``python -m tests.bench.heartbeats``.

Both write the same reports of the same laptops to the same database with synchronous=FULL, by turns in one
run, and both answer each report only once it is on the disk. Prints JSON: medians, and how many times more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from twinhull_policy.report import Report
from twinhull_policy.server.batch import Batch
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.service import FleetService, ReportIn

from tests.bench.fleet_keys import BenchFleet

REPORT = Report(seq=1, policy="", applied_at=1)
BODY = '{"seq":1,"policy":"","applied_at":1}'


async def each_its_own(service: FleetService, reports: list[ReportIn]) -> None:
    """One commit a report, one after the other, so that no writer waits for another's lock."""

    def write() -> None:
        for one in reports:
            service.keep_reports([one])

    await asyncio.to_thread(write)


async def shared(service: FleetService, reports: list[ReportIn]) -> None:
    """As the server does."""

    def commit(batch: list[ReportIn]) -> None:
        service.keep_reports(batch)

    batch = Batch(commit, LIMITS.reports_at_once)
    await asyncio.gather(*(batch.add(one) for one in reports))


async def bench(laptops: int, rounds: int, directory: Path) -> dict[str, float]:
    """Reports a second, each way."""
    fleet = BenchFleet(directory, laptops)
    service = FleetService(fleet.layout)
    reports = [ReportIn(device_id, REPORT, BODY) for device_id in fleet.ids]
    rates: dict[str, list[float]] = {"each_its_own": [], "shared": []}
    for _ in range(rounds):
        for way in (each_its_own, shared):
            began = time.perf_counter()
            await way(service, reports)
            rates[way.__name__].append(laptops / (time.perf_counter() - began))
    own, together = (statistics.median(rates[name]) for name in ("each_its_own", "shared"))
    return {
        "laptops": laptops,
        "each_its_own_per_s": round(own),
        "shared_per_s": round(together),
        "ratio": round(together / own, 1),
    }


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laptops", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(bench(chosen.laptops, chosen.rounds, Path(directory)))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
