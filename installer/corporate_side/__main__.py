"""``python3 installer/corporate_side up|down|status|peer PUBKEY ADDRESS|stop-gateway|start-gateway``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corporate_side.commands import CommandError
from corporate_side.demo import STATE, Demo


def main() -> int:
    """Do one thing; 0 done, 1 failed."""
    parser = argparse.ArgumentParser(prog="corporate_side", description="Twinhull's demonstration company.")
    parser.add_argument("--state", type=Path, default=STATE, metavar="DIR")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("up", "down", "status", "stop-gateway", "start-gateway"):
        verbs.add_parser(name)
    peer = verbs.add_parser("peer")
    peer.add_argument("public_key")
    peer.add_argument("address")
    options = parser.parse_args()
    demo = Demo(options.state)
    try:
        if options.verb == "up":
            sys.stdout.write(f"{demo.up()}\n")
        elif options.verb == "down":
            demo.down()
        elif options.verb == "peer":
            demo.peer(options.public_key, options.address)
        elif options.verb == "status":
            sys.stdout.write(f"{json.dumps(demo.status(), indent=2)}\n")
        elif options.verb == "stop-gateway":
            demo.stop_gateway()
        else:
            demo.start_gateway()
    except CommandError as error:
        sys.stderr.write(f"corporate_side: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
