"""A picture from one computer to the other: made anew in a sandbox, seen first, under the policy, once."""

from __future__ import annotations

import random
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot
from twinhull_client.gui import picture_child
from twinhull_client.gui.errors import NotAPicture
from twinhull_client.gui.pictures import (
    INSIDE,
    MOST_OUTPUT,
    PATIENCE_MS,
    Picture,
    PictureMaker,
    command,
    remade,
)
from twinhull_client.gui.window import MainWindow
from twinhull_policy.errors import TwinhullError
from twinhull_policy.exchange import ExchangeFacts
from twinhull_policy.model import Direction, ExchangeSection, TypedTransfer

from tests.gui.exchange_guests import AN_ASKING, PATIENCE, copy, questions, receipts
from tests.support.agent_peer import GRAB, PNG, RELEASE, REQUEST, TEXT, AgentPeer
from tests.support.standin_daemon import StandInDaemon

WAIT_MS = 60_000
ASKED_FOR_PNG = struct.pack("<I", PNG)
A_PICTURE_IS_THERE = AN_ASKING[:-4] + ASKED_FOR_PNG


def png(image: QImage) -> bytes:
    """As a program in a guest would copy it."""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    assert image.save(buffer, "PNG")  # type: ignore[call-overload]  # PySide6's types want bytes, Qt wants text
    return bytes(data.data())


def painted(width: int = 9, height: int = 7) -> QImage:
    """A picture no two rows of which are alike."""
    image = QImage(width, height, QImage.Format.Format_RGBA8888)
    for y in range(height):
        for x in range(width):
            image.setPixelColor(x, y, QColor(x * 20 % 256, y * 30 % 256, 77, 255 - y))
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    """One of PNG's (PNG specification, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_secrets(content: bytes) -> bytes:
    """The same picture with words hidden in it: metadata, a chunk of nobody's, what comes after its end."""
    at = len(picture_child.SIGNATURE) + 25
    hidden = chunk(b"tEXt", b"Comment\0canary-one") + chunk(b"prIv", b"canary-two")
    return content[:at] + hidden + content[at:] + b"canary-three"


def answers_with(peer: AgentPeer, content: bytes) -> None:
    """The agent has no text, and this as its picture."""

    def answer(kind: int, data: bytes) -> None:
        if kind == REQUEST:
            image = data.endswith(ASKED_FOR_PNG)
            peer.text(content if image else b"", PNG if image else 0)

    peer.answer = answer


# -- over real SPICE servers -------------------------------------------------------------------------------


def test_a_picture_crosses_once_made_anew_and_leaves_receipts(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    source, target = peers["corporate"], peers["personal"]
    image = painted()
    answers_with(source, with_secrets(png(image)))
    copy(shown, qtbot)
    panel = shown.exchange.panel
    assert panel.picture.isVisible()
    assert not panel.text.isVisible()
    assert "9 by 7 pixels" in panel.sentence.text()
    assert panel.picture.pixmap().toImage().size() == image.size()
    assert panel.leave_button.hasFocus()  # a key that was meant for something else sends nothing
    assert target.heard == []
    target.answer = lambda kind, _data: target.request(PNG) if kind == GRAB else None
    panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    assert target.of(GRAB) == [A_PICTURE_IS_THERE]
    (crossed,) = target.of(TEXT)
    assert crossed.startswith(A_PICTURE_IS_THERE)
    content = crossed[len(A_PICTURE_IS_THERE) :]
    assert b"canary" not in content
    assert QImage.fromData(content).convertToFormat(QImage.Format.Format_RGBA8888) == image
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "used"], timeout=PATIENCE)
    assert questions(standin) == [
        ExchangeFacts(way="from_corporate", kind="clipboard", size_bytes=len(content), type="image/png")
    ]
    target.request(PNG)  # once is once
    target.grab()
    answers_with(target, png(image))
    shown.links["personal"].ask_clipboard(99, image=True)
    qtbot.waitUntil(lambda: bool(target.of(REQUEST)), timeout=PATIENCE)
    assert len(target.of(TEXT)) == 1
    assert panel.picture.pixmap().isNull()


