"""The private Python environment: the locked libraries, and Twinhull itself on top of them."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from twinhull_installer import paths
from twinhull_installer.context import Context
from twinhull_installer.journal import write_whole
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress

PYTHON = "/usr/bin/python3"
COMPLETE = ".twinhull-complete"
LINKED = ("twinhull", "twinhull-server", "twinhull-fetch")
"""Commands that get a link on PATH; daemons are named by their units alone."""
SOURCES = ("policy", "hypervisor", "client", "assets")
SOURCE_FILES = ("pyproject.toml", "README.md")
PROGRAM_PARTS = ("twinhull_installer", "systemd", "daemons", "config", "services")


def lock_files(repository: Path, *names: str) -> list[Path]:
    """The lock files of an environment, those needed to build first."""
    return [repository / name for name in ("requirements-build.lock", *names)]


def key(locks: Iterable[Path], version: str = sys.version) -> str:
    """Names an environment: the same locks and Python give the same key."""
    digest = hashlib.sha256(version.encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    return digest.hexdigest()[:16]


def build(runner: Runner, directory: Path, locks: list[Path], progress: Progress) -> None:
    """Make an environment from lock files.

    One whose making was interrupted is made anew: pip takes a package for installed that was half unpacked.
    Every download is checked against the hash in the lock. The build tools come from a lock too, and
    packages without a wheel are built with those instead of whatever is newest. A lock is the whole closure,
    so pip resolves nothing: pip 23 takes the newest release for a dependency with an extra, whatever the lock
    says.
    """
    pip: list[str | Path] = [
        directory / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
    ]
    if directory.exists():
        shutil.rmtree(directory)
    progress.detail("making the environment")
    runner.run([PYTHON, "-m", "venv", directory], timeout=300)

    def on_line(line: str) -> None:
        if line.startswith(("Collecting ", "Downloading ", "Building ", "Installing ")):
            progress.detail(line)

    for lock in locks:
        install: list[str | Path] = [
            "install",
            "--require-hashes",
            "--no-deps",
            "--no-build-isolation",
            "--progress-bar=off",
            "-r",
            lock,
        ]
        runner.stream([*pip, *install], on_line)
    (directory / COMPLETE).touch()


def ready(directory: Path) -> bool:
    """Whether an environment was made to its end."""
    return (directory / COMPLETE).exists()


def environment_done(context: Context) -> bool:
    """Whether the environment of these locks is there and in use."""
    directory = _directory(context)
    return ready(directory) and paths.VENV.is_symlink() and paths.VENV.resolve() == directory


def make_environment(context: Context, progress: Progress) -> None:
    """Make the environment of these locks and put it to use; older ones go."""
    directory = _directory(context)
    context.journal.directory(paths.PREFIX)
    context.journal.directory(paths.VENVS)
    if not ready(directory):
        build(context.runner, directory, lock_files(context.repository, "requirements.lock"), progress)
    context.journal.link(paths.VENV, directory)
    for other in paths.VENVS.iterdir():
        if other != directory:
            shutil.rmtree(other)


def source_key(repository: Path) -> str:
    """Names the state of the sources, so that a changed tree is installed again."""
    digest = hashlib.sha256()
    roots = [repository / name for name in SOURCES] + [
        repository / "installer" / name for name in PROGRAM_PARTS
    ]
    files = [
        path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()
    ]
    files += [repository / name for name in SOURCE_FILES if (repository / name).exists()]
    for path in sorted(files):
        if "__pycache__" not in path.parts and path.suffix not in (".pyc", ".pyo"):
            digest.update(str(path.relative_to(repository)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def program_done(context: Context) -> bool:
    """Whether the program installed is the one in the source tree."""
    stamp = paths.SOURCE_STAMP
    return (
        stamp.exists()
        and stamp.read_text("ascii").strip() == source_key(context.repository)
        and all((paths.COMMANDS / name).exists() for name in LINKED)
        and paths.SERVICES_COMMAND.exists()
    )


def install_program(context: Context, progress: Progress) -> None:
    """Build Twinhull's wheel from the source tree, offline, and install it; link its commands."""
    stamp = source_key(context.repository)
    # From here on it is of no known state until it is whole.
    paths.SOURCE_STAMP.unlink(missing_ok=True)
    python = paths.VENV / "bin" / "python"
    wheels = paths.STATE / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    progress.detail("building the wheel")
    context.runner.run(
        [python, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], cwd=context.repository, timeout=300
    )
    (wheel,) = wheels.glob("*.whl")
    progress.detail("installing the wheel")
    options = [
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--no-deps",
        "--no-index",
        "--force-reinstall",
    ]
    context.runner.run([python, "-m", "pip", *options, wheel], timeout=300)
    copy_installer(context)
    for name in LINKED:
        context.journal.link(paths.COMMANDS / name, paths.VENV / "bin" / name)
    write_whole(paths.VENV.resolve() / paths.SOURCE_STAMP.name, stamp + "\n", 0o644)


def copy_installer(context: Context) -> None:
    """Put the launcher and the unit files beside the program, so that services outlive the source tree."""
    fresh = paths.PROGRAM.with_name("lib.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755, parents=True)
    for name in PROGRAM_PARTS:
        source = context.installer / name
        if source.is_dir():
            shutil.copytree(source, fresh / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, fresh / name)
    context.journal.add("tree", paths.PROGRAM)
    if paths.PROGRAM.exists():
        old = paths.PROGRAM.with_name("lib.old")
        shutil.rmtree(old, ignore_errors=True)
        paths.PROGRAM.rename(old)
        fresh.rename(paths.PROGRAM)
        shutil.rmtree(old)
    else:
        fresh.rename(paths.PROGRAM)
    context.journal.link(paths.SERVICES_COMMAND, paths.PROGRAM / "services")


def _directory(context: Context) -> Path:
    return paths.VENVS / key(lock_files(context.repository, "requirements.lock"))
