"""The QEMU that plays the laptop's hardware: built with nested KVM put right, and not installed.

Its libraries, firmware and data files are unpacked from Debian's packages of the same release. The partitions
inside the laptop run on Debian 12's QEMU as on any other machine.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from twinhull_images import sources
from twinhull_images.run import capture, run

from .emulator_build import CACHE, RELEASE, SUITE, fixed_qemu, machine_sources

PACKAGES = ("qemu-system-x86", "ovmf")
LIBRARIES = ("usr/lib/x86_64-linux-gnu",)


@dataclass(frozen=True)
class Emulator:
    """An unpacked QEMU.

    Attributes:
        command: the words that start it.
        environment: variables it needs beyond the caller's.
        firmware: UEFI code, and its empty variables.
        variables: the empty variables.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    firmware: Path
    variables: Path


def emulator(say: Callable[[str], None]) -> Emulator:
    """Build and unpack QEMU where that is not done yet (minutes).

    Args:
        say: told what goes on.

    Raises:
        twinhull_images.run.CommandFailed: the archive cannot be reached, or the build failed.
    """
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    root = CACHE / f"qemu-{key}"
    program = fixed_qemu(say)
    if not root.exists():
        say("Unpacking QEMU")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=CACHE) as name:
            _unpack(Path(name), root)
    loader = [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path"]
    libraries = ":".join(str(root / part) for part in LIBRARIES)
    data = ["-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios")]
    return Emulator(
        (
            *loader,
            libraries,
            str(program),
            *data,
            "-L",
            str(root / "usr/lib/ipxe/qemu"),
        ),
        {"QEMU_MODULE_DIR": str(root / "usr/lib/x86_64-linux-gnu/qemu")},
        root / "usr/share/OVMF/OVMF_CODE_4M.fd",
        root / "usr/share/OVMF/OVMF_VARS_4M.fd",
    )


def _unpack(work: Path, result: Path) -> None:
    (mirror,) = (source for source in machine_sources() if source.suite == RELEASE)
    listed = work / "sources.list"
    listed.write_text(f"{replace(mirror, suite=SUITE).line()}\n")
    settings = work / "apt.conf"
    settings.touch(mode=0o600)
    settings.write_text(
        sources.mirror_settings(capture(["apt-config", "dump"])[1])
        + 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n'
    )
    root = work / "root"
    options = ["--mode=root", "--variant=extract", "--format=directory", f"--aptopt={settings}"]
    argv = ["mmdebstrap", *options, f"--include={','.join(PACKAGES)}", "", str(root), str(listed)]
    run(argv, CACHE / "qemu.log", lambda: None)
    root.rename(result)
