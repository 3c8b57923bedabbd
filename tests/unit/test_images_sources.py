"""Which apt sources may feed an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_images.sources import (
    KEYRING,
    Source,
    mirror_settings,
    parse_deb822,
    parse_one_line,
    read_machine,
    select,
)

DEBIAN = "http://archive.example/debian"
MAIN = Source(DEBIAN, "bookworm", ("main",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"deb {DEBIAN} bookworm main", [MAIN]),
        (f"  deb\t{DEBIAN}   bookworm  main # comment", [MAIN]),
        (f"deb [arch=amd64] {DEBIAN} bookworm main", [MAIN]),
        (
            f"deb [ arch=amd64 signed-by={KEYRING} ] {DEBIAN} bookworm main contrib",
            [Source(DEBIAN, "bookworm", ("main", "contrib"), str(KEYRING))],
        ),
        (f"deb-src {DEBIAN} bookworm main", []),
        (f"# deb {DEBIAN} bookworm main", []),
        ("deb http://flat.example/ ./", [Source("http://flat.example/", "./", ())]),
        ("deb", []),
        (f"deb {DEBIAN}", []),
        ("", []),
        (
            f"deb {DEBIAN} bookworm main\ndeb {DEBIAN} bookworm-updates main\n",
            [MAIN, Source(DEBIAN, "bookworm-updates", ("main",))],
        ),
    ],
)
def test_one_line_form(text: str, expected: list[Source]) -> None:
    assert list(parse_one_line(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Types: deb\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\n", [MAIN]),
        (f"types: deb deb-src\nuris: {DEBIAN}\nsuites: bookworm\ncomponents: main\n", [MAIN]),
        (
            f"Types: deb\n# comment\nURIs: {DEBIAN}\nSuites: bookworm\n bookworm-updates\nComponents: main\n",
            [MAIN, Source(DEBIAN, "bookworm-updates", ("main",))],
        ),
        (
            f"Types: deb\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\nSigned-By: {KEYRING}\n",
            [Source(DEBIAN, "bookworm", ("main",), str(KEYRING))],
        ),
        (f"Enabled: no\nTypes: deb\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\n", []),
        (f"Types: deb-src\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\n", []),
        (
            f"Types: deb\nURIs: {DEBIAN}\nSuites: bookworm\nComponents: main\n\n"
            "Types: deb\nURIs: http://other.example/\nSuites: stable\nComponents: main\n",
            [MAIN, Source("http://other.example/", "stable", ("main",))],
        ),
        ("", []),
        ("nonsense\n", []),
    ],
)
def test_deb822_form(text: str, expected: list[Source]) -> None:
    assert list(parse_deb822(text)) == expected


@pytest.mark.parametrize(
    "foreign",
    [
        Source("http://other.example/debian", "bookworm", ("main",)),
        Source(DEBIAN, "trixie", ("main",)),
        Source(DEBIAN, "bookworm-backports", ("main",)),
        Source(DEBIAN, "bookworm", ("contrib", "non-free")),
        Source("cdrom:[disc]/", "bookworm", ("main",)),
        Source("file:/srv/debian", "bookworm", ("main",)),
    ],
)
def test_foreign_sources_never_feed_an_image(foreign: Source) -> None:
    def is_debian(source: Source) -> bool:
        return "other.example" not in source.uri

    assert select([MAIN, foreign], "bookworm", is_debian) == (MAIN,)


def test_selection_is_sorted_and_does_not_repeat() -> None:
    updates = Source(DEBIAN, "bookworm-updates", ("main", "contrib"), str(KEYRING))
    twice = Source(DEBIAN, "bookworm", ("main",), str(KEYRING))
    assert select([updates, MAIN, twice], "bookworm", lambda _: True) == (
        MAIN,
        Source(DEBIAN, "bookworm-updates", ("main",)),
    )


def test_reads_both_forms_and_only_files_apt_reads(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(f"deb {DEBIAN} bookworm main\n")
    (parts / "a.sources").write_text(
        f"Types: deb\nURIs: {DEBIAN}\nSuites: bookworm-updates\nComponents: main\n"
    )
    (parts / "b.list.disabled").write_text("deb http://other.example/ bookworm main\n")
    assert read_machine(tmp_path) == [MAIN, Source(DEBIAN, "bookworm-updates", ("main",))]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (DEBIAN, "archive.example_debian_dists_bookworm_InRelease"),
        (DEBIAN + "/", "archive.example_debian_dists_bookworm_InRelease"),
        ("https://mirror.example:8080/a_b", "mirror.example:8080_a%5fb_dists_bookworm_InRelease"),
    ],
)
def test_release_file_has_the_name_apt_gives_it(uri: str, name: str) -> None:
    assert Source(uri, "bookworm", ("main",)).release_file(Path("/lists")) == Path("/lists") / name


def test_every_source_is_pinned_to_the_debian_keyring() -> None:
    assert MAIN.line() == f"deb [signed-by={KEYRING}] {DEBIAN} bookworm main"


def test_settings_keep_the_way_to_a_mirror_and_drop_weaker_checks() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire "";\n'
        'Acquire::AllowInsecureRepositories "1";\n'
        'Acquire::AllowWeakRepositories "1";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::Retries "3";\n'
        'Acquire::IndexTargets::deb::Packages::MetaKey "x";\n'
        'Acquire::Languages:: "none";\n'
    )
    assert (
        mirror_settings(dump) == 'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Retries "3";\n'
    )
