"""What a package puts where, laid out below a directory."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import environment
from twinhull_installer.run import LONG, Runner

DOCUMENTS = Path("usr/share/doc")
LIBRARY_UNITS = Path("usr/lib/systemd/system")
INSTALLER_MODULES = (
    "__init__",
    "boot",
    "confinement",
    "context",
    "errors",
    "journal",
    "paths",
    "process",
    "reach",
    "run",
    "services",
    "setup",
    "sizes",
    "steps",
    "system",
    "unitfile",
    "upgrade",
)
"""What the commands of ``OWN_COMMANDS`` are made of."""
OWN_COMMANDS = ("services", "setup", "upgrade")
"""In ``/opt/twinhull/lib``, of Debian's Python alone."""
TYPED = ("services", "setup")
"""Those among them that a person types, and finds in ``/opt/twinhull``."""
ICON = "org.twinhull.Twinhull.svg"


@dataclass(frozen=True)
class Kind:
    """One of the two packages.

    Attributes:
        name: of the package.
        summary: its one line in package lists.
        prefix: below what it keeps its environment; the units name it.
        server: whether it is the fleet server.
        programs: those of pyproject.toml that it has.
        commands: those among them that a person types, and gets in /usr/bin with a page and completions.
        left_out: directories of our own packages that it has no use for, below site-packages.
    """

    name: str
    summary: str
    prefix: Path
    server: bool
    programs: tuple[str, ...]
    commands: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def environment(self) -> Path:
        """Where it keeps its Python environment, from the top of the file system."""
        return self.prefix / "venv"

    @property
    def site(self) -> Path:
        """Where its libraries are."""
        return self.environment / "lib/python3.11/site-packages"


CLIENT = Kind(
    name="twinhull",
    summary="one laptop as two isolated computers, a corporate and a personal one",
    prefix=Path("opt/twinhull"),
    server=False,
    programs=(
        "twinhull",
        "twinhulld",
        "twinhull-netd",
        "twinhull-devd",
        "twinhull-blockd",
        "twinhull-tpmd",
        "twinhull-diskd",
        "twinhull-fetch",
    ),
    commands=("twinhull", "twinhull-fetch"),
    left_out=("twinhull_policy/server",),
)
SERVER = Kind(
    name="twinhull-server",
    summary="fleet server for Twinhull laptops",
    prefix=Path("opt/twinhull-server"),
    server=True,
    programs=("twinhull-server",),
    commands=("twinhull-server",),
    left_out=("twinhull_hypervisor", "twinhull_client", "twinhull_policy/api"),
)
KINDS = (CLIENT, SERVER)


def own_lines(text: str, *, server: bool) -> str:
    """Those lines of a sysusers.d or tmpfiles.d file of one package; comments are the client's."""
    return "".join(line for line in text.splitlines(keepends=True) if ("twinhull-server" in line) == server)


def lay_out_environment(kind: Kind, repository: Path, root: Path) -> None:
    """Make the environment around its libraries, as venv would, with the programs, nothing of the build."""
    top = root / kind.environment
    for left_over in ("bin", "share"):
        shutil.rmtree(root / kind.site / left_over, ignore_errors=True)
    for directory in kind.left_out:
        shutil.rmtree(root / kind.site / directory)
    # pip's own book-keeping; without it no pip takes them for its to change (PEP 627).
    for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
        for path in (root / kind.site).glob(f"*.dist-info/{name}"):
            path.unlink()
    for pattern in ("twinhull-*.dist-info/entry_points.txt", "**/.gitignore"):
        for path in (root / kind.site).glob(pattern):
            path.unlink()
    write(top / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
    (top / "bin").mkdir()
    (top / "bin/python3").symlink_to("/usr/bin/python3.11")
    (top / "bin/python").symlink_to("python3")
    scripts: dict[str, str] = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"][
        "scripts"
    ]
    for name in kind.programs:
        module, _, function = scripts[name].partition(":")
        # -I: what a user's environment or directory says changes nothing in it.
        lines = [
            f"#!/{kind.environment}/bin/python3 -I",
            "import sys",
            "",
            f"from {module} import {function}",
            "",
        ]
        write(top / "bin" / name, "\n".join([*lines, f"sys.exit({function}())", ""]), mode=0o755)
    for name in kind.commands:
        link(root / "usr/bin" / name, Path("/") / kind.environment / "bin" / name)


