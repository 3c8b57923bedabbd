"""What the command line promises without a daemon: help, exit statuses, errors, lean start-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from twinhull_policy.errors import ErrorReport

from tests.support.cli import NO_BUS, ROOT, command_paths, twinhull

PATHS = command_paths()
PRINT_STATE = [
    "status",
    "doctor",
    "log",
    "partition list",
    "device list",
    "policy show",
    "vpn status",
    "vpn prove",
    "disk status",
    "disk slots",
    "disk recover",
]
DESIGNED = {
    "": "enroll status doctor log gui",
    "partition": "list create start stop suspend resume reset update snapshot snapshots rollback",
    "device": "list attach detach explain answer forget switch rules",
    "policy": "show example schema check explain diff",
    "vpn": "status prove",
    "disk": "status slots add change remove unlock recover rotate restore-header lock grow escrow wipe",
}

USAGE = [
    ("nosuch", 2, "TH-CLI-009"),
    ("status --nosuch", 2, "TH-CLI-009"),
    ("partition", 2, "TH-CLI-009"),
    ("partition start", 2, "TH-CLI-009"),
    ("partition start ../corporate", 2, "TH-CLI-009"),
    ("partition start corporate --passphrase-file /nonexistent/file", 2, "TH-CLI-008"),
    ("partition create corporate", 2, "TH-CLI-006"),
    ("partition snapshot corporate", 3, "TH-CLI-001"),
    ("partition snapshots net", 2, "TH-CLI-009"),
    ("partition rollback personal", 3, "TH-CLI-001"),
    ("partition rollback personal s-00000000 --undo", 2, "TH-CLI-009"),
    ("partition rollback personal s-00000000 --passphrase-file /nonexistent/file", 2, "TH-CLI-008"),
    ("partition reset corporate", 1, "TH-CLI-014"),
    ("partition update corporate", 1, "TH-CLI-014"),
    ("partition update corporate --yes", 3, "TH-CLI-001"),
    ("device attach 1-2", 2, "TH-CLI-009"),
    ("device attach 1-2 net", 2, "TH-CLI-009"),
    ("device attach 1-2 corporate", 3, "TH-CLI-001"),
    ("device detach 1-2", 3, "TH-CLI-001"),
    ("device answer 1-2 maybe", 2, "TH-CLI-009"),
    ("device switch camera sideways", 2, "TH-CLI-009"),
    ("device switch disk off", 2, "TH-CLI-009"),
    ("device rules --set /nonexistent/file", 2, "TH-CLI-008"),
    ("device rules --set /dev/null", 2, "TH-POL-003"),
    ("device rules --set - --defaults", 2, "TH-CLI-009"),
    ("disk recover corporate", 2, "TH-CLI-006"),
    ("disk recover corporate --recovery-code-file - --new-passphrase-file -", 2, "TH-CLI-009"),
    ("disk recover personal --output /nonexistent/sheet", 2, "TH-CLI-023"),
    ("disk add corporate nothing", 2, "TH-CLI-009"),
    ("disk add corporate passphrase --passphrase-file /dev/null --recovery-code-file a", 2, "TH-CLI-009"),
    ("disk add personal recovery-code --output /dev/null", 2, "TH-CLI-023"),
    ("disk add corporate tpm --passphrase-file /dev/null --new-pin-file /dev/null", 2, "TH-CLI-006"),
    ("disk unlock personal --pin-file - --passphrase-file -", 2, "TH-CLI-009"),
    ("disk unlock personal --pin-file a --passphrase-file b", 2, "TH-CLI-009"),
    ("disk unlock personal", 3, "TH-CLI-001"),
    ("disk change personal", 2, "TH-CLI-006"),
    ("disk remove personal", 2, "TH-CLI-009"),
    ("disk rotate personal", 1, "TH-CLI-014"),
    ("disk slots net", 2, "TH-CLI-009"),
    ("disk slots personal", 3, "TH-CLI-001"),
    ("disk escrow corporate", 3, "TH-CLI-001"),
    ("disk restore-header corporate", 3, "TH-CLI-001"),
    ("disk lock corporate", 3, "TH-CLI-001"),
    ("disk grow corporate", 3, "TH-CLI-001"),
    ("disk wipe corporate", 1, "TH-CLI-014"),
    ("disk wipe corporate --yes", 3, "TH-CLI-001"),
    ("log --limit 0", 2, "TH-CLI-009"),
    ("enroll", 2, "TH-CLI-009"),
    ("enroll https://fleet.example --token a --token-file b", 2, "TH-CLI-009"),
    ("enroll https://fleet.example --device-code --token a", 2, "TH-CLI-009"),
    ("enroll https://fleet.example --device-code", 2, "TH-CLI-020"),
    ("enroll https://fleet.example --device-code --server-fingerprint 0123", 2, "TH-CLI-009"),
    ("enroll https://fleet.example --token a --server-fingerprint 0123", 2, "TH-CLI-009"),
    ("enroll http://fleet.example --device-code", 2, "TH-CLI-010"),
    ("enroll https://fleet.example", 2, "TH-CLI-006"),
    ("enroll http://fleet.example --token a", 2, "TH-CLI-010"),
    ("enroll https:// --token a", 2, "TH-CLI-010"),
    ("enroll https://fleet.example:99999 --token a", 2, "TH-CLI-010"),
    ("enroll https://user@fleet.example --token a", 2, "TH-CLI-010"),
    ("enroll https://fleet.example/\x1b[2J --token a", 2, "TH-CLI-010"),
    ("enroll https://" + "a" * 300 + " --token a", 2, "TH-CLI-010"),
    ("policy check /nonexistent/file", 2, "TH-CLI-008"),
    ("status", 3, "TH-CLI-001"),
    ("partition start corporate", 3, "TH-CLI-001"),
    ("vpn prove", 3, "TH-CLI-001"),
    ("policy show", 3, "TH-CLI-001"),
]


@pytest.mark.parametrize(("line", "status", "code"), USAGE)
def test_exit_status_and_code(line: str, status: int, code: str) -> None:
    done = twinhull(*line.split(" "), bus=NO_BUS)
    assert (done.returncode, done.stderr.splitlines()[1:2]) == (status, [code])
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "line", ["status --json", "partition list --json", "policy check /nonexistent/f --json"]
)
def test_json_errors_are_reports(line: str) -> None:
    done = twinhull(*line.split(), bus=NO_BUS)
    report = msgspec.json.decode(done.stderr, type=ErrorReport)
    assert report.blame == done.returncode


def test_every_command_of_the_design_is_there() -> None:
    expected = {
        tuple(f"{group} {name}".split()) for group, names in DESIGNED.items() for name in names.split()
    }
    assert set(PATHS) == expected


def test_commands_that_print_state_take_json() -> None:
    assert [line for line in PRINT_STATE if "--json" not in PATHS[tuple(line.split())]] == []


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    from twinhull_client.cli.main import main

    assert main([*path, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: twinhull {' '.join(path)}")


def test_alone_it_shows_its_help() -> None:
    done = twinhull()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: twinhull")


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff" * 400, b"{" * 100_000, b'{"schema":NaN}', b"[]", b"x" * 2_000_000]
)
def test_garbage_policies_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(content)
    done = twinhull("policy", "check", str(file))
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].startswith("TH-POL-")
    assert "Traceback" not in done.stderr


def test_the_example_policy_is_valid() -> None:
    example = twinhull("policy", "example")
    assert twinhull("policy", "check", "-", stdin=example.stdout).returncode == 0


KEYBOARD = bytes.fromhex(
    "12010002000000083412785600010102030109022200010100a032090400000103010100092111010001223f000705810308000a"
)
CONTENTS = [("garbage", b"\x00\x01\x02"), ("empty", b""), ("long", b"\xff" * 200_000)]


@pytest.mark.parametrize(("name", "blob"), CONTENTS, ids=[name for name, _ in CONTENTS])
def test_malformed_descriptors_are_an_answer_not_an_error(tmp_path: Path, name: str, blob: bytes) -> None:
    (tmp_path / "policy").write_text(twinhull("policy", "example").stdout)
    (tmp_path / "dump").write_bytes(blob)
    done = twinhull(
        "policy", "explain", str(tmp_path / "policy"), "--usb-descriptors", str(tmp_path / "dump"), "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = msgspec.json.decode(done.stdout)
    assert set(answer) == {"verdict", "targets", "rule", "reason"}
    assert (answer["verdict"], answer["targets"]) == ("deny", [])


def test_a_boot_keyboard_stays_with_the_host(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(twinhull("policy", "example").stdout)
    (tmp_path / "dump").write_bytes(KEYBOARD)
    dump = ["--usb-descriptors", str(tmp_path / "dump"), "--port", "1-2", "--removable", "no"]
    done = twinhull("policy", "explain", str(tmp_path / "policy"), *dump, "--json")
    assert msgspec.json.decode(done.stdout)["verdict"] == "host"


def test_diff_names_the_sections(tmp_path: Path) -> None:
    example = twinhull("policy", "example").stdout
    (tmp_path / "old").write_text(example)
    (tmp_path / "new").write_text(example.replace('"offline_hours": 168', '"offline_hours": 24'))
    done = twinhull("policy", "diff", str(tmp_path / "old"), str(tmp_path / "new"), "--json")
    assert msgspec.json.decode(done.stdout)["sections"] == ["lease"]


def test_start_up_loads_nothing_heavy() -> None:
    watched = ("PySide6", "sdbus", "rich", "cryptography", "tuf", "libvirt")
    program = (
        "import sys; from twinhull_client.cli.main import main; main(['policy', '--help']);"
        f"print([m for m in {watched!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "client",
        env={"PYTHONPATH": f"{ROOT / 'client'}:{ROOT / 'policy'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.strip() == "[]"


def test_an_unforeseen_error_is_one_sentence_and_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twinhull_client.cli import main as program

    def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(program, "app", broken)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert program.main(["--debug", "status"]) == 1
    log = tmp_path / "twinhull" / "cli.log"
    assert capsys.readouterr().err.splitlines()[1] == "TH-CLI-099"
    assert "ZeroDivisionError" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
