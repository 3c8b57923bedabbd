"""The command ``installer/images/build``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import ImageBuildError
from .pipeline import build
from .progress import lines
from .recipe import Kind


def main() -> int:
    """Parse the command line, build, print the directory of the images; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="build", description="Build the golden images of both partitions from Debian packages."
    )
    parser.add_argument("kind", type=Kind, choices=list(Kind), help="console only, or a desktop")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where results are kept")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep downloaded packages here")
    options = parser.parse_args()
    try:
        manifest = build(
            options.kind,
            options.output.absolute(),
            lines(),
            _notice,
            options.cache.absolute() if options.cache else None,
        )
    except ImageBuildError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n{error.next_step}\n")
        return error.blame
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; nothing was left behind.\n")
        return 130
    sys.stdout.write(f"{options.output.absolute() / manifest.key}\n")
    return 0


def _notice(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
