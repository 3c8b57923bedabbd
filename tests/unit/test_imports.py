"""Who may import whom (design.md section 3, docs/architecture.md): read from the source, every module."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.support.source import modules

ONLY_IN = {
    "libvirt": ("twinhull_hypervisor",),
    "libvirt_qemu": ("twinhull_hypervisor",),
    "pyudev": ("twinhull_hypervisor",),
    "pyroute2": ("twinhull_hypervisor",),
    "PySide6": ("twinhull_client.gui",),
    "gi": ("twinhull_client.viewer",),
    "sqlalchemy": (
        "twinhull_policy.server.storage",
        "twinhull_policy.server.migrations",
        "twinhull_policy.server.store",
    ),
}
ARROWS = {
    "twinhull_policy": set(),
    "twinhull_hypervisor": {"twinhull_policy"},
    "twinhull_client": {"twinhull_policy"},
}
IMPURE = {"subprocess", "threading", "socket", "multiprocessing"}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imported(name: str, is_package: bool, tree: ast.Module) -> Iterator[str]:
    """Absolute names of all a module imports, wherever in it, relative imports resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                kept = parts[: len(parts) - node.level + is_package]
                base = ".".join((*kept, base)).rstrip(".")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


ALL = [(name, set(imported(name, path.stem == "__init__", tree))) for name, path, tree in modules()]


def test_the_walk_sees_imports() -> None:
    assert any("sdbus" in names for _, names in ALL)


@pytest.mark.parametrize(("module", "names"), ALL, ids=[name for name, _ in ALL])
def test_module_imports_only_what_it_may(module: str, names: set[str]) -> None:
    own = module.split(".")[0]
    allowed = {own, *ARROWS[own]}
    assert [n for n in names if n.startswith("twinhull_") and n.split(".")[0] not in allowed] == []
    for library, homes in ONLY_IN.items():
        if not any(within(module, home) for home in homes):
            assert [n for n in names if within(n, library)] == []
    server = "twinhull_policy.server"
    if not within(module, server):
        assert [n for n in names if within(n, server)] == []
    if own == "twinhull_policy" and not within(module, server):
        assert {n.split(".")[0] for n in names} & IMPURE == set()
