"""The disk that brings Twinhull into the virtual laptop: the source tree as it is now, and golden images."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from twinhull_installer import paths

from .emulator_build import CACHE
from .image import REPOSITORY

SOURCES = ("policy", "hypervisor", "client", "installer", "assets", "docs", "pyproject.toml", "README.md")
MIB = 1024 * 1024
PLACE = "/media/payload"
"""Where it is mounted in the laptop."""


def source_files() -> list[Path]:
    """What is installed in the laptop, as the working tree has it: tracked files and new ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES, "*.lock"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    files = (REPOSITORY / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in files if path.is_file())


def golden_images() -> Path:
    """The directory of the small golden images, built where they are not there yet."""
    command: list[str | Path] = [
        REPOSITORY / "installer/images/build",
        "small",
        "--output",
        paths.CACHE / "images",
    ]
    built = subprocess.run(
        [*command, "--cache", paths.CACHE / "packages"], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(built.stdout.strip().splitlines()[-1])


def payload_key() -> str:
    """Names the payload: equal sources and images, equal name."""
    digest = hashlib.sha256(golden_images().name.encode())
    for path in source_files():
        digest.update(f"{path.relative_to(REPOSITORY)}\0{path.stat().st_mode:o}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def payload(say: Callable[[str], None]) -> Path:
    """The disk, made anew when what it carries has changed (seconds)."""
    result = CACHE / f"payload-{payload_key()}.raw"
    if result.exists():
        return result
    say("Packing Twinhull for the laptop")
    with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
        work = Path(name)
        tree = work / "tree"
        for path in source_files():
            target = tree / "repository" / path.relative_to(REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        images = golden_images()
        shutil.copytree(images, tree / "images" / images.name)
        size = sum(path.stat().st_size for path in tree.rglob("*")) // MIB + 128
        raw = work / "payload.raw"
        argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "payload", "-m", "0"]
        subprocess.run([*argv, "-E", "root_owner=0:0", "-d", tree, raw, f"{size}m"], check=True)
        raw.rename(result)
    return result
