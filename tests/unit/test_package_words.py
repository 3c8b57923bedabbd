"""Manual pages and completions of the packages, made from the real commands, and the version a build gets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from twinhull_installer.checks import require_no_package
from twinhull_installer.debian import command, completions, control, libraries, manual, tree, words
from twinhull_installer.errors import NotACommit, PackageInstalled
from twinhull_installer.run import Runner

from tests.support.cli import command_paths

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = (*words.TYPER, *words.ARGPARSE)
DAY = 1_750_000_000


@pytest.mark.parametrize("program", PROGRAMS)
def test_manual_pages_have_every_command_and_render_without_a_warning(program: str, tmp_path: Path) -> None:
    every = words.commands(program)
    page = tmp_path / f"{program}.1"
    page.write_text(manual.page(program, every, "0.1.0", DAY))
    said = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page], capture_output=True, text=True
    )
    assert (said.returncode, said.stderr) == (0, "")
    shown = re.sub(r"\s+", " ", re.sub(".\b", "", said.stdout))
    for one in every:
        if not one.group:
            assert " ".join((program, *one.path)) in shown
        for option in one.options:
            assert all(name in shown for name in option.names)


def test_all_of_the_command_line_is_in_the_page() -> None:
    assert {one.path for one in words.commands("twinhull") if not one.group} == set(command_paths())


def test_no_text_becomes_a_request_of_roff() -> None:
    assert manual.escape(".SH x\n'y \\n -z ``q``") == "\\&.SH x 'y \\en \\-z q"


def bash(program: str, script: Path, typed: list[str]) -> list[str]:
    name = "_" + program.replace("-", "_")
    code = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); {name}; echo "${{COMPREPLY[@]}}"'
    argv = ["bash", "-euc", code, "bash", str(script), *typed]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def fish(program: str, script: Path, typed: list[str]) -> list[str]:
    code = f"cd /var/empty; source {script}; complete -C '{' '.join(typed)}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code.replace("/var/empty", str(script.parent / "empty"))],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(script.parent), "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.split()


def zsh(program: str, script: Path, typed: list[str]) -> list[str]:
    """What the function adds, with zsh's own builtins for that replaced: they work in its editor alone."""
    code = "compadd() { shift; print -l -- ${(P)1} }; _files() { }; "
    code += 'words=("${@[2,-1]}"); CURRENT=$#words; source "$1"'
    argv = ["zsh", "-fc", code, "zsh", str(script), *typed]
    every = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    return [word for word in every if word.startswith(typed[-1])]


SHELLS = {"bash": (bash, completions.bash), "fish": (fish, completions.fish), "zsh": (zsh, completions.zsh)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("program", "typed", "offered"),
    [
        ("twinhull", ["partition", "st"], {"start", "stop"}),
        ("twinhull", ["partition", "start", ""], {"corporate", "personal"}),
        ("twinhull", ["--debug", "vpn", "p"], {"prove"}),
        ("twinhull-server", ["escrow", ""], {"open"}),
        ("twinhull-fetch", ["in"], {"init"}),
    ],
)
def test_completions_load_and_offer(
    shell: str, program: str, typed: list[str], offered: set[str], tmp_path: Path
) -> None:
    ask, write = SHELLS[shell]
    script = tmp_path / "completion"
    (tmp_path / "empty").mkdir()
    script.write_text(write(program, words.commands(program)))
    found = {word for word in ask(program, script, [program, *typed]) if not word.startswith("-")}
    assert found == offered if typed[-1] else found >= offered


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_word_of_a_completion_can_end_its_quotes(program: str) -> None:
    every = words.commands(program)
    offered = {word for one in every for word in completions.offered(one, every)}
    assert {word for word in offered if not re.fullmatch(r"[A-Za-z0-9-]+", word)} == set()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    return tmp_path


def git(clone: Path, *argv: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    dates = {"GIT_AUTHOR_DATE": f"{DAY} +0000", "GIT_COMMITTER_DATE": f"{DAY} +0000", "PATH": "/usr/bin:/bin"}
    subprocess.run(["git", "-C", clone, *who, *argv], check=True, capture_output=True, env=dates)


def test_a_version_is_of_its_commit_and_says_what_was_changed(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runner = Runner(tmp_path_factory.mktemp("log") / "log")
    git(clone, "init", "-q")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "one")
    first = command.release(runner, clone)
    assert first.when == DAY
    assert re.fullmatch(r"0\.1\.0\+20250615150640\.[0-9a-f]{12}", first.version)
    (clone / "new").touch()
    assert command.release(runner, clone).version == f"{first.version}.changed"


@pytest.mark.parametrize("given", [None, "yesterday", "1e9", "-1"])
def test_a_tree_without_a_date_is_not_packed(
    clone: Path, given: str | None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(NotACommit):
        command.release(Runner(tmp_path_factory.mktemp("log") / "log"), clone)


def test_the_lock_is_read_whole() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    lock = libraries.parse_lock(text)
    assert len(lock) == text.count("==")
    assert sum(len(entry.hashes) for entry in lock.values()) == text.count("--hash=")


def test_what_builds_the_images_is_no_dependency() -> None:
    wanted = control.depends(tree.CLIENT, REPOSITORY)
    assert {"libvirt-daemon-system", "nftables", "bubblewrap"} <= set(wanted)
    assert not {"gcc", "mmdebstrap", "libvirt-dev"} & set(wanted)
    assert set(control.depends(tree.SERVER, REPOSITORY)) == {*control.PYTHON_DEPENDS, "systemd"}


def test_each_account_and_directory_is_of_one_package() -> None:
    for name in ("sysusers", "tmpfiles"):
        text = (REPOSITORY / f"installer/config/{name}.conf").read_text()
        parts = [tree.own_lines(text, server=server).splitlines() for server in (False, True)]
        assert sorted([*parts[0], *parts[1]]) == sorted(text.splitlines())
        assert all("twinhull-server" in line for line in parts[1]) and parts[1]


def test_the_quickstart_keeps_its_hands_off_a_package(tmp_path: Path) -> None:
    place = tmp_path / "venv"
    require_no_package(place)
    (tmp_path / "venvs").mkdir()
    place.symlink_to("venvs")
    require_no_package(place)
    place.unlink()
    place.mkdir()
    with pytest.raises(PackageInstalled):
        require_no_package(place)
