"""The diagnostics bundle: what is in it, what is not, and that it is written when nothing else answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
from twinhull_client.cli.bundle import JOURNALCTL, LINE, SECTION_BYTES, SYSTEMCTL, Told, bundle, run_program
from twinhull_client.errors import DaemonUnreachable
from twinhull_policy.api.types import Finding, Log, LogEntry

from tests.support.cli import twinhull
from tests.support.demonstration import demonstration_devices, demonstration_status

AWAY = DaemonUnreachable(reason="twinhulld is not running")
ENTRY = LogEntry(at=1_790_000_000.0, kind="done", text="started corporate", body="not for others")


def nothing(_command: list[str]) -> str:
    return "(none)"


def told() -> Told:
    status = msgspec.structs.replace(demonstration_status(), owner_phrase="quiet red bicycle")
    return Told(status, demonstration_devices(), Log(entries=[ENTRY]))


def test_it_says_what_helps_and_not_what_is_nobodys_business() -> None:
    text = bundle(told(), nothing)
    wanted = ("== Status", '"grade"', "started corporate", "== Devices", "kernel: ", '"tenant": "example"')
    assert [part for part in wanted if part not in text] == []
    mine = [device for device in demonstration_devices() if device.verdict == "personal"]
    unwanted = ["quiet red bicycle", "not for others", *(device.reason for device in mine)]
    assert mine
    assert [part for part in unwanted if part in text] == []


def test_of_the_personal_partition_it_has_the_state_alone() -> None:
    part = next(part for part in demonstration_status().partitions if part.name == "personal")
    assert part.image
    assert part.memory_mib
    text = bundle(told(), nothing)
    assert part.image not in text
    begin = text.index('"name": "personal"')
    shown = text[begin : text.index("}", begin)]
    assert '"state": "running"' in shown
    assert [word for word in (part.image, f'"memory_mib": {part.memory_mib}') if word in shown] == []


def test_it_says_what_needs_attention_but_not_of_the_personal_side() -> None:
    names = ("lease", "partition-corporate", "partition-personal", "sign-in")
    found = [Finding(name=name, problem=f"the problem of {name}", fix="none") for name in names]
    text = bundle(told(), nothing, found)
    assert [name for name in names if f"the problem of {name}" in text] == ["lease", "partition-corporate"]
    assert "== Attention\n(nothing)" in bundle(told(), nothing)


def test_what_does_not_answer_says_why_and_hides_nothing_else() -> None:
    text = bundle(Told(AWAY, AWAY, Log(entries=[ENTRY])), nothing)
    assert text.count("TH-CLI-001") == 2
    assert "started corporate" in text


def test_what_programs_print_is_bounded_and_harmless() -> None:
    asked = []

    def loud(command: list[str]) -> str:
        asked.append(command[0])
        return "first\n" + "\x1b[2J" + "x" * (2 * LINE) + "\n" + "middle\n" * SECTION_BYTES + "last\n"

    text = bundle(told(), loud)
    assert asked == [SYSTEMCTL, JOURNALCTL]
    assert "\x1b" not in text
    assert "first" not in text
    assert text.count("last\n") == len(asked)
    assert len(text) < 3 * SECTION_BYTES


def test_a_program_that_is_not_there_or_fails_is_told(tmp_path: Path) -> None:
    assert "there is no" in run_program([str(tmp_path / "nothing")])
    (tmp_path / "text").write_text("no program")
    assert "gave no answer" in run_program([str(tmp_path / "text")])
    assert "nothing that you may read" in run_program(["/bin/true"])


def test_it_is_written_without_a_daemon_for_its_owner_alone_and_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bundle.txt"
    done = twinhull("doctor", "--bundle", str(path), bus=f"unix:path={tmp_path}/nobody")
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "TH-CLI-001" in path.read_text()
    again = twinhull("doctor", "--bundle", str(path), bus=f"unix:path={tmp_path}/nobody")
    assert (again.returncode, again.stderr.splitlines()[1]) == (2, "TH-CLI-023")
