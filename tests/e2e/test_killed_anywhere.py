"""kill -9 at random moments, of anything of ours and of libvirtd, while everything is being used (P9).

The corporate guest runs through all of it in one process; the personal one is started, paused and cut off all
the while. Afterwards nothing is half done, and what status says is what the kernel and libvirt say.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt  # type: ignore[import-untyped]
import pytest
from twinhull_policy.api.types import Status

from tests.support.laptop import Laptop, pids_of, wait_for

CODE = re.compile(r"\bTH-[A-Z]{3}-\d{3}\b")
VICTIMS = ("twinhulld", "twinhull-netd", "twinhull-devd", "twinhull-fetch", "twinhull-server", "libvirtd")
KILLS, LONG_KILLS = 15, 2000
PAUSE_SECONDS = 3.0
"""Longest pause between two kills. Some fall into the start of the victim of the one before."""
BACK_SECONDS = 60
INTRANET = "http://intranet.corp.example/"
STATES = {
    libvirt.VIR_DOMAIN_RUNNING: {"running"},
    libvirt.VIR_DOMAIN_PAUSED: {"paused"},
    None: {"locked", "stopped"},
}


class Use:
    """Someone who uses the laptop: one command after the other, until told to stop.

    A command may fail while what it needs is dead, and then says so like all commands do.
    """

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._step()
        except BaseException as error:  # raised again where it is seen
            self._failure = error

    def end(self) -> None:
        """Wait for the command under way; raises what went wrong."""
        self._stop.set()
        self._thread.join(300)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure


@contextmanager
def used(*steps: Callable[[], None]) -> Iterator[None]:
    """Everybody at once."""
    uses = [Use(step) for step in steps]
    try:
        yield
    finally:
        for use in uses:
            use.end()


class Laws:
    """What the users do, and what has to hold of each answer they get."""

    def __init__(self, laptop: Laptop, chance: random.Random, passable: Path) -> None:
        self.laptop = laptop
        self.corporate = laptop.guest("corporate").pid()
        self.published: dict[str, int] = {}
        self.done: Counter[tuple[str, bool]] = Counter()
        self._chance = random.Random(chance.random())  # noqa: S311 - as above
        self._document = json.loads(laptop.status().policy.document)
        self._path = passable / "policy.json"

    def act(self) -> None:
        """Do something to the personal partition."""
        verb = self._chance.choice(("start", "start", "suspend", "resume", "stop"))
        more = {"start": ["--passphrase-file", "-"], "stop": ["--force"]}.get(verb, [])
        ended = self.laptop.twinhull(
            "partition", verb, "personal", *more, stdin=self.laptop.passphrase("personal")
        )
        self._is_told(verb, ended)

    def look(self) -> None:
        """Ask for the status: either it is true or it says what cannot be asked."""
        ended = self.laptop.twinhull("status", "--json")
        self._is_told("status", ended)
        if ended.returncode != 0:
            return
        status = json.loads(ended.stdout)
        corporate = next(part for part in status["partitions"] if part["name"] == "corporate")
        assert corporate["state"] == "running" or corporate["reason"], corporate
        assert corporate["state"] in ("running", "failed"), corporate
        assert status["enrolment"]["enrolled"]
        assert status["policy"]["sequence"] > 0
        assert os.path.lexists(f"/proc/{self.corporate}")

    def publish(self) -> None:
        """Publish another policy."""
        hours = 24 + (self._document["lease"]["offline_hours"] + 1) % 60
        self._document["lease"]["offline_hours"] = hours
        self._path.write_text(json.dumps(self._document))
        self.laptop.server("policy", "publish", self._path)
        self.published = dict(self._document["lease"])
        self.done["publish", True] += 1
        time.sleep(1.0)

    def _is_told(self, verb: str, ended: subprocess.CompletedProcess[str]) -> None:
        self.done[verb, ended.returncode == 0] += 1
        if ended.returncode == 3:
            time.sleep(0.5)  # nobody is there, and nobody comes sooner by being asked
        assert ended.returncode in (0, 1, 3), (ended.returncode, ended.stderr)
        assert "Traceback" not in ended.stderr, ended.stderr
        if ended.returncode != 0:
            assert CODE.search(ended.stderr), ended.stderr


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return LONG_KILLS if request.config.getoption("--long") else KILLS


def kill(laptop: Laptop, program: str) -> None:
    """SIGKILL a service's process, if it has one just now."""
    pids = (
        pids_of(program) if program == "libvirtd" else [pid for pid in [laptop.service_pid(program)] if pid]
    )
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if program == "libvirtd" and not laptop.libvirtd_comes_back():
        laptop.restart_libvirtd()


