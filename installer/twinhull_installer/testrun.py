"""``installer/test``: everything that can be checked, one summary, and nothing left behind."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import checks, daemons, environment, packages, paths, services, suites
from twinhull_installer.context import Context, Options
from twinhull_installer.errors import CommandFailed, InstallerError, LaptopInTheWay
from twinhull_installer.journal import Journal
from twinhull_installer.run import LONG, Runner
from twinhull_installer.steps import Progress, Step, elapsed, run_steps
from twinhull_installer.suites import TEST_VENV, Summary, show

LOG = Path("/var/log/twinhull-test.log")
CHECKED_PACKAGES = (
    "twinhull_policy",
    "twinhull_hypervisor",
    "twinhull_client",
    "twinhull_installer",
    "twinhull_images",
    "corporate_side",
)
MADE_BY_TESTS = "made-by-tests"
"""Marks an installation that a test run made, and may therefore remove."""


@dataclass(frozen=True)
class Left:
    """What could be left behind: taken before and after, the two have to be equal."""

    processes: frozenset[str]
    namespaces: frozenset[str]
    mounts: frozenset[str]
    domains: frozenset[str]

    def beyond(self, before: Left) -> list[str]:
        """What is there now and was not before."""
        kinds = (
            ("process", self.processes - before.processes),
            ("namespace", self.namespaces - before.namespaces),
            ("mount", self.mounts - before.mounts),
            ("domain", self.domains - before.domains),
        )
        return [f"{kind} {name}" for kind, names in kinds for name in sorted(names)]


OURS = (
    "twinhull",
    "wireguard-go",
    "dnsmasq",
    "qemu-system",
    "libvirtd",
    "virtlogd",
    "polkitd",
    "dbus-daemon",
)
"""Words in the command lines of processes the tests may start."""


def look(runner: Runner) -> Left:
    """What is there now."""
    processes = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
            if any(word in command for word in OURS) and "installer/test" not in command:
                processes.add(f"{entry.name} {command[:120]}")
    mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    names = Path("/run/netns")
    listed = runner.run(["virsh", "-c", "qemu:///system", "list", "--all", "--name"], check=False).output
    return Left(
        frozenset(processes),
        frozenset(path.name for path in names.iterdir()) if names.is_dir() else frozenset(),
        # ip-netns(8) mounts its directory on itself the first time that anybody uses it, and leaves it so.
        frozenset(" ".join(line.split()[:3]) for line in mounts if line.split()[1] != str(names)),
        frozenset(listed.split()),
    )


def run_checks(repository: Path, runner: Runner, summary: Summary) -> None:
    """Lint, format and types."""
    binaries = TEST_VENV / "bin"
    typed: list[str | Path] = [binaries / "mypy"]
    for package in CHECKED_PACKAGES:
        typed += ["-p", package]
    parts: tuple[tuple[str, list[str | Path]], ...] = (
        ("lint", [binaries / "ruff", "check", "--no-cache", "."]),
        ("format", [binaries / "ruff", "format", "--check", "--no-cache", "."]),
        ("types", [*typed, "--cache-dir", paths.CACHE / "mypy"]),
        ("types of tests", [binaries / "mypy", "tests", "--cache-dir", paths.CACHE / "mypy"]),
    )
    for name, command in parts:
        began = time.monotonic()
        sys.stdout.write(f"== {name}\n")
        good = show(command, repository, runner)
        summary.add(name, int(good), int(not good), 0, time.monotonic() - began)


def make_room(repository: Path, runner: Runner) -> None:
    """Remove what an interrupted test run left.

    Raises:
        LaptopInTheWay: what is installed was installed by somebody who wants to keep it.
    """
    if paths.STATE.exists():
        if not (paths.STATE / MADE_BY_TESTS).exists():
            raise LaptopInTheWay
        show([repository / "installer/quickstart", "--down", "--yes"], repository, runner, LONG)


def start_daemons(repository: Path, runner: Runner) -> None:
    """Start the system's daemons where they are missing; ``quickstart --down`` stops those again."""
    options = Options(headless=True, small=True, down=False, all=False, yes=True)
    context = Context(repository, options, runner, Journal(), paths.OWNER)
    paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    context.fact(MADE_BY_TESTS).touch(mode=0o600)
    step = Step(
        "Start the system's daemons",
        lambda: daemons.all_answer(runner),
        lambda progress: daemons.start_missing(context, progress),
    )
    run_steps([step], runner, sys.stdout)


