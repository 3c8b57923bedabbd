"""Runs in a kernel of its own: a volume on dm-crypt over the real diskd, told what to do a line at a time.

Each line of standard input is a JSON list, the name of a method of :class:`Inside` and its arguments; each
answer is a line. What is on the laptop's disk, /dev/ubda, outlives the kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from twinhull_hypervisor import ipc
from twinhull_hypervisor import run as host_run
from twinhull_hypervisor.daemon.secret import read_secret, wipe
from twinhull_hypervisor.disk import luks, settings
from twinhull_hypervisor.disk.client import DiskdClient
from twinhull_hypervisor.disk.container import Container
from twinhull_hypervisor.disk.probe import probe
from twinhull_hypervisor.disk.service import CONNECTIONS, Diskd
from twinhull_hypervisor.storage import slots
from twinhull_hypervisor.storage.choice import volume_of
from twinhull_hypervisor.storage.dm_crypt import DmCryptVolume
from twinhull_hypervisor.storage.remains import Remains
from twinhull_hypervisor.storage.slots import Argon2Cost, RecoveryCode
from twinhull_hypervisor.storage.standing import read_standing
from twinhull_hypervisor.tpm.client import TpmClient
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

LAPTOP = Path("/srv")
SOCKET, SETTINGS = Path("/run/diskd.sock"), Path("/run/diskd.json")
PARTITION = Partition.PERSONAL
QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
HEADER_BYTES = 4 * 2**20
DISKD = "from twinhull_hypervisor.disk.main import main; main()"
FOUND_SECONDS = 60.0
TYPIST = """
import os, sys
passphrase = bytes(byte ^ 0x5A for byte in bytes.fromhex(sys.argv[1]))
with os.fdopen(int(sys.argv[2]), "wb") as pipe:
    pipe.write(passphrase)
