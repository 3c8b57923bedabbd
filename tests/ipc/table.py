"""Who may ask Twinhull's processes for what: the one table behind docs/ipc.md and its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Asked = Literal["nothing", "password", "password, kept"]
"""What polkit asks: nothing; an administrator's password each time; the same, good for a few minutes."""


@dataclass(frozen=True)
class Action:
    """What an action asks of a person, by where that person is logged in."""

    active: Asked
    inactive: Asked
    elsewhere: Asked


ACTIONS: dict[str, Action] = {
    "read": Action("nothing", "nothing", "nothing"),
    "log": Action("nothing", "password, kept", "password"),
    "enrol": Action("password, kept", "password, kept", "password"),
    "partition": Action("password, kept", "password, kept", "password"),
    "keys": Action("password, kept", "password, kept", "password"),
    "wipe": Action("password", "password", "password"),
    "recover": Action("password", "password", "password"),
    "display": Action("password, kept", "password, kept", "password"),
    "exchange": Action("password, kept", "password, kept", "password"),
    "prove": Action("nothing", "password, kept", "password"),
    "device": Action("password, kept", "password, kept", "password"),
    "rules": Action("password, kept", "password, kept", "password"),
}
"""By the last part of the action's name, after ``org.twinhull.``."""

CALLERS: dict[str, str] = {
    "root": "never asked anything",
    "th-owner": "the owner whom installer/quickstart wrote a rule for, in whatever session",
    "th-active": "any other person, before the screen",
    "th-inactive": "any other person, whose session is switched away",
    "th-remote": "any other person, over the network or in no session",
    "twinhull": "the core's user",
    "twinhull-fetch": "the fetcher's",
    "twinhull-blockd": "the read-only storage's",
    "twinhull-tpmd": "the TPM's keeper's",
    "twinhull-server": "the demonstration server's",
    "th-corporate": "the corporate machine's QEMU",
    "th-personal": "the personal machine's QEMU",
}
"""netd, devd and diskd are root. The uids are not an installed laptop's; the names are what polkit sees."""

PIPE = object()
"""An argument that is the read end of a pipe with nothing in it."""


@dataclass(frozen=True)
class Method:
    """One method: its action, arguments that do nothing, and the code that ends an allowed call with them.

    ``code`` is empty where the call has no argument that could be wrong and only reads.
    """

    action: str
    arguments: tuple[Any, ...]
    code: str


NOBODY = ("neither",)
NAME = "TH-DMN-006"
BOUNDS = "TH-DMN-007"

METHODS: dict[str, Method] = {
    "get_status": Method("read", (), ""),
    "get_grade": Method("read", (), ""),
    "recover_state": Method("recover", (), "TH-DMN-041"),
    "list_devices": Method("read", (), ""),
    "get_log": Method("log", (0,), BOUNDS),
    "enrol": Method("enrol", ("http://", PIPE), BOUNDS),
    "begin_device_grant": Method("enrol", ("http://", ""), BOUNDS),
    "poll_device_grant": Method("read", ("x" * 101,), BOUNDS),
    "create_partition": Method("partition", (*NOBODY, PIPE), NAME),
    "start_partition": Method("partition", (*NOBODY, PIPE), NAME),
    "stop_partition": Method("partition", (*NOBODY, False), NAME),
    "suspend_partition": Method("partition", NOBODY, NAME),
    "resume_partition": Method("partition", NOBODY, NAME),
    "reset_partition": Method("partition", NOBODY, NAME),
    "update_partition": Method("partition", (*NOBODY, PIPE), NAME),
    "list_snapshots": Method("read", NOBODY, NAME),
    "snapshot_partition": Method("partition", (*NOBODY, ""), NAME),
    "roll_back_partition": Method("partition", (*NOBODY, "s-00000000", PIPE), NAME),
    "remove_snapshot": Method("partition", (*NOBODY, "s-00000000"), NAME),
    "get_key_slots": Method("read", NOBODY, NAME),
    "add_passphrase": Method("keys", (*NOBODY, "passphrase", PIPE, PIPE), NAME),
    "change_passphrase": Method("keys", (*NOBODY, PIPE, PIPE), NAME),
    "add_recovery_code": Method("keys", (*NOBODY, "passphrase", PIPE), NAME),
    "add_pin": Method("keys", (*NOBODY, "passphrase", PIPE, PIPE), NAME),
    "unlock_volume": Method("partition", (*NOBODY, "passphrase", PIPE), NAME),
    "remove_key_slot": Method("keys", (*NOBODY, "0" * 16, "passphrase", PIPE), NAME),
    "recover_volume": Method("keys", (*NOBODY, PIPE, PIPE), NAME),
    "rotate_volume_key": Method("keys", (*NOBODY, PIPE), NAME),
    "lock_volume": Method("partition", NOBODY, NAME),
    "grow_volume": Method("partition", NOBODY, NAME),
    "restore_header": Method("keys", NOBODY, NAME),
    "wipe_partition": Method("wipe", NOBODY, NAME),
    "get_escrow": Method("keys", NOBODY, NAME),
    "open_display": Method("display", NOBODY, NAME),
    "ask_exchange": Method("exchange", ("{",), BOUNDS),
    "settle_exchange": Method("exchange", ("x", "sent"), BOUNDS),
    "prove_vpn": Method("prove", (), "TH-IPC-002"),
    "attach_device": Method("device", ("..", "neither", False), BOUNDS),
    "detach_device": Method("device", ("..",), BOUNDS),
    "answer_device": Method("device", ("..", "deny", False), BOUNDS),
    "forget_device": Method("device", ("..",), BOUNDS),
    "set_kill_switch": Method("device", ("neither", True), BOUNDS),
    "get_owner_rules": Method("rules", (), ""),
    "set_owner_rules": Method("rules", ("x" * (256 * 1024 + 1),), BOUNDS),
}


@dataclass(frozen=True)
class Helper:
    """A helper's socket below /run/twinhull: who may connect, by the kernel, and who is answered."""

    user: str
    group: str
    mode: str
    answered: str


HELPERS: dict[str, Helper] = {
    "netd": Helper("root", "twinhull", "0660", "root, twinhull"),
    "devd": Helper("root", "twinhull", "0660", "root, twinhull"),
    "fetch": Helper("twinhull-fetch", "twinhull", "0660", "root, twinhull, twinhull-fetch"),
    "blockd": Helper("root", "root", "0600", "root"),
    "tpmd": Helper("root", "twinhull", "0660", "root, twinhull"),
    "diskd": Helper("root", "twinhull", "0660", "root, twinhull"),
}


def asked(caller: str, action: str) -> Asked:
    """What polkit asks of a caller."""
    if caller in ("root", "th-owner"):
        return "nothing"
    row = ACTIONS[action]
    return {"th-active": row.active, "th-inactive": row.inactive}.get(caller, row.elsewhere)
