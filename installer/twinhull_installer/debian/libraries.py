"""The locked libraries that a package carries: gathered once, then installed without a network.

A wheelhouse is a directory of exactly the files that the locks name. Installing takes from it alone and
checks every file against the lock again, so a wheelhouse that was tampered with is refused.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from twinhull_installer import environment
from twinhull_installer.errors import NotInLock
from twinhull_installer.run import LONG, Runner

LAPTOP_ONLY = frozenset({"keyring", "libvirt-python", "pyroute2", "pyudev", "sdbus"})
"""Of the project's own dependencies those that no module of the fleet server imports."""
Words = list[str | Path]
"""Part of an argument list."""
BUILD_LOCK = "requirements-build.lock"
LOCK = "requirements.lock"
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_UNIFORM = re.compile(r"[-_.]+")
_FLAGS = "-O2 -g0 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security"
"""Debian's hardening (dpkg-buildflags(1)); no debug information, which would name the build's directories."""


@dataclass(frozen=True)
class Locked:
    """One library of a lock.

    Attributes:
        name: as the lock spells it, normalised (PEP 503).
        version: exact.
        hashes: SHA-256 of every file that may be it.
        lines: its lines in the lock.
    """

    name: str
    version: str
    hashes: frozenset[str]
    lines: str


@dataclass(frozen=True)
class Library:
    """One library that a package carries.

    Attributes:
        name: normalised (PEP 503).
        version: exact.
        sha256: of the file it was made from, hexadecimal; it is in the lock.
        licence: what its own metadata says, an SPDX expression or words.
    """

    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Wheelhouse:
    """A directory with the files of the locks, and the environment with the tools of the build lock."""

    directory: Path

    @property
    def files(self) -> Path:
        """Wheels and source archives."""
        return self.directory / "files"

    @property
    def python(self) -> Path:
        """The interpreter that has the build tools."""
        return self.directory / "builder" / "bin" / "python"

    def pip(self, *words: str | Path) -> list[str | Path]:
        """A pip command in it that knows no index, and nothing of earlier builds on this machine."""
        quiet = ["--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
        quiet += ["install", "--no-index"]
        return [self.python, "-m", "pip", *quiet, "--find-links", self.files, *words]


def uniform(name: str) -> str:
    """A library's name as PEP 503 compares it."""
    return _UNIFORM.sub("-", name).lower()


def parse_lock(text: str) -> dict[str, Locked]:
    """The libraries of a lock file by name."""
    found: dict[str, Locked] = {}
    for block in re.split(r"\n(?=\S)", text):
        entry = _ENTRY.match(block)
        if entry:
            name = uniform(entry["name"])
            found[name] = Locked(
                name, entry["version"], frozenset(_HASH.findall(block)), block.rstrip() + "\n"
            )
    return found


def gather(runner: Runner, repository: Path, cache: Path) -> Wheelhouse:
    """The wheelhouse of the repository's locks; downloads what they name if it is not there yet.

    Args:
        runner: runs pip.
        repository: the source tree.
        cache: directory of wheelhouses, one for each state of the locks; others in it go.

    Raises:
        CommandFailed, CommandTimedOut: a download failed or did not have its hash.
    """
    locks = environment.lock_files(repository, LOCK)
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with cache.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first
        result = cache / environment.key(locks)
        if not result.exists():
            _download(runner, locks, cache).rename(result)
    return Wheelhouse(result)


def _download(runner: Runner, locks: Sequence[Path], cache: Path) -> Path:
    """Fill a cache that has nothing else with a wheelhouse; its directory."""
    shutil.rmtree(cache, ignore_errors=True)
    fresh = Wheelhouse(cache / "new")
    fresh.directory.mkdir(parents=True)
    runner.run([environment.PYTHON, "-m", "venv", fresh.directory / "builder"], timeout=300)
    quiet: Words = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    for lock in locks:
        wanted: Words = ["--no-deps", "--require-hashes", "--no-build-isolation", "--progress-bar=off"]
        download: Words = [*quiet, "download", "-d", fresh.files, *wanted, "-r", lock]
        runner.run([fresh.python, "-m", "pip", *download], timeout=LONG)
        if lock.name == BUILD_LOCK:
            runner.run(fresh.pip("--no-deps", "--require-hashes", "-r", lock), timeout=300)
    return fresh.directory


def roots(repository: Path, *, server: bool) -> list[str]:
    """The requirements that a package's own code has, from pyproject.toml."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    own: list[str] = project["dependencies"]
    extra: list[str] = project["optional-dependencies"]["server" if server else "gui"]
    wanted = [
        line for line in own if not (server and uniform(re.split(r"[\[<>=!~ ]", line)[0]) in LAPTOP_ONLY)
    ]
    return [*wanted, *extra]


def install(
    runner: Runner,
    house: Wheelhouse,
    lock: Mapping[str, Locked],
    wanted: list[str],
    target: Path,
    work: Path,
    variables: Mapping[str, str],
) -> list[Library]:
    """Install what some requirements need into a directory, offline; returns what is in it, by name.

    Args:
        runner: runs pip.
        house: where the files are.
        lock: says which version of each, and its hashes.
        wanted: requirements (PEP 508).
        target: becomes the site-packages directory.
        work: a directory for files on the way.
        variables: of the environment, those that make builds reproducible.

    Raises:
        NotInLock: something is needed that the lock does not have, or a file's hash is not in it.
        CommandFailed, CommandTimedOut.
    """
    report = work / "report.json"
    asked: Words = [
        "--dry-run",
        "--ignore-installed",
        "--no-build-isolation",
        "--report",
        report,
        "--",
        *wanted,
    ]
    runner.run(house.pip(*asked), timeout=300)
    hashes: dict[str, str] = {}
    for item in json.loads(report.read_text("utf-8"))["install"]:
        name, digest = uniform(item["metadata"]["name"]), item["download_info"]["archive_info"]["hash"]
        entry = lock.get(name)
        if entry is None or digest.removeprefix("sha256=") not in entry.hashes:
            raise NotInLock(name=name)
        hashes[name] = digest.removeprefix("sha256=")
    chosen = work / "requirements.txt"
    chosen.write_text("".join(lock[name].lines for name in sorted(hashes)), "utf-8")
    options: Words = [
        "--no-deps",
        "--no-compile",
        "--require-hashes",
        "--no-build-isolation",
        "--target",
        target,
    ]
    build = {**variables, "CFLAGS": _FLAGS, "LDFLAGS": "-s -Wl,-z,relro -Wl,-z,now -Wl,--build-id=none"}
    runner.run(house.pip(*options, "-r", chosen), timeout=LONG, environment=build)
    licences = {uniform(name): licence for name, licence in _licences(target)}
    return [Library(name, lock[name].version, hashes[name], licences[name]) for name in sorted(hashes)]


def install_project(
    runner: Runner,
    house: Wheelhouse,
    repository: Path,
    target: Path,
    work: Path,
    variables: Mapping[str, str],
) -> None:
    """Build the project's own wheel from the source tree, and install it beside its libraries."""
    command: Words = [house.python, "-m", "hatchling", "build", "-t", "wheel", "-d", work]
    runner.run(command, cwd=repository, timeout=300, environment=variables)
    (wheel,) = work.glob("twinhull-*.whl")
    runner.run(house.pip("--no-deps", "--no-compile", "--target", target, wheel), timeout=300)


def _licences(site: Path) -> list[tuple[str, str]]:
    """Each distribution's name and what it says of its licence."""
    found = []
    for path in sorted(site.glob("*.dist-info/METADATA")):
        fields = HeaderParser().parsestr(path.read_text("utf-8", errors="replace"))
        classified = [
            line.rpartition(" :: ")[2]
            for line in fields.get_all("Classifier", [])
            if line.startswith("License ::")
        ]
        words = (fields["License"] or "").strip().splitlines()[:1]
        licence = fields["License-Expression"] or " and ".join(classified) or "".join(words)
        found.append((str(fields["Name"]), str(licence) or "see its files"))
    return found
