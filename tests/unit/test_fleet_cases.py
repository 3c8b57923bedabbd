"""Every case of the fleet's list (shared reference, "Cases") beside the tests that show it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

STATEMENT = "tests/unit/test_trust_statement.py::test_attacks_are_refused"
INBOX = "tests/unit/test_daemon_inbox.py::test_a_refusal_keeps_the_last_good_policy_and_says_why"
FETCH = "tests/api/test_fetch_repository.py"
INTERRUPTED = "tests/api/test_fetch_interrupted.py"
CLOCK = "tests/unit/test_fleet_clock.py"
FLEET = "tests/api/test_fleet_cases.py"
COMMANDS = "tests/unit/test_daemon_commands.py"

CASES: dict[str, list[str]] = {
    "older statement replayed": [STATEMENT + "[older]"],
    "state files truncated then older repository": [
        f"{FETCH}::test_attack_is_refused[rollback, the cache truncated]",
        f"{INTERRUPTED}::test_power_cut_while_refreshing",
    ],
    "same seq, other content": [STATEMENT + "[same number, other content]"],
    "another device's statement": [STATEMENT + "[other device]"],
    "earlier epoch": ["tests/unit/test_trust_statement.py::test_earlier_epoch"],
    "expired timestamp (no update, enforcement goes on, one alert)": [
        f"{CLOCK}::test_an_expired_repository_stops_changes_and_is_told_once",
        f"{FETCH}::test_attack_is_refused[freeze]",
    ],
    "root expired at start": [
        f"{CLOCK}::test_a_root_that_expired_before_the_start",
        f"{FETCH}::test_a_root_that_expired_meanwhile_is_replaced_by_the_next",
    ],
    "three rotations missed": [
        "tests/unit/test_trust_root.py::test_three_rotations_each_with_new_keys",
        f"{FETCH}::test_three_rotations_missed",
    ],
    "one of two root signatures": [
        "tests/unit/test_trust_root.py::test_bad_rotations_are_refused[one of two old signatures]",
        "tests/unit/test_server_ceremony.py::test_signatures_are_counted_by_key_in_both_roots",
    ],
    "director-signed but policy-unsigned body": [
        "tests/unit/test_trust_statement.py::test_bad_bodies_are_refused_although_named[director key]",
        INBOX + "[body of director]",
    ],
    "policy A with image B": [INBOX + "[unlisted image]", INBOX + "[body swapped]"],
    "truncated body": [
        "tests/unit/test_trust_statement.py::test_bad_bodies_are_refused_although_named[truncated]",
        f"{FLEET}::test_a_body_that_never_ends[cut]",
    ],
    "endless or slow body": [
        f"{FLEET}::test_a_body_that_never_ends",
        f"{FETCH}::test_attack_is_refused[endless timestamp]",
        f"{FETCH}::test_attack_is_refused[slow: a byte now and then]",
        f"{FETCH}::test_slow_target_is_given_up_and_kept",
    ],
    "clock -3 h": [
        f"{CLOCK}::test_a_clock_three_hours_behind_is_told_to_be_set",
        f"{CLOCK}::test_a_clock_that_is_behind_still_takes_what_is_new",
    ],
    "clock -30 d": [
        f"{CLOCK}::test_a_clock_that_is_behind_revives_nothing_that_is_over",
        f"{FETCH}::test_attack_is_refused[clock set back]",
    ],
    "clock +1 y": [f"{CLOCK}::test_a_clock_a_year_ahead_stops_changes_and_poisons_nothing"],
    "lease ends during sleep (locked before the VM resumes)": [
        "tests/api/test_daemon_lease.py::test_a_lease_that_ends_in_sleep_is_locked_before_the_machine_runs_again"
    ],
    "revoked certificate (403 and the stream closed within 1 s)": [
        f"{FLEET}::test_a_revoked_laptop_loses_its_stream_and_is_denied"
    ],
    "token used twice at once (one 200, one 409)": [
        "tests/api/test_server_http.py::test_one_token_at_once_by_many"
    ],
    "enrolment answer lost (same key gets the same identity, another key refused)": [
        "tests/api/test_fetch_service.py::test_lost_answer_is_given_again",
        "tests/api/test_server_http.py::test_one_token_at_once_by_many",
    ],
    "server killed mid-push": [f"{FLEET}::test_a_server_killed_while_it_pushes"],
    "disk full at each write": [
        f"{INTERRUPTED}::test_disk_full_at_each_write_of_a_refresh",
        f"{INTERRUPTED}::test_disk_full_when_a_policy_is_put_in_force",
        f"{INTERRUPTED}::test_a_full_disk_is_told_in_a_sentence",
    ],
    "power cut at each fsync and rename": [
        f"{INTERRUPTED}::test_power_cut_while_refreshing",
        f"{INTERRUPTED}::test_power_cut_while_initialising",
        f"{INTERRUPTED}::test_power_cut_while_enrolling_or_renewing",
        f"{INTERRUPTED}::test_power_cut_while_a_statement_arrives",
    ],
    "two admins publish at once (total order, stale base 409)": [f"{FLEET}::test_two_admins_publish_at_once"],
    "wipe replayed": [f"{COMMANDS}::test_a_replayed_wipe_does_nothing"],
    "wipe cut midway": [
        f"{COMMANDS}::test_cut_anywhere_it_goes_on_at_the_next_start",
        "tests/api/test_daemon_commands.py::test_a_wipe_is_gone_on_with_at_the_next_start",
    ],
    "wipe aimed at personal": [
        "tests/unit/test_trust_command.py::test_attacks_are_refused[aimed at the personal partition]",
        f"{COMMANDS}::test_wipe_destroys_the_corporate_volume_and_nothing_of_the_personal_one",
    ],
    "10,000 laptops return at once": [f"{FLEET}::test_a_herd_comes_back_without_an_error"],
}


def test_there_are_cases() -> None:
    assert len(CASES) == 28


@pytest.mark.parametrize("case", CASES)
def test_its_tests_exist(case: str) -> None:
    assert CASES[case]
    for name in CASES[case]:
        path, _, rest = name.partition("::")
        function, _, parameter = rest.partition("[")
        text = (ROOT / path).read_text()
        functions = {
            node.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in functions, name
        wanted = parameter.removesuffix("]")
        assert wanted in text or f"_{wanted.replace(' ', '_')}" in text, name
