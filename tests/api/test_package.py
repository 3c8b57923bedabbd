"""The Debian packages: what is in them, that it works from there, and that two builds are the same bytes.

By default the laptop's is laid out whole and packed without its libraries, and the server's is built twice
without a network; ``--long`` does both with both, whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_installer.debian import command, libraries, tree
from twinhull_installer.debian.command import Release
from twinhull_installer.debian.tree import CLIENT, SERVER, Kind
from twinhull_installer.errors import CommandFailed, NotInLock
from twinhull_installer.run import Runner

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "tests/data/packages"
AS_OF = Release("0.1.0+20260101000000.abc", 1_767_225_600)
HASTE = "uses-no-compression-for-data-tarball,uses-no-compression-for-control-tarball"
"""What the tests save time by."""
LINTIAN = (
    "lintian",
    "--fail-on=error,warning",
    "--tag-display-limit=0",
    "--allow-root",
    f"--suppress-tags={HASTE}",
)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("packages")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def runner(work: Path) -> Runner:
    return Runner(work / "log")


@pytest.fixture(scope="session")
def house(runner: Runner) -> libraries.Wheelhouse:
    return libraries.gather(runner, REPOSITORY, command.WHEELHOUSES)


@pytest.fixture(scope="session")
def client(runner: Runner, house: libraries.Wheelhouse, work: Path) -> Path:
    """The laptop's package, laid out with its libraries."""
    return command.make_tree(runner, CLIENT, REPOSITORY, house, AS_OF, work, compiled=False)


