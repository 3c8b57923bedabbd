"""docs/ipc.md, made from the table: ``python -m tests.ipc.document``, PYTHONPATH=policy:hypervisor."""

from __future__ import annotations

import sys

from .table import ACTIONS, CALLERS, HELPERS, METHODS

HEAD = """# Who may ask for what

Made from `tests/ipc/table.py` by `python -m tests.ipc.document`. `tests/api/test_ipc_matrix.py` compares
this page and calls every method as every caller below: the real core on a bus of its own, which asks a real
polkitd with the installed actions and the owner's rule. Who is refused gets `TH-DMN-003` before any argument
is looked at. No password is typed there: where one is asked for and no agent can ask, the call is refused.
How the test's bus is set up lets everybody speak to everybody; who may own the core's name on an installed
laptop is `tests/unit/test_installer_policies.py`.

## Callers

| caller in the test | who |
|---|---|
"""
METHODS_HEAD = """
## Methods of org.twinhull.Daemon1

What is asked of whom. "Password" is an administrator's; "kept" is good for a few minutes. Root and the
owner with a rule are asked nothing. A package writes no such rule: the owner is then anybody before the
screen. "Elsewhere" is over the network, in no session, and each user that a helper or a machine runs as.

| method | polkit action | active session | inactive session | elsewhere |
|---|---|---|---|---|
"""
HELPERS_HEAD = """
## Sockets of the helpers

The file's mode decides who can connect, SO_PEERCRED who is answered; others are hung up on before a byte is
read. The viewer has no socket that could be connected to: it inherits one end of a pair. blockd's NBD sockets
answer the QEMU user of one partition each (`tests/unit/test_block_service.py`). The test compares modes with
the units and connects as each user to a real blockd, tpmd and diskd, to a real fetch (as root, so its own
user is not tried), and to a server that has its list from where netd and devd have theirs.

| socket | owner, group, mode | answered |
|---|---|---|
"""


def document() -> str:
    """The page."""
    lines = [HEAD]
    lines += [f"| `{name}` | {who} |\n" for name, who in CALLERS.items()]
    lines.append(METHODS_HEAD)
    for name, method in METHODS.items():
        row = ACTIONS[method.action]
        cells = (f"`{name}`", f"`org.twinhull.{method.action}`", row.active, row.inactive, row.elsewhere)
        lines.append(f"| {' | '.join(cells)} |\n")
    lines.append(HELPERS_HEAD)
    for name, helper in HELPERS.items():
        place = f"{helper.user}, {helper.group}, {helper.mode}"
        lines.append(f"| `/run/twinhull/{name}.sock` | {place} | {helper.answered} |\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(document())
