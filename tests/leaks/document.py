"""docs/leaks.md, made from the table: ``python -m tests.leaks.document``, PYTHONPATH=policy:hypervisor."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .mutations import MUTATIONS, Line, Mutation
from .scenario import UNDERLAYS, Scenario
from .table import ROWS

HEAD = """# The leak table

What is tried to make a byte of the corporate partition leave the laptop outside the tunnel (P2), or of
the personal one come where it may not (P1), and what must be seen. Made from the table itself by
`python -m tests.leaks.document`; `tests/leaks/test_leaks.py` plays the rows,
`tests/leaks/test_table.py` compares this page. {count} rows: each line below once for each address family
and underlay it names.

## What every row demands

Each row plays in a private machine with a real `twinhull-netd` under its two capabilities, real
WireGuard, a real tap, a gateway, an internet and another machine on the LAN. The guest is a stand-in that
holds the tap as QEMU does and writes any frame into it. Packet captures run on every interface of the
underlay and of the host, and inside both guests, without a gap from the first row to the last.

1. Before the event and after it, an unprotected packet of each family is planted on every interface of
   the underlay and the host. The captures have to hold, and the verdict to condemn, every one of them;
   else the row fails.
2. Between the two, all that left by an interface of the underlay or the host is WireGuard's own messages
   to a gateway of the policy, in form and length, or what the uplink's kernel says to find its router.
   Where the personal guest or the laptop's own DHCP client speaks, the row names their packets. Anything
   else fails the row.
3. What the corporate guest said in that row is found nowhere in clear but in itself and at the company.
4. What the network said to the laptop in that row is not found in the corporate guest.
5. No capture lost a packet.

What a row demands besides is in its last column but one. A row that asks for silence shows in the same
breath that the guest's bytes of both families still come out of the tunnel.

With real guests, whole boots and shutdowns are captured in `tests/e2e/test_network.py`
(`test_every_packet_is_wireguard_from_before_boot_until_after_shutdown`).

On the kernel's own WireGuard every row but those about `wireguard-go`'s process plays in a kernel that runs
as a process ([adr/0018](adr/0018-a-kernel-that-is-a-process.md), `tests/kernel/test_network.py`; one of each
event without `--long`), and so do those whose status says so, which suspend the machine or
set its clock. `tests/lab/test_network.py` plays them in the virtual laptop.

## Underlays

| underlay | what it is |
|---|---|
"""
TABLE_HEAD = """
## The table

| scenario | IP | underlays | what is tried | what must be seen besides | status |
|---|---|---|---|---|---|
"""


BROKEN_HEAD = """
## Broken on purpose

`tests/leaks/test_mutations.py` breaks the confinement, plays the first row of each line that the last column
names, and demands that it fails; every line of the table is made fail by one at least. A copy is really put
on the wire, a route really into the namespace, and netd really blinded. A plain run does so for one line of
each event, and `--long` for all.

| broken | what | lines that then fail |
|---|---|---|
"""


def document() -> str:
    """The page."""
    lines = [f"| {name} | {words} |\n" for name, words in UNDERLAYS.items()]
    groups: dict[tuple[str, str], list[Scenario]] = {}
    for row in ROWS:
        groups.setdefault((row.event, row.name), []).append(row)
    table = [_line(rows) for _, rows in sorted(groups.items(), key=lambda item: item[0][0].lower())]
    broken = "".join(f"| {one.name} | {one.what} | {_reached(one)} |\n" for one in MUTATIONS)
    return HEAD.format(count=len(ROWS)) + "".join(lines) + BROKEN_HEAD + broken + TABLE_HEAD + "".join(table)


def _reached(mutation: Mutation) -> str:
    if not mutation.only:
        return f"all but: {', '.join(_names(mutation.apart))}"
    return ", ".join(_names(mutation.only))


def _names(lines: Iterable[Line]) -> list[str]:
    return sorted((f"{event}: {name}" if name != event else event) for event, name in lines)


def _line(rows: list[Scenario]) -> str:
    first = rows[0]
    name = first.event if first.name == first.event else f"{first.event}: {first.name}"
    families = ", ".join(str(family) for family in sorted({row.family for row in rows}))
    underlays = ", ".join(dict.fromkeys(row.underlay for row in rows))
    status = f"{first.status}, in a kernel of its own" if first.own_kernel else first.status
    seen = max((row.seen for row in rows), key=len)
    return f"| {name} | {families} | {underlays} | {first.tried} | {seen} | {status} |\n"


if __name__ == "__main__":
    sys.stdout.write(document())
