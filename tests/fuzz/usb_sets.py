"""Descriptor sets by the thousand: well-formed ones varied from the emulated devices, and broken ones.

A seed always gives the same set, so what fails can be looked at.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.lab.usb_peer.descriptors import (
    CONFIGURATION,
    Configuration,
    Endpoint,
    Interface,
    Model,
    descriptors,
)
from tests.lab.usb_peer.kinds import KINDS

STORAGE = "08:06:50"
_LEFT_TO_INTERFACES = (0x00, 0xEF, 0xFF)
_MOST_INTERFACES, _MOST_CONFIGURATIONS = 32, 8
_MODELS = [make().model for make in KINDS.values()]


def well_formed(seed: int) -> Model:
    """A device that could exist: some kind's, with other numbers, functions of other kinds, and padding."""
    rng = random.Random(seed)  # noqa: S311 - variety, not secrecy
    model = rng.choice(_MODELS)
    configurations = [_varied(one, rng) for one in model.configurations]
    while len(configurations) < _MOST_CONFIGURATIONS and rng.random() < 0.2:
        other = rng.choice(_MODELS)
        configurations.insert(
            rng.randrange(len(configurations) + 1), _varied(rng.choice(other.configurations), rng)
        )
    return replace(
        model,
        vendor=rng.randrange(0x10000),
        product=rng.randrange(0x10000),
        version=rng.randrange(0x10000),
        serial=rng.choice(("", model.serial)),
        triple=rng.choice((model.triple, (0, 0, 0), (0xEF, 2, 1), (0xFF, 0, 0), (9, 0, 1), (8, 6, 0x50))),
        configurations=tuple(configurations),
    )


def classes(model: Model) -> set[str]:
    """Every class triple the device names anywhere, read off the model and not off its bytes."""
    triples = {one.triple for configuration in model.configurations for one in configuration.interfaces}
    if model.triple[0] not in (*_LEFT_TO_INTERFACES, *(triple[0] for triple in triples)):
        triples.add(model.triple)
    return {":".join(f"{code:02x}" for code in triple) for triple in triples}


def broken(seed: int) -> tuple[str, bytes]:
    """A well-formed set with one thing made wrong, and what that is."""
    rng = random.Random(~seed)  # noqa: S311 - variety, not secrecy
    blob = bytearray(descriptors(well_formed(seed)))
    places = _places(blob)
    heads = [place for place in places if blob[place + 1] == CONFIGURATION]
    what = rng.choice(
        ("cut", "length", "runs-over", "total", "interfaces", "configurations", "tail", "twice")
    )
    head = rng.choice(heads)
    match what:
        case "cut":
            del blob[rng.randrange(len(blob)) :]
        case "length":
            blob[rng.choice(places)] = rng.choice((0, 1))
        case "runs-over":
            last = max(place for place in places)
            blob[last] = min(255, blob[last] + rng.randrange(1, 100))
        case "total":
            total = int.from_bytes(blob[head + 2 : head + 4], "little")
            other = rng.choice((0, 1, 8, total - 1, total + 1, 0xFFFF))
            blob[head + 2 : head + 4] = other.to_bytes(2, "little")
        case "interfaces":
            blob[head + 4] = rng.choice([count for count in (0, 1, 2, 33, 255) if count != blob[head + 4]])
        case "configurations":
            blob[17] = rng.choice([count for count in (0, 1, 2, 3, 9, 255) if count != blob[17]])
        case "tail":
            blob += rng.randbytes(rng.randrange(1, 20))
        case "twice":
            copy = blob[head : head + int.from_bytes(blob[head + 2 : head + 4], "little")]
            blob[head:head] = copy
    return what, bytes(blob)


def _varied(configuration: Configuration, rng: random.Random) -> Configuration:
    interfaces = list(configuration.interfaces)
    while rng.random() < 0.3:
        interfaces += rng.choice(rng.choice(_MODELS).configurations).interfaces
    numbers: dict[tuple[int, int], int] = {}
    renumbered: list[Interface] = []
    round_, before = 0, -1
    for one in interfaces:
        # A number that falls, or a first setting seen before, belongs to the next device's interfaces.
        if one.number < before or (one.alternate == 0 and (round_, one.number) in numbers):
            round_ += 1
        before = one.number
        number = numbers.setdefault((round_, one.number), len(numbers))
        if number >= _MOST_INTERFACES:
            break
        renumbered.append(
            replace(one, number=number, extra=one.extra + _padding(rng), endpoints=_moved(one, rng))
        )
    return replace(configuration, interfaces=tuple(renumbered), milliamperes=rng.randrange(0, 510, 2))


def _moved(interface: Interface, rng: random.Random) -> tuple[Endpoint, ...]:
    return tuple(
        replace(one, address=one.address & 0x80 | rng.randrange(1, 16), packet=rng.randrange(1, 1025))
        for one in interface.endpoints
    )


def _padding(rng: random.Random) -> bytes:
    """Descriptors of types nobody knows; in their bytes there may be anything, storage too."""
    padding = b""
    while rng.random() < 0.3:
        body = rng.choice((rng.randbytes(rng.randrange(40)), b"\x09\x04\x00\x00\x00\x08\x06\x50\x00"))
        padding += bytes((2 + len(body), rng.randrange(0x40, 0x100))) + body
    return padding


def _places(blob: bytes | bytearray) -> list[int]:
    """Where descriptors begin."""
    places, place = [], 0
    while place < len(blob):
        places.append(place)
        place += blob[place]
    return places
