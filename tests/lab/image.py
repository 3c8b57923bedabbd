"""The virtual laptop's disk: Debian with its generic kernel under systemd, made once and kept by content.

What Twinhull's installer would fetch is in it already (packages, locked libraries), so the laptop needs no
network beyond the link a test gives it; Twinhull itself is not: that is installed in the running laptop.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from twinhull_images import boot, disk, sources, tree
from twinhull_images.recipe import BASE_PACKAGES, Kind, Recipe
from twinhull_images.run import capture, run
from twinhull_installer import environment, packages, paths
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress

from .emulator_build import CACHE, machine_sources

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FILES = Path(__file__).resolve().parent / "files"
ACCESS_KEY = CACHE / "access"
"""SSH key of this machine's own for its virtual laptops."""
LOCKS = ("requirements-build.lock", "requirements.lock")
EXTRA_PACKAGES = (
    "linux-image-amd64",
    "openssh-server",
    "apparmor",
    "cryptsetup-bin",
    "tpm2-tools",
    "usbutils",
    "pciutils",
    "tcpdump",
    "kbd",
    "evtest",
    "systemd-timesyncd",
    "procps",
)
DISK_MIB = 24 * 1024
KERNEL_OPTIONS = (
    "rw console=tty0 console=ttyS0 loglevel=4 random.trust_cpu=on systemd.show_status=false nowatchdog "
    # An emulated timer can be late enough to be taken for broken; a panic is to end the machine.
    "no_timer_check panic=-1 "
    # Against side channels of real processors; in an emulated one they only cost.
    "mitigations=off "
    # What Twinhull's own documentation asks of a host: docs/devices.md.
    "intel_iommu=on iommu=pt usbcore.authorized_default=0"
)


def base_image(say: Callable[[str], None]) -> Path:
    """The disk image, building it if what it is made from has changed (minutes).

    Args:
        say: told what goes on.

    Raises:
        twinhull_images.run.CommandFailed, twinhull_installer.errors.CommandFailed: a step failed.
    """
    result = CACHE / f"base-{base_key()}.qcow2"
    if result.exists():
        return result
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "base.log"
    log.write_text("")
    with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
        work = Path(name)
        fresh = _build(work, log, say)
        fresh.rename(result)
    for other in CACHE.glob("base-*.qcow2"):
        if other != result:
            other.unlink()
    return result


def base_key() -> str:
    """Names the image: equal inputs, equal name."""
    return _key(repr((EXTRA_PACKAGES, BASE_PACKAGES, KERNEL_OPTIONS, DISK_MIB)))


def root_key(extra: tuple[str, ...]) -> str:
    """Names what :func:`make_root` makes: equal inputs, equal name."""
    return _key(repr((extra, BASE_PACKAGES)))


def _key(settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    files = [Path(__file__), Path(boot.__file__), Path(disk.__file__), Path(tree.__file__)]
    files += [REPOSITORY / "installer/packages.txt", *(REPOSITORY / name for name in LOCKS)]
    files += sorted(path for path in FILES.rglob("*") if path.is_file())
    for source in machine_sources():
        digest.update(source.line().encode())
        index = source.release_file(Path("/var/lib/apt/lists"))
        files += [index] if index.exists() else []
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def make_access_key() -> None:
    """The key pair that opens virtual laptops of this machine, and nothing else."""
    if not ACCESS_KEY.exists():
        ACCESS_KEY.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f", ACCESS_KEY], check=True
        )


