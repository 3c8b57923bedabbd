"""The guest's file tree: fill it with packages, configure it, and tailor it to one partition at a time."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .recipe import Recipe, Tailoring
from .run import run
from .sources import Source
from .units import idle

PERSON_UID = 1000
DPKG_SETTINGS = "etc/dpkg/dpkg.cfg.d/twinhull*"
# Work nobody needs in a guest whose base is replaced as a whole; each costs seconds of an emulated boot.
MASKED_UNITS = (
    "apt-daily.service",
    "apt-daily.timer",
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
)
ENABLED_UNITS = {
    "systemd-networkd.service": ("multi-user.target.wants",),
}


def install(
    recipe: Recipe,
    sources: tuple[Source, ...],
    mirror_settings: str,
    root: Path,
    packages_cache: Path | None,
    log: Path,
    tick: Callable[[], None],
) -> None:
    """Fill an empty ``root`` with the recipe's packages.

    Args:
        recipe: what to install.
        sources: where from; all are checked against Debian's archive key.
        mirror_settings: apt.conf text, see ``sources.mirror_settings``.
        root: directory to create.
        packages_cache: directory that keeps downloaded packages between builds, or None.
        log: build log.
        tick: called while it runs.

    Raises:
        CommandFailed: mmdebstrap failed; its last lines are in the exception.
    """
    work = root.parent
    settings = work / "apt.conf"
    # In a file, not in an argument: a proxy's address may hold a password.
    settings.touch(mode=0o600)
    settings.write_text(mirror_settings + 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n')
    listed = work / "sources.list"
    listed.write_text("".join(f"{source.line()}\n" for source in sources))
    # In its own mount namespace: whatever ends it, none of its mounts under ``root`` outlives it.
    argv = [
        "unshare",
        "--mount",
        "--propagation=private",
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        f"--aptopt={settings}",
        *(f"--dpkgopt={path}" for layer in recipe.shared_layers() for path in layer.glob(DPKG_SETTINGS)),
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(recipe.packages)}",
    ]
    if packages_cache is not None:
        packages_cache.mkdir(parents=True, exist_ok=True)
        archives = '"$1"/var/cache/apt/archives/'
        kept = shlex.quote(str(packages_cache))
        argv += [
            "--skip=download/empty",
            "--skip=essential/unlink",
            f"--setup-hook=mkdir -p {archives} && cp -t {archives} {kept}/*.deb || true",
            f"--customize-hook=cp -u -t {kept} {archives}*.deb || true",
        ]
    argv += ["", str(root), str(listed)]
    # INITRD: the kernel package then builds no initial RAM disk; boot.py makes a smaller one.
    run(argv, log, tick, environment={"INITRD": "No", "TMPDIR": str(work)})


def configure(recipe: Recipe, root: Path) -> None:
    """Turn a freshly installed tree into what both partitions share.

    The list of package sources it was installed from stays: the guest updates from where the machine does.
    """
    for left_over in (
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    ):
        (root / left_over).unlink(missing_ok=True)
    for directory in ("var/lib/apt/lists", "var/cache/apt", "var/log"):
        for path in (root / directory).rglob("*"):
            if path.is_file():
                path.unlink()
    for layer in recipe.shared_layers():
        for source, relative in _layer_files(layer):
            _place(source, root / relative)
    units = root / "etc/systemd/system"
    for unit in MASKED_UNITS:
        _link(units / unit, "/dev/null")
    for idle_link in idle(recipe.kind).links():
        _link(root / idle_link, "/dev/null")
    for unit, wants in ENABLED_UNITS.items():
        for target in wants:
            _link(units / target / unit, f"/lib/systemd/system/{unit}")
    _link(units / "default.target", f"/lib/systemd/system/{_default_target(recipe)}")
    # Empty, not absent: each machine makes its own identity at boot, without systemd's first-boot questions.
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/fstab").write_text("")
    for name in ("resolv.conf", "hostname"):
        (root / "etc" / name).unlink(missing_ok=True)
    _link(root / "etc/localtime", "/usr/share/zoneinfo/Etc/UTC")


@contextmanager
def tailored(recipe: Recipe, tailoring: Tailoring, root: Path, stash: Path) -> Iterator[None]:
    """Make the shared tree one partition's for the duration of the block, then undo it.

    Args:
        recipe: what is built.
        tailoring: the partition.
        root: the tree.
        stash: directory for what gets replaced; created and removed.
    """
    stash.mkdir()
    made: list[Path] = []

    def write(relative: Path, source: Path | None, text: str = "", mode: int = 0o644) -> None:
        target = root / relative
        if target.exists():
            kept = stash / relative
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target, kept)
            status = target.stat()
            os.chown(kept, status.st_uid, status.st_gid)
        made.append(relative)
        if source is not None:
            _place(source, target)
            return
        owner = target.stat() if target.exists() else None
        target.write_text(text)
        target.chmod(stat.S_IMODE(owner.st_mode) if owner else mode)

    home = root / "home" / tailoring.user
    try:
        for layer in recipe.layers(tailoring.partition):
            for source, relative in _layer_files(layer):
                write(relative, source)
        for name, line in account_lines(tailoring).items():
            write(Path("etc") / name, None, (root / "etc" / name).read_text() + line)
        if recipe.kind == "desktop":
            wanted = root / "etc/systemd/system/graphical.target.wants"
            made.append((wanted / f"twinhull-desktop@{tailoring.user}.service").relative_to(root))
            _link(root / made[-1], "/etc/systemd/system/twinhull-desktop@.service")
        write(Path("etc/hostname"), None, f"{tailoring.partition}\n")
        write(
            Path("etc/hosts"), None, f"127.0.0.1 localhost\n127.0.1.1 {tailoring.partition}\n::1 localhost\n"
        )
        shutil.copytree(root / "etc/skel", home, symlinks=True)
        for path in (home, *home.rglob("*")):
            os.chown(path, PERSON_UID, PERSON_UID, follow_symlinks=False)
        home.chmod(0o700)
        yield
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for relative in reversed(made):
            (root / relative).unlink(missing_ok=True)
            kept = stash / relative
            if kept.exists():
                status = kept.stat()
                shutil.copy2(kept, root / relative)
                os.chown(root / relative, status.st_uid, status.st_gid)
        shutil.rmtree(stash)


def account_lines(tailoring: Tailoring) -> dict[str, str]:
    """Lines to append to the account files under /etc; ``!`` is a locked password (shadow(5))."""
    user, uid = tailoring.user, PERSON_UID
    return {
        "passwd": f"{user}:x:{uid}:{uid}:{tailoring.full_name},,,:/home/{user}:/bin/bash\n",
        "shadow": f"{user}:!:19000:0:99999:7:::\n",
        "group": f"{user}:x:{uid}:\n",
        "gshadow": f"{user}:!::\n",
    }


def lock_root(root: Path, log: Path, tick: Callable[[], None]) -> None:
    """Leave root without a password that could ever match."""
    run(["chroot", str(root), "passwd", "--lock", "root"], log, tick, timeout=60)


def _default_target(recipe: Recipe) -> str:
    return "graphical.target" if recipe.kind == "desktop" else "multi-user.target"


def _layer_files(layer: Path) -> Iterator[tuple[Path, Path]]:
    for path in sorted(layer.rglob("*")):
        if path.is_file():
            yield path, path.relative_to(layer)


def _place(source: Path, target: Path) -> None:
    """Copy a file of the repository: owned by root, and executable exactly if it is so there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) and source.stat().st_mode & stat.S_IXUSR else 0o644)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
