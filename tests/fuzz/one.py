"""Fuzzes one target in this process, with coverage of what it reads with."""

from __future__ import annotations

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(
    include=[
        "twinhull_policy",
        "twinhull_hypervisor.block",
        "twinhull_hypervisor.images",
        "twinhull_hypervisor.storage.header",
        "tests.lab.usb_peer",
        "tuf",
    ]
):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.json_mutator import mutate


def _mutate(data: bytes, most: int, seed: int) -> bytes:
    """Three times out of four as JSON; else, and where it is none, as bytes."""
    bent = mutate(data, seed) if seed % 4 else None
    if bent is not None and len(bent) <= most:
        return bent
    return bytes(atheris.Mutate(data, most))


def main(target: str, arguments: list[str]) -> None:
    """Fuzz ``target`` as libFuzzer's own options in ``arguments`` say; libFuzzer ends the process."""
    found = TARGETS[target]
    if found.json:
        atheris.Setup(arguments, found.run, custom_mutator=_mutate)
    else:
        atheris.Setup(arguments, found.run)
    atheris.Fuzz()
