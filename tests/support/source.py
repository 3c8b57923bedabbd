"""The repository's own source, for tests that read it instead of running it."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "twinhull_policy": ROOT / "policy" / "twinhull_policy",
    "twinhull_hypervisor": ROOT / "hypervisor" / "twinhull_hypervisor",
    "twinhull_client": ROOT / "client" / "twinhull_client",
}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    """Every module of the three packages: dotted name, path, syntax tree."""
    for package, directory in PACKAGES.items():
        for path in sorted(directory.rglob("*.py")):
            parts = path.relative_to(directory).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            yield name, path, ast.parse(path.read_text(), str(path))


def tracked_files() -> list[Path]:
    """Every file of the repository: what git tracks, or without git all that is not ignored by convention."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        skipped = {".git", "__pycache__", ".venv"}
        return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.parts)]
    listed = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
