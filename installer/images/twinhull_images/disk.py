"""The guest's disk: a GPT with an EFI system partition and an ext4 root, made as plain files, then packed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .run import run

MIB = 1024 * 1024
ESP_START_MIB = 1
ESP_MIB = 96
ROOT_START_MIB = ESP_START_MIB + ESP_MIB
# The Discoverable Partitions Specification: EFI system partition, and root for x86-64.
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ROOT_TYPE = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"


def make_raw(
    tree: Path,
    efi_program: Path,
    root_uuid: str,
    virtual_mib: int,
    result: Path,
    log: Path,
    tick: Callable[[], None],
) -> None:
    """Write a raw, sparse disk of ``virtual_mib`` MiB that starts ``efi_program`` and holds ``tree``.

    Raises:
        CommandFailed: a tool failed, most often for want of room.
    """
    root_mib = virtual_mib - ROOT_START_MIB - 1
    result.touch()
    os.truncate(result, virtual_mib * MIB)
    layout = (
        "label: gpt\n"
        f"start={ESP_START_MIB}MiB, size={ESP_MIB}MiB, type={ESP_TYPE}, name=boot\n"
        f"start={ROOT_START_MIB}MiB, size={root_mib}MiB, type={ROOT_TYPE}, name=root\n"
    )
    run(["sfdisk", "--quiet", str(result)], log, tick, 60, stdin=layout)

    esp = result.with_suffix(".esp")
    esp.touch()
    os.truncate(esp, ESP_MIB * MIB)
    run(["mkfs.fat", "-F", "32", "-n", "BOOT", str(esp)], log, tick, 60)
    run(["mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT"], log, tick, 60)
    run(["mcopy", "-i", str(esp), str(efi_program), "::/EFI/BOOT/BOOTX64.EFI"], log, tick, 60)
    _copy_into(esp, result, ESP_START_MIB * MIB)
    esp.unlink()

    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", "root", "-U", root_uuid, "-m", "1"]
    argv += ["-E", f"offset={ROOT_START_MIB * MIB},lazy_itable_init=1,root_owner=0:0,hash_seed={root_uuid}"]
    run([*argv, "-d", str(tree), str(result), f"{root_mib}m"], log, tick, 600)


def compress(raw: Path, result: Path, log: Path, tick: Callable[[], None]) -> None:
    """Pack a raw disk into a compressed qcow2 image."""
    options = "compression_type=zstd,cluster_size=65536"
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-W", "-m", "8", "-o", options]
    run([*argv, str(raw), str(result)], log, tick, 900)


def _copy_into(source: Path, target: Path, offset: int) -> None:
    """Copy the parts of a sparse file that hold data into another at an offset."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        position = 0
        while chunk := reader.read(MIB):
            if chunk.strip(b"\0"):
                writer.seek(offset + position)
                writer.write(chunk)
            position += len(chunk)
