"""Run the steps of an installation one by one and say where it stands.

A step knows whether it is done already, so that a second run takes seconds and an interrupted one goes on
where it was. On a terminal the line of the current step counts the seconds; elsewhere (logs, CI) each step is
a plain line when it begins to take long and one when it ends.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from twinhull_installer.run import Runner

QUIET_SECONDS = 15.0
"""Off a terminal: how often a step that takes long says that it is still under way."""


class Progress:
    """The line of the step under way.

    Attributes:
        number, total: which step of how many.
        title: what it does, in words.
    """

    def __init__(self, output: TextIO, number: int, total: int, title: str) -> None:
        self.number = number
        self.total = total
        self.title = title
        self._output = output
        self._live = output.isatty()
        self._detail = ""
        self._result = ""
        self._began = time.monotonic()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def begin(self) -> None:
        """Show the line and keep its clock running."""
        self._show()
        self._ticker.start()

    def detail(self, text: str) -> None:
        """Say what is happening inside the step now."""
        self._detail = " ".join(text.split())[:60]

    def result(self, text: str) -> None:
        """Say what came of the step, shown once it is done."""
        self._result = text

    def end(self, outcome: str) -> None:
        """Stop the clock and leave the line with how it ended."""
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        line = f"{self._prefix()} {outcome} {elapsed(time.monotonic() - self._began)}"
        line += f" ({self._result})" if self._result else ""
        self._output.write(f"\r\x1b[2K{line}\n" if self._live else f"{line}\n")
        self._output.flush()

    def _prefix(self) -> str:
        return f"[{self.number:2}/{self.total}] {self.title} …"

    def _tick(self) -> None:
        while not self._over.wait(1.0 if self._live else QUIET_SECONDS):
            self._show(again=True)

    def _show(self, again: bool = False) -> None:
        detail = f" ({self._detail})" if self._detail else ""
        if self._live:
            line = f"{self._prefix()} {elapsed(time.monotonic() - self._began)}{detail}"
            self._output.write(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}")
        elif again:
            self._output.write(f"{self._prefix()} {elapsed(time.monotonic() - self._began)}{detail}\n")
        self._output.flush()


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        title: what it does, in words, for the progress line.
        done: whether nothing is left to do; fast, changes nothing.
        act: do it; may be repeated after an interruption at any point.
    """

    title: str
    done: Callable[[], bool]
    act: Callable[[Progress], None]


def run_steps(
    steps: Sequence[Step], runner: Runner, output: TextIO, before_each: Callable[[], None] = lambda: None
) -> int:
    """Run those steps that are not done, in order; returns how many there were to run.

    ``before_each`` is called before each step and after the last; it may raise to stop there.

    Raises:
        Whatever a step raises, after its line has said that it failed.
    """
    acted = 0
    for number, step in enumerate(steps, 1):
        before_each()
        progress = Progress(output, number, len(steps), step.title)
        if step.done():
            progress.end("done already")
            continue
        runner.note(f"== {step.title}")
        acted += 1
        progress.begin()
        try:
            step.act(progress)
        except BaseException as error:
            progress.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        progress.end("done")
    before_each()
    return acted


def elapsed(seconds: float) -> str:
    """A duration as a stop-watch shows it: ``0:42``, ``12:05``, ``1:02:03``."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def wait_until(ready: Callable[[], bool], timeout: float, pause: float = 0.5) -> bool:
    """Ask again and again until something is so; False if it is not within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
