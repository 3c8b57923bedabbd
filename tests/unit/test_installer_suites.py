"""``installer/test``: no test file is forgotten, none runs twice, and what runs beside loses nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from twinhull_installer import suites
from twinhull_installer.run import Runner
from twinhull_installer.suites import E2E, LAB, LANES, Beside, Suite, Summary, results

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def test_every_test_file_is_of_one_suite() -> None:
    every = [suite for lane in LANES for suite in lane] + [E2E, LAB]
    times = Counter(path for suite in every for path in suite.files(REPOSITORY))
    there = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "tests").rglob("test_*.py")}
    assert there - set(times) == {path for path in there if path.parts[1] == "bench"}
    assert set(times.values()) == {1}


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr("twinhull_installer.paths.CACHE", tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    return Runner(tmp_path / "log")


def test_a_lane_beside_is_counted_and_shown(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    report = "<testsuite><testcase name='a'/><testcase name='b'><failure/></testcase></testsuite>"
    python.write_text(
        "#!/usr/bin/python3\nimport json, sys\nprint(json.dumps(sys.argv))\n"
        "path = [word for word in sys.argv if word.startswith('--junit-xml=')][0].partition('=')[2]\n"
        f"open(path, 'w').write({report!r})\nraise SystemExit(1)\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(suites, "TEST_VENV", tmp_path / "venv")
    tests = tmp_path / "tests" / "one"
    tests.mkdir(parents=True)
    for name in ("test_a.py", "test_b.py"):
        (tests / name).touch()
    (tmp_path / "tests" / "allowed-skips.txt").touch()
    summary = Summary()
    suite = Suite("one: two", ("tests/one/test_*.py",), ("tests/one/test_b.py",))
    Beside([suite, Suite("none", ("tests/none/test_*.py",))], tmp_path, runner, summary).wait()
    shown = capsys.readouterr().out
    title, words = shown.splitlines()
    assert title == "== one: two"
    assert json.loads(words)[-1] == "tests/one/test_a.py"
    assert (summary.passed, summary.failed, summary.skipped) == (1, 1, 0)
    assert not list((tmp_path / "cache").glob("*.txt"))


def test_the_summary_says_what_was_left_out_and_why() -> None:
    summary = Summary()
    summary.left_out([("a", "no KVM"), ("b", "no such laptop"), ("c", "no KVM")])
    assert [line.split(maxsplit=2)[2] for line in summary.lines] == ["2: no KVM", "1: no such laptop"]


def test_a_report_is_read(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuite><testcase classname='x' name='a'/><testcase classname='x' name='b'><error/></testcase>"
        "<testcase classname='x' name='c'><skipped message='no such device'/></testcase></testsuite>"
    )
    assert results(report) == (1, 1, [("x.c", "no such device")])
