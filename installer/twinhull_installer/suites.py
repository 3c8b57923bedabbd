"""The suites of tests under pytest: which files each has, which run side by side, and what came of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from twinhull_installer import packages, paths
from twinhull_installer.errors import CommandTimedOut
from twinhull_installer.run import Runner
from twinhull_installer.steps import elapsed

TEST_VENV = paths.CACHE / "test-venv"
ALLOWED_SKIPS = "tests/allowed-skips.txt"
SUITE_SECONDS = 2700.0
SLOWEST = 10
"""How many of a suite's slowest tests are named after it."""


@dataclass(frozen=True)
class Suite:
    """Tests that one pytest runs.

    Attributes:
        name: as the summary calls it.
        patterns: glob patterns of its directories and files, from the top of the source tree.
        without: glob patterns of files among them that belong to another suite.
        where: where it runs, when that is not just a process on this machine.
        options: pytest's.
    """

    name: str
    patterns: tuple[str, ...]
    without: tuple[str, ...] = ()
    where: str = ""
    options: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Its name as part of a file's."""
        return self.name.replace(": ", "-").replace(", ", "-")

    def files(self, repository: Path) -> list[Path]:
        """What pytest is given, relative to the source tree; empty when there is none of it."""
        left_out = {path for pattern in self.without for path in repository.glob(pattern)}
        found = {path for pattern in self.patterns for path in repository.glob(pattern)}
        return [path.relative_to(repository) for path in sorted(found - left_out)]


Lanes = tuple[tuple[Suite, ...], ...]

OF_THE_FLEET = tuple(
    f"tests/api/test_{part}.py"
    for part in ("server_*", "fetch_*", "fleet_*", "keys_docs", "cli_daemon", "corporate_side")
)
"""Those of tests/api that need neither libvirt nor namespaces of the network nor a kernel of their own."""
OF_THE_CORE = ("tests/api/test_daemon_*.py",)
"""Those with a core, its bus and its database in their own process, which keeps what they leave open."""
UNIT = Suite("unit", ("tests/unit/test_*.py",))
FLEET = Suite("api: fleet", OF_THE_FLEET)
CORE = Suite("api: core", OF_THE_CORE)
HOST = Suite("api: host", ("tests/api/test_*.py",), (*OF_THE_FLEET, *OF_THE_CORE))
LEAKS = Suite("leaks", ("tests/leaks/test_*.py",))
GUI = Suite("gui", ("tests/gui/test_*.py",))
FUZZ = Suite("fuzz", ("tests/fuzz/test_*.py",))
E2E = Suite("e2e", ("tests/e2e/test_*.py",), where="this machine, guests and all")
KERNEL = Suite("kernel", ("tests/kernel/test_*.py",), where="a kernel that is a process")
SYSTEMD = Suite("systemd", ("tests/systemd/test_*.py",), where="a container with systemd, guests and all")
LAB = Suite("lab", ("tests/lab/test_*.py",), where="the virtual laptop")
LAB_SHORT = Suite("lab, short", LAB.patterns, where="the virtual laptop kept here", options=("--short",))
LANES: Lanes = ((CORE, HOST, LEAKS, GUI, FUZZ), (UNIT, FLEET, KERNEL, SYSTEMD))
"""Suites that do not share anything run side by side: much of their time they wait. The container comes last,
beside private labs: its processes are seen by whoever looks for the daemons of this machine."""


