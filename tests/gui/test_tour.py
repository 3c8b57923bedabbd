"""docs/screens.md shows every view, and only pictures that are there."""

from __future__ import annotations

import re

from tests.support.desktop_tour import IMAGES, PAGE, page


def test_the_page_is_what_the_tour_makes_and_has_all_of_its_pictures() -> None:
    assert PAGE.read_text("utf-8") == page()
    named = {name.removeprefix("images/screens/") for name in re.findall(r"\((images/[^)]*)\)", page())}
    assert {path.name for path in IMAGES.iterdir()} == named
