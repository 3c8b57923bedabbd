"""The JSON Schema of a policy, made from the model, so that editors complete and check while one is written.

A schema cannot say everything: that names differ from each other, that a network has no host bits, that text
is printable. What it refuses the parser refuses too; what it accepts may still be refused
(tests/unit/test_policy_schema.py).
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec

from . import model


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a policy document, each field with the words of its docstring."""
    schema = msgspec.json.schema(model.Policy)
    words = _field_docstrings()
    for name, definition in schema["$defs"].items():
        for field, what in definition.get("properties", {}).items():
            said = words.get((name, field)) or words.get((_base(name), field))
            if said:
                what["description"] = said
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Twinhull policy",
        **schema,
    }


def text() -> str:
    """The schema as it is printed and kept in docs/policy.schema.json."""
    return msgspec.json.format(msgspec.json.encode(json_schema()).decode(), indent=2) + "\n"


def _base(name: str) -> str:
    """The class a class of the model inherits its fields from."""
    base: type = getattr(model, name).__bases__[0]
    return base.__name__


def _field_docstrings() -> dict[tuple[str, str], str]:
    """What stands under each field in the model's source, by class and field."""
    found = {}
    for node in ast.parse(inspect.getsource(model)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                words = " ".join(inspect.cleandoc(below.value.value).split())
                found[node.name, field.target.id] = words.replace("``", "")
    return found