@pytest.fixture(scope="session")
def own(client: Path, runner: Runner, work: Path) -> Path:
    """The laptop's package without other people's libraries: what of it is ours."""
    output = work / "own"
    output.mkdir()
    kept = shutil.copytree(client, output / "tree", symlinks=True)
    for path in (kept / CLIENT.site).iterdir():
        if not path.name.startswith("twinhull"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return command.pack(runner, CLIENT, REPOSITORY, kept, AS_OF, output, "none")


@pytest.fixture(scope="session")
def server(work: Path, house: libraries.Wheelhouse) -> Path:
    """The fleet server's package, built by the command in a network namespace that has no network."""
    assert house.directory.is_dir(), "gathered before, with a network"
    return offline(SERVER, work / "first")


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether what takes long is done, too."""
    return bool(request.config.getoption("--long"))


def offline(kind: Kind, output: Path) -> Path:
    """Build one package where no network is."""
    code = (
        "import os, sys; from pathlib import Path; from twinhull_installer.debian import command, tree;"
        "from twinhull_installer.run import Runner; os.umask(int(sys.argv[4], 8)); out = Path(sys.argv[2]);"
        "kinds = [kind for kind in tree.KINDS if kind.name == sys.argv[3]];"
        "where = (Path(sys.argv[1]), out, command.WHEELHOUSES);"
        "print(*command.build(Runner(out / 'log'), *where, 'none', kinds))"
    )
    # The second build differs in everything that must not matter.
    other = output.name != "first"
    home = output / "home"
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY / "installer"),
        "SOURCE_DATE_EPOCH": str(AS_OF.when),
        "TMPDIR": str(output),
        **({"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "HOME": str(home)} if other else {}),
    }
    output.mkdir()
    argv = ["unshare", "--net", "/usr/bin/python3", "-P", "-B", "-c", code]
    done = subprocess.run(
        [*argv, REPOSITORY, output, kind.name, "077" if other else "022"],
        capture_output=True,
        text=True,
        env=variables,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not home.exists()  # a build leaves nothing behind but what it was asked for
    return Path(done.stdout.strip())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_builds_are_the_same_bytes(server: Path, work: Path, long: bool) -> None:
    again = offline(SERVER, work / "second")
    assert again.name == server.name
    assert digest(again) == digest(server)
    if long:
        places = [work / name for name in ("client/first", "client/second")]
        (work / "client").mkdir()
        assert len({digest(offline(CLIENT, place)) for place in places}) == 1


def test_what_of_the_client_is_ours_is_as_reviewed(own: Path, rewrite_golden: bool) -> None:
    """Every path that the package brings outside other people's libraries, with its mode."""
    shown = subprocess.run(["dpkg-deb", "--contents", own], capture_output=True, text=True, check=True)
    owners = {line.split()[1] for line in shown.stdout.splitlines()}
    assert owners == {"root/root"}
    listed = [
        line
        for line in tree.listing(own.parent / "tree")
        if "__pycache__" not in line and f"/{CLIENT.site}/" not in line and "/lib/docs/" not in line
    ]
    golden = GOLDEN / "twinhull.txt"
    if rewrite_golden:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text("\n".join(listed) + "\n")
    assert listed == golden.read_text().splitlines()


def test_lintian_has_nothing_to_say(
    own: Path, client: Path, server: Path, work: Path, runner: Runner, long: bool
) -> None:
    packages = [own]
    if long:
        root = shutil.copytree(client, work / "whole", symlinks=True)
        packages += [server, command.pack(runner, CLIENT, REPOSITORY, root, AS_OF, work, "none")]
    for package in packages:
        said = subprocess.run([*LINTIAN, package], capture_output=True, text=True)
        assert (said.returncode, said.stdout) == (0, ""), said.stderr


def test_every_override_has_its_reason_above_it() -> None:
    for path in (REPOSITORY / "installer/debian").glob("*.overrides"):
        paragraph = False
        for line in path.read_text().splitlines():
            assert line.startswith("#") or paragraph, line
            paragraph = True


def test_every_module_finds_what_it_imports(client: Path, server: Path, work: Path) -> None:
    """Each package's own modules, imported with its own libraries and no others."""
    unpacked = work / "server-unpacked"
    subprocess.run(["dpkg-deb", "-x", server, unpacked], check=True)
    for kind, root in ((CLIENT, client), (SERVER, unpacked)):
        site = root / kind.site
        # Drawing needs libraries of a desktop; the viewer runs under Debian's own Python.
        skipped = ("twinhull_client/viewer", "twinhull_client/gui", "__main__")
        names = [
            str(path.relative_to(site).with_suffix("")).replace("/", ".").removesuffix(".__init__")
            for top in site.glob("twinhull_*")
            for path in sorted(top.rglob("*.py"))
            if not any(part in str(path) for part in skipped)
        ]
        assert len(names) > 50
        code = "import sys, importlib; sys.path.append(sys.argv[1]);"
        code += "[importlib.import_module(name) for name in sys.argv[2:]]"
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-S", "-B", "-c", code, site, *names], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]


def test_a_laptop_does_not_carry_the_server_nor_the_server_a_laptop(client: Path, server: Path) -> None:
    assert not (client / CLIENT.site / "twinhull_policy/server").exists()
    listed = subprocess.run(
        ["dpkg-deb", "--contents", server], capture_output=True, text=True, check=True
    ).stdout
    assert "twinhull_policy/server" in listed
    for absent in ("twinhull_client", "twinhull_hypervisor", "PySide6", "libvirt", "polkit-1", "dbus-1"):
        assert absent not in listed


def test_units_start_programs_that_the_package_has(client: Path) -> None:
    units = list((client / tree.LIBRARY_UNITS).iterdir())
    lines = [line for unit in units for line in unit.read_text().splitlines() if line.startswith("Exec")]
    programs = {word.lstrip("-") for line in lines for word in [line.partition("=")[2].split()[0]]} - {
        "/bin/true"
    }
    assert len(programs) == 8
    for program in programs:
        assert os.access(client / program.lstrip("/"), os.X_OK), program
        first = (client / program.lstrip("/")).read_text().splitlines()[0]
        assert first == f"#!/{CLIENT.environment}/bin/python3 -I"
    shown = subprocess.run(
        ["/usr/bin/python3", "-P", client / "opt/twinhull/services", "nonsense"],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 2 and "services boot on|off" in shown.stderr


def test_nothing_that_blocks_usb_is_in_force_by_being_installed(client: Path) -> None:
    """The kernel's setting and udev's rule hold from ``services boot on``, which looks first if they may."""
    for place in ("usr/lib/modprobe.d", "usr/lib/modules-load.d"):
        assert not (client / place).exists()
    for place in ("etc", "usr/lib/udev"):
        rules = [path for path in (client / place).rglob("*") if path.is_file()]
        assert len(rules) == 1 and "authorized" not in rules[0].read_text()
    assert (client / "opt/twinhull/lib/config/boot/udev.rules").exists()


def test_the_bill_of_materials_is_the_lock(client: Path) -> None:
    bill = json.loads((client / "usr/share/doc/twinhull/sbom.cdx.json").read_text())
    lock = libraries.parse_lock((REPOSITORY / libraries.LOCK).read_text())
    components = {item["name"]: item for item in bill["components"]}
    for name, item in components.items():
        assert item["version"] == lock[name].version
        assert item["hashes"][0]["content"] in lock[name].hashes
        assert item["purl"] == f"pkg:pypi/{name}@{item['version']}"
        assert item["licenses"][0]
    there = {path.name.split("-")[0] for path in (client / CLIENT.site).glob("*.dist-info")} - {"twinhull"}
    assert {libraries.uniform(name) for name in there} == set(components)
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.5"


def test_files_of_the_desktop_are_valid(client: Path) -> None:
    desktop = client / "usr/share/applications/org.twinhull.Twinhull.desktop"
    metainfo = client / "usr/share/metainfo/org.twinhull.Twinhull.metainfo.xml"
    checks: list[list[str | Path]] = [["desktop-file-validate", desktop]]
    checks.append(["appstreamcli", "validate", "--no-net", metainfo])
    for argv in checks:
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "script", sorted((REPOSITORY / "installer/debian").glob("*.p*[tm]")), ids=lambda p: p.name
)
def test_scripts_of_the_maintainer_stop_at_the_first_failure(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n") and "\nset -e\n" in text
    assert subprocess.run(["dash", "-n", script]).returncode == 0


def test_a_wheelhouse_that_was_changed_is_refused(
    house: libraries.Wheelhouse, runner: Runner, tmp_path: Path
) -> None:
    changed = libraries.Wheelhouse(tmp_path / "house")
    changed.directory.mkdir()
    (changed.directory / "builder").symlink_to(house.directory / "builder")
    shutil.copytree(house.files, changed.files, copy_function=os.link)
    (wheel,) = changed.files.glob("mdurl-*.whl")
    content = wheel.read_bytes()
    wheel.unlink()
    wheel.write_bytes(content + b"\0")
    lock = libraries.parse_lock((REPOSITORY / libraries.LOCK).read_text())
    with pytest.raises((NotInLock, CommandFailed)):
        libraries.install(runner, changed, lock, ["mdurl"], tmp_path / "site", tmp_path, {})
    assert not (tmp_path / "site").exists()