def prepare(repository: Path, runner: Runner, *, lab: bool) -> None:
    """Install what the tests need."""
    needed = packages.listed(repository / "installer/packages.txt")
    needed += packages.listed(repository / "installer/packages-test.txt")
    if lab:
        needed += packages.listed(repository / "installer/packages-lab.txt")
    locks = environment.lock_files(repository, "requirements-test.lock")
    stamp = TEST_VENV / ".twinhull-locks"

    def made() -> bool:
        return stamp.exists() and stamp.read_text("ascii") == environment.key(locks)

    def make(progress: Progress) -> None:
        TEST_VENV.parent.mkdir(parents=True, exist_ok=True)
        environment.build(runner, TEST_VENV, locks, progress)
        stamp.write_text(environment.key(locks), "ascii")

    steps = [
        Step(
            "Install Debian packages",
            lambda: not packages.missing(runner, needed),
            lambda progress: packages.install(runner, needed, progress),
        ),
        Step("Make the test environment", made, make),
    ]
    run_steps(steps, runner, sys.stdout)


class BuiltBeside:
    """The building of something that later suites need, beside those that leave a processor free.

    Args:
        name: in the summary.
        module: of the tests, which builds it when it is run.
        repository: the source tree.
        runner: for the environment.
    """

    def __init__(self, name: str, module: str, repository: Path, runner: Runner) -> None:
        sources = ("policy", "hypervisor", "client", "installer", "installer/images", ".")
        self._name, self._output = name, Path(f"{LOG.with_suffix('')}-{module}.log")
        self._log = self._output.open("wb")
        words: list[str | Path] = [
            "/usr/bin/nice",
            "-n",
            "10",
            TEST_VENV / "bin" / "python",
            "-m",
            module,
        ]
        self._process = subprocess.Popen(  # noqa: S603 - argument list made here
            words,
            cwd=repository,
            env={**runner.environment(), "PYTHONPATH": ":".join(sources)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait(self, summary: Summary) -> None:
        """Until they are there; one part of the summary."""
        began = time.monotonic()
        status = self._process.wait(LONG)
        if status:
            sys.stdout.write(self._output.read_text("utf-8", errors="replace")[-2000:])
        summary.add(self._name, int(not status), int(bool(status)), 0, time.monotonic() - began)

    def end(self) -> None:
        """Build no further."""
        self._process.terminate()
        self._process.wait()
        self._log.close()


def main(arguments: list[str], repository: Path) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="installer/test", description=(__doc__ or "").partition(":")[2])
    parser.add_argument("--fast", action="store_true", help="leave out what boots guests")
    parser.add_argument("--lab", action="store_true", help="also what needs the virtual laptop")
    parser.add_argument("--lab-short", action="store_true", help="the most telling of it, in a laptop kept")
    parser.add_argument("--keep", action="store_true", help="leave what e2e installed for a look at it")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    summary = Summary()
    runner = Runner(LOG)
    parts: list[BuiltBeside] = []
    try:
        checks.require_root("installer/test")
        make_room(repository, runner)
        prepare(repository, runner, lab=options.lab or options.lab_short)
        before = look(runner)
        start_daemons(repository, runner)
        parts.append(BuiltBeside("kernel's building", "tests.kernel.build", repository, runner))
        if options.lab:
            parts.append(BuiltBeside("lab's parts", "tests.lab.prepare", repository, runner))
        run_checks(repository, runner, summary)
        suites.run_lanes(repository, runner, summary, guests=not options.fast)
        while parts:
            # Nothing is built beside emulated guests.
            parts.pop().wait(summary)
        wanted = [] if options.fast else [suites.E2E]
        if options.lab:
            wanted.append(suites.LAB)
        elif options.lab_short:
            wanted.append(suites.LAB_SHORT)
        for suite in wanted:
            suites.run_shown(suite, repository, runner, summary)
        if not options.keep:
            show([repository / "installer/quickstart", "--down", "--yes"], repository, runner, LONG)
            remains = look(runner).beyond(before)
            for leftover in remains:
                sys.stdout.write(f"left behind: {leftover}\n")
            summary.add("left behind", int(not remains), len(remains), 0, 0.0)
    except (InstallerError, CommandFailed) as error:
        services.report(error, LOG)
        summary.add("run", 0, 1, 0, time.monotonic() - began)
    finally:
        for part in parts:
            part.end()
    sys.stdout.write("\n" + "\n".join(summary.lines) + f"\nin {elapsed(time.monotonic() - began)}\n")
    sys.stdout.write(f"{summary.passed} passed, {summary.failed} failed, {summary.skipped} skipped\n")
    return 1 if summary.failed else 0
