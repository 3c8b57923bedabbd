"""Keep one service running without systemd: start it as its unit file says, restart it when it dies.

One supervisor process a service. It is itself started by :mod:`twinhull_installer.services`, writes its own
and the service's pid to files there, and ends the service when it gets SIGTERM. Its own file is locked for as
long as it lives: whoever started it may die at any moment, and still no service ever gets two supervisors.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from twinhull_installer import process, unitfile
from twinhull_installer.errors import BadUnit
from twinhull_installer.run import BASE_PATH

LISTEN_FD = 3
"""SD_LISTEN_FDS_START, sd_listen_fds(3)."""
BACKOFF_LIMIT = 8.0
"""Longest pause before a restart, seconds."""
SETTLED = 10.0
"""Seconds after which a start counts as good and the pause starts over."""


class Stop(Exception):
    """The supervisor was asked to end."""


class StopSignal:
    """Turns SIGTERM into :class:`Stop`, and puts it off where a process just started would be lost."""

    def __init__(self) -> None:
        self._asked = False
        self._held = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked = True
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._asked and not self._held:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stop

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the signal waits."""
        self._held = True
        yield
        self._held = False
        self._stop_if_asked()


def setpriv_arguments(service: unitfile.Service) -> list[str]:
    """The setpriv(1) command line that gives a service exactly the privileges of its unit file."""
    group = service.group or grp.getgrgid(pwd.getpwnam(service.user).pw_gid).gr_name
    arguments = ["/usr/bin/setpriv", f"--reuid={service.user}", f"--regid={group}", "--reset-env"]
    if service.supplementary_groups:
        arguments.append("--groups=" + ",".join(service.supplementary_groups))
    else:
        arguments.append("--clear-groups")
    # The bounding set is cut last by setpriv itself; inheritable and ambient sets follow the unit.
    kept = ",".join(["-all", *(f"+{name}" for name in sorted(service.ambient))])
    arguments += [f"--inh-caps={kept}", f"--ambient-caps={kept}"]
    if service.bounding is not None:
        arguments.append(
            "--bounding-set=" + ",".join(["-all", *(f"+{name}" for name in sorted(service.bounding))])
        )
    if service.no_new_privileges:
        arguments.append("--no-new-privs")
    return [*arguments, "--", *service.command]


def make_directories(service: unitfile.Service) -> None:
    """Make StateDirectory and RuntimeDirectory with the unit's owner and mode."""
    pairs = (
        (Path("/var/lib"), service.state_directory, service.state_directory_mode),
        (Path("/run"), service.runtime_directory, service.runtime_directory_mode),
    )
    for parent, name, mode in pairs:
        if name:
            path = parent / name
            path.mkdir(mode=mode, exist_ok=True)
            shutil.chown(path, service.user, service.group or None)
            path.chmod(mode)


def bind(description: unitfile.Socket) -> socket.socket:
    """Make the listening socket with its owner and mode already right when it appears under its name.

    Raises:
        BadUnit: it cannot be made.
    """
    temporary = description.path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(str(temporary))
        temporary.chmod(description.mode)
        shutil.chown(temporary, description.user, description.group)
        listener.listen(128)
        temporary.rename(description.path)
    except (OSError, LookupError) as error:
        listener.close()
        raise BadUnit(path=description.path, detail=f"{error}") from error
    return listener


def start(service: unitfile.Service, listener: socket.socket | None) -> subprocess.Popen[bytes]:
    """Start the service once, in a session of its own, with ``listener`` as descriptor 3."""
    command = setpriv_arguments(service)
    environment = {"PATH": BASE_PATH, "LC_ALL": "C.UTF-8", **dict(service.environment)}
    # setpriv --reset-env keeps nothing, so what the service needs is set after it by env(1).
    split = command.index("--") + 1
    assignments = [f"{key}={value}" for key, value in sorted(environment.items())]
    if listener is not None:
        # LISTEN_PID has to be the pid of the service, which a shell that execs it knows as $$.
        shell = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        command[split:split] = ["/usr/bin/env", *assignments, "/bin/sh", "-c", shell, "sh"]
    else:
        command[split:split] = ["/usr/bin/env", *assignments]
    if listener is not None and listener.fileno() != LISTEN_FD:
        os.dup2(listener.fileno(), LISTEN_FD, inheritable=True)
    return subprocess.Popen(  # noqa: S603 - from the unit file, which root installed
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        umask=service.umask,
        cwd="/",
        pass_fds=() if listener is None else (LISTEN_FD,),
    )


def supervise(service: unitfile.Service, main_file: Path, stopping: StopSignal) -> int:
    """Run a service until it ends for good or SIGTERM comes; returns the exit status of the supervisor."""
    listener = None
    pause = service.restart_seconds
    child: subprocess.Popen[bytes] | None = None
    try:
        make_directories(service)
        if service.socket is not None:
            # Descriptor 3 is kept free for it: whatever sits there now is ours alone and moves up.
            listener = bind(service.socket)
        while True:
            began = time.monotonic()
            with stopping.held():
                child = start(service, listener)
                _write(main_file, str(child.pid))
            status = child.wait()
            _say(f"{service.name}: ended with status {status}")
            if service.kill_group:
                _signal_group(child.pid, signal.SIGKILL)
            if service.restart == "no" or (service.restart == "on-failure" and status == 0):
                return 0 if status == 0 else 1
            pause = (
                service.restart_seconds
                if time.monotonic() - began > SETTLED
                else min(pause * 2, BACKOFF_LIMIT)
            )
            _say(f"{service.name}: starting again in {pause:.1f} s")
            time.sleep(pause)
    except Stop:
        if child is not None:
            end(child, service)
        return 0
    finally:
        main_file.unlink(missing_ok=True)
        if listener is not None and service.socket is not None:
            service.socket.path.unlink(missing_ok=True)


def end(child: subprocess.Popen[bytes], service: unitfile.Service) -> None:
    """Ask a service to end, wait for it as long as its unit says, then make it."""
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout=service.stop_seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if service.kill_group:
        _signal_group(child.pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """``supervisor UNIT_DIRECTORY NAME RUN_DIRECTORY``: started by the services command, not by people."""
    directory, name, run = Path(arguments[0]), arguments[1], Path(arguments[2])
    service = unitfile.load(directory, name)
    stopping = StopSignal()
    pid_file = run / f"{name}.pid"
    try:
        with locked(pid_file) as descriptor:
            if descriptor is None:
                _say(f"{name}: runs already")
                return 0
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(process.identify(os.getpid())).encode("ascii"))
            try:
                return supervise(service, run / f"{name}.main", stopping)
            finally:
                pid_file.unlink(missing_ok=True)
    except Stop:
        return 0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """Hold a file's lock, made where it is missing; gives its descriptor, None if somebody else holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink == 0:
                continue  # its last holder removed it while we were at it
            yield descriptor
        except BlockingIOError:
            yield None
        finally:
            os.close(descriptor)
        return


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, "ascii")
    temporary.rename(path)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f"{stamp} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