def compile_python(runner: Runner, kind: Kind, root: Path, variables: Mapping[str, str]) -> None:
    """Compile every module ahead, since nobody may write there later.

    The compiled files are valid whatever the sources' times are (PEP 552, unchecked hashes): dpkg keeps both.
    """
    command = [environment.PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    places: list[str | Path] = ["-s", root, "-p", "/", root / kind.prefix]
    # Some libraries bring modules for other versions of Python, which this one never loads.
    runner.run([*command, *places], check=False, timeout=LONG, environment=variables)


def lay_out_system(kind: Kind, repository: Path, root: Path) -> None:
    """Put everything of ours outside the environment where the system looks for it."""
    installer = repository / "installer"
    config = installer / "config"
    for name in ("sysusers", "tmpfiles"):
        text = own_lines((config / f"{name}.conf").read_text("utf-8"), server=kind.server)
        write(root / f"usr/lib/{name}.d/{kind.name}.conf", text)
    for unit in sorted((installer / "systemd").iterdir()):
        if (unit.stem == "twinhull-server") == kind.server:
            text = unit.read_text("utf-8").replace("/opt/twinhull/", f"/{kind.prefix}/")
            write(root / LIBRARY_UNITS / unit.name, text)
    for document in sorted((repository / "docs").rglob("*.md")):
        write(root / kind.prefix / "lib" / document.relative_to(repository), document.read_text("utf-8"))
    if kind.server:
        return
    write(
        root / "usr/share/dbus-1/system.d/org.twinhull.Daemon1.conf",
        (config / "org.twinhull.Daemon1.conf").read_text(),
    )
    write(
        root / "usr/share/polkit-1/actions/org.twinhull.policy", (config / "org.twinhull.policy").read_text()
    )
    assets = repository / "assets"
    for directory, name in (("applications", "desktop"), ("metainfo", "metainfo.xml")):
        write(
            root / f"usr/share/{directory}/org.twinhull.Twinhull.{name}",
            (assets / f"org.twinhull.Twinhull.{name}").read_text(),
        )
    write(root / f"usr/share/icons/hicolor/scalable/apps/{ICON}", (assets / "icons" / ICON).read_text())
    host = config / "host"
    write(
        root / "usr/lib/udev/rules.d/60-twinhull-disks.rules",
        (host / "60-twinhull-disks.rules").read_text("utf-8"),
    )
    write(root / "etc/libvirt/hooks/qemu.d/twinhull", (host / "libvirt-hook").read_text("utf-8"), mode=0o755)
    library = root / kind.prefix / "lib"
    for module in INSTALLER_MODULES:
        write(
            library / f"twinhull_installer/{module}.py",
            (installer / f"twinhull_installer/{module}.py").read_text(),
        )
    for name in OWN_COMMANDS:
        write(library / name, (installer / name).read_text(), mode=0o755)
    for name in TYPED:
        link(root / kind.prefix / name, Path("lib") / name)
    rule = "config/50-twinhull-owner.rules"
    write(library / rule, (installer / rule).read_text())
    for directory in ("systemd", "config/boot"):
        for path in sorted((installer / directory).iterdir()):
            if path.stem == "twinhull-server":
                continue
            write(library / directory / path.name, path.read_text())


def lay_out_words(
    kind: Kind, repository: Path, root: Path, work: Path, runner: Runner, version: str, when: int
) -> None:
    """Write the manual pages and completions of a package's commands, from the commands it carries."""
    for name in kind.commands:
        place = work / f"words-{name}"
        place.mkdir()
        search = f"{root / kind.site}{os.pathsep}{repository / 'installer'}"
        command: list[str | Path] = [environment.PYTHON, "-P", "-B", "-m", "twinhull_installer.debian.words"]
        runner.run([*command, name, place, version, str(when)], environment={"PYTHONPATH": search})
        write_packed(root / f"usr/share/man/man1/{name}.1.gz", (place / f"{name}.1").read_bytes())
        for source, target in (
            (f"{name}.bash", f"bash-completion/completions/{name}"),
            (f"_{name}", f"zsh/vendor-completions/_{name}"),
            (f"{name}.fish", f"fish/vendor_completions.d/{name}.fish"),
        ):
            write(root / "usr/share" / target, (place / source).read_text("utf-8"))


def settle(root: Path, when: int) -> None:
    """Give every file the mode and time that it has in the package, whatever umask and clock made it."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or (path.stat().st_mode & 0o100 and not _is_library(path))
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, and make the directories that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


def write_packed(path: Path, content: bytes) -> None:
    """Write a file compressed, without time or name in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def link(path: Path, target: Path) -> None:
    """Make a symbolic link, and the directories that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def listing(root: Path) -> Iterable[str]:
    """Every path below a directory with its mode and, for a link, its target; sorted."""
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if path.is_symlink():
            yield f"{name} -> {path.readlink()}"
        elif path.is_dir():
            yield f"{name}/"
        else:
            yield f"{name} {path.stat().st_mode & 0o7777:04o}"


def _is_library(path: Path) -> bool:
    return re.search(r"\.so(\.[0-9.]+)?$", path.name) is not None
