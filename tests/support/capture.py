"""A packet capture on one interface of a namespace, by tcpdump, with proof that it sees what is there."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Capture:
    """A capture under way or finished."""

    def __init__(self, file: Path, process: subprocess.Popen[bytes]) -> None:
        self._file = file
        self._process = process

    def stop(self) -> None:
        """End it; everything seen is in the file then."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def packets(self, expression: str) -> list[str]:
        """The captured packets a pcap filter expression matches, one line each."""
        completed = subprocess.run(
            ["tcpdump", "-nn", "-r", str(self._file), expression], capture_output=True, text=True, check=True
        )
        return completed.stdout.splitlines()

    def contains(self, needle: bytes) -> bool:
        """Whether any captured packet holds these bytes in clear."""
        return needle in self._file.read_bytes()


@contextmanager
def capture(namespace: str, interface: str, file: Path) -> Iterator[Capture]:
    """Capture everything on an interface until the block ends."""
    argv = ["ip", "netns", "exec", namespace, "tcpdump", "-i", interface, "-nn", "-U", "-s0", "-Z", "root"]
    process = subprocess.Popen([*argv, "-w", str(file)], stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if b"listening on" in line:
                break
        else:
            raise RuntimeError("tcpdump did not start")
        running = Capture(file, process)
        yield running
        running.stop()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
