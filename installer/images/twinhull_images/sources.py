"""Which of this machine's apt sources may feed an image: those the Debian archive signs, for its release.

Reads both forms apt knows (sources.list(5): one line, deb822). The rest of the machine's sources, third-party
repositories above all, never reaches an image.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMPONENTS = frozenset({"main"})
SCHEMES = ("http://", "https://")
# Settings that describe how to reach a mirror are the machine's; those that would weaken verification, and
# those that make apt fetch indexes an image has no use for, are not taken over.
REFUSED_SETTINGS = re.compile(
    r"Acquire(::(Allow\w*|IndexTargets|Changelogs|cdrom|CompressionTypes|GzipIndexes|Languages)\b.*)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, order=True)
class Source:
    """One archive, suite and its wanted components; ``signed_by`` as the machine has it, or empty."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def release_file(self, lists: Path) -> Path:
        """Where apt keeps this source's InRelease (apt's URItoFileName)."""
        place = re.sub(r"^[a-z+]+://", "", self.uri).rstrip("/")
        quoted = re.sub(r"[\\|{}\[\]<>\"^~_=!@#$%&*]", lambda m: f"%{ord(m.group()):02x}", place)
        return lists / (quoted.replace("/", "_") + f"_dists_{self.suite}_InRelease")

    def line(self) -> str:
        """The source in one-line form, pinned to Debian's own keyring."""
        return f"deb [signed-by={KEYRING}] {self.uri} {self.suite} {' '.join(self.components)}"


def parse_one_line(text: str) -> Iterator[Source]:
    """The enabled ``deb`` entries of a sources.list; malformed lines are skipped as apt would refuse them."""
    for raw in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)", raw)
        if match is None:
            continue
        options, uri, suite, components = match.groups()
        settings = dict(
            part.split("=", 1) for part in shlex.split(options or "", comments=False) if "=" in part
        )
        yield Source(uri, suite, tuple(components.split()), settings.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """The enabled ``deb`` stanzas of a ``.sources`` file, one Source for each URI and suite."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for raw in stanza.splitlines():
            if raw.startswith("#"):
                continue
            if raw[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + "\n" + raw.strip()
            elif ":" in raw:
                name, value = raw.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "off", "0"):
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(
                    uri,
                    suite,
                    tuple(fields.get("components", "").split()),
                    fields.get("signed-by", "").strip(),
                )


def select(
    sources: Iterable[Source], codename: str, is_debian: Callable[[Source], bool]
) -> tuple[Source, ...]:
    """The sources an image of ``codename`` is built from, sorted, without repetition.

    Args:
        sources: everything the machine has enabled.
        codename: the machine's release, such as ``bookworm``.
        is_debian: tells whether the archive key of Debian signs this source.
    """
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    chosen = {
        Source(source.uri, source.suite, tuple(sorted(COMPONENTS.intersection(source.components))))
        for source in sources
        if source.suite in suites
        and source.uri.startswith(SCHEMES)
        and COMPONENTS.intersection(source.components)
        and is_debian(source)
    }
    return tuple(sorted(chosen))


def read_machine(apt: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled binary source under an apt configuration directory."""
    found: list[Source] = []
    parts = apt / "sources.list.d"
    for path in [apt / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]:
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if path.suffix == ".list":
            found.extend(parse_one_line(text))
        elif path.suffix == ".sources":
            found.extend(parse_deb822(text))
    return found


def mirror_settings(dump: str) -> str:
    """The ``Acquire::`` settings of ``apt-config dump`` that say how to reach a mirror, as apt.conf text."""
    kept = []
    for line in dump.splitlines():
        name, _, value = line.partition(" ")
        if name.startswith("Acquire") and value != '"";' and not REFUSED_SETTINGS.match(name):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)
