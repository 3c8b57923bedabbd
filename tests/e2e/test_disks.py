"""What a guest writes is unreadable on the host, and opens with its own passphrase only (P4)."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.support.laptop import STATE, Laptop

CHUNK = 1 << 24


def holds(path: Path, needle: bytes) -> bool:
    """Whether a file holds some bytes, also across chunk borders."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if needle in tail + chunk:
                return True
            tail = chunk[-len(needle) :]
    return False


def test_a_canary_written_in_the_guest_is_nowhere_on_the_host(both_running: Laptop, tmp_path: Path) -> None:
    canary = secrets.token_hex(32)
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * (CHUNK - 7) + canary.encode())
    assert holds(plain, canary.encode()), "the search does not find what is there"
    for name in ("corporate", "personal"):
        guest = both_running.guest(name)
        script = f"for i in $(seq 2000); do echo {canary}; done > /home/canary; sync"
        assert guest.run("/usr/bin/bash", "-c", script).status == 0
        assert canary in guest.run("/usr/bin/tail", "-n1", "/home/canary").output
        files = [path for path in (STATE / "volumes" / name).rglob("*") if path.is_file()]
        assert any(path.name == "overlay.qcow2" for path in files)
        for path in files:
            assert not holds(path, canary.encode()), path


def test_a_wrong_passphrase_is_refused_clearly_and_nothing_is_lost(both_running: Laptop) -> None:
    guest = both_running.guest("personal")
    mark = secrets.token_hex(8)
    assert guest.run("/usr/bin/bash", "-c", f"echo {mark} > /home/mark; sync").status == 0
    both_running.stop("personal")
    both_running.services("restart", "twinhulld")
    assert both_running.state("personal") == "locked"
    refused = both_running.twinhull(
        "partition", "start", "personal", "--passphrase-file", "-", stdin="not the passphrase"
    )
    assert refused.returncode == 1
    assert "passphrase" in refused.stderr
    assert "TH-VOL-" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert both_running.state("personal") == "locked"
    guest = both_running.ensure_running("personal")
    assert mark in guest.run("/usr/bin/cat", "/home/mark").output


def test_a_changed_byte_in_the_golden_image_refuses_the_start(both_running: Laptop) -> None:
    both_running.stop("personal")
    info = next(part for part in both_running.status().partitions if part.name == "personal")
    image = STATE / "images" / f"{info.image_sha256}.qcow2"
    place = image.stat().st_size // 2
    with image.open("r+b") as file:
        file.seek(place)
        original = file.read(1)
        file.seek(place)
        file.write(bytes([original[0] ^ 1]))
    try:
        refused = both_running.twinhull(
            "partition",
            "start",
            "personal",
            "--passphrase-file",
            "-",
            stdin=both_running.passphrase("personal"),
        )
        assert refused.returncode == 1, refused.stderr
        assert "TH-IMG-" in refused.stderr
        assert info.image_sha256[:16] in refused.stderr
    finally:
        with image.open("r+b") as file:
            file.seek(place)
            file.write(original)
    both_running.ensure_running("personal")