def test_killed_at_random_moments_nothing_is_half_done(
    both_running: Laptop, passable: Path, seed: int, kills: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - variety, not secrecy
    laws = Laws(both_running, chance, passable)
    with used(laws.act, laws.look, laws.publish):
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, PAUSE_SECONDS))
            for victim in chance.sample(VICTIMS, chance.choice((1, 1, 2))):
                kill(both_running, victim)
    sys.stdout.write(f"{sorted(laws.done.items())}\n")
    assert all(laws.done[verb, True] for verb in ("status", "start", "publish")), laws.done
    status = wait_for(lambda: settled(both_running), "everything to be back", BACK_SECONDS)
    assert both_running.guest("corporate").pid() == laws.corporate
    assert status.started_at <= time.time()
    assert_nothing_is_half_done(both_running)
    wait_for(
        lambda: json.loads(both_running.status().policy.document)["lease"] == laws.published,
        "the policy published last to be in force",
    )
    guest = both_running.guest("corporate")
    assert guest.run("/usr/bin/curl", "-sf", "--max-time", "30", INTRANET).status == 0
    both_running.must("partition", "stop", "--force", "personal")
    assert_nothing_is_half_done(both_running)
    both_running.ensure_running("personal")
    assert_nothing_is_half_done(both_running)


def settled(laptop: Laptop) -> Status | None:
    """The status, once everything answers again."""
    if any(laptop.service_pid(program) is None for program in VICTIMS[:-1]):
        return None
    if laptop.twinhull("status").returncode != 0:
        return None
    status = laptop.status()
    known = all(part.state not in ("failed", "starting", "stopping") for part in status.partitions)
    return status if known and status.enrolment.connected and status.vpn.state == "up" else None


def assert_nothing_is_half_done(laptop: Laptop) -> None:
    """Status, libvirt, the processes and the namespaces tell the same."""
    connection = libvirt.open("qemu:///system")
    try:
        domains = {domain.name(): domain.state()[0] for domain in connection.listAllDomains()}
        secrets = [secret.usageID() for secret in connection.listAllSecrets()]
    finally:
        connection.close()
    assert not [usage for usage in secrets if "/var/lib/twinhull/" in usage]
    for part in laptop.status().partitions:
        state = domains.get(f"twinhull-{part.name}")
        assert part.state in STATES[state], (part.name, part.state, state)
        user = f"th-{part.name}"
        running = [pid for pid in pids_of("qemu-system-x86_64") if _owner(pid) == user]
        assert len(running) == (state is not None), (part.name, running)
        links = _links(f"th-{part.name}")
        if state is None:
            assert links <= {"lo"}, links
        else:
            assert part.accelerator
            assert abs(part.started_at - Path(f"/proc/{running[0]}").stat().st_ctime) < 120
            assert len(links) == 3, links


def _owner(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}").owner()
    except FileNotFoundError:
        return ""


def _links(namespace: str) -> set[str]:
    listed = subprocess.run(
        ["ip", "-n", namespace, "-o", "link"], check=True, capture_output=True, text=True, timeout=20
    )
    return {line.split(": ")[1].partition("@")[0] for line in listed.stdout.splitlines()}
