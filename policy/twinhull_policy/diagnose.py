"""Finds out what is wrong with JSON that a strict reader would not take, and where.

Slower than the reader and only run on refusal; time and memory are linear in the text, which its caller
has bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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

    def words(self) -> str:
        """What is wrong, without where."""
        return {
            "not-json": f"it is not JSON: {self.detail}",
            "too-deep": f"it is nested more than {self.number} deep",
            "duplicate": "the key is there twice",
            "character": f"an invisible or control character (U+{self.number:04X})",
            "number": self.detail,
        }[self.kind]


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key it held twice."""

    duplicate: str | None = None


@dataclass(frozen=True)
class _BadNumber:
    text: str


def diagnose(untrusted: bytes) -> Finding | None:
    """The first thing wrong with the text itself, whatever schema it is for; None if nothing is."""
    deep = _too_deep(untrusted)
    if deep is not None:
        return deep
    try:
        value = json.loads(
            untrusted.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_BadNumber,
            parse_int=_integer,
            parse_float=_BadNumber,
        )
    except ValueError as error:
        return Finding("not-json", detail=str(error))
    return _walk(value)


# Possessive: a quote that is never closed takes the rest of the text once, and not again from every place.
_STRING = rb'"(?:[^"\\]++|\\.)*+"?'
_BRACKETS = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_TOKENS = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)


def _too_deep(untrusted: bytes) -> Finding | None:
    """Where the text opens one level too many, found without following it down."""
    depth = 0
    for token in _BRACKETS.finditer(untrusted):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                # The outermost one is at depth 0.
                if depth > MAX_DEPTH + 1:
                    path = _path_at_end(untrusted[: token.start()])
                    return Finding("too-deep", path, number=MAX_DEPTH)
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    return None


def _path_at_end(untrusted: bytes) -> str:
    """The path of the value that comes next after a piece of JSON."""
    steps: list[str | int] = []
    key = True
    for token in _TOKENS.finditer(untrusted):
        match token[0]:
            case b"{":
                steps.append("")
                key = True
            case b"[":
                steps.append(0)
            case b"]" | b"}":
                steps = steps[:-1]
            case b",":
                key = True
                if steps and isinstance(steps[-1], int):
                    steps[-1] += 1
            case string:
                if key and steps and isinstance(steps[-1], str):
                    steps[-1] = string.strip(b'"').decode("utf-8", "replace")
                    key = False
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


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
    """The first fault in document order; iterators instead of lists, so that no path is kept but one."""
    levels: list[Iterator[tuple[str, Any]]] = [iter((("$", root),))]
    while levels:
        member = next(levels[-1], None)
        if member is None:
            levels.pop()
            continue
        path, value = member
        fault = _fault(value, path, depth=len(levels) - 1)
        if fault is not None:
            return fault
        if isinstance(value, _Object | list):
            levels.append(_members(value, path))
    return None


def _members(value: _Object | list[Any], path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        return ((f"{path}[{number}]", member) for number, member in enumerate(value))
    return ((f"{path}.{key}", member) for key, member in value.items())


def _fault(value: Any, path: str, depth: int) -> Finding | None:
    """What is wrong with one value, whatever is in it."""
    if depth > MAX_DEPTH:
        return Finding("too-deep", path, number=MAX_DEPTH)
    if isinstance(value, _BadNumber):
        return Finding("number", path, "only whole numbers below 2^63 are allowed")
    if isinstance(value, str):
        odd = _odd_character(value)
        return None if odd is None else Finding("character", path, number=ord(odd))
    if isinstance(value, _Object):
        if value.duplicate is not None:
            return Finding("duplicate", f"{path}.{value.duplicate}")
        odd = next((odd for odd in map(_odd_character, value) if odd is not None), None)
        return None if odd is None else Finding("character", path, number=ord(odd))
    return None


def _odd_character(text: str) -> str | None:
    if text.isprintable():
        return None
    return next(character for character in text if not character.isprintable())