def test_the_policy_decides_by_the_type(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    text_alone = TypedTransfer(verdict="allow", limit_bytes=2**20, types=("text/plain",))
    standin.exchange = ExchangeSection(from_corporate=Direction(clipboard=text_alone))
    answers_with(peers["corporate"], png(painted()))
    copy(shown, qtbot, "problem")
    assert "only text/plain" in shown.exchange.panel.problem.sentence.text()
    assert peers["personal"].heard == []


@pytest.mark.parametrize(
    "content",
    [b"GIF89a" + bytes(40), png(painted())[:-30]],
    ids=["another kind", "cut short"],
)
def test_what_is_no_picture_stays_where_it_is(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot, content: bytes
) -> None:
    answers_with(peers["corporate"], content)
    copy(shown, qtbot, "problem")
    assert "TH-GUI-014" in shown.exchange.panel.problem.next_step.text()
    assert questions(standin) == []
    assert peers["personal"].heard == []


def test_a_picture_that_is_made_anew_too_late_belongs_to_nothing(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    desk, source = shown.exchange, peers["corporate"]
    answers_with(source, png(painted()))
    desk.pictures.argv = ["/usr/bin/sleep", "60"]
    copy(shown, qtbot, "wait")
    qtbot.waitUntil(lambda: desk.pictures._process is not None, timeout=PATIENCE)
    process = desk.pictures._process
    assert process is not None
    qtbot.waitUntil(lambda: process.processId() > 0, timeout=PATIENCE)
    running = Path("/proc", str(process.processId()))
    assert running.exists()
    desk.panel.leave_button.click()
    assert not running.exists()
    assert not desk.panel.isVisible()
    assert questions(standin) == []


def test_a_picture_that_is_not_taken_in_a_minute_is_cleared(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    target = peers["personal"]
    answers_with(peers["corporate"], png(painted()))
    copy(shown, qtbot)
    shown.exchange.panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(GRAB)), timeout=PATIENCE)
    assert shown.exchange.offer_timer.remainingTime() > 0
    shown.exchange.offer_timer.start(0)
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    target.request(PNG)
    answers_with(target, png(painted()))
    shown.links["personal"].ask_clipboard(99, image=True)
    qtbot.waitUntil(lambda: bool(target.of(REQUEST)), timeout=PATIENCE)
    assert target.of(TEXT) == []
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "expired"], timeout=PATIENCE)


# -- the sandbox -------------------------------------------------------------------------------------------


