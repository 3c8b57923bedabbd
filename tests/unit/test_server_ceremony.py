"""Changing the root: what is drafted, signed and published, and everything that is refused with its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import ceremony, expiry, repository
from twinhull_policy.server.cli import app
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.setup import Settings, initialise

COMMAND = typer.main.get_command(app)
DAY = 86400.0


class Server:
    """A server's directory and its command line, in this process."""

    def __init__(self, directory: Path) -> None:
        self.layout = Layout(directory)
        initialise(self.layout, Settings("example", "localhost", 8443, "10.77.1.0/24"))

    def run(self, *arguments: str | Path) -> None:
        """One command; raises what it is refused with."""
        words = ["--dir", str(self.layout.directory), *map(str, arguments)]
        COMMAND.main(words, standalone_mode=False)

    def refuses(self, code: str, *arguments: str | Path) -> None:
        with pytest.raises(TwinhullError) as caught:
            self.run(*arguments)
        assert caught.value.code == code

    def sign(self, draft: Path, *keys: str) -> None:
        for name in keys:
            self.run("root", "sign", draft, "--key", self.layout.offline / f"{name}.key")

    def keyids(self, role: str) -> list[str]:
        return ceremony.role_keys(repository.current_root(self.layout), role)

    @property
    def version(self) -> int:
        return repository.current_root(self.layout).version


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


@pytest.fixture
def public(server: Server, tmp_path: Path) -> str:
    """A new key's public half; the private one is ``new.key``."""
    server.run("key", "new", tmp_path / "new.key")
    return str(tmp_path / "new.key.pub")


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("TH-SRV-100", ["--add", "owner=PUBLIC"]),
        ("TH-SRV-100", ["--remove", "owner=ab"]),
        ("TH-SRV-101", ["--add", "root"]),
        ("TH-SRV-101", ["--threshold", "root=-1"]),
        ("TH-SRV-101", ["--threshold", "root=9999"]),
        ("TH-SRV-102", ["--remove", "root=ffffffffffffffffffff"]),
        ("TH-SRV-102", ["--remove", "root=POLICY"]),
        ("TH-SRV-104", ["--remove", "policy=POLICY"]),
        ("TH-SRV-104", ["--threshold", "root=4"]),
        ("TH-SRV-105", ["--threshold", "policy=2"]),
        ("TH-SRV-105", ["--threshold", "root=0"]),
        ("TH-SRV-105", ["--threshold", "root=17"]),
        ("TH-SRV-103", ["--add", "root=PUBLIC", "--add", "policy=PUBLIC"]),
        ("TH-SRV-107", ["--add", "root=PRIVATE"]),
        ("TH-SRV-011", ["--add", "root=/nonexistent"]),
    ],
)
def test_changes_that_make_no_sense(
    server: Server, public: str, tmp_path: Path, code: str, options: list[str]
) -> None:
    names = {
        "PUBLIC": public,
        "PRIVATE": str(tmp_path / "new.key"),
        "POLICY": server.keyids("policy")[0],
    }
    for name, value in names.items():
        options = [option.replace(name, value) for option in options]
    server.refuses(code, "root", "draft", tmp_path / "draft.json", *options)
    assert not (tmp_path / "draft.json").exists()


@pytest.mark.parametrize("content", [b"{}", b"[" * 100_000, b"\xff", b"x" * (600 * 1024)])
def test_what_is_no_draft(server: Server, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.json"
    path.write_bytes(content)
    server.refuses("TH-SRV-106", "root", "publish", path)
    path.write_bytes((server.layout.metadata / "1.targets.json").read_bytes())
    server.refuses("TH-SRV-106", "root", "sign", path, "--key", server.layout.offline / "root-1.key")


def test_signatures_are_counted_by_key_in_both_roots(server: Server, public: str, tmp_path: Path) -> None:
    draft, other = tmp_path / "draft.json", tmp_path / "other.json"
    server.run("root", "draft", draft, "--add", f"command={public}")
    server.refuses("TH-SRV-110", "root", "draft", draft)
    server.refuses("TH-SRV-108", "root", "publish", draft)
    server.sign(draft, "root-1", "root-1")
    server.refuses("TH-SRV-108", "root", "publish", draft)
    server.run("root", "sign", draft, "--key", tmp_path / "new.key")
    server.refuses("TH-SRV-108", "root", "publish", draft)
    server.run("root", "draft", other, "--threshold", "root=3")
    server.sign(other, "root-2", "root-3")
    server.refuses("TH-SRV-108", "root", "publish", other)
    assert server.version == 1
    server.sign(draft, "root-3")
    server.run("root", "publish", draft)
    server.refuses("TH-SRV-109", "root", "publish", other)
    server.run("root", "publish", draft)  # again: finishes what may be left
    assert server.version == 2
    assert len(server.keyids("command")) == 2
    server.run("key", "revoke", "command", server.keyids("command")[1][:12])
    assert len(server.keyids("command")) == 1
    server.refuses("TH-SRV-104", "key", "revoke", "command", server.keyids("command")[0])


def test_a_changed_draft_loses_its_signatures(server: Server, tmp_path: Path) -> None:
    draft = tmp_path / "draft.json"
    server.run("root", "draft", draft)
    server.sign(draft, "root-1", "root-2")
    document: dict[str, Any] = json.loads(draft.read_bytes())
    document["signed"]["roles"]["root"]["threshold"] = 1
    draft.write_text(json.dumps(document))
    server.refuses("TH-SRV-108", "root", "publish", draft)
    assert server.version == 1


def test_a_root_this_server_could_not_sign_under_is_not_published(
    server: Server, public: str, tmp_path: Path
) -> None:
    """A director key whose private half is elsewhere: refused before anything changes."""
    draft = tmp_path / "draft.json"
    old = server.keyids("director")[0]
    server.run("root", "draft", draft, "--add", f"director={public}", "--remove", f"director={old}")
    server.sign(draft, "root-1", "root-2")
    server.refuses("TH-SRV-111", "root", "publish", draft)
    assert server.version == 1


@pytest.mark.parametrize("role", repository.SIGNING_ROLES)
def test_every_role_can_be_rotated_and_its_old_key_is_gone(server: Server, role: str) -> None:
    path = repository.key_directory(server.layout, role) / f"{role}.key"
    before, old = path.read_bytes(), server.keyids(role)
    server.run("key", "rotate", role)
    assert path.read_bytes() != before
    assert not set(server.keyids(role)) & set(old)
    assert repository.signer_for(server.layout, role).public_key.keyid in server.keyids(role)
    server.refuses("TH-SRV-100", "key", "rotate", "root")


def test_too_few_root_keys_attached(server: Server) -> None:
    for name in ("root-1", "root-3"):
        (server.layout.offline / f"{name}.key").unlink()
    server.refuses("TH-SRV-010", "root", "rotate")
    assert server.version == 1


def test_what_expires_is_told_in_time(server: Server) -> None:
    ends = {each.what: each.expires_at for each in expiry.expiries(server.layout)}
    assert {"root of trust", "list of images", "server's certificate"} <= ends.keys()
    first = min(each.expires_at - each.warn_days * DAY for each in expiry.expiries(server.layout))
    assert expiry.warnings(server.layout, first - 1) == []
    (soon,) = expiry.warnings(server.layout, first + 1)
    assert "list of images expires in 20 days" in soon
    assert "image renew" in soon
    after = expiry.warnings(server.layout, ends["root of trust"])
    assert any("root of trust has expired" in sentence for sentence in after)
    server.run("image", "renew")
    assert repository.targets_expiry(server.layout) >= ends["list of images"]
