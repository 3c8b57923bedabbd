"""Bends JSON where it means something: a value, a key or an item; bending a byte only breaks it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, 0.5, 1e308),
    *("", "a", "0" * 64, "f" * 65, "\x00", "\x7f", "\u202e", "\ud800", "A" * 3000, "images/../x"),
    *(
        "10.77.1.2/32",
        "fe80::1%eth0/64",
        "::/0",
        "203.0.113.2:51820",
        "08:*:*",
        "08:06:50",
        [],
        {},
        [[]],
        {"": 0},
    ),
)


def mutate(data: bytes, seed: int) -> bytes | None:
    """``data`` with one to three things changed; None if it is no JSON container, or too deep."""
    rng = random.Random(seed)  # noqa: S311 - variety, not secrecy
    try:
        document = json.loads(data)
        if not isinstance(document, dict | list):
            return None
        for _ in range(rng.randrange(1, 4)):
            _bend(document, rng)
        text = json.dumps(
            document,
            sort_keys=rng.random() < 0.9,
            separators=(",", ":"),
            ensure_ascii=rng.random() < 0.2,
        )
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-8", "surrogatepass")


def _bend(document: Any, rng: random.Random) -> None:
    places = list(_places(document))
    if not places:
        return
    container, key = rng.choice(places)
    other, other_key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del container[key]
        case 1:
            container[key] = deepcopy(rng.choice(_ODD))
        case 2:
            # Not the thing itself, which may hold this place: that would be a circle.
            container[key] = deepcopy(other[other_key])
        case 3 if isinstance(container, dict):
            container[rng.choice((key + "x", key.upper(), "x-" + key))] = container.pop(key)
        case 4 if isinstance(container, list):
            container.insert(key, deepcopy(container[key]))
        case _:
            container[key] = _near(container[key], rng)


def _near(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 2, 86400, -86400))
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        return value[:place] + rng.choice("0aZ-./:= \u00e9") + value[place + rng.randrange(2) :]
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key or index there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
