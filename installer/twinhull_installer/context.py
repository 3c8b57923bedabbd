"""What every step of the quickstart is given."""

from __future__ import annotations

import pwd
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import paths
from twinhull_installer.journal import Journal
from twinhull_installer.run import Runner


@dataclass(frozen=True)
class Options:
    """The command line of ``installer/quickstart``."""

    headless: bool = False
    small: bool = False
    down: bool = False
    all: bool = False
    yes: bool = False


@dataclass(frozen=True)
class Context:
    """The run under way.

    Attributes:
        repository: the source tree.
        owner: login name of the person this is set up for.
    """

    repository: Path
    options: Options
    runner: Runner
    journal: Journal
    owner: str

    @property
    def installer(self) -> Path:
        """The installer's own directory in the source tree."""
        return self.repository / "installer"

    @property
    def size(self) -> str:
        """Which golden images: ``small`` or ``desktop``."""
        return "small" if self.options.small else "desktop"

    def program(self, name: str) -> Path:
        """One of the installed programs."""
        return paths.VENV / "bin" / name

    def fact(self, name: str) -> Path:
        """A small file the quickstart remembers a step's result in."""
        return paths.STATE / name


def choose_owner(sudo_user: str) -> str:
    """Who this is for: the person behind sudo, else an account of its own."""
    if sudo_user and sudo_user != "root":
        try:
            pwd.getpwnam(sudo_user)
        except KeyError:
            return paths.OWNER
        return sudo_user
    return paths.OWNER
