"""``installer/package [--output DIR] [--cache DIR]``: build both packages."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twinhull_installer import paths, services
from twinhull_installer.debian import bill, control, libraries, tree
from twinhull_installer.debian.libraries import Wheelhouse
from twinhull_installer.debian.tree import DOCUMENTS, Kind
from twinhull_installer.errors import BadUsage, InstallerError, NotACommit
from twinhull_installer.run import Runner

WHEELHOUSES = paths.CACHE / "wheelhouse"
COMPRESSIONS = ("xz", "gzip", "none")


@dataclass(frozen=True)
class Release:
    """What a build is called and dated.

    Attributes:
        version: of the packages.
        when: seconds since 1970; no file in them is younger or older.
    """

    version: str
    when: int


def release(runner: Runner, repository: Path) -> Release:
    """Name and date a build by the last commit; SOURCE_DATE_EPOCH, where it is set, is the date instead.

    The version grows with the commit's time, so that dpkg knows what is newer. A working tree with changes
    says so.

    Raises:
        NotACommit: there is neither.
    """
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    git: list[str | Path] = ["git", "-c", f"safe.directory={repository}", "-C", repository]
    commit = runner.run([*git, "log", "-1", "--format=%ct %h", "--abbrev=12"], check=False)
    words = commit.output.split() if commit.status == 0 else []
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not re.fullmatch(r"[0-9]{1,11}", given or (words[0] if words else "")):
        raise NotACommit
    when = int(given or words[0])
    version = f"{project['version']}+{datetime.fromtimestamp(when, UTC):%Y%m%d%H%M%S}"
    if words:
        changed = runner.run([*git, "status", "--porcelain"]).output.strip()
        version += f".{words[1]}" + (".changed" if changed else "")
    return Release(version, when)


def variables(when: int) -> dict[str, str]:
    """What the tools of a build are told, so that they write the same bytes each time."""
    return {"SOURCE_DATE_EPOCH": str(when), "PYTHONHASHSEED": "0", "TZ": "UTC"}


def make_tree(
    runner: Runner,
    kind: Kind,
    repository: Path,
    house: Wheelhouse,
    to: Release,
    work: Path,
    *,
    compiled: bool = True,
) -> Path:
    """Lay out a package's files, all but the control files, below a directory in ``work``; returns it.

    Without ``compiled`` Python's modules are not compiled ahead, which takes a fifth of the time.
    """
    root = work / kind.name
    site = root / kind.site
    site.mkdir(parents=True)
    own = work / f"{kind.name}-own"
    own.mkdir()
    lock = libraries.parse_lock((repository / libraries.LOCK).read_text("utf-8"))
    wanted = libraries.roots(repository, server=kind.server)
    carried = libraries.install(runner, house, lock, wanted, site, own, variables(to.when))
    libraries.install_project(runner, house, repository, site, own, variables(to.when))
    tree.lay_out_environment(kind, repository, root)
    tree.lay_out_system(kind, repository, root)
    tree.lay_out_words(kind, repository, root, own, runner, to.version, to.when)
    if compiled:
        tree.compile_python(runner, kind, root, variables(to.when))
    tree.write(
        root / DOCUMENTS / kind.name / "sbom.cdx.json", bill.bill(kind.name, to.version, carried, to.when)
    )
    return root


def pack(
    runner: Runner,
    kind: Kind,
    repository: Path,
    root: Path,
    to: Release,
    output: Path,
    compression: str = "xz",
) -> Path:
    """Add the control files to a laid out tree and pack it; returns the package."""
    control.lay_out_control(kind, repository, root, to.version, to.when)
    tree.settle(root, to.when)
    target = output / f"{kind.name}_{to.version}_amd64.deb"
    control.archive(runner, root, target, to.when, compression)
    return target


def build(
    runner: Runner,
    repository: Path,
    output: Path,
    cache: Path,
    compression: str,
    kinds: Sequence[Kind] = tree.KINDS,
) -> list[Path]:
    """Build packages; returns their files.

    Raises:
        InstallerError: as the parts say.
    """
    to = release(runner, repository)
    house = libraries.gather(runner, repository, cache)
    output.mkdir(parents=True, exist_ok=True)
    built = []
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="twinhull-package-") as directory:
            root = make_tree(runner, kind, repository, house, to, Path(directory))
            built.append(pack(runner, kind, repository, root, to, output, compression))
    return built


def main(arguments: list[str], repository: Path) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="installer/package", description="Build the Debian packages of laptop and fleet server."
    )
    here = repository / "dist"
    parser.add_argument(
        "--output", type=Path, default=here, metavar="DIR", help="where they go, by default dist"
    )
    parser.add_argument(
        "--cache", type=Path, default=WHEELHOUSES, metavar="DIR", help="where the locked libraries are kept"
    )
    parser.add_argument("--compression", choices=COMPRESSIONS, default="xz", help="of the packages")
    options = parser.parse_args(arguments)
    os.umask(0o022)
    log = options.output.absolute() / "package.log"
    try:
        if shutil.which("dpkg-deb") is None:
            raise BadUsage(detail="Packages are built with dpkg-deb, which this system does not have")
        runner = Runner(log)
        for path in build(runner, repository, log.parent, options.cache.absolute(), options.compression):
            sys.stdout.write(f"{path}\n")
    except InstallerError as error:
        services.report(error, log)
        return 2 if isinstance(error, BadUsage) else 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; what was built before is whole.\n")
        return 130
    return 0
