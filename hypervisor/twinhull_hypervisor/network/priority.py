"""Who goes first when the laptop's link is full: the corporate side before the personal one (P8).

On each interface of the underlay that leads out, packets of the personal side are of a class of their own
(:mod:`.rules` marks them), and all others, the tunnel's among them, go before. Both may use the whole link
while the other leaves it; the personal side always keeps a fifth. Where the owner has said how fast the link
is, the queue is held here, where it can be ordered, and the personal side's downloads are kept below it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..run import run
from . import namespaces
from .plan import PERSONAL_CLASS, QDISC, VETH_OUTSIDE

TC_SECONDS = 20.0
UNLIMITED_MBIT = 10_000
"""More than a laptop's link carries: then the hardware's own queue decides when anyone has to wait."""
UP_SHARE = 0.95
"""Of the link's speed, so that the queue is here and not in the next box."""
DOWN_SHARE = 0.85
"""Of the link's speed for the personal side's downloads: their queue is in the next box."""
PERSONAL_SHARE = 0.2
BURST_BYTES = 32_768
QUANTUM_BYTES = 15_140
"""Ten full packets (tc-htb(8)): how much a class sends in its turn."""
FIRST_CLASS = f"{QDISC}:10"


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the laptop's link is, Mbit/s; 0 where nobody said."""

    up_mbit: int = 0
    down_mbit: int = 0


def apply(underlay: str, leading_out: Collection[str], speed: Speed) -> None:
    """Order the queues of some interfaces, and of the personal side's door; idempotent."""
    up = speed.up_mbit * UP_SHARE or UNLIMITED_MBIT
    wanted = {name: _ordered(name, up) for name in leading_out}
    if speed.down_mbit:
        wanted[VETH_OUTSIDE] = _limited(VETH_OUTSIDE, speed.down_mbit * DOWN_SHARE)
    for name in set(wanted) - set(_ours(underlay)):
        for line in wanted[name]:
            _tc(underlay, line)


def remove(underlay: str) -> None:
    """Give every interface its own queue back."""
    for name in _ours(underlay):
        _tc(underlay, f"qdisc del dev {name} root")


def _ours(underlay: str) -> list[str]:
    """The interfaces whose queue is one of ours."""
    argv = [*namespaces.command(underlay), "tc", "-json", "qdisc", "show"]
    listed = json.loads(run(argv, timeout=TC_SECONDS).stdout)
    return [one["dev"] for one in listed if one.get("root") and one.get("handle") == f"{QDISC}:"]


def _ordered(name: str, mbit: float) -> Iterable[str]:
    first, second = mbit * (1 - PERSONAL_SHARE), mbit * PERSONAL_SHARE
    yield f"qdisc replace dev {name} root handle {QDISC}: htb default 0x10"
    yield _class(name, f"{QDISC}:", f"{QDISC}:1", mbit, mbit, 0)
    yield _class(name, f"{QDISC}:1", FIRST_CLASS, first, mbit, 0)
    yield _class(name, f"{QDISC}:1", PERSONAL_CLASS, second, mbit, 1)


def _limited(name: str, mbit: float) -> Iterable[str]:
    yield f"qdisc replace dev {name} root handle {QDISC}: htb default 0x1"
    yield _class(name, f"{QDISC}:", f"{QDISC}:1", mbit, mbit, 0)


def _class(name: str, parent: str, own: str, rate: float, ceiling: float, turn: int) -> str:
    kbit, most = round(rate * 1000), round(ceiling * 1000)
    return (
        f"class replace dev {name} parent {parent} classid {own} htb rate {kbit}kbit ceil {most}kbit "
        f"burst {BURST_BYTES} cburst {BURST_BYTES} quantum {QUANTUM_BYTES} prio {turn}"
    )


def _tc(underlay: str, line: str) -> None:
    run([*namespaces.command(underlay), "tc", *line.split()], timeout=TC_SECONDS)
