"""Python, its libraries and this repository's host side, to be added to the small machine's ramdisk."""

from __future__ import annotations

import io
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tests.support.source import ROOT

File = tuple[str, int, bytes]
"""Name without its leading slash, mode, content."""
LEFT_OUT = {
    *("__pycache__", "dist-packages", "test", "tests", "idlelib", "lib2to3", "tkinter", "distutils"),
    *("ensurepip", "pydoc_data", "turtledemo", "unittest", "multiprocessing", "xml", "xmlrpc", "sqlite3"),
}
UDEV = Path("/lib/x86_64-linux-gnu/libudev.so.1")
_DIRECTORY, _PROGRAM = 0o040755, 0o100755
_LDCONFIG = f"#!/bin/sh\necho '\tlibudev.so.1 (libc6,x86-64) => {UDEV}'\n".encode()


def with_python(ramdisk: bytes) -> bytes:
    """A ramdisk with all that added; ours is found with PYTHONPATH=/py, the interpreter in /usr/bin/python3.

    The kernel unpacks one archive after another (Documentation/driver-api/early-userspace/buffer-format.rst).
    """
    files = [*_interpreter(), *_tree(Path(sysconfig.get_path("stdlib", vars={"base": "/usr"})), "")]
    for name in ("msgspec", "pyudev"):
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None
        files += _tree(Path(spec.origin).parent, f"py/{name}")
    files += _tree(ROOT / "policy/twinhull_policy", "py/twinhull_policy")
    files += _tree(ROOT / "hypervisor/twinhull_hypervisor", "py/twinhull_hypervisor")
    files += [("sbin/ldconfig", _PROGRAM, _LDCONFIG), ("etc/passwd", 0o100644, b"root:x:0:0::/:/bin/sh\n")]
    there = {name for name, mode, _ in files if mode == _DIRECTORY}
    above = {str(p) for name, _, _ in files for p in Path(name).parents if p.name} - there
    directories = sorted(above | there)
    rest = [file for file in files if file[1] != _DIRECTORY]
    return ramdisk + _archive([*((name, _DIRECTORY, b"") for name in directories), *rest])


def _interpreter() -> Iterator[File]:
    python = Path("/usr/bin/python3").resolve()
    yield "usr/bin/python3", _PROGRAM, python.read_bytes()
    modules = Path(sysconfig.get_path("stdlib", vars={"base": "/usr"})) / "lib-dynload"
    spec = find_spec("msgspec")
    assert spec is not None and spec.origin is not None
    linked = [python, UDEV, *modules.glob("*.so"), *Path(spec.origin).parent.glob("*.so")]
    needed = {str(UDEV)}
    for path in linked:
        listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        needed |= set(re.findall(r"(/\S+) \(0x", listed))
    for library in sorted(needed):
        yield library[1:], _PROGRAM, Path(library).read_bytes()


def _tree(source: Path, name: str) -> Iterator[File]:
    name = name or str(source)[1:]
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if LEFT_OUT.isdisjoint(inside.parts) and path.is_file() and path.suffix not in (".pyc", ".a"):
            yield f"{name}/{inside}", _PROGRAM, path.read_bytes()


def _archive(files: list[File]) -> bytes:
    archive = io.BytesIO()
    for number, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        archive.write(b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0")
        archive.write(bytes(-archive.tell() % 4))
        archive.write(content + bytes(-len(content) % 4))
    return archive.getvalue()
