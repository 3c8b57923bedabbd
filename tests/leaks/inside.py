"""One stage of the leak table, played row by row in a machine whose kernel is another than this one's.

First a line that names the tunnel; then for each line with a row's id a line of JSON, ``{"answer": seconds}``
or ``{"error": ...}``, before which ``{"asleep": seconds}`` asks to be woken up; an empty line ends it.
Starting Python and the stage anew for each row would take longer than playing it. :class:`Played` is its
other end.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from twinhull_hypervisor.network import namespaces

from .mutations import MUTATIONS, broken
from .scenario import Scenario
from .stage import stage
from .table import ROWS

MODULE = "tests.leaks.inside"
OF_THE_KERNEL = [row for row in ROWS if "wireguard-go" not in row.id]
"""All but those that end or stop the process which the kernel's tunnel does not have."""


def chosen(*, every: bool, own_kernel: bool) -> list[Scenario]:
    """The rows to play on the kernel's WireGuard, in the table's order.

    Args:
        every: all of them, and not just one of each event.
        own_kernel: also those that suspend the machine or set its clock, all of them.
    """
    rows = [row for row in OF_THE_KERNEL if own_kernel or not row.own_kernel]
    if every:
        return rows
    firsts: dict[str, Scenario] = {}
    for row in rows:
        firsts.setdefault(row.event, row)
    return [row for row in rows if row.own_kernel or firsts[row.event] is row]


class Played:
    """The stage in the other machine.

    Args:
        write: sends it text.
        read_line: its next line, with the line's end; empty at its end.
        wake: wakes the machine up if it sleeps.

    Attributes:
        kind: of the tunnel it has, as netd calls it.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        read_line: Callable[[], str],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._read_line, self._wake = write, read_line, wake
        self.kind = self._answer()

    def play(self, row: Scenario) -> None:
        """Play one row. Raises AssertionError with what that one says."""
        self.play_named(row.id)

    def play_named(self, name: str) -> Any:
        """Play the row of that name; its answer. Raises AssertionError with what that one says."""
        self._write(f"{name}\n")
        return self._answer()

    def end(self) -> None:
        """Have it end itself."""
        self._write("\n")

    def _answer(self) -> Any:
        besides, answered = "", threading.Event()
        while line := self._read_line():
            if line.startswith("{"):
                said = json.loads(line)
                if "asleep" in said:
                    threading.Thread(
                        target=self._wake_in, args=(said["asleep"], answered), daemon=True
                    ).start()
                    continue
                answered.set()
                if "error" in said:
                    raise AssertionError(said["error"])
                return said["answer"]
            besides += line
        raise AssertionError(f"the stage ended: {besides[-3000:]}")

    def _wake_in(self, seconds: float, answered: threading.Event) -> None:
        """After some seconds, and again and again: what wakes a machine before it sleeps is lost."""
        while not answered.wait(seconds):
            self._wake()
            seconds = 1.0


def main(arguments: list[str]) -> None:
    """Play until the empty line, on a stage broken by the mutation of that name if there is one."""
    rows = {row.id: row for row in ROWS}
    namespaces.refuse_fallback_tunnels()  # as netd does; its lab is in a namespace where it cannot
    mutations = {mutation.name: mutation for mutation in MUTATIONS}
    with broken(mutations[arguments[0]]) if arguments else stage() as made:
        made.wake_me = lambda seconds: _say({"asleep": seconds})  # type: ignore[method-assign]  # who asks is here
        made.net.corporate_up()
        _say({"answer": made.net.client.vpn_info().kind})
        made.net.reset()
        while name := sys.stdin.readline().rstrip("\n"):
            began = time.monotonic()
            try:
                made.play(rows[name])
                said: dict[str, object] = {"answer": time.monotonic() - began}
            except Exception:  # whatever it is, the test is told
                said = {"error": traceback.format_exc(limit=-4)[-4000:]}
            _say(said)


def _say(said: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
