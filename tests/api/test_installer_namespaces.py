"""What ``quickstart --down`` does about the partitions' namespaces, on a private machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network_lab import Lab

DELETE = """
import sys
from pathlib import Path
from twinhull_installer.down import delete_namespaces
from twinhull_installer.run import Runner
delete_namespaces(Runner(Path(sys.argv[1])))
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    private = Lab()
    try:
        yield private
    finally:
        private.close()


@pytest.mark.parametrize("there", [[], ["th-personal"], ["th-corporate", "th-personal"]])
def test_down_deletes_both_namespaces_and_no_other(lab: Lab, tmp_path: Path, there: list[str]) -> None:
    for name in (*there, "th-other"):
        lab.run("ip", "netns", "add", name)
    for _ in range(2):
        lab.python(DELETE, str(tmp_path / "log"))
        assert lab.run("ip", "netns", "list").split() == ["th-other"]
    assert (tmp_path / "log").exists() is bool(there)
