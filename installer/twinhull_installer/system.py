"""Accounts, directories, the bus policy, the polkit actions and the owner's rule, the host settings."""

from __future__ import annotations

import grp
import json
import pwd
import secrets
from pathlib import Path
from xml.etree import ElementTree

from twinhull_installer import confinement, paths, services, sizes
from twinhull_installer.context import Context
from twinhull_installer.journal import Journal
from twinhull_installer.steps import Progress

ACTION_PREFIX = "org.twinhull."
PERSONAL_DNS = "198.51.100.1"
"""The stand-in for the internet's name server (docs/architecture.md, "The demonstration corporate side")."""
UNDERLAY = "th-underlay"
SERVICES = (
    "twinhull-netd",
    "twinhull-blockd",
    "twinhull-tpmd",
    "twinhull-diskd",
    "twinhull-devd",
    "twinhull-fetch",
    "twinhulld",
)
SERVER = "twinhull-server"
_PHRASE_COLOURS = (
    "amber",
    "azure",
    "copper",
    "coral",
    "indigo",
    "jade",
    "olive",
    "scarlet",
    "silver",
    "violet",
)
_PHRASE_THINGS = (
    "anchor",
    "beacon",
    "cedar",
    "falcon",
    "harbour",
    "lantern",
    "meadow",
    "otter",
    "pebble",
    "willow",
)


def user_exists(name: str) -> bool:
    """Whether there is such a user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def account(name: str) -> pwd.struct_passwd:
    """A user's entry in the password database."""
    return pwd.getpwnam(name)


def group_exists(name: str) -> bool:
    """Whether there is such a group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def accounts(sysusers: str) -> tuple[list[str], list[str]]:
    """The users and the groups that a sysusers.d(5) file makes; a user brings a group of its name."""
    lines = [line.split() for line in sysusers.splitlines() if line.strip() and not line.startswith("#")]
    users = [words[1] for words in lines if words[0] == "u"]
    own_groups = [words[1] for words in lines if words[0] == "u" and ":" not in words[2]]
    return users, [words[1] for words in lines if words[0] == "g"] + own_groups


def directories(tmpfiles: str) -> list[Path]:
    """The directories that a tmpfiles.d(5) file makes."""
    lines = [line.split() for line in tmpfiles.splitlines() if line.strip() and not line.startswith("#")]
    return [Path(words[1]) for words in lines if words[0] == "d"]


def own_xml(path: Path) -> ElementTree.Element:
    """The root element of a configuration file of our own."""
    return ElementTree.parse(path).getroot()  # noqa: S314 - a file of the source tree


def actions(policy: Path) -> list[str]:
    """The polkit actions of a policy file of our own."""
    return [action.get("id", "") for action in own_xml(policy).iter("action")]


def owner_rule(template: str, owner: str, action_ids: list[str]) -> str:
    """The polkit rule that lets the owner, and nobody else, do without an administrator's password."""
    # JSON strings are JavaScript strings; a login name never needs an escape, and would get one.
    listed = ", ".join(json.dumps(action) for action in action_ids)
    return template.replace('"@OWNER@"', json.dumps(owner)).replace("@ACTIONS@", listed)


def host_settings(context: Context) -> str:
    """``host.json``; the owner's phrase is kept once there is one."""
    phrase = ""
    if paths.HOST_SETTINGS.exists():
        phrase = str(json.loads(paths.HOST_SETTINGS.read_text("utf-8")).get("owner_phrase", ""))
    size = context.size
    vcpus, memory, disk = sizes.VCPUS[size], sizes.MEMORY_MIB[size], sizes.DISK_GIB[size]
    settings = {
        "underlay_namespace": UNDERLAY,
        "personal_dns": [PERSONAL_DNS],
        "allow_unconfined": not confined(),
        "owner": context.owner,
        "personal": {"vcpus": vcpus, "memory_mib": memory, "disk_gib": disk},
        "owner_phrase": phrase or f"{secrets.choice(_PHRASE_COLOURS)} {secrets.choice(_PHRASE_THINGS)}",
    }
    return json.dumps(settings, indent=2) + "\n"


def confined() -> bool:
    """Whether the kernel has a mandatory access control driver that libvirt can use."""
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    if apparmor.exists() and apparmor.read_text("ascii").strip() == "Y":
        return True
    return Path("/sys/fs/selinux/enforce").exists()


def _files(context: Context) -> list[tuple[Path, str]]:
    config = context.installer / "config"
    policy = config / "org.twinhull.policy"
    rule = (config / "50-twinhull-owner.rules").read_text("utf-8")
    files = [
        (paths.SYSUSERS, (config / "sysusers.conf").read_text("utf-8")),
        (paths.TMPFILES, (config / "tmpfiles.conf").read_text("utf-8")),
        (paths.BUS_POLICY, (config / "org.twinhull.Daemon1.conf").read_text("utf-8")),
        (paths.POLKIT_ACTIONS, policy.read_text("utf-8")),
        (paths.POLKIT_OWNER_RULE, owner_rule(rule, context.owner, actions(policy))),
        (paths.HOST_SETTINGS, host_settings(context)),
    ]
    if services.systemd_runs():
        units = sorted((context.installer / "systemd").iterdir())
        files += [(paths.SYSTEMD_UNITS / unit.name, unit.read_text("utf-8")) for unit in units]
    return files


def system_done(context: Context) -> bool:
    """Whether every account, directory and file is as it should be."""
    config = context.installer / "config"
    users, groups = accounts((config / "sysusers.conf").read_text("utf-8"))
    return (
        all(user_exists(user) for user in [*users, context.owner])
        and all(group_exists(group) for group in groups)
        and "twinhull" in grp.getgrnam("libvirt").gr_mem
        and all(path.is_dir() for path in directories((config / "tmpfiles.conf").read_text("utf-8")))
        and paths.HOST_SETTINGS.exists()
        and confinement.allowed()
        and all(path.exists() and path.read_text("utf-8") == content for path, content in _files(context))
    )


def make_system(context: Context, progress: Progress) -> None:
    """Make accounts first, then what belongs to them, then tell the running daemons."""
    config = context.installer / "config"
    sysusers = (config / "sysusers.conf").read_text("utf-8")
    make_accounts(context, sysusers)
    progress.detail("files")
    for path, content in _files(context):
        context.journal.file(path, content)
    confinement.allow()
    for path in directories((config / "tmpfiles.conf").read_text("utf-8")):
        if not path.is_dir():
            context.journal.add("tree", path)
    context.runner.run(["systemd-tmpfiles", "--create", paths.TMPFILES])
    progress.detail("telling the bus")
    call = ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]
    context.runner.run([*call, "org.freedesktop.DBus.ReloadConfig"])
    if services.systemd_runs():
        context.runner.run(["systemctl", "daemon-reload"])


def make_accounts(context: Context, sysusers: str) -> None:
    """Make the system accounts, and the owner's if nobody ran sudo; only new ones are recorded as ours."""
    users, groups = accounts(sysusers)
    journal: Journal = context.journal
    for group in groups:
        if not group_exists(group):
            journal.add("group", group)
    for user in users:
        if not user_exists(user):
            journal.add("user", user)
    context.runner.run(["systemd-sysusers", context.installer / "config" / "sysusers.conf"])
    if not user_exists(context.owner):
        journal.add("user", context.owner)
        journal.add("tree", Path("/home") / context.owner)
        comment = "Owner of this laptop (made by Twinhull's quickstart)"
        context.runner.run(
            ["useradd", "--create-home", "--shell", "/bin/bash", "--comment", comment, context.owner]
        )