sys.stdin.read()
"""
KERNELS_KEY = """
import subprocess
words = ["dmsetup", "table", "--showkeys", "twinhull-personal"]
told = subprocess.run(words, capture_output=True, check=True)
print(bytes(byte ^ 0x5A for byte in bytes.fromhex(told.stdout.split()[4].decode())).hex())
"""


class Inside:
    """What a test can ask for.

    Args:
        medium: the volume's own settings.
        cut: the sync, rename or program before which everything stands still, 0 for none; diskd is a part of
            this process then. None for a diskd that is a process, as on a laptop.
    """

    def __init__(self, medium: dict[str, Any], cut: int | None) -> None:
        if subprocess.run(["blkid", "-p", "/dev/ubda"], capture_output=True, check=False).returncode != 0:
            self.ran("mkfs.ext4", "-q", "-N", "4096", "-J", "size=16", "/dev/ubda")
        self.ran("mount", "/dev/ubda", str(LAPTOP))
        self.ran("mount", "--make-shared", str(LAPTOP))
        SETTINGS.write_text(json.dumps({PARTITION: medium}), "ascii")
        self._containers = LAPTOP / "containers"
        self._directory = LAPTOP / "core" / PARTITION
        self._directory.mkdir(parents=True, exist_ok=True)
        self._containers.mkdir(mode=0o711, exist_ok=True)
        self._steps = 0
        self._cut = cut
        if cut is None:
            self._start_diskd()
        else:
            self._serve_here()
        self.diskd = DiskdClient(SOCKET)
        self.volume = DmCryptVolume(PARTITION, self._directory, self.diskd, self._containers, cost=QUICK)

    def _start_diskd(self, code: str = DISKD) -> None:
        words = ["--socket", str(SOCKET), "--settings", str(SETTINGS), "--directory", str(self._containers)]
        self._process = subprocess.Popen([sys.executable, "-c", code, *words])
        until = time.monotonic() + FOUND_SECONDS
        while not answers(SOCKET):
            if time.monotonic() > until or self._process.poll() is not None:
                raise AssertionError("diskd does not serve")
            time.sleep(0.02)

    def _serve_here(self) -> None:
        medium = settings.load(SETTINGS).of(PARTITION)
        container = Container(PARTITION, medium, self._containers, 0, 0)
        diskd = Diskd({PARTITION: container}, probe)
        listener = ipc.listening_socket(SOCKET)
        arguments = (listener, diskd.handlers, frozenset({0}))
        options = {"connections": CONNECTIONS}
        threading.Thread(target=ipc.serve, args=arguments, kwargs=options, daemon=True).start()
        fsync, run, replace = os.fsync, host_run.run, Path.replace

        def stepped(work: Any) -> Any:
            def step(*args: Any, **kwargs: Any) -> Any:
                self._steps += 1
                if self._steps == self._cut:
                    answer({"cut": True})
                    threading.Event().wait()
                return work(*args, **kwargs)

            return step

        os.fsync = stepped(fsync)  # of this process alone
        vars(luks)["run"] = stepped(run)
        Path.replace = stepped(replace)  # type: ignore[method-assign]  # likewise

    @staticmethod
    def ran(*words: str) -> str:
        """What a program printed, which succeeds."""
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def able(self) -> bool:
        """Whether diskd finds that this kernel has what it needs."""
        return self.diskd.able().able

    def chosen(self) -> str:
        """The kind of volume that core takes here."""
        return volume_of(PARTITION, self._directory, self.diskd, TpmClient(), self._containers).kind

    def create(self, passphrase: str) -> None:
        """Make it, with one gigabyte for the guest."""
        self.volume.create(self._base("a"), 1, passphrase.encode())

    def _base(self, digit: str) -> Path:
        """A golden image, by the digit that its hash is made of."""
        base = LAPTOP / f"{digit * 64}.qcow2"
        if not base.exists():
            self.ran("qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G")
        return base

    def unlock(self, passphrase: str) -> None:
        """Open it."""
        self.volume.unlock(passphrase.encode())

    def lock(self) -> None:
        """Close it."""
        self.volume.lock()

    def rotate(self, passphrase: str) -> str:
        """A new key; the recovery code."""
        return self.volume.rotate(passphrase.encode()).words().decode()

    def recover(self, code: str, passphrase: str) -> None:
        """A new passphrase by a recovery code."""
        self.volume.recover(RecoveryCode.of(code.encode()), passphrase.encode())

    def grow(self) -> int:
        """Its bytes, once it has grown."""
        return self.volume.grow()

    def wipe(self) -> list[str]:
        """The end; what survived it."""
        with Remains(self.volume.paths) as remains:
            self.volume.destroy()
            return remains.survivors()

    def restore_header(self) -> None:
        """Put the backup back."""
        self.volume.restore_header()

    def snapshot(self, name: str) -> str:
        """Keep it as it is; the snapshot's id."""
        return self.volume.snapshot(name).id

    def roll_back(self, snapshot: str) -> str:
        """Go back; what was there."""
        return self.volume.roll_back(snapshot)

    def update(self, snapshot: str) -> None:
        """A fresh disk over another golden image; the present one becomes a snapshot of that id."""
        self.volume.update(self._base("b"), 2, snapshot, "newer")

    def undo_update(self, snapshot: str) -> None:
        """Have the disk of before back."""
        self.volume.undo_update(snapshot, ["a" * 64])

    def stands_on(self) -> list[Any]:
        """By which digit the disk's image is called, inside and as is told outside; the disk's GiB."""
        inside, outside = self.volume.stands_on(), read_standing(self.volume.paths.head)
        assert inside is not None and outside is not None
        return [inside.sha256[0], outside.sha256[0], inside.disk_gib]

    def head_of(self, digit: str) -> None:
        """What is told outside is wrong, as where a change was cut short; then a machine gets the disk."""
        head = self.volume.paths.head
        head.write_bytes(head.read_bytes().replace(digit.encode() * 64, b"c" * 64))
        self.volume.make_ready()

    def snapshots(self) -> list[str]:
        """Their names."""
        return [one.name for one in self.volume.snapshots.found()]

    def state(self) -> str:
        """What the volume says."""
        return self.volume.state().value

    def write(self, text: str) -> None:
        """A guest writes to its disk."""
        command = f"write -q -s {self._text(text)} 1M 64k"
        self.ran("qemu-io", "-f", "qcow2", "-c", command, "-c", "flush", str(self.volume.paths.overlay))

    def holds(self, text: str) -> bool:
        """Whether the guest's disk has what was written."""
        image, out = str(self.volume.paths.overlay), Path("/run/read")
        block = ["bs=65536", "skip=16", "count=17", f"if={image}", f"of={out}"]
        self.ran("qemu-img", "dd", "-f", "qcow2", "-O", "raw", *block)
        return out.read_bytes().startswith(text.encode())

    @staticmethod
    def _text(text: str) -> str:
        path = Path("/run/text")
        path.write_text(text * (65536 // len(text) + 1), "ascii")
        return str(path)

    def files(self) -> list[str]:
        """What can be seen of it from outside."""
        return sorted(str(path.relative_to(LAPTOP)) for path in (LAPTOP / "core").rglob("*"))

    def inside(self) -> list[str]:
        """What is in it."""
        return sorted(path.name for path in self.volume.paths.contents.iterdir())

    def mapping(self) -> list[str]:
        """What the kernel says that it is, without the key."""
        return self.ran("dmsetup", "table", "twinhull-personal").split()

    def header(self) -> str:
        """What cryptsetup says that it is."""
        device = self._medium()
        return self.ran("cryptsetup", "luksDump", device)

    def keep_header(self, name: str) -> None:
        """Copy the header, as somebody might who had the disk."""
        (LAPTOP / name).write_bytes(self.diskd.header(PARTITION))

    def put_old_header(self, name: str) -> None:
        """Write such a copy into its place, past diskd."""
        self._overwrite((LAPTOP / name).read_bytes())

    def zero_header(self) -> None:
        """Erase it."""
        self._overwrite(bytes(HEADER_BYTES))

    def foreign_header(self) -> str:
        """Have cryptsetup make a header of another kind, by a key; what diskd says to that key."""
        key = secrets.token_bytes(32)
        path = Path("/run/key")
        path.write_bytes(key)
        weak = ["--type", "luks2", "--cipher", "aes-cbc-plain64", "--key-size", "256", "--pbkdf", "pbkdf2"]
        weak += ["--pbkdf-force-iterations", "1000", "--key-file", str(path), "--offset", "8192"]
        self.ran("cryptsetup", "luksFormat", "-q", *weak, self._medium())
        try:
            self.diskd.open(PARTITION, key)
        except TwinhullError as error:
            return error.report().code
        return "opened"

    def typed(self, hidden: str) -> str:
        """Open it by a passphrase that a program of the person's writes into a pipe; the key of its slot.

        Args:
            hidden: the passphrase. It and what is returned are hidden, so that telling them leaves no trace.
        """
        reading, writing = os.pipe()
        self._typist = subprocess.Popen(
            [sys.executable, "-c", TYPIST, hidden, str(writing)], pass_fds=[writing], stdin=subprocess.PIPE
        )
        os.close(writing)
        found = ""

        def on_key(key: bytearray) -> None:
            nonlocal found
            found = hide(key)

        self.volume.on_key = on_key
        passphrase = read_secret(reading)
        try:
            self.volume.unlock(bytes(passphrase))
        finally:
            wipe(passphrase)
            os.close(reading)
        return found

    def left_alone(self) -> None:
        """The person's program ends."""
        self._typist.communicate()

    def kernels_key(self) -> str:
        """The key that the kernel encrypts with, hidden."""
        return self.ran(sys.executable, "-c", KERNELS_KEY).strip()

    def logical_volume(self, size: int) -> None:
        """Have a logical volume of so many bytes on the second disk, as the device mapper makes them."""
        name, table = "laptop-personal", f"0 {size // 512} linear /dev/ubdb 2048"
        if not Path("/dev/mapper", name).exists():
            self.ran("dmsetup", "create", name, "--table", table)
            self.ran("dmsetup", "mknodes", name)  # there is no udev here
            return
        self.ran("dmsetup", "suspend", "--noflush", name)
        self.ran("dmsetup", "reload", name, "--table", table)
        self.ran("dmsetup", "resume", name)

    def _overwrite(self, content: bytes) -> None:
        with Path(self._medium()).open("r+b") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _medium(self) -> str:
        device = settings.load(SETTINGS).of(PARTITION).device
        return device or str(self._containers / "personal.luks")

    def blocks(self) -> int:
        """How much of the laptop's disk the container takes, in MiB."""
        return (self._containers / "personal.luks").stat().st_blocks * 512 // 2**20

    def trimmed(self) -> str:
        """Ask for unused blocks to be given back; what came of it."""
        words = ["fstrim", str(self.volume.paths.contents)]
        tried = subprocess.run(words, capture_output=True, text=True, check=False)
        os.sync()
        return tried.stderr

    def settings(self, medium: dict[str, Any]) -> None:
        """Write others, and have a fresh diskd read them."""
        SETTINGS.write_text(json.dumps({PARTITION: medium}), "ascii")
        self._process.terminate()
        self._process.wait()
        SOCKET.unlink()
        self._start_diskd()


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket, which is there a moment before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as tried:
        return tried.connect_ex(str(path)) == 0


def hide(content: bytes | bytearray) -> str:
    """So that what is told is nowhere as it is."""
    return bytes(byte ^ 0x5A for byte in content).hex()


def answer(content: object) -> None:
    """One line to whoever asks."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until standard input says that it is over."""
    plan = json.loads(sys.argv[1])
    if plan["cut"] is not None:
        # Its work is seconds here, and is tried where there is a process for each part.
        vars(slots)["derive"] = lambda secret, salt, _: hashlib.sha256(salt + secret).digest()
    inside = Inside(plan["medium"], plan["cut"])
    answer({"ready": True})
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name == "end":
            break
        try:
            answer({"done": getattr(inside, name)(*arguments)})
        except TwinhullError as error:
            answer({"refused": error.report().code})
        except Exception as error:  # whoever asked is told
            answer({"failed": f"{type(error).__name__}: {error} {getattr(error, 'stderr', '')}"})
    if inside.state() == "unlocked":
        inside.lock()
    inside.ran("umount", str(LAPTOP))


if __name__ == "__main__":
    main()
