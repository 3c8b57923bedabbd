"""Debian packages for a container: built without what draws, brought there, and given to apt and dpkg."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer.debian import command, libraries
from twinhull_installer.debian.command import Release
from twinhull_installer.debian.tree import Kind
from twinhull_installer.run import Runner

from tests.lab.image import REPOSITORY

from .container import Container

OLD, NEW = Release("0.1.0+1", 1_767_225_600), Release("0.1.0+2", 1_767_225_700)
BROKEN = Release("0.1.0+1.1", 1_767_225_650)
"""What is between the two, and does not come up."""
INSTALL_SECONDS = 600.0


@dataclass(frozen=True)
class Packages:
    """Where the packages are in the container."""

    old: str
    new: str


class Workshop:
    """One package's tree, laid out once, of which several versions are packed.

    It has no libraries that draw, which take most of the time and space.
    """

    def __init__(self, kind: Kind, work: Path, container: Container) -> None:
        self._kind = kind
        self._work = work
        self._container = container
        self._runner = Runner(work / "log")
        house = libraries.gather(self._runner, REPOSITORY, command.WHEELHOUSES)
        self.root = command.make_tree(self._runner, kind, REPOSITORY, house, OLD, work, compiled=False)
        for name in ("PySide6", "shiboken6"):
            shutil.rmtree(self.root / kind.site / name, ignore_errors=True)

    def pack(self, release: Release) -> str:
        """Pack the tree as it is now as this version; returns where it is in the container."""
        package = command.pack(self._runner, self._kind, REPOSITORY, self.root, release, self._work, "none")
        shutil.rmtree(self.root / "DEBIAN")
        brought = self._container.bring(package)
        package.unlink()
        return brought

    def pack_both(self) -> Packages:
        """The same tree as OLD and as NEW."""
        return Packages(self.pack(OLD), self.pack(NEW))

    def pack_changed(self, release: Release, path: Path, change: Callable[[str], str]) -> str:
        """Pack the tree with one of its files changed, and put that back."""
        file = self.root / path
        before = file.read_text("utf-8")
        try:
            file.write_text(change(before), "utf-8")
            return self.pack(release)
        finally:
            file.write_text(before, "utf-8")


def dpkg(container: Container, *words: str, check: bool = True) -> tuple[int, str]:
    """Run dpkg in it; its status, and all it printed."""
    return _run(container, ("dpkg", *words), check=check)


def apt(container: Container, *words: str, check: bool = True) -> tuple[int, str]:
    """Run apt-get in it, which asks nothing and has no network; its status, and all it printed."""
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes")
    return _run(container, (*quiet, "-o", "APT::Sandbox::User=root", *words), check=check)


def _run(container: Container, words: Sequence[str], *, check: bool) -> tuple[int, str]:
    done = container.run(*words, check=check, seconds=INSTALL_SECONDS)
    return done.returncode, done.stdout + done.stderr


def version(container: Container, name: str = "twinhull") -> str:
    """A package's state and version as dpkg has them."""
    shown = container.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name, check=False)
    return shown.stdout


def exists(container: Container, path: str) -> bool:
    """Whether there is such a file in it."""
    return container.run("test", "-e", path, check=False).returncode == 0


def failed(container: Container) -> str:
    """The units that failed."""
    return container.output("systemctl", "--failed", "--no-legend", "--plain").strip()