def in_the_sandbox(tmp_path: Path, code: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run other code where the child runs."""
    script = tmp_path / "script.py"
    script.write_text(code)
    argv = [str(script) if each == picture_child.__file__ else each for each in command()]
    return subprocess.run(argv, input=given, capture_output=True, timeout=120, check=False)


def child_and(code: str) -> str:
    """The child's own code, and this where it would begin."""
    source, begin, _rest = Path(picture_child.__file__).read_text().partition('if __name__ == "__main__":')
    assert begin
    return source + code


LOOK = """
import os, socket, sys
seen = []
for path in ("/etc/passwd", "/home", "/root", "/run", "/tmp", "/srv", "/var"):
    if os.path.exists(path) and path not in sys.prefix:
        seen.append(path)
seen += [name for _, name in socket.if_nameindex() if name != "lo"]
try:
    open("/new", "w")
    seen.append("a file was made")
except OSError:
    pass
seen += [name for name in os.environ if name not in ("LC_CTYPE", "PWD")]
seen += [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 2]
print(seen)
"""


def test_the_sandbox_has_no_network_no_files_and_nobody_else(tmp_path: Path) -> None:
    root = "/" + sys.prefix.split("/")[1]
    done = in_the_sandbox(tmp_path, LOOK.replace(f'"{root}", ', "").replace(f', "{root}"', ""))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[]\n", b"")


TRY = """
import mmap, os, socket
tries = {
    "open": lambda: os.open("/usr/bin/env", os.O_RDONLY),
    "socket": lambda: socket.socket(),
    "fork": os.fork,
    "exec": lambda: os.execv("/usr/bin/env", ["env"]),
    "code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "kill": lambda: os.kill(1, 0),
    "read": lambda: os.read(0, 1),
}
confine()
said = []
for name, attempt in tries.items():
    try:
        attempt()
        said.append(name)
    except PermissionError:
        pass
sys.stdout.write(repr(said))
"""


def test_once_the_picture_is_read_the_kernel_gives_the_child_nothing_more(tmp_path: Path) -> None:
    done = in_the_sandbox(tmp_path, child_and(TRY))
    assert (done.returncode, done.stdout) == (0, b"[]")


def test_what_takes_more_than_its_share_ends_alone(tmp_path: Path) -> None:
    source = Path(picture_child.__file__).read_text()
    greedy = source.replace("    untrusted = sys", "    bytearray(2 * MEMORY)\n    untrusted = sys")
    assert greedy != source
    assert in_the_sandbox(tmp_path, greedy, png(painted())).returncode != 0
    assert in_the_sandbox(tmp_path, source, png(painted())).returncode == 0


@pytest.mark.parametrize(
    "pixels",
    [
        b"",
        b"\1\0\0\0",
        struct.pack("<II", 0, 1),
        struct.pack("<II", 2, 2) + bytes(15),
        struct.pack("<II", 2, 2) + bytes(17),
        struct.pack("<II", picture_child.MOST_SIDE + 1, 1) + bytes(4 * (picture_child.MOST_SIDE + 1)),
        struct.pack("<II", 2**31, 2**31),
    ],
)
def test_only_pixels_are_taken_from_the_sandbox(pixels: bytes) -> None:
    with pytest.raises(NotAPicture):
        remade(pixels)


def made(qtbot: QtBot, argv: list[str], given: bytes = b"x") -> TwinhullError | Picture:
    """What a maker with another child tells."""
    said: list[TwinhullError | Picture] = []
    maker = PictureMaker(argv=argv)
    maker.make(given, said.append, said.append)
    qtbot.waitUntil(lambda: bool(said), timeout=WAIT_MS)
    return said[0]


def test_a_child_that_cannot_start_is_no_picture(qtbot: QtBot) -> None:
    assert isinstance(made(qtbot, ["/nonexistent/bwrap"]), NotAPicture)
    assert PATIENCE_MS == 15_000
    assert INSIDE in command()


def test_a_large_picture_is_the_same_picture(qtbot: QtBot) -> None:
    image = painted(700, 300)  # in several parts
    picture = made(qtbot, command(), png(image))
    assert isinstance(picture, Picture)
    assert picture.image == image
    again = QImage.fromData(picture.content).convertToFormat(QImage.Format.Format_RGBA8888)
    assert again == image


def test_a_child_that_writes_for_ever_is_ended(qtbot: QtBot) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert isinstance(made(qtbot, ["/usr/bin/cat", "/dev/zero"]), NotAPicture)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < before + 8 * MOST_OUTPUT


def test_a_child_that_takes_too_long_is_ended(qtbot: QtBot) -> None:
    said: list[TwinhullError | Picture] = []
    maker = PictureMaker(argv=["/usr/bin/sleep", "600"])
    maker.make(b"x", said.append, said.append)
    assert maker._timer.isActive()
    maker._timer.start(0)
    qtbot.waitUntil(lambda: bool(said), timeout=WAIT_MS)
    assert isinstance(said[0], NotAPicture)


# -- what a guest may send as a picture --------------------------------------------------------------------


def ihdr(width: int, height: int, *rest: int) -> bytes:
    """A header's chunk; ``rest`` is depth, colour type, compression, filter and interlace (PNG, 11.2.2)."""
    return chunk(b"IHDR", struct.pack(">II5B", width, height, *(rest or (8, 6, 0, 0, 0))))


def idat(data: bytes) -> bytes:
    """Pixels."""
    return chunk(b"IDAT", zlib.compress(data, 9))


def file(*chunks: bytes) -> bytes:
    """A whole file of these."""
    return b"".join((picture_child.SIGNATURE, *chunks, chunk(b"IEND", b"")))


ROW = bytes(1 + 4 * 4)
"""One row of four pixels and its filter's number."""
GOOD, BOMB = ihdr(4, 1), zlib.compress(bytes(64 * 2**20), 9)
CORPUS: dict[str, tuple[bytes, tuple[int, int] | None]] = {
    "as it should be": (file(GOOD, idat(ROW)), (4, 1)),
    "sixteen bits": (file(ihdr(1, 1, 16, 6, 0, 0, 0), idat(bytes(9))), (1, 1)),
    "one bit grey": (file(ihdr(8, 1, 1, 0, 0, 0, 0), idat(bytes(2))), (8, 1)),
    "the largest": (file(ihdr(4096, 4096, 1, 0, 0, 0, 0), idat(bytes(4096 * 513))), (4096, 4096)),
    "one row too many": (file(ihdr(4096, 4097, 1, 0, 0, 0, 0), idat(bytes(4097 * 513))), None),
    "too wide": (file(ihdr(8193, 1, 1, 0, 0, 0, 0), idat(bytes(1026))), None),
    "too high": (file(ihdr(1, 8193, 1, 0, 0, 0, 0), idat(bytes(2 * 8193))), None),
    "no width": (file(ihdr(0, 1), idat(ROW)), None),
    "no height": (file(ihdr(1, 0), idat(ROW)), None),
    "a negative width": (file(ihdr(2**31, 1), idat(ROW)), None),
    "as large as it goes": (file(ihdr(2**32 - 1, 2**32 - 1), idat(ROW)), None),
    "sides whose product wraps": (file(ihdr(65536, 65536), idat(ROW)), None),
    "three bits": (file(ihdr(4, 1, 3, 0, 0, 0, 0), idat(ROW)), None),
    "a colour type of nobody's": (file(ihdr(4, 1, 8, 5, 0, 0, 0), idat(ROW)), None),
    "another compression": (file(ihdr(4, 1, 8, 6, 1, 0, 0), idat(ROW)), None),
    "another filter": (file(ihdr(4, 1, 8, 6, 0, 9, 0), idat(ROW)), None),
    "another interlace": (file(ihdr(4, 1, 8, 6, 0, 0, 2), idat(ROW)), None),
    "a palette that is missing": (file(ihdr(4, 1, 8, 3, 0, 0, 0), idat(bytes(5))), None),
    "no header": (file(idat(ROW)), None),
    "two headers": (file(GOOD, ihdr(9000, 9000), idat(ROW)), None),
    "a header that is short": (file(chunk(b"IHDR", bytes(12)), idat(ROW)), None),
    "a header of a wrong sum": (file(GOOD[:-1] + b"\0", idat(ROW)), None),
    "no pixels": (file(GOOD), None),
    "a chunk of two gibibytes": (file(GOOD, b"\x7f\xff\xff\xffIDAT"), None),
    "a chunk of four gibibytes": (file(GOOD, b"\xff\xff\xff\xffIDAT"), None),
    "pixels that are not compressed": (file(GOOD, chunk(b"IDAT", ROW)), None),
    "text that fills memory": (file(GOOD, chunk(b"zTXt", b"a\0\0" + BOMB), idat(ROW)), (4, 1)),
    "a profile that fills memory": (file(GOOD, chunk(b"iCCP", b"a\0\0" + BOMB), idat(ROW)), (4, 1)),
    "a profile of nothing": (file(GOOD, chunk(b"iCCP", b""), idat(ROW)), (4, 1)),
    "pixels that fill memory": (file(GOOD, chunk(b"IDAT", BOMB)), (4, 1)),
    "ten thousand texts": (file(GOOD, *[chunk(b"tEXt", b"a\0b")] * 10_000, idat(ROW)), (4, 1)),
    "an end alone": (file(), None),
    "nothing after the signature": (picture_child.SIGNATURE, None),
    "nothing": (b"", None),
    "too many bytes": (file(GOOD, idat(ROW)) + bytes(picture_child.MOST_BYTES), None),
    "a GIF": (b"GIF89a" + bytes(64), None),
    "a JPEG": (b"\xff\xd8\xff\xe0" + bytes(64), None),
    "a picture of text": (b'/* XPM */ static char *a[] = {"1 1 1 1", "a c red", "a"};', None),
    "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", None),
}
JUDGE = """
confine()
while head := GIVEN.read(4):
    written = pixels(GIVEN.read(struct.unpack("<I", head)[0]))
    sys.stdout.buffer.write(struct.pack("<II", 0, 0) if written is None else written[:8])
    assert written is None or len(written) == 8 + 4 * struct.unpack("<I", written[:4])[0] * struct.unpack(
        "<I", written[4:8])[0]
sys.stdout.buffer.flush()
"""


