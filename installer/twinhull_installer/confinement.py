"""What AppArmor has to let the partitions' QEMU do besides what libvirt lets it: read storage over a socket.

libvirt makes a profile for each machine and knows nothing of sockets that disks come from. Debian's profile
includes a local file for what a site adds (/etc/apparmor.d/local/README); the package makes it, empty, and
cannot do without it, so a line is added to it and taken out again. Who reads is decided by twinhull-blockd.
"""

from __future__ import annotations

from pathlib import Path

from twinhull_installer.journal import write_whole

LOCAL = Path("/etc/apparmor.d/local/abstractions/libvirt-qemu")
LINE = "/run/twinhull-blockd/*.sock rw, # twinhull\n"


def allowed(path: Path = LOCAL) -> bool:
    """Whether it is there, or nothing is to be done because libvirt brings no such file."""
    return not path.exists() or LINE in path.read_text("utf-8").splitlines(keepends=True)


def allow(path: Path = LOCAL) -> None:
    """Add the line. Machines that run keep the profile they were started with."""
    if not allowed(path):
        before = path.read_text("utf-8")
        end = "" if before.endswith("\n") or not before else "\n"
        write_whole(path, before + end + LINE, path.stat().st_mode & 0o777)


def disallow(path: Path = LOCAL) -> None:
    """Take the line out again; what others wrote stays."""
    if path.exists() and allowed(path):
        lines = path.read_text("utf-8").splitlines(keepends=True)
        write_whole(path, "".join(line for line in lines if line != LINE), path.stat().st_mode & 0o777)
