"""QEMU with two locks put right, so that the virtual laptop can run guests of its own under SVM.

Built from Debian's own source package in a root of its own; nothing is installed on this machine.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twinhull_images import pipeline, sources
from twinhull_images.run import capture, run
from twinhull_installer import paths

from tests.support.edits import Edit, apply

CACHE = paths.CACHE / "lab"
RELEASE = "bookworm"
SUITE = "trixie"
"""Debian's stable release, of this machine's own mirror: the C library that the unpacked QEMU brings, too."""
PROGRAM = "qemu-system-x86_64"
TOOLS = ("dpkg-dev", "gcc", "libc6-dev", "meson", "ninja-build", "pkgconf", "python3-venv")
LIBRARIES = ("libglib2.0-dev", "libpixman-1-dev", "libpng-dev", "libslirp-dev", "libusbredirparser-dev")
# Blobs are not in Debian's source; firmware comes from the packages.
OPTIONS = (
    *("--target-list=x86_64-softmmu", "--without-default-features", "--disable-download"),
    *(
        "--disable-install-blobs",
        "--disable-docs",
        "--disable-tools",
        "--disable-debug-info",
        "--disable-werror",
    ),
    *("--enable-system", "--enable-tcg", "--enable-slirp", "--enable-tpm", "--enable-usb-redir"),
    *("--enable-pixman", "--enable-png", "-Doptimization=2"),
)
BUILD_SECONDS = 3600.0


SVM = "target/i386/tcg/system/svm_helper.c"
EDITS = (
    # cpu_interrupt() asserts the lock; a guest that sets CR8 with a virtual interrupt pending has it not.
    Edit(
        "target/i386/tcg/system/misc_helper.c",
        "            cpu_interrupt(cs, CPU_INTERRUPT_VIRQ);\n",
        "            bql_lock();\n"
        "            cpu_interrupt(cs, CPU_INTERRUPT_VIRQ);\n"
        "            bql_unlock();\n",
    ),
    # VMRUN changes the same word as other threads do under the lock: an interrupt could get lost.
    Edit(
        SVM,
        "        cs->interrupt_request |= CPU_INTERRUPT_VIRQ;\n",
        "        bql_lock();\n        cs->interrupt_request |= CPU_INTERRUPT_VIRQ;\n        bql_unlock();\n",
    ),
    Edit(SVM, '#include "qemu/log.h"\n', '#include "qemu/log.h"\n#include "qemu/main-loop.h"\n'),
)


def machine_sources() -> tuple[sources.Source, ...]:
    """This machine's own sources of Debian packages."""
    return sources.select(sources.read_machine(), RELEASE, pipeline.signed_by_debian)


def fixed_qemu(say: Callable[[str], None]) -> Path:
    """Build QEMU where that is not done yet (about 4 minutes on 2 processors).

    Args:
        say: told what goes on.

    Returns:
        The program; it needs the libraries and data files of trixie's QEMU package.

    Raises:
        tests.support.edits.SourceChanged: an edit does not fit the source.
        twinhull_images.run.CommandFailed: the archive cannot be reached, or the build failed; the log tells.
    """
    key = hashlib.sha256(repr((SUITE, TOOLS, LIBRARIES, OPTIONS, EDITS)).encode()).hexdigest()[:16]
    result = CACHE / f"fixed-{key}" / PROGRAM
    if not result.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
            built = _build(Path(name), say)
            result.parent.mkdir(exist_ok=True)
            built.rename(result)
    return result


def _build(work: Path, say: Callable[[str], None]) -> Path:
    log = CACHE / "fixed.log"
    root = work / "root"
    say("Unpacking the tools that build QEMU")
    _make_root(work, root, log)
    say("Fetching QEMU's source")
    (root / "src").mkdir()
    _inside(root, "/src", ["apt-get", "source", "--download-only", "qemu"], log)
    (description,) = (root / "src").glob("qemu_*.dsc")
    # apt checked it against the signed index; the developer's own signature needs a keyring that is not here.
    _inside(root, "/src", ["dpkg-source", "--no-check", "-x", description.name, "/src/qemu"], log)
    for edit in EDITS:
        apply(edit, root / "src/qemu")
    say("Building QEMU (minutes)")
    (root / "build").mkdir()
    _inside(root, "/build", ["/src/qemu/configure", *OPTIONS], log)
    jobs = str(len(os.sched_getaffinity(0)))
    _inside(root, "/build", ["ninja", "-j", jobs, PROGRAM], log)
    _inside(root, "/build", ["strip", PROGRAM], log)
    return root / "build" / PROGRAM


def _make_root(work: Path, root: Path, log: Path) -> None:
    (mirror,) = (source for source in machine_sources() if source.suite == RELEASE)
    line = replace(mirror, suite=SUITE).line()
    listed = work / "sources.list"
    listed.write_text(f"{line}\n{line.replace('deb ', 'deb-src ', 1)}\n")
    settings = work / "apt.conf"
    settings.touch(mode=0o600)
    settings.write_text(
        sources.mirror_settings(capture(["apt-config", "dump"])[1])
        + 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n'
    )
    # The lists stay: the source is fetched with them.
    options = ["--mode=root", "--variant=apt", "--format=directory", "--skip=cleanup/apt"]
    options += [f"--aptopt={settings}", f"--include={','.join((*TOOLS, *LIBRARIES))}"]
    run(["mmdebstrap", *options, "", str(root), str(listed)], log, lambda: None)


def _inside(root: Path, directory: str, argv: list[str], log: Path) -> None:
    # Its own /proc goes with the process; the machine sees no mount.
    space = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", f"--root={root}"]
    run([*space, f"--wd={directory}", *argv], log, lambda: None, timeout=BUILD_SECONDS)
