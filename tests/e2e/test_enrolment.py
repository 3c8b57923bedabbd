"""A token enrols one laptop once; every other use is refused: a sentence here, the reason in the log."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.fetch.client import FetchClient
from twinhull_policy.errors import RemoteError

from tests.support.laptop import SERVER_LOG, Laptop, wait_for

URL = "https://localhost:8443"
WIREGUARD_KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
"""The example public key of wg(8)."""


@pytest.fixture
def second_laptop(laptop: Laptop, passable: Path) -> Iterator[FetchClient]:
    """Another laptop's fetch, with nothing in its directory yet."""
    socket = passable / "fetch.sock"
    process = subprocess.Popen(
        ["/opt/twinhull/venv/bin/twinhull-fetch", "serve", "--dir", passable / "fetch", "--socket", socket],
        stderr=subprocess.DEVNULL,
    )
    wait_for(socket.exists, "the second laptop's fetch to listen")
    yield FetchClient(socket)
    process.terminate()
    process.wait(30)


def mint(laptop: Laptop, *arguments: str) -> str:
    token: str = json.loads(laptop.server("token", "new", *arguments, "--json"))["token"]
    return token


def refused(fetch: FetchClient, token: str) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        fetch.enrol(URL, WIREGUARD_KEY, token.encode())
    assert "\n" not in caught.value.message
    assert token not in caught.value.message
    return caught.value


def log_since(offset: int) -> str:
    return SERVER_LOG.read_text(errors="replace")[offset:]


def test_a_token_used_twice_is_refused(laptop: Laptop, second_laptop: FetchClient) -> None:
    token = mint(laptop)
    enrolled = second_laptop.enrol(URL, WIREGUARD_KEY, token.encode())
    assert enrolled.device_id
    second_laptop.forget()
    offset = len(SERVER_LOG.read_text(errors="replace"))
    refusal = refused(second_laptop, token)
    assert refusal.remote.code.startswith(("TH-SRV-", "TH-ENR-"))
    told = wait_for(lambda: log_since(offset), "the server's log")
    assert "used" in told.lower()
    assert token.split(".")[1] not in SERVER_LOG.read_text(errors="replace")


def test_a_wrong_token_is_refused(laptop: Laptop, second_laptop: FetchClient) -> None:
    good = mint(laptop).split(".")
    wrong = ".".join([good[0], "A" * 43, *good[2:]])
    offset = len(SERVER_LOG.read_text(errors="replace"))
    refused(second_laptop, wrong)
    assert wait_for(lambda: "token" in log_since(offset).lower(), "the server's log")


def test_an_expired_token_is_refused(laptop: Laptop, second_laptop: FetchClient) -> None:
    token = mint(laptop, "--hours", "1")
    with sqlite3.connect("/var/lib/twinhull-server/server.sqlite", timeout=30) as database:
        database.execute("UPDATE tokens SET expires_at = ? WHERE used_at IS NULL", (time.time() - 60,))
    database.close()
    offset = len(SERVER_LOG.read_text(errors="replace"))
    refused(second_laptop, token)
    assert wait_for(lambda: "expired" in log_since(offset).lower(), "the server's log")


def test_a_token_that_pins_another_ca_or_root_is_refused(laptop: Laptop, second_laptop: FetchClient) -> None:
    version, secret, root, ca = mint(laptop).split(".")
    refused(second_laptop, ".".join([version, secret, root, "0" * 64]))
    refused(second_laptop, ".".join([version, secret, "0" * 64, ca]))


def test_the_command_line_says_it_in_one_sentence(laptop: Laptop) -> None:
    malformed = laptop.twinhull("enroll", URL, "--token-file", "-", stdin="not a token\n")
    assert (malformed.returncode, malformed.stdout) == (2, "")
    assert "TH-TRU-060" in malformed.stderr
    token = mint(laptop)
    # Enrolled there already: asking again changes nothing, and leaves the token good.
    again = laptop.twinhull("enroll", URL, "--token-file", "-", stdin=token)
    assert again.returncode == 0, again.stderr
    elsewhere = laptop.twinhull("enroll", "https://other.example:8443", "--token-file", "-", stdin=token)
    assert elsewhere.returncode == 1
    assert "TH-ENR-201" in elsewhere.stderr
    assert "Traceback" not in elsewhere.stderr


def test_an_answer_file_asked_again_changes_nothing(both_running: Laptop, passable: Path) -> None:
    answers = passable / "answers.json"
    answers.write_text(
        json.dumps({"url": URL, "token": mint(both_running), "passphrase_personal": "not the one it has"})
    )
    shutil.chown(answers, both_running.owner)
    answers.chmod(0o644)
    readable = both_running.twinhull("enroll", "--answers", answers)
    assert readable.returncode == 2, readable.stderr
    answers.chmod(0o600)
    before = both_running.status()
    both_running.must("enroll", "--answers", answers)
    after = both_running.status()
    assert after.enrolment.device_id == before.enrolment.device_id
    assert [(p.name, p.state, p.started_at) for p in after.partitions] == [
        (p.name, p.state, p.started_at) for p in before.partitions
    ]
