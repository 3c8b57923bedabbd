"""Every error a person can meet has a code of its own, a sentence, and a next step."""

from __future__ import annotations

import ast
import re
import string
from collections import Counter
from dataclasses import dataclass

import pytest
from twinhull_policy.errors import Blame, ErrorReport, RemoteError, TwinhullError

from tests.support.source import modules

CODE = re.compile(r"TH-(GEN|IPC|RUN|POL|TRU|ENR|SRV|NET|VOL|IMG|PAR|DMN|CLI|GUI|DEV)-[0-9]{3}")


@dataclass(frozen=True)
class Declared:
    """An error class as its source declares it."""

    name: str
    bases: list[str]
    sentence: str
    values: dict[str, object]


def _declared(module: str, node: ast.ClassDef) -> Declared:
    values: dict[str, object] = {}
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        target = statement.target if isinstance(statement, ast.AnnAssign) else target
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            values[target.id] = value.value
    bases = [base.attr if isinstance(base, ast.Attribute) else ast.unparse(base) for base in node.bases]
    sentence = (ast.get_docstring(node) or "").splitlines()
    return Declared(f"{module}.{node.name}", bases, sentence[0] if sentence else "", values)


def _errors() -> list[Declared]:
    classes = [
        _declared(name, node)
        for name, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    family = {"TwinhullError"}
    while True:
        found = {c.name.rpartition(".")[2] for c in classes if family.intersection(c.bases)}
        if found <= family:
            break
        family |= found
    return [c for c in classes if family.intersection(c.bases) and not c.name.endswith(".RemoteError")]


ERRORS = _errors()


def test_the_audit_sees_the_errors() -> None:
    assert any(error.name == "twinhull_client.errors.DaemonUnreachable" for error in ERRORS)


def test_codes_are_unique_and_well_formed() -> None:
    codes = Counter(str(error.values.get("code", f"none in {error.name}")) for error in ERRORS)
    assert [code for code, times in codes.items() if times > 1 or not CODE.fullmatch(code)] == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_it_is_a_sentence_with_a_next_step(error: Declared) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(error.sentence) if name is not None]
    assert [name for name in names if not name.isidentifier()] == []
    assert error.sentence.endswith((".", "}"))
    step = error.values.get("next_step")
    assert step is None or str(step).endswith(".")


def test_an_error_survives_the_trip_between_processes() -> None:
    report = ErrorReport("TH-PAR-001", "No.", "Do this.", 4)
    assert RemoteError(report).report() == report
    assert TwinhullError(detail="\x1b[2J").message == "Something went wrong: �[2J."
    assert [blame.exit_status for blame in Blame] == [1, 2, 3, 4]