def make_root(root: Path, extra: tuple[str, ...], log: Path, say: Callable[[str], None]) -> None:
    """Make the laptop's file system under ``root``: packages, locked libraries, configuration (minutes).

    Args:
        root: where; must not exist yet.
        extra: Debian packages besides those that Twinhull and a bare system need.
        log: gets what the programs print.
        say: told what goes on.

    Raises:
        twinhull_images.run.CommandFailed, twinhull_installer.errors.CommandFailed: a step failed.
    """
    needed = packages.listed(REPOSITORY / "installer/packages.txt")
    wanted = tuple(dict.fromkeys((*BASE_PACKAGES, *extra, *needed)))
    # Of the two kinds the one that keeps every driver.
    recipe = Recipe(Kind.DESKTOP, wanted, DISK_MIB, 0)
    say("Installing the laptop's packages")
    settings = sources.mirror_settings(capture(["apt-config", "dump"])[1])
    tree.install(recipe, machine_sources(), settings, root, paths.CACHE / "packages", log, lambda: None)
    say("Installing the locked libraries")
    _install_libraries(root, Runner(log))
    say("Configuring the laptop")
    make_access_key()
    _configure(root)


def _build(work: Path, log: Path, say: Callable[[str], None]) -> Path:
    root = work / "root"

    def tick() -> None:
        return None

    make_root(root, EXTRA_PACKAGES, log, say)
    say("Laying out its disk")
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, base_key()))
    boot.make_ramdisk(root, identity, work / "ramdisk", work / "initrd", log, tick)
    program = work / "boot.efi"
    boot.make_efi_program(root, identity, work / "initrd", work, program, log, tick, options=KERNEL_OPTIONS)
    raw, packed = work / "disk.raw", work / "disk.qcow2"
    disk.make_raw(root, program, identity, DISK_MIB, raw, log, tick)
    # Not compressed: the laptop is started often and reads much of it.
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(packed)], log, tick)
    return packed


def _install_libraries(root: Path, runner: Runner) -> None:
    """What the installer would fetch, at the place where it would put it."""
    asked = subprocess.run(
        ["chroot", root, "/usr/bin/python3", "-c", "import sys; print(sys.version)"],
        capture_output=True,
        text=True,
        check=True,
    )
    locks = [REPOSITORY / name for name in LOCKS]
    place = paths.VENVS / environment.key(locks, asked.stdout.rstrip("\n"))
    directory = root / place.relative_to("/")
    directory.parent.mkdir(parents=True)
    with Path(os.devnull).open("w") as nowhere:
        environment.build(runner, directory, locks, Progress(nowhere, 1, 1, ""))
    for script in (directory / "bin").iterdir():
        if script.is_file() and not script.is_symlink():
            text = script.read_bytes()
            script.write_bytes(text.replace(str(directory).encode(), str(place).encode()))


def _configure(root: Path) -> None:
    for left_over in ("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"):
        (root / left_over).unlink(missing_ok=True)
    for path in (root / "var/cache/apt").rglob("*"):
        if path.is_file():
            path.unlink()
    # The installer names golden images by these; in here they are those of the machine that builds them.
    for directory in ("etc/apt/sources.list.d", "var/lib/apt/lists"):
        shutil.rmtree(root / directory, ignore_errors=True)
        (root / directory).mkdir()
    chosen = machine_sources()
    (root / "etc/apt/sources.list").write_text("".join(f"{source.line()}\n" for source in chosen))
    for source in chosen:
        index = source.release_file(Path("/var/lib/apt/lists"))
        if index.exists():
            shutil.copyfile(index, root / "var/lib/apt/lists" / index.name)
    shutil.copytree(FILES, root, dirs_exist_ok=True)
    units = root / "etc/systemd/system"
    for unit in tree.MASKED_UNITS:
        if unit != "serial-getty@ttyS0.service":
            _link(units / unit, "/dev/null")
    _link(units / "default.target", "/lib/systemd/system/multi-user.target")
    _link(
        units / "multi-user.target.wants/systemd-networkd.service",
        "/lib/systemd/system/systemd-networkd.service",
    )
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/fstab").write_text("LABEL=payload /media/payload ext4 ro,nofail,noauto 0 0\n")
    (root / "media/payload").mkdir()
    (root / "etc/hostname").unlink(missing_ok=True)
    (root / "etc/hostname").write_text("laptop\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost laptop\n::1 localhost\n")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    access = root / "root/.ssh"
    access.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(ACCESS_KEY.with_suffix(".pub"), access / "authorized_keys")


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
