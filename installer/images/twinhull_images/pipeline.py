"""Build a pair of images, or find that they are there already."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from . import boot, cache, disk, tree
from .errors import (
    DiskFull,
    ImageBuildError,
    MirrorUnreachable,
    NoDebianSources,
    NotDebian,
    NotRoot,
    StepFailed,
)
from .progress import Listener, Progress
from .recipe import MACHINE_TOOLS, RECIPES, TAILORINGS, Kind, Recipe
from .run import CommandFailed, capture, require
from .sources import KEYRING, Source, mirror_settings, read_machine, select

STEPS = 9
PROBE_KERNEL = "probe-kernel"
LISTS = Path("/var/lib/apt/lists")
CODE = Path(__file__).resolve().parent
WORK_PREFIX = ".work-"
_NO_ROOM = re.compile(r"No space left on device|ENOSPC|You don't have enough free space")
_NO_MIRROR = re.compile(
    r"(Could not resolve|Temporary failure resolving|Could not connect|Cannot initiate the connection|"
    r"Connection (?:failed|timed out|refused)|Unable to connect|Network is unreachable)[^\n]*"
)


def build(
    kind: Kind, output: Path, listener: Listener, notice: Callable[[str], None], packages: Path | None = None
) -> cache.Manifest:
    """Give the manifest of an up-to-date pair of images, building it first where needed.

    Args:
        kind: small or desktop.
        output: directory of results; the images are in ``output / manifest.key``.
        listener: hears of each step; silent when nothing has to be built.
        notice: is told, in a sentence, when another build has to be waited for.
        packages: directory that keeps downloaded packages between builds.

    Raises:
        ImageBuildError: with the reason in one sentence; nothing half-done is left but the log.
    """
    if platform.freedesktop_os_release().get("ID") != "debian":
        raise NotDebian(system=platform.freedesktop_os_release().get("PRETTY_NAME", "another system"))
    require(MACHINE_TOOLS)
    recipe = RECIPES[kind]
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    sources = select(read_machine(), codename, signed_by_debian)
    if not any(source.suite == codename for source in sources):
        raise NoDebianSources(codename=codename)
    code = cache.files_under((CODE, *recipe.all_layers()), CODE.parent)
    key = cache.cache_key(recipe, code, ((source, _index_hash(source)) for source in sources))
    if manifest := cache.load(output / key):
        return manifest
    if os.geteuid() != 0:
        raise NotRoot
    output.mkdir(parents=True, exist_ok=True)
    with (
        _termination_as_interrupt(),
        cache.lock(output, lambda: notice("Waiting for another build to finish.")),
    ):
        for abandoned in output.glob(WORK_PREFIX + "*"):
            shutil.rmtree(abandoned)
        if manifest := cache.load(output / key):
            return manifest
        _check_room(recipe, output)
        work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=output))
        progress = Progress(STEPS, listener)
        log = output / f"{kind}.log"
        log.write_text("")
        try:
            return _build(recipe, key, sources, output, work, packages, progress, log)
        except (CommandFailed, OSError) as error:
            raise _explain(error, recipe, output, progress, log) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _build(
    recipe: Recipe,
    key: str,
    sources: tuple[Source, ...],
    output: Path,
    work: Path,
    packages: Path | None,
    progress: Progress,
    log: Path,
) -> cache.Manifest:
    root, result, tick = work / "root", work / "result", progress.tick
    result.mkdir(mode=0o755)
    images: list[cache.Image] = []
    with progress.step("Install packages"):
        settings = mirror_settings(capture(["apt-config", "dump"])[1])
        tree.install(recipe, sources, settings, root, packages, log, tick)
    with progress.step("Configure the system"):
        tree.configure(recipe, root)
        tree.lock_root(root, log, tick)
    with progress.step("Make the boot program"):
        root_uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, key))
        boot.make_ramdisk(root, root_uuid, work / "ramdisk", work / "initrd", log, tick)
        boot.make_efi_program(root, root_uuid, work / "initrd", work, work / "boot.efi", log, tick)
        kernel = root / "boot" / f"vmlinuz-{boot.kernel_release(root)}"
        (result / PROBE_KERNEL).write_bytes(boot.unpacked_kernel(kernel.read_bytes()))
    for tailoring in TAILORINGS:
        name = f"{tailoring.partition}-{recipe.kind}"
        raw, file = work / f"{name}.raw", result / f"{name}.qcow2"
        with (
            progress.step(f"Lay out the {tailoring.partition} disk"),
            tree.tailored(recipe, tailoring, root, work / "stash"),
        ):
            disk.make_raw(root, work / "boot.efi", root_uuid, recipe.virtual_mib, raw, log, tick)
        with progress.step(f"Compress the {tailoring.partition} disk"):
            disk.compress(raw, file, log, tick)
            raw.unlink()
            images.append(
                cache.Image(
                    name=name,
                    partition=tailoring.partition,
                    kind=str(recipe.kind),
                    file=file.name,
                    sha256=cache.sha256_of(file, tick),
                    length=file.stat().st_size,
                    virtual_size=recipe.virtual_mib * disk.MIB,
                    default_user=tailoring.user,
                )
            )
    with progress.step("Record the result"):
        manifest = cache.Manifest(key, str(recipe.kind), PROBE_KERNEL, tuple(images))
        if (output / key).exists():
            shutil.rmtree(output / key)
        result.rename(output / key)
        cache.store(output / key, manifest)
    with progress.step("Clean up"):
        shutil.rmtree(work)
    return manifest


def signed_by_debian(source: Source) -> bool:
    """Whether Debian's archive key signs the source; by its index if apt has one, else by configuration."""
    release = source.release_file(LISTS)
    if not release.exists():
        return Path(source.signed_by) == KEYRING
    return capture(["gpgv", "--quiet", "--keyring", str(KEYRING), str(release)])[0] == 0


def _index_hash(source: Source) -> str:
    release = source.release_file(LISTS)
    return hashlib.sha256(release.read_bytes()).hexdigest() if release.exists() else ""


def _check_room(recipe: Recipe, output: Path) -> None:
    free = shutil.disk_usage(output).free // disk.MIB
    if free < recipe.room_mib:
        raise DiskFull(directory=output, needed_mib=recipe.room_mib, free_mib=free)


def _explain(
    error: CommandFailed | OSError, recipe: Recipe, output: Path, progress: Progress, log: Path
) -> ImageBuildError:
    """The one sentence for what went wrong in a step."""
    text = error.tail if isinstance(error, CommandFailed) else str(error)
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or _NO_ROOM.search(text):
        free = shutil.disk_usage(output).free // disk.MIB
        return DiskFull(directory=output, needed_mib=recipe.room_mib, free_mib=free)
    if match := _NO_MIRROR.search(text):
        return MirrorUnreachable(reason=match.group().strip().rstrip("."))
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), str(error))
    return StepFailed(step=progress.title, reason=last, log=log)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C, so that temporary files go."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
