"""The launcher with real processes: privileges as in the unit file, restarts, socket passing, an end."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from twinhull_installer import process
from twinhull_installer.errors import ServiceFailed
from twinhull_installer.services import Launcher

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change users")

SLEEPER = "/bin/sleep 600"
INSTALLER = Path(__file__).parents[2] / "installer"
ACCEPTER = (
    '/usr/bin/python3 -c "import os,socket; s=socket.socket(fileno=3);'
    "assert os.environ['LISTEN_PID']==str(os.getpid()); c,_=s.accept();"
    "c.send(b'pid %d' % os.getpid()); c.recv(9)\""
)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher(units=tmp_path / "units", run=tmp_path / "run", logs=tmp_path / "logs")
    made.units.mkdir()
    tmp_path.chmod(0o755)
    yield made
    for unit in made.units.glob("*.service"):
        made.stop(unit.stem)


def write_unit(launcher: Launcher, name: str, command: str, more: str = "", sock: Path | None = None) -> None:
    text = f"[Service]\nExecStart={command}\nRestart=on-failure\nRestartSec=50ms\nTimeoutStopSec=5s\n{more}"
    (launcher.units / f"{name}.service").write_text(text)
    if sock is not None:
        listen = (
            f"[Socket]\nListenSequentialPacket={sock}\nSocketUser=root\nSocketGroup=daemon\nSocketMode=0660\n"
        )
        (launcher.units / f"{name}.socket").write_text(listen)


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(launcher: Launcher, name: str, program: str) -> int:
    """The service's pid once setpriv has become the program itself."""

    def there() -> bool:
        pid = launcher.main_pid(name)
        return pid is not None and Path(f"/proc/{pid}/comm").read_text().strip() == program

    until(there)
    pid = launcher.main_pid(name)
    assert pid is not None
    return pid


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_an_unprivileged_service_has_nothing_its_unit_does_not_give(launcher: Launcher) -> None:
    more = "User=nobody\nGroup=daemon\nSupplementaryGroups=mail\n"
    more += "CapabilityBoundingSet=\nNoNewPrivileges=yes\nUMask=0077\n"
    write_unit(launcher, "plain", SLEEPER, more)
    assert launcher.start("plain")
    seen = status(runs(launcher, "plain", "sleep"))
    assert seen["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4
    assert seen["Gid"].split() == ["1"] * 4
    assert seen["Groups"].split() == ["8"]
    assert {seen[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert seen["NoNewPrivs"] == "1"
    assert seen["Umask"] == "0077"


def test_a_root_service_keeps_only_the_capabilities_named(launcher: Launcher) -> None:
    write_unit(launcher, "net", SLEEPER, "User=root\nCapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN\n")
    launcher.start("net")
    seen = status(runs(launcher, "net", "sleep"))
    named = 1 << 12 | 1 << 21  # capability.h: CAP_NET_ADMIN 12, CAP_SYS_ADMIN 21
    assert int(seen["CapEff"], 16) == int(seen["CapBnd"], 16) == named
    assert seen["Groups"] == ""


def test_a_killed_service_comes_back(launcher: Launcher) -> None:
    write_unit(launcher, "again", SLEEPER)
    launcher.start("again")
    first = runs(launcher, "again", "sleep")
    os.kill(first, signal.SIGKILL)
    until(lambda: launcher.main_pid("again") not in (None, first))
    assert launcher.supervisor("again") is not None


def test_starting_twice_changes_nothing_and_stopping_ends_both_processes(launcher: Launcher) -> None:
    write_unit(launcher, "once", SLEEPER)
    assert launcher.start("once")
    main = runs(launcher, "once", "sleep")
    supervisor = launcher.supervisor("once")
    assert not launcher.start("once")
    assert launcher.main_pid("once") == main
    assert launcher.stop("once")
    assert process.identify(main) is None
    assert supervisor is not None
    assert not process.alive(supervisor)
    assert not launcher.stop("once")
    assert list(launcher.run.iterdir()) == []


def test_a_service_is_handed_its_socket_and_the_socket_survives_a_kill(
    launcher: Launcher, tmp_path: Path
) -> None:
    path = tmp_path / "s.sock"
    write_unit(launcher, "listener", ACCEPTER, sock=path)
    launcher.start("listener")
    until(path.exists)
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.stat().st_gid == 1
    answers = []
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(30)
            client.connect(str(path))
            answers.append(int(client.recv(64).split()[1]))
            os.kill(answers[-1], signal.SIGKILL)
    assert answers[0] != answers[1]
    launcher.stop("listener")
    assert not path.exists()


def test_a_second_supervisor_gives_way(launcher: Launcher) -> None:
    """A run was killed after it had started one and before it knew; the next run starts another."""
    write_unit(launcher, "twice", SLEEPER)
    launcher.start("twice")
    main, first = runs(launcher, "twice", "sleep"), launcher.supervisor("twice")
    module = ["-P", "-m", "twinhull_installer.supervisor"]
    command: list[str | Path] = ["/usr/bin/python3", *module, launcher.units, "twice"]
    second = subprocess.run([*command, launcher.run], env={"PYTHONPATH": str(INSTALLER)}, timeout=30)
    assert second.returncode == 0
    assert launcher.main_pid("twice") == main
    assert launcher.supervisor("twice") == first
    assert process.identify(main) is not None


def test_a_service_is_stopped_also_when_its_unit_is_gone(launcher: Launcher) -> None:
    write_unit(launcher, "gone", SLEEPER)
    launcher.start("gone")
    main = runs(launcher, "gone", "sleep")
    (launcher.units / "gone.service").unlink()
    assert launcher.stop("gone")
    assert process.identify(main) is None


def test_a_stop_at_any_moment_leaves_no_process(launcher: Launcher) -> None:
    """Also while the service is just being started, or started again."""
    write_unit(launcher, "brief", "/bin/sleep 0.05", "Restart=always\nRestartSec=1ms\n")
    chance = Random(3)  # noqa: S311 - variety, not secrecy
    for _ in range(15):
        launcher.start("brief", settle=chance.uniform(0.0, 0.3))
        supervisor = launcher.supervisor("brief")
        assert supervisor is not None
        session = set(children(supervisor.pid))
        assert launcher.stop("brief")
        assert [pid for pid in session if process.identify(pid) is not None] == []
        assert list(launcher.run.iterdir()) == []


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_service_that_ends_by_itself_is_not_started_again(launcher: Launcher) -> None:
    write_unit(launcher, "short", "/bin/sleep 2")
    launcher.start("short", settle=0.1)
    until(lambda: launcher.supervisor("short") is None)


def test_a_service_that_cannot_start_is_an_error(launcher: Launcher) -> None:
    write_unit(launcher, "broken", SLEEPER, "User=no-such-user\n")
    with pytest.raises(ServiceFailed):
        launcher.start("broken", settle=20)


@pytest.mark.parametrize("text", ["", "x", "1", "1 2 3", "-1 5", "1 99999999999"])
def test_a_foreign_or_stale_pid_file_stops_nobody(launcher: Launcher, text: str) -> None:
    write_unit(launcher, "stale", SLEEPER)
    launcher.run.mkdir()
    (launcher.run / "stale.pid").write_text(text)
    assert launcher.supervisor("stale") is None
    assert not launcher.stop("stale")
