"""Every branch of the verifiers is taken by their own tests: 100 %, or this fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_branch_of_the_verifiers_is_tested(tmp_path: Path) -> None:
    names = ("command", "expiry", "fingerprint", "statement", "root", "repository")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(f"tests/unit/test_trust_{name}.py" for name in names),
            "--cov=twinhull_policy.trust",
            "--cov-branch",
            "--cov-fail-under=100",
            "--cov-report=term-missing",
        ],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "COVERAGE_FILE": str(tmp_path / "coverage")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Required test coverage of 100% reached" in done.stdout
