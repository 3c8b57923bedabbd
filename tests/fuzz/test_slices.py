"""A slice of coverage-guided fuzzing in every test run, and the corpus kept from all slices before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz.runner import CORPUS, REPOSITORY, fuzz
from tests.fuzz.targets import TARGETS

SECONDS = 3
"""For each target; ``tests/fuzz/run`` takes as long as it is given."""
FAULTS = {
    "device": (
        "policy/twinhull_policy/descriptors.py",
        "interfaces[_triple(descriptor.body[5:8])] = None",
        "interfaces.update({_triple(descriptor.body[5:8]): None} if alternate < 77 else {})",
    ),
    "statement": (
        "policy/twinhull_policy/canonical.py",
        "if encode(value) != untrusted:",
        "if len(encode(value)) < len(untrusted):",
    ),
}
"""What is planted where, by the target that must find it."""


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_kept_still_holds(target: str) -> None:
    files = sorted((CORPUS / target).iterdir())
    assert files
    for file in files:
        TARGETS[target].run(file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_slice_finds_nothing(target: str, tmp_path: Path) -> None:
    one = fuzz(target, SECONDS, findings=tmp_path)
    assert not one.failed, one.output[-4000:]
    assert one.executed > 100
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", FAULTS)
def test_a_planted_fault_is_found(target: str, tmp_path: Path) -> None:
    name, good, bad = FAULTS[target]
    shutil.copytree(REPOSITORY / "policy", tmp_path / "policy")
    file = tmp_path / name
    text = file.read_text()
    assert good in text
    file.write_text(text.replace(good, bad))
    one = fuzz(target, 60, findings=tmp_path / "findings", policy=tmp_path / "policy")
    assert one.failed and "AssertionError" in one.output, one.output[-4000:]
    assert list((tmp_path / "findings").iterdir())
