"""The package's setup: what it reads from the answers, and whether it talks to the right server."""

from __future__ import annotations

import datetime
import hashlib
import http.server
import json
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from twinhull_installer import paths, reach, setup
from twinhull_installer.errors import NotTheServer, ServerNotReached


def certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on this machine that answers whatever a test says; its address, and its answers by path."""
    pages: dict[str, bytes] = {}

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    shown, key = certificate("server")
    (tmp_path / "server.pem").write_bytes(shown + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{listening.server_port}", pages
    listening.shutdown()
    thread.join()
    listening.server_close()


def token(pem: bytes) -> str:
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return f"th1.{'A' * 43}.{'0' * 64}.{hashlib.sha256(der).hexdigest()}"


def test_the_server_of_the_token_is_told_from_others(server: tuple[str, dict[str, bytes]]) -> None:
    url, pages = server
    ours, theirs = certificate("ours")[0], certificate("theirs")[0]
    pages["/v1/ca"] = ours
    reach.require_server(url, token(ours))
    with pytest.raises(NotTheServer):
        reach.require_server(url, token(theirs))


@pytest.mark.parametrize(
    "untrusted_answer",
    [
        b"",
        b"<html>",
        b"\xff" * 200_000,
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_fleet_server_is_said_to_be_none(
    server: tuple[str, dict[str, bytes]], untrusted_answer: bytes
) -> None:
    url, pages = server
    pages["/v1/ca"] = untrusted_answer
    with pytest.raises(ServerNotReached):
        reach.require_server(url, token(certificate("ours")[0]))


def test_nobody_there_is_said_in_a_sentence() -> None:
    with pytest.raises(ServerNotReached) as refused:
        reach.require_server("https://127.0.0.1:1", token(certificate("ours")[0]))
    assert "Connection refused" in refused.value.message


def given(**laptop: Any) -> dict[str, Any]:
    return {"passphrase_corporate": "x" * 8, "passphrase_personal": "y" * 8, "laptop": laptop}


def test_room_is_asked_for_volumes_that_are_still_to_be_made(tmp_path: Path) -> None:
    sized = given(volumes={"corporate": {"gib": 10}, "personal": {"gib": 20}})
    assert setup.volumes_gb(sized, tmp_path) == pytest.approx(30 * 2**30 / 1e9)
    (tmp_path / "personal.luks").touch()
    assert setup.volumes_gb(sized, tmp_path) == pytest.approx(10 * 2**30 / 1e9)
    assert setup.volumes_gb(given(volumes={"corporate": {"device": "/dev/sdz", "gib": 5}}), tmp_path) == 0
    sized.pop("passphrase_corporate")  # it will not be made
    assert setup.volumes_gb(sized, tmp_path) == 0


def test_settings_are_the_answers_and_keep_an_owners_phrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = Path(setup.__file__).parents[1]
    settings, rule = tmp_path / "host.json", tmp_path / "owner.rules"
    monkeypatch.setattr(setup, "RULE_TEMPLATE", installer / "config/50-twinhull-owner.rules")
    monkeypatch.setattr(paths, "POLKIT_ACTIONS", installer / "config/org.twinhull.policy")
    monkeypatch.setattr(paths, "HOST_SETTINGS", settings)
    monkeypatch.setattr(paths, "POLKIT_OWNER_RULE", rule)
    answers = given(host={"owner": "alex"})
    assert json.loads(setup.files(answers)[settings]) == {"owner": "alex"}
    settings.write_text('{"owner": "alex", "owner_phrase": "amber anchor"}')
    assert json.loads(setup.files(answers)[settings])["owner_phrase"] == "amber anchor"
    answers["laptop"]["host"]["owner_phrase"] = "jade otter"
    assert json.loads(setup.files(answers)[settings])["owner_phrase"] == "jade otter"
    text = setup.files(answers)[rule]
    assert 'subject.user == "alex"' in text and "org.twinhull." in text
    assert setup.VOLUME_SETTINGS not in setup.files(answers)


def test_the_probe_gets_the_kernel_that_runs_or_else_the_newest(tmp_path: Path) -> None:
    assert setup.probe_kernel(tmp_path) is None
    for age, name in enumerate(("vmlinuz-6.1.0-2-amd64", "vmlinuz-6.1.0-10-amd64")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    assert setup.probe_kernel(tmp_path) == tmp_path / "vmlinuz-6.1.0-10-amd64"
    running = tmp_path / f"vmlinuz-{os.uname().release}"
    running.touch()
    assert setup.probe_kernel(tmp_path) == running
