"""Guests without an operating system that paint known patterns, on real QEMU with a real SPICE server.

Each is the one sector of painter.s. What the SPICE agent would do, learn the size of the window, it does on a
serial port that QEMU gives to SPICE as the agent's channel. Bochs's display is used because QEMU passes the
window's size on to the agent there, and does not keep it for a driver of the display, which firmware lacks.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QBrush, QImage, QPainter

SOURCE = Path(__file__).with_suffix(".s")
QEMU = "/usr/bin/qemu-system-x86_64"
COLOURS_AT = 4
CHECKER = 0x202020
COLOURS = {
    "corporate": (0x1040C0, 0x20A040, 0xC0C010, 0x101010),
    "personal": (0xC04010, 0xA02090, 0xE0E0E0, 0x405060),
}
"""Of the four quarters: upper left, upper right, lower left, lower right."""


def sector(folder: Path) -> bytes:
    """The assembled guest, without its colours."""
    subprocess.run(["/usr/bin/as", "--32", "-o", folder / "painter.o", SOURCE], check=True, timeout=60)
    subprocess.run(
        [
            *("/usr/bin/ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00"),
            *("-o", folder / "painter.bin", folder / "painter.o"),
        ],
        check=True,
        timeout=60,
    )
    return (folder / "painter.bin").read_bytes()


@contextmanager
def painting_guests(folder: Path) -> Iterator[dict[str, Path]]:
    """One guest for each partition, in its own colours; yields the sockets of their SPICE servers."""
    code = bytearray(sector(folder))
    sockets, processes = {}, []
    try:
        for name, colours in COLOURS.items():
            code[COLOURS_AT : COLOURS_AT + 16] = b"".join(each.to_bytes(4, "little") for each in colours)
            disk = folder / f"{name}.raw"
            disk.write_bytes(code)
            sockets[name] = folder / f"{name}.spice"
            processes.append(
                subprocess.Popen(
                    [
                        *(QEMU, "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-display", "none"),
                        *("-device", "VGA,vgamem_mb=32", "-drive", f"file={disk},format=raw,if=ide"),
                        *(
                            "-chardev",
                            "spicevmc,id=agent,name=vdagent",
                            "-device",
                            "isa-serial,chardev=agent",
                        ),
                        *("-spice", f"unix=on,addr={sockets[name]},disable-ticketing=on,agent-mouse=off"),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        yield sockets
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


def expected(name: str, width: int, height: int, *, inverted: bool = False) -> QImage:
    """What a guest of this size shows."""
    image = QImage(width, height, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    tone = 0xFFFFFF if inverted else 0
    half = QPoint((width + 1) // 2, (height + 1) // 2)
    everything = QRect(0, 0, width, height)
    for quarter, colour in enumerate(COLOURS[name]):
        tile = QImage(2, 2, QImage.Format.Format_RGB32)
        for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
            tile.setPixel(x, y, 0xFF000000 | (colour ^ tone ^ (CHECKER if x ^ y else 0)))
        corner = QPoint(half.x() if quarter & 1 else 0, half.y() if quarter & 2 else 0)
        painter.fillRect(QRect(corner, everything.bottomRight()), QBrush(tile))
    painter.end()
    return image


def connect(path: Path) -> int:
    """One SPICE connection; the caller owns it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection.detach()