@dataclass
class Summary:
    """What came of everything run so far; suites that run side by side may add at once."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, passed: int, failed: int, skipped: int, seconds: float, where: str = "") -> None:
        """Count one part in."""
        with self._lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
            counts = f"{passed} passed, {failed} failed, {skipped} skipped"
            line = f"{name:15} {counts:40} {elapsed(seconds):>6}"
            self.lines.append(f"{line}  on {where}" if where else line)

    def left_out(self, skipped: list[tuple[str, str]]) -> None:
        """Say how many tests were not run, for each reason."""
        for reason in dict.fromkeys(reason for _, reason in skipped):
            count = sum(why == reason for _, why in skipped)
            with self._lock:
                self.lines.append(f"{'':15} left out, {count}: {reason}")


def results(report: Path) -> tuple[int, int, list[tuple[str, str]]]:
    """Passed, failed, and the skipped with their reasons, from a JUnit file that pytest wrote."""
    passed = failed = 0
    skipped: list[tuple[str, str]] = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own pytest's file
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            skipped.append((name, skip.get("message", "")))
        else:
            passed += 1
    return passed, failed, skipped


def refused_skips(skipped: list[tuple[str, str]], allowed: list[str]) -> list[str]:
    """Those skipped that no line of the allow list names, by the test or by a part of the reason."""
    return [
        f"{name}: {reason}"
        for name, reason in skipped
        if not any(line == name or line in reason for line in allowed)
    ]


def show(
    command: Sequence[str | Path],
    repository: Path,
    runner: Runner,
    timeout: float = SUITE_SECONDS,
    output: Path | None = None,
) -> bool:
    """Run one check with its output on the screen, or in a file; whether it succeeded.

    Raises:
        CommandTimedOut: it took longer than ``timeout`` seconds.
    """
    words = [str(word) for word in command]
    runner.note("$ " + " ".join(words))
    sys.stdout.flush()
    stream = output.open("wb") if output else None
    try:
        done = subprocess.run(  # noqa: S603 - argument list made here
            words,
            cwd=repository,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT if stream else None,
            env=runner.environment(),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandTimedOut(command=words[0], seconds=int(timeout)) from error
    finally:
        if stream:
            stream.close()
    return done.returncode == 0


def run_suite(
    suite: Suite, repository: Path, runner: Runner, summary: Summary, output: Path | None = None
) -> None:
    """Run one suite, its output on the screen or in a file."""
    files = suite.files(repository)
    if not files:
        return
    began = time.monotonic()
    report = paths.CACHE / f"test-{suite.stem}.xml"
    report.unlink(missing_ok=True)
    command: list[str | Path] = [TEST_VENV / "bin" / "python", "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    command += [*suite.options, f"--durations={SLOWEST}", f"--junit-xml={report}", *files]
    good = show(command, repository, runner, output=output)
    passed, failed, skipped = results(report) if report.exists() else (0, 0, [])
    refused = refused_skips(skipped, packages.listed(repository / ALLOWED_SKIPS))
    for line in refused:
        sys.stdout.write(f"skipped, and not on the list in {ALLOWED_SKIPS}: {line}\n")
    failed += len(refused)
    if not good and not failed:
        failed = 1
    seconds = time.monotonic() - began
    summary.add(suite.name, passed, failed, len(skipped) - len(refused), seconds, suite.where)
    summary.left_out(skipped)


def run_shown(suite: Suite, repository: Path, runner: Runner, summary: Summary) -> None:
    """Run one suite with its output on the screen."""
    sys.stdout.write(f"== {suite.name}\n")
    run_suite(suite, repository, runner, summary)


class Beside:
    """A lane of suites beside whatever else runs; what they print is shown when they have ended."""

    def __init__(self, lane: Sequence[Suite], repository: Path, runner: Runner, summary: Summary) -> None:
        self._outputs = [(suite, paths.CACHE / f"test-{suite.stem}.txt") for suite in lane]
        self._arguments = (repository, runner, summary)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for suite, output in self._outputs:
                output.unlink(missing_ok=True)
                run_suite(suite, *self._arguments, output=output)
        except Exception as error:  # raised again by whoever waits
            self._failure = error

    def wait(self) -> None:
        """Until they have ended, and show what they printed."""
        self._thread.join()
        for suite, output in self._outputs:
            if output.exists():
                sys.stdout.write(f"== {suite.name}\n{output.read_text('utf-8', errors='replace')}")
                output.unlink()
        if self._failure:
            raise self._failure


def run_lanes(repository: Path, runner: Runner, summary: Summary, *, guests: bool) -> None:
    """Run the lanes of suites side by side: the first on the screen, what the others print after it.

    Args:
        repository: the source tree.
        runner: for the environment and the log.
        summary: counts what came of them.
        guests: whether also the container, in which guests boot.
    """
    shown, *others = (tuple(suite for suite in lane if guests or suite is not SYSTEMD) for lane in LANES)
    beside = [Beside(lane, repository, runner, summary) for lane in others]
    try:
        for suite in shown:
            run_shown(suite, repository, runner, summary)
    finally:
        for lane in beside:
            lane.wait()