def judged(tmp_path: Path, several: list[bytes]) -> list[tuple[int, int] | None]:
    """The sizes that one child, in its sandbox, finds in one after the other; it has to outlive them all."""
    given = b"".join(struct.pack("<I", len(each)) + each for each in several)
    begin = "import io\nGIVEN = io.BytesIO(sys.stdin.buffer.read())\n"
    done = in_the_sandbox(tmp_path, child_and(begin + JUDGE), given)
    assert done.returncode == 0, done.stderr[-2000:]
    sizes = [struct.unpack_from("<II", done.stdout, at) for at in range(0, len(done.stdout), 8)]
    return [(width, height) if width else None for width, height in sizes]


def test_malformed_pictures_are_refused_or_are_pixels(tmp_path: Path) -> None:
    found = judged(tmp_path, [content for content, _size in CORPUS.values()])
    assert dict(zip(CORPUS, found, strict=True)) == {name: size for name, (_content, size) in CORPUS.items()}


def test_whatever_happens_to_a_picture_it_is_pixels_or_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - the same damages each time
    whole = with_secrets(png(painted()))
    damaged = [whole[:length] for length in range(len(whole))]
    for _ in range(500):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(8, len(content))] = chance.randrange(256)
        damaged.append(bytes(content))
    found = judged(tmp_path, [*damaged, whole])
    assert len(found) == len(damaged) + 1
    assert found[-1] == (9, 7)
    assert None in found[:-1]
