"""Finds out what is wrong with JSON that a strict reader would not take, and where.

Slower than the reader and only run on refusal; time and memory are linear in the text, which its caller
has bounded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

MAX_DEPTH = 64
"""Levels of nesting; the policy schema itself needs five."""


@dataclass(frozen=True)
class Finding:
    """One thing wrong. ``path`` is written like ``$.devices[3].name``."""

    kind: Literal["not-json", "too-deep", "duplicate", "character", "number"]
    path: str = "$"
    detail: str = ""
    number: int = 0


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key it held twice."""

    duplicate: str | None = None


@dataclass(frozen=True)
class _BadNumber:
    text: str


def diagnose(untrusted: bytes) -> Finding | None:
    """The first thing wrong with the text itself, whatever schema it is for; None if nothing is."""
    try:
        value = json.loads(
            untrusted.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_BadNumber,
            parse_int=_integer,
            parse_float=_BadNumber,
        )
    except RecursionError:
        return Finding("too-deep", number=MAX_DEPTH)
    except ValueError as error:
        return Finding("not-json", detail=str(error))
    return _walk(value)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object()
    for key, value in pairs:
        if key in result and result.duplicate is None:
            result.duplicate = key
        result[key] = value
    return result


def _integer(text: str) -> int | _BadNumber:
    number = int(text) if len(text) <= 20 else 2**63
    return number if -(2**63) <= number < 2**63 else _BadNumber(text)


def _walk(root: Any) -> Finding | None:
    stack: list[tuple[Any, str, int]] = [(root, "$", 0)]
    while stack:
        value, path, depth = stack.pop()
        if depth > MAX_DEPTH:
            return Finding("too-deep", path, number=MAX_DEPTH)
        if isinstance(value, _BadNumber):
            return Finding("number", path, "only whole numbers below 2^63 are allowed")
        if isinstance(value, str):
            odd = _odd_character(value)
            if odd is not None:
                return Finding("character", path, number=ord(odd))
        elif isinstance(value, _Object):
            if value.duplicate is not None:
                return Finding("duplicate", f"{path}.{value.duplicate}")
            for key, member in reversed(value.items()):
                odd = _odd_character(key)
                if odd is not None:
                    return Finding("character", path, number=ord(odd))
                stack.append((member, f"{path}.{key}", depth + 1))
        elif isinstance(value, list):
            stack.extend((m, f"{path}[{i}]", depth + 1) for i, m in reversed(list(enumerate(value))))
    return None


def _odd_character(text: str) -> str | None:
    if text.isprintable():
        return None
    return next(character for character in text if not character.isprintable())
