"""The command line against a daemon on a real bus: what it asks, prints, refuses and keeps secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from sdbus import DbusFailedError, DbusNoReplyError
from twinhull_policy.api.types import (
    DeviceInfo,
    Diagnosis,
    EnrolmentInfo,
    KeySlot,
    Log,
    PartitionInfo,
    PolicyInfo,
    SnapshotInfo,
    StateRecovered,
    Status,
    VpnInfo,
    VpnProof,
)
from twinhull_policy.errors import ErrorReport

from tests.support.cli import at_a_terminal, twinhull
from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

TOKEN = f"th1.{'A' * 43}.{'0' * 64}.{'1' * 64}"
NEW = " ".join(("staple", "to", "a", "horse"))
PASSPHRASE = " ".join(("correct", "horse", "battery"))

JSON = [
    ("status", Status),
    ("doctor", Diagnosis),
    ("log", Log),
    ("log --sent", Log),
    ("partition list", list[PartitionInfo]),
    ("device list", list[DeviceInfo]),
    ("device explain usb-1-2", DeviceInfo),
    ("policy show", PolicyInfo),
    ("vpn status", VpnInfo),
    ("vpn prove", VpnProof),
    ("disk status", list[PartitionInfo]),
    ("disk slots corporate", list[KeySlot]),
]


@pytest.mark.parametrize(("line", "kind"), JSON)
def test_json_is_the_struct(standin: StandInDaemon, line: str, kind: type) -> None:
    done = twinhull(*line.split(), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert msgspec.json.decode(done.stdout, type=kind) is not None


@pytest.mark.parametrize("line", [line for line, _ in JSON])
def test_people_get_text(standin: StandInDaemon, line: str) -> None:
    done = twinhull(*line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() != ""


def test_status_shows_what_matters(standin: StandInDaemon) -> None:
    shown = twinhull("status").stdout
    expected = ("corporate", "personal", "VPN: up", "Policy: everyday", "laptop-1 of example", "grade: E")
    assert [part for part in expected if part not in shown] == []


def test_status_says_that_and_why_it_is_in_safe_mode(standin: StandInDaemon) -> None:
    reason = "The state database /x cannot be used: it is damaged\x1b[31m."
    standin.status = msgspec.structs.replace(standin.status, safe_mode=reason)
    shown = twinhull("status").stdout
    assert "SAFE MODE: The state database /x cannot be used: it is damaged" in shown
    assert "twinhull doctor" in shown
    assert "\x1b" not in shown
    assert json.loads(twinhull("status", "--json").stdout)["safe_mode"] == reason


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (StateRecovered(kept="/x.damaged", source="copy"), ["kept as /x.damaged", "starts anew"]),
        (StateRecovered(kept="/x.damaged", source="volumes"), ["kept as /x.damaged", "Enrol again"]),
        (StateRecovered(kept="", source="database"), ["in order again", "nothing was changed"]),
    ],
)
def test_what_came_of_a_recovery(standin: StandInDaemon, done: StateRecovered, said: list[str]) -> None:
    standin.recovered = done
    shown = twinhull("doctor", "--recover-state").stdout
    assert [part for part in said if part not in shown] == []
    assert ("Enrol again" in shown) == (done.source == "volumes")
    assert (
        msgspec.json.decode(twinhull("doctor", "--recover-state", "--json").stdout, type=StateRecovered)
        == done
    )


def test_the_doctor_says_what_needs_attention(standin: StandInDaemon) -> None:
    portal = "http://portal.example/\x1b[31mlogin"
    vpn = msgspec.structs.replace(standin.status.vpn, portal=portal)
    standin.status = msgspec.structs.replace(standin.status, vpn=vpn, devices_problem="Nobody answers.")
    shown = twinhull("doctor").stdout
    wanted = (
        "grade: E",
        "[attention] sign-in",
        "http://portal.example/",
        "Nobody answers.",
        "sudo systemctl restart",
    )
    assert [part for part in wanted if part not in shown] == []
    assert "\x1b" not in shown
    diagnosis = msgspec.json.decode(twinhull("doctor", "--json").stdout, type=Diagnosis)
    assert {"sign-in", "devices"} <= {finding.name for finding in diagnosis.findings}


def test_a_bundle_comes_before_a_recovery(standin: StandInDaemon, tmp_path: Path) -> None:
    done = twinhull("doctor", "--recover-state", "--bundle", str(tmp_path / "bundle"))
    assert (done.returncode, standin.calls) == (2, [])
    assert "Write the bundle first" in done.stderr


def test_status_of_a_fresh_machine(standin: StandInDaemon) -> None:
    standin.status = demonstration_status(enrolled=False)
    shown = twinhull("status").stdout
    assert "not enrolled" in shown
    assert "Policy: none yet" in shown


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("partition stop corporate", ("stop_partition", ("corporate", False))),
        ("partition stop personal --force", ("stop_partition", ("personal", True))),
        ("partition suspend corporate", ("suspend_partition", ("corporate",))),
        ("partition resume corporate", ("resume_partition", ("corporate",))),
        ("partition reset personal --yes", ("reset_partition", ("personal",))),
        ("partition start personal --passphrase-file -", ("start_partition", ("personal", PASSPHRASE))),
        ("partition create personal --passphrase-file -", ("create_partition", ("personal", PASSPHRASE))),
        (
            "disk change corporate --passphrase-file - --new-passphrase-file NEW",
            ("change_passphrase", ("corporate", PASSPHRASE, NEW)),
        ),
        (
            "disk add corporate passphrase --passphrase-file - --new-passphrase-file NEW",
            ("add_passphrase", ("corporate", "passphrase", PASSPHRASE, NEW)),
        ),
        (
            "disk add personal recovery-code --recovery-code-file -",
            ("add_recovery_code", ("personal", "recovery-code", PASSPHRASE)),
        ),
        (
            "disk add personal tpm --passphrase-file - --new-pin-file NEW",
            ("add_pin", ("personal", "passphrase", PASSPHRASE, NEW)),
        ),
        ("disk unlock personal --pin-file -", ("unlock_volume", ("personal", "tpm", PASSPHRASE))),
        (
            "disk unlock corporate --passphrase-file -",
            ("unlock_volume", ("corporate", "passphrase", PASSPHRASE)),
        ),
        (
            "disk remove personal fedcba9876543210 --pin-file -",
            ("remove_key_slot", ("personal", "fedcba9876543210", "tpm", PASSPHRASE)),
        ),
        (
            "disk remove personal fedcba9876543210 --passphrase-file -",
            ("remove_key_slot", ("personal", "fedcba9876543210", "passphrase", PASSPHRASE)),
        ),
        (
            "disk recover corporate --recovery-code-file - --new-passphrase-file NEW",
            ("recover_volume", ("corporate", PASSPHRASE, NEW)),
        ),
        ("disk rotate personal --yes --passphrase-file -", ("rotate_volume_key", ("personal", PASSPHRASE))),
        (
            "partition update corporate --yes --passphrase-file -",
            ("update_partition", ("corporate", PASSPHRASE)),
        ),
        ("partition snapshot personal --name before", ("snapshot_partition", ("personal", "before"))),
        ("partition snapshots corporate", ("list_snapshots", ("corporate",))),
        (
            "partition rollback personal s-01234567 --passphrase-file -",
            ("roll_back_partition", ("personal", "s-01234567", PASSPHRASE)),
        ),
        ("disk wipe personal --yes", ("wipe_partition", ("personal",))),
        ("doctor --recover-state", ("recover_state", ())),
        ("disk restore-header personal", ("restore_header", ("personal",))),
        ("disk lock personal", ("lock_volume", ("personal",))),
        ("disk grow personal", ("grow_volume", ("personal",))),
        ("disk escrow corporate", ("get_escrow", ("corporate",))),
        ("device attach 1-2 corporate", ("attach_device", ("1-2", "corporate", False))),
        ("device attach 1-2 personal --read-only", ("attach_device", ("1-2", "personal", True))),
        ("device detach usb-1-3", ("detach_device", ("usb-1-3",))),
        ("device answer 1-2 personal", ("answer_device", ("1-2", "personal", False))),
        ("device answer 1-2 deny --remember", ("answer_device", ("1-2", "deny", True))),
        ("device forget 1-2.3", ("forget_device", ("1-2.3",))),
        ("device switch camera off", ("set_kill_switch", ("camera", True))),
        ("device switch microphone on", ("set_kill_switch", ("microphone", False))),
        ("device rules --defaults", ("set_owner_rules", ("",))),
        ("enroll https://fleet.example --token-file -", ("enrol", ("https://fleet.example", TOKEN))),
    ],
)
def test_what_is_asked_of_the_daemon(
    standin: StandInDaemon, tmp_path: Path, line: str, call: tuple[str, tuple[object, ...]]
) -> None:
    new = tmp_path / "new"
    new.write_text(NEW)
    done = twinhull(
        *(str(new) if word == "NEW" else word for word in line.split()),
        stdin=(TOKEN if "enroll" in line else PASSPHRASE) + "\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert standin.calls == [call]
    assert PASSPHRASE not in done.stdout
    assert NEW not in done.stdout
    assert TOKEN not in done.stdout


def test_what_an_update_does_is_said_before_it(standin: StandInDaemon) -> None:
    """What is not in the new image, what is kept, how it comes back; without a yes nothing is done."""
    status, shown = at_a_terminal("partition", "update", "corporate", typed="no\n")
    assert (status, "TH-CLI-014" in shown) == (1, True)
    for said in ("are not in it\nthen", "kept whole", "'twinhull partition rollback corporate' goes back"):
        assert said in shown
    assert standin.calls == []
    status, _ = at_a_terminal("partition", "update", "corporate", typed="yes\n")
    assert (status, ("update_partition", ("corporate", "")) in standin.calls) == (0, True)
    standin.set_partition("corporate", newer_image="images/corporate-1.qcow2")
    assert "newer: images/corporate-1.qcow2" in twinhull("partition", "list").stdout
    standin.snapshots = [
        SnapshotInfo(id="s-00000007", kind="update", name="images/corporate-1.qcow2", at=1.79e9, bytes=2**20)
    ]
    shown = twinhull("partition", "snapshots", "corporate").stdout
    assert "kept before the update to 'images/corporate-1.qcow2'" in shown
    twinhull("partition", "rollback", "corporate", "--passphrase-file", "-", stdin=PASSPHRASE)
    assert ("roll_back_partition", ("corporate", "s-00000007", PASSPHRASE)) in standin.calls


def test_back_and_forward(standin: StandInDaemon) -> None:
    """The last snapshot asked for unless one is named, and with --undo what the last rollback has kept."""
    secret = ("--passphrase-file", "-")
    refused = twinhull("partition", "rollback", "personal", *secret, stdin=PASSPHRASE)
    assert (refused.returncode, "TH-CLI-024" in refused.stderr) == (1, True)
    for title in ("older", "newer\x1b[31m"):
        twinhull("partition", "snapshot", "personal", "--name", title)
    made = msgspec.json.decode(twinhull("partition", "snapshots", "personal", "--json").stdout)
    assert [(one["id"], one["kind"]) for one in made] == [("s-00000000", "asked"), ("s-00000001", "asked")]
    standin.calls.clear()
    kept = msgspec.json.decode(
        twinhull("partition", "rollback", "personal", *secret, "--json", stdin=PASSPHRASE).stdout
    )
    assert (kept["id"], kept["kind"]) == ("s-00000002", "rollback")
    twinhull("partition", "rollback", "personal", "--undo", *secret, stdin=PASSPHRASE)
    assert [call[1][1] for call in standin.calls if call[0] == "roll_back_partition"] == [
        "s-00000001",
        "s-00000002",
    ]
    shown = twinhull("partition", "snapshots", "personal", "--remove", "s-00000000").stdout.splitlines()
    assert [line.split()[-1] for line in shown[1:-1]] == ["MiB"] * 3
    assert "s-00000000" not in "".join(shown)
    assert "\x1b" not in "".join(shown)
    assert shown[-1].startswith("now")


CODED = [
    "disk add corporate recovery-code --passphrase-file -",
    "disk recover corporate --recovery-code-file - --new-passphrase-file NEW",
    "disk rotate corporate --yes --passphrase-file -",
]


@pytest.mark.parametrize("line", CODED)
def test_a_recovery_code_is_shown_once_and_printable(
    standin: StandInDaemon, tmp_path: Path, line: str
) -> None:
    new, sheet = tmp_path / "new", tmp_path / "sheet"
    new.write_text(NEW)
    words = [str(new) if word == "NEW" else word for word in line.split()]
    shown = twinhull(*words, stdin=PASSPHRASE).stdout
    numbered = re.findall(r"(\d+)\. ([a-z]+)", shown)
    assert [
        word for _, word in sorted(numbered, key=lambda pair: int(pair[0]))
    ] == standin.recovery_code.split()
    assert "twinhull disk recover corporate" in shown
    as_json = twinhull(*words, "--json", stdin=PASSPHRASE).stdout
    expected = {"partition": "corporate", "recovery_code": standin.recovery_code}
    assert msgspec.json.decode(as_json) == expected
    done = twinhull(*words, "--output", str(sheet), stdin=PASSPHRASE)
    assert (done.returncode, sheet.read_text().strip(), sheet.stat().st_mode & 0o777) == (
        0,
        shown.strip(),
        0o600,
    )
    assert not set(standin.recovery_code.split()) & set(done.stdout.split())


@pytest.mark.parametrize("line", CODED)
def test_a_refusal_leaves_no_sheet(standin: StandInDaemon, tmp_path: Path, line: str) -> None:
    new, sheet = tmp_path / "new", tmp_path / "sheet"
    new.write_text(NEW)
    for method in ("add_recovery_code", "recover_volume", "rotate_volume_key"):
        standin.fail(method, ErrorReport("TH-VOL-001", "It says no.", "Do this.", 1))
    words = [str(new) if word == "NEW" else word for word in line.split()]
    assert twinhull(*words, "--output", str(sheet), stdin=PASSPHRASE).returncode == 1
    assert not sheet.exists()


def test_a_partition_already_unlocked_starts_without_a_question(standin: StandInDaemon) -> None:
    standin.set_partition("corporate", state="stopped")
    assert twinhull("partition", "start", "corporate").returncode == 0
    assert standin.calls[-1] == ("start_partition", ("corporate", ""))


def test_a_locked_partition_needs_its_passphrase(standin: StandInDaemon) -> None:
    standin.set_partition("corporate", state="locked")
    done = twinhull("partition", "start", "corporate")
    assert (done.returncode, done.stderr.splitlines()[1]) == (2, "TH-CLI-006")
    assert [name for name, _ in standin.calls] == ["get_status"]


def test_enrolment_by_answer_file_creates_partitions(standin: StandInDaemon, tmp_path: Path) -> None:
    standin.status = demonstration_status(personal="absent")
    answers = tmp_path / "answers.json"
    content = {"url": "https://fleet.example", "token": TOKEN, "passphrase_personal": PASSPHRASE}
    answers.touch(mode=0o600)
    answers.write_bytes(msgspec.json.encode(content))
    done = twinhull("enroll", "--answers", str(answers), "--json")
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout, type=EnrolmentInfo).enrolled
    assert standin.calls[0] == ("enrol", ("https://fleet.example", TOKEN))
    assert standin.calls[-1] == ("create_partition", ("personal", PASSPHRASE))


def test_an_answer_file_has_both_partitions_up(standin: StandInDaemon, tmp_path: Path) -> None:
    """No question is asked; run again it asks for the same, which the daemon takes as done."""
    standin.status = demonstration_status(corporate="absent", personal="absent")
    answers = tmp_path / "answers.json"
    content = {"url": "https://fleet.example", "token": TOKEN, "start": True}
    secrets = {"passphrase_corporate": NEW, "passphrase_personal": PASSPHRASE}
    answers.touch(mode=0o600)
    answers.write_bytes(msgspec.json.encode(content | secrets))
    done = twinhull("enroll", "--answers", str(answers))
    assert (done.returncode, done.stderr) == (0, "")
    asked = [call for call in standin.calls if call[0] != "get_status"]
    assert asked == [
        ("enrol", ("https://fleet.example", TOKEN)),
        ("create_partition", ("corporate", NEW)),
        ("create_partition", ("personal", PASSPHRASE)),
        ("start_partition", ("corporate", NEW)),
        ("start_partition", ("personal", PASSPHRASE)),
    ]
    assert "corporate is created and running." in done.stdout
    assert [secret for secret in (NEW, PASSPHRASE, TOKEN) if secret in done.stdout] == []
    assert twinhull("enroll", "--answers", str(answers)).returncode == 0
    assert [call for call in standin.calls if call[0] == "create_partition"] == asked[1:3]


def test_devices_say_what_the_person_has_to_do(standin: StandInDaemon) -> None:
    shown = twinhull("device", "list").stdout
    assert "type 482913 and Enter" in shown
    assert "twinhull device answer 1-2 ANSWER' (corporate, personal, deny)" in shown
    assert "switched off" not in shown
    assert twinhull("device", "switch", "camera", "off").returncode == 0
    assert "The camera is switched off" in twinhull("device", "list").stdout


def test_the_owners_rules_are_shown_and_replaced(standin: StandInDaemon, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    rules = {"schema": "twinhull.owner/1", "devices": [], "ports": {"1-2": "left port"}}
    file.write_bytes(msgspec.json.encode(rules))
    assert twinhull("device", "rules", "--set", str(file)).returncode == 0
    assert msgspec.json.decode(twinhull("device", "rules").stdout) == rules
    file.write_text('{"schema": "twinhull.owner/1", "devices": [{}]}')
    refused = twinhull("device", "rules", "--set", str(file))
    assert (refused.returncode, refused.stderr.splitlines()[1]) == (2, "TH-POL-008")


REPORTS = [ErrorReport("TH-PAR-001", "It says no.", "Do this.", blame) for blame in (1, 2, 3, 4)]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: f"blame {report.blame}")
def test_the_daemons_refusals_keep_code_and_status(standin: StandInDaemon, report: ErrorReport) -> None:
    standin.fail("get_status", report)
    done = twinhull("status")
    assert done.returncode == report.blame
    assert done.stderr.splitlines() == ["It says no.", "TH-PAR-001", "Do this."]
    again = twinhull("status", "--json")
    assert msgspec.json.decode(again.stderr, type=ErrorReport) == report


def test_polkits_refusal_is_denied(standin: StandInDaemon) -> None:
    standin.deny("prove_vpn")
    done = twinhull("vpn", "prove")
    assert (done.returncode, done.stderr.splitlines()[1]) == (4, "TH-CLI-002")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DbusNoReplyError("gone"), 3, "TH-CLI-001"),
        (DbusFailedError("\x1b[2Jboom\nTraceback"), 1, "TH-CLI-003"),
    ],
)
def test_other_bus_errors(standin: StandInDaemon, error: DbusFailedError, status: int, code: str) -> None:
    standin.break_with("get_status", error)
    done = twinhull("status")
    assert (done.returncode, done.stderr.splitlines()[1]) == (status, code)
    assert "\x1b" not in done.stderr


def test_a_failed_proof_is_shown_and_fails(standin: StandInDaemon) -> None:
    canaries = [msgspec.structs.replace(standin.proof.canaries[0], passed=False)]
    standin.proof = msgspec.structs.replace(standin.proof, passed=False, canaries=canaries)
    done = twinhull("vpn", "prove")
    assert (done.returncode, done.stderr.splitlines()[1]) == (1, "TH-CLI-016")
    assert "FAILED" in done.stdout


def test_text_from_outside_cannot_steer_the_terminal(standin: StandInDaemon) -> None:
    standin.set_partition("personal", reason="\x1b]0;owned\x07\u202e")
    shown = twinhull("status").stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_secret_is_in_no_argument_or_environment_of_the_process(
    standin: StandInDaemon, tmp_path: Path
) -> None:
    seen: list[bytes] = []

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
                if b"--passphrase-file" in arguments:
                    seen.extend((arguments, (process / "environ").read_bytes()))
            except (FileNotFoundError, ProcessLookupError):
                continue

    standin.during_start = look
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE)
    done = twinhull("partition", "start", "corporate", "--passphrase-file", str(secret))
    assert done.returncode == 0
    assert len(seen) >= 2
    assert [text for text in seen if PASSPHRASE.encode() in text] == []


def test_a_wipe_that_was_not_proved_fails(standin: StandInDaemon) -> None:
    """And the receipt is printed all the same."""
    shown = twinhull("disk", "wipe", "personal", "--yes")
    assert (shown.returncode, standin.wiped.envelope in shown.stdout) == (0, True)
    for changes, word in (({"survived": ["keys.json"]}, "keys.json"), ({"other_untouched": False}, "other")):
        standin.wiped = msgspec.structs.replace(
            standin.wiped, envelope="", unsigned="not enrolled", **changes
        )
        shown = twinhull("disk", "wipe", "personal", "--yes")
        assert (shown.returncode, word in shown.stderr, "TH-CLI-025" in shown.stderr) == (1, True, True)
        assert standin.wiped.receipt in shown.stdout
        assert "not enrolled" in shown.stdout
