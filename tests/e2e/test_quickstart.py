"""The quickstart: what it leaves, that a second run does nothing, that the picture shows both screens."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.laptop import REPOSITORY, Laptop, as_user

PICTURE = Path("/var/lib/twinhull-quickstart/twinhull.png")


def test_it_ends_with_the_status_and_what_to_try(laptop: Laptop) -> None:
    tail = laptop.quickstart_output.split("What to try next")[-1]
    assert "twinhull doctor" in tail
    assert "corporate" in laptop.quickstart_output


def test_a_second_run_changes_nothing(both_running: Laptop) -> None:
    pids = {name: both_running.guest(name).pid() for name in ("corporate", "personal")}
    sequence = both_running.status().policy.sequence
    again = subprocess.run(
        [REPOSITORY / "installer/quickstart", "--small", "--headless", "--yes"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert {name: both_running.guest(name).pid() for name in pids} == pids
    assert both_running.status().policy.sequence == sequence


def test_the_programs_are_on_path() -> None:
    for program in ("twinhull", "twinhull-server", "twinhull-fetch"):
        shown = subprocess.run(["/usr/bin/env", program, "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, program


def test_the_picture_shows_two_different_live_screens(laptop: Laptop) -> None:
    from PySide6.QtGui import QImage

    image = QImage(str(PICTURE))
    assert not image.isNull()
    width, height = image.width(), image.height()
    halves = []
    for left in (0, width // 2):
        colours = {
            image.pixel(x, y)
            for x in range(left, left + width // 2, 3)
            for y in range(height // 4, height * 9 // 10, 3)
        }
        halves.append(colours)
    assert all(len(colours) > 8 for colours in halves), "a half of the picture is blank"
    assert halves[0] != halves[1]


def test_doctor_grades_with_reasons_and_fixes(laptop: Laptop) -> None:
    shown = laptop.must("doctor")
    grade = laptop.status().grade
    assert all(check.reason for check in grade.checks)
    assert all(check.fix for check in grade.checks if not check.passed)
    for check in grade.checks:
        if not check.passed:
            assert check.fix.split()[0] in shown


def test_a_reader_that_stops_early_is_no_error(laptop: Laptop) -> None:
    """As in ``twinhull status | head -1``."""
    piped = subprocess.run(
        [*as_user(laptop.owner), "bash", "-c", "/usr/local/bin/twinhull status | head -c 1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (piped.stdout, piped.stderr) == ("T", "")
