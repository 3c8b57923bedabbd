"""Whether this machine will do, asked before anything is changed."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from twinhull_installer import paths, sizes
from twinhull_installer.errors import (
    DiskFull,
    NotRoot,
    PackageInstalled,
    UnsupportedMachine,
    UnsupportedSystem,
)

OLDEST_DEBIAN = 12


def require_root(command: str) -> None:
    """Raises NotRoot."""
    if os.geteuid() != 0:
        raise NotRoot(command=command)


def require_debian(release: dict[str, str]) -> None:
    """Raises UnsupportedSystem unless ``os-release`` says Debian 12 or later; testing has no number."""
    version = release.get("VERSION_ID", "")
    known = release.get("ID") == "debian" and (not version or version.split(".")[0].isdigit())
    if not known or (version and int(version.split(".")[0]) < OLDEST_DEBIAN):
        raise UnsupportedSystem(system=release.get("PRETTY_NAME", "something else"))


def require_machine(machine: str) -> None:
    """Raises UnsupportedMachine."""
    if machine != "x86_64":
        raise UnsupportedMachine(machine=machine)


def require_room(size: str, path: Path = Path("/")) -> None:
    """Raises DiskFull."""
    free = shutil.disk_usage(path).free / 1e9
    if free < sizes.ROOM_GB[size]:
        raise DiskFull(path=path, free=f"{free:.1f}", needed=f"{sizes.ROOM_GB[size]:.0f}")


def require_no_package(environment: Path = paths.VENV) -> None:
    """Raises PackageInstalled; a package's environment is a directory, the quickstart's is a link to one."""
    if environment.is_dir() and not environment.is_symlink():
        raise PackageInstalled


def check(command: str, size: str, installed: bool) -> None:
    """All of them; what is installed already needs no more room."""
    require_root(command)
    require_debian(platform.freedesktop_os_release())
    require_machine(platform.machine())
    require_no_package()
    if not installed:
        require_room(size)
