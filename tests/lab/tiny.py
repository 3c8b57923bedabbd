"""The smallest guest there can be: a disk from which UEFI starts a program that stops the processor.

A real guest boots for many minutes where an emulated laptop emulates its machine once more. What a device is
given to is the machine, its USB controller and its QEMU, all of them real; a guest that does nothing costs
nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from twinhull_images import cache

MIB = 1024 * 1024
DISK_MIB = 64
ESP_START = 1 * MIB
ESP_MIB = 48
HALT = bytes.fromhex("fa b030 e643 b88003e0fe c70000000000 f4 ebfd")
"""``cli``; channel 0 of the PIT (8254) waits in mode 0 for a count that does not come; the local APIC's timer
gets none (SDM 3A, initial count register); ``hlt``. A timer that the firmware left keeps QEMU waking up.
"""
SECTION = 0x1000
FILE_ALIGNMENT = 0x200


def halting_program() -> bytes:
    """An EFI application that halts: one section, no imports (Microsoft's PE Format, 'PE32+')."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    # x86-64, one section, optional header of 240 bytes; executable, large addresses.
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, FILE_ALIGNMENT, 0, 0, SECTION, SECTION)
    optional += struct.pack("<QIIHHHHHHI", 0, SECTION, FILE_ALIGNMENT, 0, 0, 0, 0, 0, 0, 0)
    # Subsystem 10: EFI application.
    optional += struct.pack("<IIIHHQQQQII", 2 * SECTION, FILE_ALIGNMENT, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    optional += bytes(16 * 8)
    section = struct.pack(
        "<8sIIIIIIHHI", b".text", len(HALT), SECTION, FILE_ALIGNMENT, FILE_ALIGNMENT, 0, 0, 0, 0, 0x60000020
    )
    headers = (dos + coff + optional + section).ljust(FILE_ALIGNMENT, b"\0")
    return headers + HALT.ljust(FILE_ALIGNMENT, b"\0")


def tiny_images(images: Path, result: Path) -> None:
    """Golden images that take the place of ``images``: as many, named alike, with nothing in them that runs.

    Args:
        images: a directory that ``installer/images/build`` made.
        result: gets theirs; must not exist yet.
    """
    result.mkdir(parents=True)
    manifest = json.loads((images / cache.MANIFEST).read_text())
    with tempfile.TemporaryDirectory() as name:
        raw = _disk(Path(name))
        for number, image in enumerate(manifest["images"]):
            file = result / image["file"]
            # Images are told apart by their content.
            with raw.open("r+b") as disk:
                disk.seek(ESP_START + ESP_MIB * MIB)
                disk.write(bytes([number]))
            subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, file], check=True)
            content = file.read_bytes()
            image.update(length=len(content), sha256=hashlib.sha256(content).hexdigest())
            image.update(virtual_size=DISK_MIB * MIB)
    # Beside partitions that are emulated nothing asks whether KVM works.
    (result / manifest["probe_kernel"]).write_bytes(b"no kernel")
    (result / cache.MANIFEST).write_text(json.dumps(manifest))


def _disk(work: Path) -> Path:
    program, esp, raw = work / "boot.efi", work / "esp", work / "disk.raw"
    program.write_bytes(halting_program())
    for file, size in ((esp, ESP_MIB), (raw, DISK_MIB)):
        file.touch()
        os.truncate(file, size * MIB)
    subprocess.run(["mkfs.fat", "-F", "32", "-n", "BOOT", esp], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"], check=True)
    subprocess.run(["mcopy", "-i", esp, program, "::/EFI/BOOT/BOOTX64.EFI"], check=True)
    layout = "label: gpt\nstart=1MiB, size=48MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b\n"
    subprocess.run(["sfdisk", "--quiet", raw], input=layout, text=True, check=True)
    with raw.open("r+b") as disk:
        disk.seek(ESP_START)
        disk.write(esp.read_bytes())
    return raw
