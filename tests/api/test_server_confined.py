"""The server on uvloop under the system call filter of its own unit file, memory rules and all."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.administrators import Administrator
from tests.support.fleet_processes import ENVIRONMENT, ROOT, SERVER, FetchService, FleetServer, LoggedProcess
from tests.support.fleet_wait import until

UNIT = ROOT / "installer/systemd/twinhull-server.service"
CONFINED = ["/usr/bin/python3", str(ROOT / "tests/support/confined.py"), str(UNIT)]
WRITE_THEN_RUN = """
import mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
print("data")
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    print("refused")
"""
CLOCK = """
import time
try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
except PermissionError:
    print("refused")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FleetServer]:
    fleet = FleetServer(tmp_path / "server", administrators=True)
    options = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    fleet.running = LoggedProcess([*CONFINED, *SERVER, "--dir", str(fleet.directory), *options])
    fleet.admin_port = int(fleet.running.wait_for(r"administrators host=\S+ port=(\d+)")[1])
    fleet.port = int(fleet.running.wait_for(r"serving host=\S+ port=(\d+)")[1])
    try:
        yield fleet
    finally:
        fleet.stop()


def test_the_filter_bites() -> None:
    for program, output in ((WRITE_THEN_RUN, "data\nrefused\n"), (CLOCK, "refused\n")):
        done = subprocess.run(
            [*CONFINED, SERVER[0], "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            env=ENVIRONMENT,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


async def test_it_serves(server: FleetServer, fetch: FetchService, tmp_path: Path) -> None:
    """A password, an enrolment, a push, a report and an end: what a server does."""
    published = server.publish_example(tmp_path)
    client = Administrator(server, "alice", "owner").client()
    fetch.enrol(server)
    await until(fetch, lambda: fetch.client.state().connected)
    fetch.client.report(f'{{"seq":1,"policy":"{published}","applied_at":1}}')
    assert client.overview().devices == 1
    assert server.running is not None
    status = (Path("/proc") / str(server.running.process.pid) / "status").read_text()
    assert "Seccomp:\t2\n" in status
    assert "NoNewPrivs:\t1\n" in status
    maps = (Path("/proc") / str(server.running.process.pid) / "maps").read_text()
    assert "uvloop" in maps
    assert not [line for line in maps.splitlines() if line.split()[1].startswith("rwx")]
