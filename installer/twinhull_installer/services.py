"""``services start|stop|restart|status [NAME]``: Twinhull's services, with systemd or without.

``services boot on|off`` says whether they start with the computer (:mod:`twinhull_installer.boot`).

With systemd as PID 1 this is a thin word for systemctl. Without it each service runs under a supervisor
(:mod:`twinhull_installer.supervisor`) that reads the same unit files; pid files are in
/run/twinhull-services, logs in /var/log/twinhull.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import boot, paths, process, unitfile
from twinhull_installer.errors import BadUnit, InstallerError, NoSuchService, NotRoot, ServiceFailed
from twinhull_installer.journal import write_whole
from twinhull_installer.run import Runner

START_SECONDS = 30.0
"""Longest a supervisor may take to say that it runs; Python alone needs a second on a busy machine."""


def systemd_runs() -> bool:
    """Whether systemd is PID 1 here, as sd_booted(3) finds out."""
    return Path("/run/systemd/system").is_dir()


@dataclass(frozen=True)
class Launcher:
    """Starts and stops services under supervisors.

    Attributes:
        units: directory of the unit files.
        run: directory of the pid files.
        logs: directory of the logs.
    """

    units: Path = paths.UNITS
    run: Path = paths.SERVICE_RUN
    logs: Path = paths.SERVICE_LOGS

    def start(self, name: str, settle: float = 1.0) -> bool:
        """Start a service unless it runs; returns whether it was started now.

        Args:
            name: the unit without its suffix.
            settle: seconds it has to stay up to count as started.

        Raises:
            BadUnit: its unit file cannot be used.
            ServiceFailed: it ended again at once.
        """
        service = unitfile.load(self.units, name)
        if self.supervisor(name) is not None:
            return False
        self.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o750, parents=True, exist_ok=True)
        log = os.open(
            self.logs / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640
        )
        try:
            child = subprocess.Popen(  # noqa: S603 - our own module under Debian's Python
                [
                    "/usr/bin/python3",
                    "-P",
                    "-m",
                    "twinhull_installer.supervisor",
                    self.units,
                    name,
                    self.run,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        finally:
            os.close(log)
        began = time.monotonic()
        while time.monotonic() - began < settle or self.supervisor(name) is None:
            if child.poll() is not None:
                if self.supervisor(name) is not None:
                    return False  # one that an interrupted run had just started was faster
                raise ServiceFailed(name=name)
            if time.monotonic() - began > START_SECONDS:
                raise ServiceFailed(name=name)
            if service.socket is not None and service.socket.path.exists() and self.main_pid(name):
                break
            time.sleep(0.05)
        child.returncode = 0  # it goes on without us; nobody here waits for it
        return True

    def stop(self, name: str) -> bool:
        """Stop a service and its supervisor; returns whether it ran.

        Its unit file may be gone: an installation that was interrupted is taken down too.
        """
        identity = self.supervisor(name)
        if identity is None:
            return False
        stopped = process.stop(identity, self._stop_seconds(name) + 5)
        for path in (self._pid_file(name), self._main_file(name)):
            path.unlink(missing_ok=True)
        return stopped

    def _stop_seconds(self, name: str) -> float:
        try:
            return unitfile.load(self.units, name).stop_seconds
        except BadUnit:
            return unitfile.Service(name, ()).stop_seconds

    def supervisor(self, name: str) -> process.Identity | None:
        """The supervisor of a service that runs, else None."""
        try:
            identity = process.parse(self._pid_file(name).read_text("ascii"))
        except FileNotFoundError:
            return None
        return identity if identity is not None and process.alive(identity) else None

    def main_pid(self, name: str) -> int | None:
        """The pid of the service itself, None while it does not run."""
        try:
            text = self._main_file(name).read_text("ascii")
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() and process.identify(int(text)) is not None else None

    def _pid_file(self, name: str) -> Path:
        return self.run / f"{name}.pid"

    def _main_file(self, name: str) -> Path:
        return self.run / f"{name}.main"


def start_all(runner: Runner, wanted: list[str], launcher: Launcher | None = None) -> None:
    """Start services in order, under systemd where it runs."""
    if systemd_runs():
        runner.run(["systemctl", "start", *(f"{name}.service" for name in wanted)])
        return
    launcher = launcher or Launcher()
    for name in wanted:
        launcher.start(name)


def restart_all(runner: Runner, wanted: list[str]) -> None:
    """Restart services in order."""
    if systemd_runs():
        runner.run(["systemctl", "restart", *(f"{name}.service" for name in wanted)])
        return
    launcher = Launcher()
    for name in reversed(wanted):
        launcher.stop(name)
    for name in wanted:
        launcher.start(name)


def stop_all(runner: Runner, wanted: list[str]) -> None:
    """Stop services, the last one first; those that do not run are left."""
    if systemd_runs():
        units = [f"{name}.{kind}" for name in reversed(wanted) for kind in ("socket", "service")]
        known = [unit for unit in units if (paths.SYSTEMD_UNITS / unit).exists()]
        if known:
            runner.run(["systemctl", "stop", *known], check=False)
        return
    launcher = Launcher()
    for name in reversed(wanted):
        launcher.stop(name)


def start_current(runner: Runner, name: str) -> None:
    """Start a service, or restart it if it runs an older program than the one installed now."""
    if not runs_current(name):
        if running(name):
            restart_all(runner, [name])
        else:
            start_all(runner, [name])
        current = paths.SOURCE_STAMP.read_text("ascii")
        write_whole(_started_with(name), current, 0o600)


def runs_current(name: str) -> bool:
    """Whether a service runs, and with the program that is installed now."""
    stamp = _started_with(name)
    return (
        running(name) and stamp.exists() and stamp.read_text("ascii") == paths.SOURCE_STAMP.read_text("ascii")
    )


def _started_with(name: str) -> Path:
    return paths.STATE / f"started-{name}"


def running(name: str) -> bool:
    """Whether a service runs."""
    if systemd_runs():
        asked = ["/usr/bin/systemctl", "is-active", "--quiet", f"{name}.service"]
        return subprocess.run(asked, check=False, timeout=30).returncode == 0  # noqa: S603 - fixed arguments
    return Launcher().supervisor(name) is not None


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    known = unitfile.names(paths.UNITS)
    try:
        if len(arguments) == 2 and arguments[0] == "boot" and arguments[1] in ("on", "off"):
            return boot.main(on=arguments[1] == "on")
        if not arguments or arguments[0] not in ("start", "stop", "restart", "status") or len(arguments) > 2:
            sys.stderr.write("usage: services start|stop|restart|status [NAME], services boot on|off\n")
            return 2
        verb, chosen = arguments[0], arguments[1:] or known
        if any(name not in known for name in chosen):
            raise NoSuchService(name=chosen[0], known=", ".join(known))
        if verb == "status":
            for name in chosen:
                pid = None if systemd_runs() else Launcher().main_pid(name)
                sys.stdout.write(
                    f"{name:16} {'running' if running(name) else 'stopped'}{f', pid {pid}' if pid else ''}\n"
                )
            return 0 if all(running(name) for name in chosen) else 1
        if os.geteuid() != 0:
            raise NotRoot(command=f"services {' '.join(arguments)}")
        runner = Runner(paths.LOG)
        {"start": start_all, "stop": stop_all, "restart": restart_all}[verb](runner, chosen)
    except InstallerError as error:
        report(error)
        return 1
    return 0


def report(error: InstallerError, log: Path = paths.LOG) -> None:
    """Print an error as every Twinhull command does: one sentence, the code, the next step."""
    step = error.next_step.format(**{"log": log, **error.fields})
    sys.stderr.write(f"{error.message} ({error.code})\n{step}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
