"""Real volumes and machines for tests: real libvirt, real QEMU, everything removed afterwards. Needs root."""

from __future__ import annotations

import grp
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from twinhull_hypervisor.domain.spec import Accelerator, Disk, DomainSpec, Firmware
from twinhull_hypervisor.images.store import import_image
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage.slots import Argon2Cost
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
"""The least the key file accepts."""
PASSPHRASE = b"correct horse battery"
UIDS = {Partition.CORPORATE: 70001, Partition.PERSONAL: 70002}
"""As in security.md; no such users need exist."""
QEMU_GID = grp.getgrnam("libvirt-qemu").gr_gid
"""Who may pass through libvirt's directory of machines; the real accounts are members of it."""


@contextmanager
def passable_directory() -> Iterator[Path]:
    """A directory QEMU's users can pass through and not list, like /var/lib/twinhull."""
    directory = Path(tempfile.mkdtemp(prefix="twinhull-test-", dir="/var/tmp"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def make_base(directory: Path) -> Path:
    """A golden image with nothing on it, imported into ``directory``/images."""
    store = directory / "images"
    store.mkdir(mode=0o711)
    source = directory / "download"
    run(["qemu-img", "create", "-q", "-f", "qcow2", source, "64M"], timeout=30)
    return _imported(source, store)


def make_another_base(store: Path, value: int) -> Path:
    """A newer golden image, which begins with 64 KiB of a value, imported into ``store``."""
    source = store.with_name("another-download")
    run(["qemu-img", "create", "-q", "-f", "qcow2", source, "96M"], timeout=30)
    run(["qemu-io", "-f", "qcow2", "-c", f"write -P {value} 0 64k", source], timeout=30)
    return _imported(source, store)


def _imported(source: Path, store: Path) -> Path:
    content = source.read_bytes()
    fd = os.open(source, os.O_RDONLY)
    try:
        return import_image(fd, hashlib.sha256(content).hexdigest(), len(content), store)
    finally:
        os.close(fd)


def make_volume(directory: Path, partition: Partition) -> QemuLuksVolume:
    """A partition's volume, not yet created."""
    place = directory / "volumes" / partition.value
    place.mkdir(mode=0o711, parents=True)
    place.parent.chmod(0o711)
    return QemuLuksVolume(partition, place, cost=QUICK)


def small_machine(volume: QemuLuksVolume, base: Path, partition: Partition) -> DomainSpec:
    """A machine that is enough for UEFI to run, without a network."""
    return DomainSpec(
        partition=partition,
        uuid=uuid4(),
        accelerator=Accelerator.EMULATION,
        vcpus=1,
        memory_mib=128,
        uid=UIDS[partition],
        gid=QEMU_GID,
        firmware=Firmware(volume.paths.nvram),
        disk=Disk(volume.paths.overlay, base, volume.secret_uuid),
        network=None,
    )


def make_volumes(place: Path, passphrase: str) -> Path:
    """A volume for each partition below a directory, as quickly as can be; returns that directory.

    Made once and copied: qemu-img takes a second to measure how long its key takes to derive.
    """
    base = make_base(place)
    for partition in Partition:
        (place / partition).mkdir()
        QemuLuksVolume(partition, place / partition, cost=QUICK).create(base, 1, passphrase.encode())
    return place
