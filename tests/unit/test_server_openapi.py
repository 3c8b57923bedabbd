"""The description of the HTTP interfaces and of reports: what is committed is what the server serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_policy.report import schema
from twinhull_policy.server.openapi import document

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "made"), [("openapi.json", document()), ("report.schema.json", schema())], ids=str
)
def test_what_is_committed_is_what_is_served(name: str, made: dict[str, Any], rewrite_golden: bool) -> None:
    text = msgspec.json.format(msgspec.json.encode(made, order="sorted"), indent=1).decode() + "\n"
    if rewrite_golden:
        (DOCS / name).write_text(text)
    assert (DOCS / name).read_text() == text


def test_every_operation_has_words_and_bodies_have_examples() -> None:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"].endswith("."), path
            assert "200" in operation["responses"], path
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert "example" in content, (method, path)
