"""One kernel that runs as a process: what runs in it is root, on the machine's own files.

Changes to files stay in the kernel's memory, but below the directories that are shared. Ending the process is
what a power cut is to a laptop: what was not synced to a disk is lost. Its memory can be read, as that of a
laptop that somebody froze.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.support.source import ROOT

INIT = Path(__file__).with_name("init")
MACHINE = Path("/")
MIB = 1024 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIRST = "chrt", "--rr", "1"
"""A system call in it is two switches between processes: behind others it would wait at each (sched(7))."""
END_SECONDS = 120.0
HEARD_LINES = 40
ENOUGH = 2000
"""Characters of the console that a failure shows."""


class KernelFailed(AssertionError):
    """The kernel did not come up, or ended before its program did."""


class Kernel:
    """A running one.

    Args:
        program: what :func:`tests.kernel.build.kernel` gave.
        work: an empty directory for its own files.
        argv: what to run in it, as root. Its standard streams are one raw serial line.
        environment: of that program, beyond PATH and the language.
        directory: where it starts.
        disks: files that are its disks, /dev/ubda and so on; may be written.
        shared: directories that are the real ones in it.
        placed: by the name that they have in it, directories to read.
        root: whose files it is to have; with another than this machine's, systemd is its first process and
            runs ``argv`` once all else is started, and what changes goes to the first disk, made with ext4.
        memory: in MiB.
        options: more words for the kernel's command line.

    Attributes:
        said: what the program said after the last line read, once :meth:`wait` has returned.
    """

    def __init__(
        self,
        program: Path,
        work: Path,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
        disks: Sequence[Path] = (),
        shared: Sequence[Path] = (),
        placed: Mapping[str, Path] | None = None,
        root: Path = MACHINE,
        memory: int = 1024,
        options: Sequence[str] = (),
    ) -> None:
        self._console = work / "console"
        plan = {
            "argv": [str(word) for word in argv],
            "environment": {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(environment or {})},
            "directory": str(directory),
            "shared": [str(path) for path in shared],
            "placed": {place: str(path) for place, path in (placed or {}).items()},
            "root": str(root),
            "systemd": root != MACHINE,
        }
        (work / "plan.json").write_text(json.dumps(plan), "utf-8")
        program_in, self._input = os.pipe()
        self._output, program_out = os.pipe()
        self._status, status_out = os.pipe()
        theirs = (program_in, program_out, status_out)
        words = [
            *FIRST,
            *(str(program), f"mem={memory}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
            *(f"init={INIT}", f"plan={work}/plan.json", f"uml_dir={work}", "umid=kernel"),
            *("console=tty0", "con=null", "con0=null,fd:1", "ssl=null"),
            *(f"ssl0=fd:{program_in},fd:{program_out}", f"ssl1=null,fd:{status_out}"),
            *options,
            *(f"ubd{chr(ord('a') + number)}={path}" for number, path in enumerate(disks)),
        ]
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=theirs,
                start_new_session=True,
            )
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin: IO[bytes] = os.fdopen(self._input, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(self._output, "rb")
        self.said = ""
        self._heard: deque[str] = deque(maxlen=HEARD_LINES)

    @property
    def console(self) -> str:
        """What the kernel itself said."""
        return self._console.read_text("utf-8", errors="replace")

    def read_line(self) -> str:
        """One line that the program said.

        Raises:
            KernelFailed: it ended without saying it.
        """
        line = self.stdout.readline()
        if not line:
            raise KernelFailed("\n".join([*self._heard, self.console[-ENOUGH:]]))
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        self._heard.append(text)
        return text

    def wait(self) -> int:
        """Read what the program still says, and give its exit status; negative is a signal's number.

        Raises:
            KernelFailed: the kernel ended before it.
        """
        self.said = self.stdout.read().decode("utf-8", errors="replace")
        with os.fdopen(os.dup(self._status), "rb") as file:
            line = file.read()
        self._process.wait(END_SECONDS)
        said = json.loads(line) if line else {"error": self.console[-ENOUGH:]}
        if "error" in said:
            raise KernelFailed(said["error"])
        return int(said["status"])

    def wake(self) -> None:
        """Wake it up if it is suspended (arch/um/os-Linux/signal.c); it hears nothing of it otherwise."""
        os.kill(self._process.pid, signal.SIGUSR1)

    def cut_power(self) -> None:
        """End it between two instructions; its disks are as they were then."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @contextmanager
    def frozen_memory(self) -> Iterator[Path]:
        """Its whole memory as a file, while nothing in it runs.

        The processes that stand for its programs are traced by it: they come to no next system call, and
        would take a signal that let them go on for one of their own.
        """
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield self._memory()
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def _memory(self) -> Path:
        opened = Path("/proc") / str(self._process.pid) / "fd"
        # A file without a name (O_TMPFILE), and by far the largest one (arch/um/os-Linux/mem.c).
        return max(
            (path for path in opened.iterdir() if "(deleted)" in path.readlink().name),
            key=lambda path: path.stat().st_size,
        )

    def close(self) -> None:
        """End it if it still runs."""
        self.cut_power()
        self.stdin.close()
        self.stdout.close()
        os.close(self._status)


@contextmanager
def booted(program: Path, argv: Sequence[str | Path], **more: Any) -> Iterator[Kernel]:
    """A kernel that runs ``argv``, ended afterwards; the arguments are :class:`Kernel`'s."""
    with tempfile.TemporaryDirectory(prefix="th-kernel-") as work:
        kernel = Kernel(program, Path(work), argv, **more)
        try:
            yield kernel
        finally:
            kernel.close()
