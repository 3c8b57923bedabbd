"""A real polkitd on a test's own bus, in a mount namespace: our actions, and logins a test makes up.

polkitd reads who is logged in where from logind's files (sd-login(3)) and whose session a process is from
/proc/PID/cgroup. Both, the accounts, the actions and the rules are the test's; the machine's stay as they
are. Needs root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path("/usr/lib/polkit-1/polkitd")
ACTIONS = "/usr/share/polkit-1/actions"
RULES = "/etc/polkit-1/rules.d"
LOGINS = "/run/systemd"
_START = f"""
set -e
mount --make-rprivate /
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/actions" {ACTIONS}
mount --bind "$1/rules" {RULES}
mount --bind "$1/logins" {LOGINS}
exec {PROGRAM}
"""


class RealPolkit:
    """The running polkitd."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self._process, self._directory = process, directory

    def log_in(self, pid: int, uid: int, *, active: bool) -> None:
        """Let polkitd see a process as part of a session at the seat, with the screen or without it."""
        state = "active" if active else "online"
        session = f"c{pid}"
        logins = self._directory / "logins"
        (logins / "sessions" / session).write_text(
            f"UID={uid}\nACTIVE={int(active)}\nSTATE={state}\nREMOTE=0\nTYPE=x11\nCLASS=user\nSEAT=seat0\n"
        )
        (logins / "users" / str(uid)).write_text(f"STATE={state}\nDISPLAY={session}\nSESSIONS={session}\n")
        groups = self._directory / f"cgroup-{pid}"
        path = f"/user.slice/user-{uid}.slice/session-{session}.scope"
        # Whichever hierarchy this machine has systemd's names in (cgroups(7)).
        groups.write_text(f"1:name=systemd:{path}\n0::{path}\n")
        inside = ["nsenter", "-t", str(self._process.pid), "-m"]
        subprocess.run([*inside, "mount", "--bind", groups, f"/proc/{pid}/cgroup"], check=True, timeout=30)


@contextmanager
def real_polkit(
    directory: Path, actions: Path, rules: Mapping[str, str], accounts: Mapping[str, int]
) -> Iterator[RealPolkit]:
    """Run polkitd on the bus that ``DBUS_SYSTEM_BUS_ADDRESS`` names.

    Args:
        directory: empty, and passable to polkitd's user.
        actions: the file of actions.
        rules: rules besides its own defaults, by the name of their file.
        accounts: the uids of accounts by name, in place of the machine's of that name or uid.
    """
    for name in ("actions", "rules", "logins/sessions", "logins/users", "logins/seats", "logins/machines"):
        (directory / name).mkdir(parents=True)
    (directory / "actions" / actions.name).write_text(actions.read_text())
    for name, text in rules.items():
        (directory / "rules" / name).write_text(text)
    made = "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in accounts.items())
    taken = {*accounts, *map(str, accounts.values())}
    lines = Path("/etc/passwd").read_text().splitlines()
    kept = [line for line in lines if taken.isdisjoint(line.split(":")[:3:2])]
    (directory / "passwd").write_text("\n".join(kept) + "\n" + made)
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", _START, "sh", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            if not any(b"Acquired the name" in line for line in process.stdout):
                raise RuntimeError("polkitd did not start")
            yield RealPolkit(process, directory)
        finally:
            process.terminate()
