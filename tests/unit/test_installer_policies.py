"""The bus policy, polkit actions, accounts and the owner's rule agree with the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_installer import system
from twinhull_policy.api.interface import BUS_NAME, RULES

CONFIG = Path(__file__).parents[2] / "installer" / "config"
ACTIONS = CONFIG / "org.twinhull.policy"


def test_every_action_of_the_interface_is_declared_and_no_other() -> None:
    declared = system.actions(ACTIONS)
    assert len(declared) == len(set(declared))
    assert set(declared) == {rule.action for rule in RULES.values()}


def test_nothing_but_reading_is_open_to_anyone() -> None:
    for action in system.own_xml(ACTIONS).iter("action"):
        name = action.get("id", "")
        any_caller = action.findtext("defaults/allow_any")
        inactive = action.findtext("defaults/allow_inactive")
        if name == "org.twinhull.read":
            continue
        assert any_caller == "auth_admin", name
        assert inactive in ("auth_admin", "auth_admin_keep"), name


def test_only_the_core_may_own_the_name() -> None:
    policies = system.own_xml(CONFIG / "org.twinhull.Daemon1.conf").findall("policy")
    owners = {
        policy.get("user") or policy.get("context"): [rule.get("own") for rule in policy]
        for policy in policies
    }
    assert owners == {"twinhull": [BUS_NAME], "default": [None]}


@pytest.mark.parametrize("owner", ["alice", "o'brien", 'x" || true || "'])
def test_the_owners_rule_names_one_person_and_cannot_be_escaped(owner: str) -> None:
    template = (CONFIG / "50-twinhull-owner.rules").read_text()
    rule = system.owner_rule(template, owner, ["org.twinhull.read"])
    quoted = owner.replace('"', '\\"')
    assert f'subject.user == "{quoted}")' in rule
    assert "@" not in rule
    assert 'var actions = ["org.twinhull.read"];' in rule


def test_accounts_are_those_of_the_architecture() -> None:
    users, groups = system.accounts((CONFIG / "sysusers.conf").read_text())
    expected = ["twinhull", "twinhull-fetch", "twinhull-blockd", "twinhull-tpmd", "twinhull-server"]
    expected += ["th-corporate", "th-personal"]
    assert users == expected
    assert groups == expected


def test_directories_are_those_of_the_architecture() -> None:
    made = system.directories((CONFIG / "tmpfiles.conf").read_text())
    assert Path("/run/twinhull") in made
    assert {path.name for path in made if path.parent == Path("/var/lib")} == {
        "twinhull", "twinhull-netd", "twinhull-fetch", "twinhull-server", "twinhull-diskd",
    }  # fmt: skip


def test_the_core_may_ask_about_each_action() -> None:
    """polkit answers a process that is not root only about actions it owns (polkit(8))."""
    for action in system.own_xml(ACTIONS).iter("action"):
        owners = [
            note.text
            for note in action.iter("annotate")
            if note.get("key") == "org.freedesktop.policykit.owner"
        ]
        assert owners == ["unix-user:twinhull"]
