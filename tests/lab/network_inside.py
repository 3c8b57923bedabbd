"""Runs inside the virtual laptop: one stage of the leak table on the kernel's WireGuard, played row by row.

First a line that names the tunnel; then for each line with a row's id a line of JSON, ``{"answer": seconds}``
or ``{"error": ...}``. Starting Python and the stage anew for each row would take longer than playing it.
"""

from __future__ import annotations

import json
import sys
import time
import traceback

from tests.leaks.stage import stage
from tests.leaks.table import ROWS


def main() -> None:
    """Play until the end of input."""
    rows = {row.id: row for row in ROWS}
    with stage() as made:
        made.net.corporate_up()
        _say({"answer": made.net.client.vpn_info().kind})
        made.net.reset()
        for line in sys.stdin:
            began = time.monotonic()
            try:
                made.play(rows[line.rstrip("\n")])
                said: dict[str, object] = {"answer": time.monotonic() - began}
            except Exception:  # whatever it is, the test is told
                said = {"error": traceback.format_exc(limit=-4)[-4000:]}
            _say(said)


def _say(said: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
