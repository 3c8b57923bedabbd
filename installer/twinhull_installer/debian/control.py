"""A package's control files, and the archive itself (deb-control(5), dpkg-deb(1))."""

from __future__ import annotations

import hashlib
import re
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from twinhull_installer.debian.tree import DOCUMENTS, Kind, write, write_packed
from twinhull_installer.run import LONG, Runner

MAINTAINER = "Twinhull developers <twinhull@users.noreply.github.com>"
PYTHON_DEPENDS = ("python3 (>= 3.11~)", "python3 (<< 3.12)", "libc6 (>= 2.36)")
"""The libraries are compiled for this version of Python, and some for Debian 12's C library."""
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
ESSENTIAL = frozenset({"util-linux"})
"""Always there, and not to be depended on (Debian Policy 3.8)."""
NOT_NEEDED = ("golden images", "the Python environment")
"""Sections of packages.txt that the quickstart needs and an installed package does not."""
DESCRIPTIONS = {
    "twinhull": (
        "Twinhull divides a laptop into a corporate virtual machine, which the",
        "employer's signed policy governs and whose traffic leaves through the",
        "corporate VPN or not at all, and a personal one, which no policy can name.",
        "Both run on KVM and QEMU under libvirt, with encrypted disks, and devices",
        "reach neither before policy has said so.",
    ),
    "twinhull-server": (
        "The fleet server enrols Twinhull laptops, pushes signed policy and commands",
        "to them, publishes golden images, and has a console for administrators.",
    ),
}


def needed(text: str) -> list[str]:
    """The packages of packages.txt that a laptop needs to run, in its order.

    A comment that stands on a line of its own begins a section.
    """
    found, kept = [], True
    for line in text.splitlines():
        if line.startswith("#"):
            kept = not line.removeprefix("# ").startswith(NOT_NEEDED)
        elif kept and line.strip():
            found.append(line.partition("#")[0].strip())
    return found


def depends(kind: Kind, repository: Path) -> list[str]:
    """What a package depends on."""
    if kind.server:
        return [*PYTHON_DEPENDS, "systemd"]
    listed = needed((repository / "installer/packages.txt").read_text("utf-8"))
    return [*PYTHON_DEPENDS, "libvirt0", *(name for name in listed if name not in ESSENTIAL)]


def size_kib(root: Path) -> int:
    """Installed-Size as Debian Policy 5.6.20 counts it: files rounded up to KiB, one for everything else."""
    sizes = (
        (path.stat().st_size + 1023) // 1024 if path.is_file() and not path.is_symlink() else 1
        for path in root.rglob("*")
    )
    return sum(sizes)


def fields(kind: Kind, repository: Path, version: str, installed_kib: int) -> str:
    """The control file."""
    described = "\n".join(f" {line}" for line in DESCRIPTIONS[kind.name])
    lines = [
        f"Package: {kind.name}",
        f"Version: {version}",
        "Architecture: amd64",
        f"Maintainer: {MAINTAINER}",
        f"Installed-Size: {installed_kib}",
        f"Depends: {', '.join(depends(kind, repository))}",
        "Section: admin",
        "Priority: optional",
        f"Description: {kind.summary}",
        described,
    ]
    return "\n".join(lines) + "\n"


def changelog(kind: Kind, repository: Path, version: str, when: int) -> str:
    """The Debian changelog: one entry for this version, with the first section of CHANGELOG.md."""
    sections = re.split(r"^## .*\n", (repository / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)
    items = re.split(r"^- ", sections[1], flags=re.MULTILINE)[1:]
    written = [
        textwrap.fill(" ".join(item.split()), 78, initial_indent="  * ", subsequent_indent="    ")
        for item in items
    ]
    stamp = format_datetime(datetime.fromtimestamp(when, UTC))
    head = f"{kind.name} ({version}) unstable; urgency=medium"
    return "\n".join([head, "", *written, "", f" -- {MAINTAINER}  {stamp}", ""])


def lay_out_control(kind: Kind, repository: Path, root: Path, version: str, when: int) -> None:
    """Write documents and control files into a tree; the last step, since it sums up what is there."""
    own = repository / "installer/debian"
    place = root / DOCUMENTS / kind.name
    write_packed(place / "changelog.gz", changelog(kind, repository, version, when).encode())
    write(place / "copyright", (own / "copyright").read_text("utf-8"))
    write(
        root / f"usr/share/lintian/overrides/{kind.name}", (own / f"{kind.name}.overrides").read_text("utf-8")
    )
    sums, installed = _sums(root), size_kib(root)
    control = root / "DEBIAN"
    write(control / "control", fields(kind, repository, version, installed))
    write(control / "md5sums", sums)
    kept = sorted(path for path in (root / "etc").rglob("*") if path.is_file())
    if kept:
        # What an administrator changed there stays (Debian Policy, appendix E).
        write(control / "conffiles", "".join(f"/{path.relative_to(root)}\n" for path in kept))
    for script in SCRIPTS:
        source = own / f"{kind.name}.{script}"
        if source.exists():
            write(control / script, source.read_text("utf-8").replace("@VERSION@", version), mode=0o755)


def archive(runner: Runner, root: Path, target: Path, when: int, compression: str) -> None:
    """Pack a tree; the same tree gives the same bytes on any machine."""
    # With more threads the compressed stream depends on how many there were.
    options = ["--root-owner-group", f"-Z{compression}", "--threads-max=1", "--build"]
    runner.run(
        ["dpkg-deb", *options, root, target],
        timeout=LONG,
        environment={"SOURCE_DATE_EPOCH": str(when)},
    )


def _sums(root: Path) -> str:
    """md5sums as dh_md5sums writes it; for telling what changed by accident, not for trust."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    )
