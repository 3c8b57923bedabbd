"""A container that boots systemd as its PID 1, with namespaces, devices and all capabilities of its own.

It shares this machine's kernel and nothing else: its network has no link to anywhere, and what it writes is
gone with it. Unlike the virtual laptop it is as fast as the machine, and has no KVM, IOMMU or TPM.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from twinhull_installer import paths

from tests.lab.image import REPOSITORY, make_root, root_key
from tests.lab.payload import golden_images
from tests.support.laptop import wait_for

CACHE = paths.CACHE / "systemd"
SOURCE = "/usr/src/twinhull"
QUICKSTART = f"{SOURCE}/installer/quickstart"
EXTRA_PACKAGES = ("cryptsetup-bin", "procps")
BOOT_SECONDS = 120.0
STOP_SECONDS = 450.0
"""Both guests may take their time to shut down: TimeoutStopSec of twinhull-partitions.service."""
ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
PYTHON = str(paths.CACHE / "test-venv/bin/python")
SHARED = (paths.CACHE / "images", paths.CACHE / "test-venv")
REBOOT = signal.SIGRTMIN + 5
"""What this tells systemd: systemd(1), "Signals"."""


class ContainerFailed(AssertionError):
    """The container did not do what it was told."""


def root(say: Callable[[str], None]) -> Path:
    """The container's file system, made where it is not there yet (minutes)."""
    result = CACHE / f"root-{root_key(EXTRA_PACKAGES)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first
        if not result.exists():
            for old in CACHE.glob("root-*"):
                shutil.rmtree(old)
            log = CACHE / "root.log"
            log.write_text("")
            with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as work:
                fresh = Path(work) / "root"
                make_root(fresh, EXTRA_PACKAGES, log, say)
                fresh.rename(result)
    return result


class Container:
    """One container: booted by :meth:`start`, driven by :meth:`run`, gone after :meth:`close`."""

    def __init__(self, directory: Path, lower: Path) -> None:
        self._directory = directory
        self._lower = lower
        self._merged = directory / "root"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Boot it, and wait until systemd has started everything.

        Raises:
            ContainerFailed: it did not come up within BOOT_SECONDS, or a unit failed.
        """
        if not self._merged.exists():
            for name in ("root", "upper", "scratch"):
                (self._directory / name).mkdir()
            (self._directory / "upper/var/log/journal").mkdir(parents=True)  # kept beyond a reboot
            layers = (
                f"lowerdir={self._lower},upperdir={self._directory}/upper,workdir={self._directory}/scratch"
            )
            mount: list[str | Path] = [
                "mount",
                "-t",
                "overlay",
                "-o",
                layers,
                "twinhull-container",
                self._merged,
            ]
            subprocess.run(mount, check=True)
        options = [
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--capability=all",
            "--console=read-only",
        ]
        # No device of this machine: the container would change the owner of a node that it shares.
        options += [f"--bind-ro={REPOSITORY}:{SOURCE}", *(f"--bind-ro={path}" for path in SHARED)]
        with (self._directory / "console").open("ab") as console:
            self._process = subprocess.Popen(
                ["systemd-nspawn", f"--directory={self._merged}", *options, "--boot"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                # Of cgroup v1 hierarchies a container could only read; systemd's environment variable.
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        self.wait_until_booted()

    def wait_until_booted(self) -> None:
        """Until systemd says that all is started. Raises ContainerFailed."""
        try:
            state = wait_for(self._state, "systemd to have started everything", BOOT_SECONDS)
        except TimeoutError as error:
            raise ContainerFailed(self.console()[-3000:]) from error
        if state != "running":
            raise ContainerFailed(self.run("systemctl", "--failed", "--no-pager").stdout)

    def _state(self) -> str:
        if self.leader() is None:
            return ""
        said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return said if said in ("running", "degraded") else ""

    def leader(self) -> int | None:
        """Our pid of its PID 1; None while it has none."""
        assert self._process is not None
        try:
            children = (
                Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            )
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def run(
        self, *words: str, check: bool = True, seconds: float = 120, input: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it as root.

        Args:
            words: its argument list.
            check: whether it has to succeed.
            seconds: how long it may take.
            input: what it reads.

        Raises:
            ContainerFailed: it did not succeed.
        """
        argv = ["nsenter", f"--target={self.leader()}", "--all", "--", *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, input=input, timeout=seconds, env=ENVIRONMENT
        )
        if check and done.returncode != 0:
            raise ContainerFailed(f"{words}: {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}")
        return done

    def output(self, *words: str) -> str:
        """What a program prints in it."""
        return self.run(*words).stdout

    def traces(self) -> set[str]:
        """What a quickstart makes and ``--down`` has to remove, as far as it is there now."""
        places = [SOURCE, *(f"{SOURCE}/{part}" for part in ("policy", "hypervisor", "client", "installer"))]
        code = f"import json, sys; sys.path[:0] = {places}; from tests.support.quickstart import traces"
        code += "; print(json.dumps(sorted(traces())))"
        return set(json.loads(self.output(PYTHON, "-P", "-c", code)))

    def console(self) -> str:
        """What it printed while it started and ended."""
        return (self._directory / "console").read_text("utf-8", errors="replace")

    def reboot(self) -> None:
        """Have it shut down as for a reboot, and boot it again; what it wrote is still there."""
        leader = self.leader()
        assert leader is not None and self._process is not None
        os.kill(leader, REBOOT)
        # With --keep-unit, nspawn leaves it to its caller to start the container anew.
        self._process.wait(STOP_SECONDS)
        self.start()

    def journal(self, *options: str) -> list[tuple[datetime, str]]:
        """Its journal, read from outside, so also of a boot that is over: when, and what."""
        argv = [
            "journalctl",
            f"--root={self._merged}",
            "--no-pager",
            "--quiet",
            "--utc",
            "-o",
            "short-iso-precise",
        ]
        done = subprocess.run([*argv, *options], capture_output=True, text=True, timeout=60, check=True)
        lines = (line.partition(" ") for line in done.stdout.splitlines() if line[:1].isdigit())
        return [(datetime.fromisoformat(moment), said) for moment, _, said in lines]

    def file(self, path: str) -> str:
        """What a file of it holds."""
        return (self._merged / path.lstrip("/")).read_text("utf-8", errors="replace")

    def bring(self, path: Path) -> str:
        """Copy a file into it; returns its path there."""
        shutil.copyfile(path, self._merged / "root" / path.name)
        return f"/root/{path.name}"

    def close(self) -> None:
        """End it however far it is, and remove what it wrote."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()  # nspawn kills its payload then
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
        if self._merged.is_mount():
            deadline = time.monotonic() + 30
            while subprocess.run(["umount", self._merged], capture_output=True).returncode:
                if time.monotonic() > deadline:
                    raise ContainerFailed(f"{self._merged} is still in use")
                time.sleep(0.5)
        shutil.rmtree(self._directory)


@contextmanager
def container(say: Callable[[str], None]) -> Iterator[Container]:
    """A booted container with Twinhull's sources, golden images and test environment, and no Twinhull yet."""
    golden_images()
    lower = root(say)
    started = Container(Path(tempfile.mkdtemp(prefix="run-", dir=CACHE)), lower)
    try:
        started.start()
        yield started
    finally:
        started.close()


def fields(text: str, separator: str = ":") -> dict[str, str]:
    """``name: value`` lines, as of /proc/PID/status."""
    pairs: Sequence[tuple[str, str, str]] = [line.partition(separator) for line in text.splitlines()]
    return {name.strip(): value.strip() for name, _, value in pairs}
