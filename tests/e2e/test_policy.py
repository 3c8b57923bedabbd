"""A policy takes effect only if it is authentic, for this laptop, newer and in date (P5)."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twinhull_policy.trust import envelope
from twinhull_policy.trust.documents import STATEMENT_TYPE

from tests.support.laptop import FETCH, Laptop, as_json, wait_for
from tests.support.server_keys import director_signer, fresh_signer, policy_signer

INBOX = FETCH / "inbox"


def payload_of(raw: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(base64.b64decode(json.loads(raw)["payload"]))
    return payload


def signed(fields: dict[str, Any], signer: Any) -> bytes:
    from twinhull_policy.canonical import encode

    return envelope.sign(STATEMENT_TYPE, encode(fields), [signer])


def newer(raw: bytes, **changes: Any) -> dict[str, Any]:
    """The next statement after the one in force, as the server would issue it, with changes."""
    now = int(time.time())
    fields = payload_of(raw)
    return {
        **fields,
        "seq": fields["seq"] + 1,
        "prev_hash": envelope.envelope_hash(raw),
        "issued_at": now,
        "expires_at": now + 3600,
        **changes,
    }


def unsigned(raw: bytes) -> bytes:
    document = json.loads(signed(newer(raw), director_signer()))
    document["signatures"] = []
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "unsigned": (unsigned, "TH-TRU-"),
    "older": (lambda raw: signed(newer(raw, seq=1, prev_hash=""), director_signer()), "TH-TRU-"),
    "expired": (
        lambda raw: signed(
            newer(raw, issued_at=int(time.time()) - 7200, expires_at=int(time.time()) - 3600),
            director_signer(),
        ),
        "TH-TRU-",
    ),
    "for another device": (
        lambda raw: signed(newer(raw, device_id="d-somebody-else"), director_signer()),
        "TH-TRU-",
    ),
    "truncated": (lambda raw: signed(newer(raw), director_signer())[:-40], "TH-TRU-"),
    "of an unknown key": (lambda raw: signed(newer(raw), fresh_signer()), "TH-TRU-"),
    "of another role's key": (lambda raw: signed(newer(raw), policy_signer()), "TH-TRU-"),
}


@pytest.fixture
def fetch_stopped(laptop: Laptop) -> Iterator[Laptop]:
    """Fetch is still while a test puts things into its inbox; afterwards all is as before."""
    kept = INBOX / "statement.dsse"
    original = kept.read_bytes()
    laptop.services("stop", "twinhull-fetch")
    yield laptop
    write_as_fetch(kept, original)
    laptop.services("start", "twinhull-fetch")
    laptop.services("restart", "twinhulld")
    wait_for(lambda: laptop.status().enrolment.connected, "the push stream to be back")
    wait_for(lambda: not laptop.status().policy.last_refusal, "the good statement to be accepted again")


def write_as_fetch(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    shutil.chown(path, "twinhull-fetch", "twinhull")
    path.chmod(0o640)


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_statement_is_refused_and_the_last_good_one_stays(fetch_stopped: Laptop, case: str) -> None:
    laptop = fetch_stopped
    forge, code = REFUSED[case]
    before = laptop.status().policy
    write_as_fetch(INBOX / "statement.dsse", forge((INBOX / "statement.dsse").read_bytes()))
    laptop.services("restart", "twinhulld")
    after = wait_for(lambda: _refused(laptop), "the refusal to be shown", 30)
    assert after.last_refusal.startswith(code), after.last_refusal
    assert (after.sequence, after.sha256, after.document) == (
        before.sequence,
        before.sha256,
        before.document,
    )


def _refused(laptop: Laptop) -> Any:
    policy = laptop.status().policy
    return policy if policy.last_refusal else None


def test_a_published_change_is_in_force_within_seconds_by_push(laptop: Laptop, tmp_path: Path) -> None:
    wait_for(lambda: laptop.status().enrolment.connected, "the push stream")
    before = laptop.status().policy
    document = json.loads(before.document)
    document["lease"]["offline_hours"] = 30 + (document["lease"]["offline_hours"] + 1) % 50
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document))
    requests_before = _requests_of_laptop()
    laptop.server("policy", "publish", path)
    after = wait_for(
        lambda: p if (p := laptop.status().policy).sequence > before.sequence else None, "the change", 20
    )
    assert json.loads(after.document)["lease"] == document["lease"]
    assert _requests_of_laptop() - requests_before < 20
    shown = as_json(laptop.must("policy", "show", "--json"))
    assert document["lease"]["offline_hours"] == json.loads(shown["document"])["lease"]["offline_hours"]


def _requests_of_laptop() -> int:
    """How often the laptop asked the server for a statement or body so far, from the server's access log."""
    log = Path("/var/log/twinhull/twinhull-server.log").read_text(errors="replace")
    return log.count("/v1/statement") + log.count("/v1/bodies")


def test_policy_commands_need_no_daemon() -> None:
    example = subprocess.run(
        ["/usr/local/bin/twinhull", "policy", "example"],
        capture_output=True,
        text=True,
        check=True,
        env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
    ).stdout
    path = Path("/dev/stdin")
    checked = subprocess.run(
        ["/usr/local/bin/twinhull", "policy", "check", path],
        input=example,
        capture_output=True,
        text=True,
        env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
    )
    assert checked.returncode == 0, checked.stderr
