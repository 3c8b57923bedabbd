"""Pixels from a viewer, checked before they are mapped.

The memory must be sealed against shrinking (a viewer that could shrink it would end this process with
SIGBUS) and hold all rows the message promises. Only then is it mapped, read-only.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from PySide6.QtCore import QRect
from PySide6.QtGui import QImage

from twinhull_client.viewer import protocol

NEEDED_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class Frame:
    """One partition's screen, live: the image shows what the viewer writes.

    The image is a view of the mapping, so it lives no longer than this object; painting is all it is for.
    """

    def __init__(self, mapping: mmap.mmap, width: int, height: int, stride: int) -> None:
        self._mapping = mapping
        self.rect = QRect(0, 0, width, height)
        self.image = QImage(memoryview(mapping), width, height, stride, QImage.Format.Format_RGB32)

    def damaged(self, damage: protocol.Damage) -> QRect:
        """The damage as a rectangle. Raises ProtocolError when it is not inside the frame."""
        rect = QRect(damage.x, damage.y, damage.width, damage.height)
        if not self.rect.contains(rect):
            raise protocol.ProtocolError("damage outside the frame")
        return rect


def map_frame(message: protocol.Frame, untrusted_fd: int) -> Frame:
    """Map a viewer's frame; takes ``untrusted_fd`` over. Raises ProtocolError if it cannot be trusted."""
    if message.stride < message.width * protocol.BYTES_PER_PIXEL or message.stride % protocol.BYTES_PER_PIXEL:
        os.close(untrusted_fd)
        raise protocol.ProtocolError("rows shorter than the width")
    mapping = _map(untrusted_fd, message.stride * message.height)
    return Frame(mapping, message.width, message.height, message.stride)


def cursor_image(message: protocol.Cursor, untrusted_fd: int) -> QImage:
    """A copy of a viewer's pointer image; takes ``untrusted_fd`` over. Raises ProtocolError as above."""
    if message.hot_x > message.width or message.hot_y > message.height:
        os.close(untrusted_fd)
        raise protocol.ProtocolError("hot spot outside the pointer")
    stride = message.width * protocol.BYTES_PER_PIXEL
    mapping = _map(untrusted_fd, stride * message.height)
    image = QImage(memoryview(mapping), message.width, message.height, stride, QImage.Format.Format_RGBA8888)
    return image.copy()


def copied(message: protocol.ClipboardText | protocol.ClipboardImage, untrusted_fd: int) -> bytes:
    """A copy of what a guest has copied; takes ``untrusted_fd`` over. Raises ProtocolError as above."""
    mapping = _map(untrusted_fd, message.size)
    with mapping:
        return bytes(mapping)


def copied_file(message: protocol.FileContent, untrusted_fd: int) -> bytes:
    """A copy of a file's content and name; takes ``untrusted_fd`` over. Raises ProtocolError as above."""
    mapping = _map(untrusted_fd, message.size + message.name_size)
    with mapping:
        return bytes(mapping[: message.size + message.name_size])


def _map(untrusted_fd: int, size: int) -> mmap.mmap:
    try:
        if fcntl.fcntl(untrusted_fd, fcntl.F_GET_SEALS) & NEEDED_SEALS != NEEDED_SEALS:
            raise protocol.ProtocolError("memory is not sealed")
        if size > protocol.MAX_FRAME_BYTES or os.fstat(untrusted_fd).st_size < size:
            raise protocol.ProtocolError("memory too small")
        return mmap.mmap(untrusted_fd, size, prot=mmap.PROT_READ)
    except (OSError, ValueError) as error:
        raise protocol.ProtocolError("not mappable memory") from error
    finally:
        os.close(untrusted_fd)
