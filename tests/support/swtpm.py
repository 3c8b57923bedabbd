"""A TPM 2.0 in software, swtpm over libtpms, as a process; and what happens to a chip, by Intel's tpm2-tools.

The stack's own module for swtpm (libtss2-tcti-swtpm) talks to it, in the place of the kernel's driver.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

QUIET = {"TSS2_LOG": "all+none"}
LISTENS = "00010000"
"""The flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON, linux/net.h)."""


def _listens(path: Path) -> bool:
    """Whether connections to this socket are taken; its name is there before that, from bind(2) on."""
    table = Path("/proc/net/unix").read_text().splitlines()
    return any(row.split()[3] == LISTENS and row.endswith(f" {path}") for row in table[1:])


class SoftwareTpm:
    """One chip, whose memory is in a directory.

    Args:
        directory: existing, absolute, and short enough for a socket's name.
    """

    def __init__(self, directory: Path) -> None:
        self._state = directory / "tpm"
        self._socket = directory / "tpm.sock"
        self._control = directory / "tpm.sock.ctrl"  # where the stack's module looks for it
        self._process: subprocess.Popen[bytes] | None = None
        self._state.mkdir(exist_ok=True)

    @property
    def tcti(self) -> str:
        """How it is reached."""
        return f"swtpm:path={self._socket}"

    def on(self) -> Self:
        """Power comes: it starts with registers of zeros."""
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._state}"]
        command += ["--server", f"type=unixio,path={self._socket}"]
        command += ["--ctrl", f"type=unixio,path={self._control}", "--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not all(_listens(path) for path in (self._socket, self._control)):
            assert self._process.poll() is None and time.monotonic() < until, "it does not come up"
            time.sleep(0.005)
        return self

    def off(self) -> None:
        """Power goes, in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
            self._socket.unlink(missing_ok=True)
            self._control.unlink(missing_ok=True)

    def reboot(self, *measured: bytes) -> None:
        """The laptop starts again, and its firmware measures this into register 7."""
        self.off()
        self.on()
        for digest in measured:
            self.extend(7, digest)

    def extend(self, pcr: int, digest: bytes) -> None:
        """Something is measured."""
        self.tool("pcrextend", f"{pcr}:sha256={digest.hex()}")

    def clear(self) -> None:
        """As a person does in the firmware's settings: what was under the owner's seed is gone."""
        self.tool("clear", "-c", "p")

    def tool(self, name: str, *arguments: str) -> bytes:
        """One of tpm2-tools: what it prints."""
        environment = {"PATH": os.environ["PATH"], "TPM2TOOLS_TCTI": self.tcti, **QUIET}
        done = subprocess.run([f"tpm2_{name}", *arguments], env=environment, capture_output=True, check=True)
        return done.stdout

    def __enter__(self) -> Self:
        """It is on."""
        return self.on()

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """It is off."""
        self.off()


@contextmanager
def running_tpmd(path: Path, tpm: SoftwareTpm, spoken: Path) -> Iterator[subprocess.Popen[bytes]]:
    """tpmd as a process of its own, as its unit starts it; what it says goes into the file ``spoken``."""
    code = "import sys; from twinhull_hypervisor.tpm.main import main; main(sys.argv[1:])"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "--socket", str(path), "--tcti", tpm.tcti]
    with (
        spoken.open("wb") as out,
        subprocess.Popen(command, env=environment, stderr=out, stdout=out) as process,
    ):
        try:
            until = time.monotonic() + 60
            while b"serving on" not in spoken.read_bytes():
                assert process.poll() is None and time.monotonic() < until, spoken.read_text()
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
