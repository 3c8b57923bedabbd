"""The step runner, the journal and the small pure parts."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from twinhull_installer import corporate, environment, packages, paths
from twinhull_installer.errors import AlreadyRunning, CommandFailed, NotOurs
from twinhull_installer.journal import Journal, exclusive, is_ours, remove_path
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress, Step, elapsed, run_steps


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (42.9, "0:42"), (725, "12:05"), (3723, "1:02:03"), (36000, "10:00:00")],
)
def test_elapsed(seconds: float, shown: str) -> None:
    assert elapsed(seconds) == shown


def test_steps_done_are_not_repeated_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    done: set[str] = set()
    ran: list[str] = []
    broken = True

    def step(name: str) -> Step:
        def act(_: Progress) -> None:
            ran.append(name)
            if name == "b" and broken:
                raise CommandFailed(command="b", detail="")
            done.add(name)

        return Step(name, lambda: name in done, act)

    steps = [step(name) for name in "abc"]
    runner = Runner(tmp_path / "log")
    output = io.StringIO()
    with pytest.raises(CommandFailed):
        run_steps(steps, runner, output)
    assert output.getvalue() == "[ 1/3] a … done 0:00\n[ 2/3] b … failed 0:00\n"
    broken = False
    assert run_steps(steps, runner, io.StringIO()) == 2
    assert ran == ["a", "b", "b", "c"]
    output = io.StringIO()
    assert run_steps(steps, runner, output) == 0
    assert output.getvalue().count("done already") == 3


def test_the_log_has_the_output_and_not_the_secrets(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "log")
    runner.run(["echo", "one"])
    runner.run(["cat"], stdin="hidden", secret=True)
    with pytest.raises(CommandFailed, match="'false' failed"):
        runner.run(["false"])
    text = (tmp_path / "log").read_text()
    assert "$ echo one\none\n" in text
    assert "hidden" not in text
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_the_journal_records_each_thing_once_and_before_it_is_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "made.json")
    target = tmp_path / "file"
    assert journal.file(target, "x")
    assert not journal.file(target, "x")
    assert journal.file(target, "y", 0o600)
    assert [entry.name for entry in journal.entries()] == [str(target)]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_there_before_is_never_recorded(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "made.json")
    (tmp_path / "file").write_text("before")
    journal.file(tmp_path / "file", "after")
    assert journal.entries() == []


def test_a_link_does_not_replace_somebody_elses_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "made.json")
    (tmp_path / "twinhull").write_text("theirs")
    with pytest.raises(NotOurs):
        journal.link(tmp_path / "twinhull", tmp_path)
    journal.link(tmp_path / "other", tmp_path / "a")
    journal.link(tmp_path / "other", tmp_path / "b")
    assert (tmp_path / "other").readlink() == tmp_path / "b"


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/opt/twinhull/venv", True),
        ("/usr/local/bin/twinhull-server", True),
        ("/etc/systemd/system/twinhulld.service", True),
        ("/etc/polkit-1/rules.d/50-twinhull-owner.rules", True),
        ("/usr/local/bin/python3", False),
        ("/usr/local/bin/sub/twinhull", False),
        ("/etc/systemd/system/ssh.service", False),
        ("/opt/twinhull/../../etc", False),
        ("/opt/twinhull-other", False),
        ("opt/twinhull", False),
        ("/", False),
        ("/home", False),
        ("/var/lib", False),
    ],
)
def test_down_removes_only_what_the_quickstart_makes(path: str, ours: bool) -> None:
    assert is_ours(Path(path)) is ours


def test_a_tampered_journal_removes_nothing_foreign(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("x")
    with pytest.raises(NotOurs):
        remove_path(victim)
    assert victim.exists()


def test_only_one_installer_runs_at_a_time(tmp_path: Path) -> None:
    state, lock = tmp_path / "state", tmp_path / "lock"
    with exclusive(state, lock), pytest.raises(AlreadyRunning), exclusive(state, lock):
        pass
    with exclusive(state, lock):
        pass


def test_a_run_waits_for_the_commands_of_a_killed_one(tmp_path: Path) -> None:
    """Their descriptor is all that is left of the run that started them."""
    state, lock = tmp_path / "state", tmp_path / "lock"
    with exclusive(state, lock) as held:
        orphan = subprocess.Popen(["/bin/sleep", "1"], pass_fds=[held])
    assert orphan.poll() is None
    with exclusive(state, lock):
        assert orphan.wait(0.5) == 0


def test_package_lists_are_names_only_and_without_repeats() -> None:
    installer = Path(__file__).parents[2] / "installer"
    names = packages.listed(installer / "packages.txt") + packages.listed(installer / "packages-test.txt")
    assert len(names) == len(set(names))
    assert all(name and " " not in name for name in names)


def test_another_package_manager_is_seen_by_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert packages.unlocked((lock,))
    holding = (
        "import fcntl,sys; f=open(sys.argv[1],'a'); fcntl.lockf(f,fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not packages.unlocked((lock,))
        other.communicate(b"\n")
    assert packages.unlocked((lock,))


def test_an_environment_is_named_by_its_locks(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text("one")
    first = environment.key([lock])
    assert environment.key([lock]) == first
    lock.write_text("two")
    assert environment.key([lock]) != first


def test_a_policy_change_is_a_longer_lease_and_nothing_else() -> None:
    policy = {"name": "base", "lease": {"offline_hours": 72, "warning_hours": 8}}
    changed = corporate.change_policy(policy)
    assert changed == {"name": "base", "lease": {"offline_hours": 73, "warning_hours": 8}}
    assert policy["lease"] == {"offline_hours": 72, "warning_hours": 8}


def test_everything_of_ours_is_below_a_path_down_may_remove() -> None:
    ours = [
        getattr(paths, name)
        for name in vars(paths)
        if name.isupper() and name not in ("COMMANDS", "SYSTEMD_UNITS")
    ]
    unremovable = [path for path in ours if isinstance(path, Path) and not is_ours(path)]
    assert unremovable == [paths.LOG]
