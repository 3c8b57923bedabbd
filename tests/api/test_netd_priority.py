"""Who goes first on a full link whose speed the owner has said: the limits, and what waits for what."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from twinhull_policy.names import Partition

from tests.support.netd_lab import INTERNET, INTRANET, NetdLab, netd_lab
from tests.support.network_lab import ENVIRONMENT, SECONDS, wait_until

PERSONAL, CORPORATE = Partition.PERSONAL, Partition.CORPORATE
DNS = ["198.51.100.1"]
FIRST, LAST = "7468:10", "7468:20"
"""The classes of the corporate side and of the personal one (twinhull_hypervisor.network.priority)."""
UP, DOWN = 4, 40
FLOOD = """
import os, socket, sys
os.write(1, b"ready\\n")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    while True:
        sender.sendto(bytes(1200), (sys.argv[1], 9))
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        start_with(lab, uplink_mbit=UP, downlink_mbit=DOWN)
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def start_with(net: NetdLab, **changes: object) -> None:
    """Start netd again with other settings."""
    settings = net.directory / "host.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **changes}))
    net.netd.kill()
    net.start_netd()


CLASS = re.compile(
    r"class htb (?P<name>\S+) .*rate (?P<rate>\S+) ceil (?P<ceil>\S+) .*\n"
    r" Sent (?P<bytes>\d+) bytes (?P<packets>\d+) pkt \(dropped (?P<drops>\d+),.*\n"
    r" backlog (?P<backlog>\S+)b (?P<waiting>\d+)p "
)
UNITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "K": 1024, "M": 1024**2, "": 1}


def number(text: str) -> int:
    """What tc(8) means by ``3040Kbit`` or ``12K``."""
    match = re.fullmatch(r"(\d+)(\D*)", text)
    assert match is not None
    return int(match[1]) * UNITS[match[2]]


def classes(net: NetdLab, link: str = "uplink0") -> dict[str, dict[str, int]]:
    """Of each class of an interface's queue: rate and ceil in bits a second, and the kernel's counters."""
    shown = net.lab.run("tc", "-s", "class", "show", "dev", link, namespace="th-underlay")
    found = [match.groupdict() for match in CLASS.finditer(shown)]
    return {one.pop("name"): {name: number(text) for name, text in one.items()} for one in found}


def bits(mbit: float) -> int:
    return round(mbit * 1000) * 1000


def test_the_limits_are_the_owners(net: NetdLab) -> None:
    net.client.personal_up(DNS)
    up = classes(net)
    assert {name: (one["rate"], one["ceil"]) for name, one in up.items()} == {
        "7468:1": (bits(UP * 0.95), bits(UP * 0.95)),
        FIRST: (bits(UP * 0.95 * 0.8), bits(UP * 0.95)),
        LAST: (bits(UP * 0.95 * 0.2), bits(UP * 0.95)),
    }
    down = classes(net, "th-pers2")
    assert {name: one["ceil"] for name, one in down.items()} == {"7468:1": bits(DOWN * 0.85)}


@pytest.mark.parametrize("value", [-1, 10_001, 1.5, "20", None, True, [20]])
@pytest.mark.parametrize("name", ["uplink_mbit", "downlink_mbit"])
def test_a_bad_value_is_refused_in_one_sentence(net: NetdLab, name: str, value: object) -> None:
    settings = net.directory / "bad.json"
    settings.write_text(json.dumps({name: value}))
    code = "import sys; from twinhull_hypervisor.network import netd; sys.exit(netd.main())"
    done = subprocess.run(
        net.lab.argv((sys.executable, "-c", code, "--settings", str(settings))),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=ENVIRONMENT,
    )
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert "TH-DMN-001" in line
    assert name in line


def test_the_corporate_side_overtakes_what_waits_of_the_personal_one(net: NetdLab) -> None:
    net.corporate_up()
    corporate = net.guest(CORPORATE)
    net.client.personal_up(DNS)
    personal = net.guest(PERSONAL)
    assert "company intranet" in net.fetch(corporate, INTRANET)
    flood = net.lab.start("/usr/bin/python3", "-c", FLOOD, "203.0.113.2", namespace=personal)
    wait_until(lambda: classes(net)[LAST]["drops"] > 0, "the personal side's queue is full")
    before = classes(net)
    assert "company intranet" in net.fetch(corporate, INTRANET)
    after = classes(net)
    flood.kill()
    # Whatever of the personal side waited before has not even left: the page went ahead of it.
    assert after[LAST]["packets"] - before[LAST]["packets"] < before[LAST]["waiting"]
    assert after[FIRST]["packets"] > before[FIRST]["packets"]
    assert after[FIRST]["drops"] == 0
    assert after[LAST]["packets"] > before[LAST]["packets"]  # it waits, and is not starved


def test_under_load_of_both_the_corporate_side_has_most_and_the_personal_one_its_fifth(net: NetdLab) -> None:
    net.corporate_up(routes=["0.0.0.0/0"])
    corporate = net.guest(CORPORATE)
    net.client.personal_up(DNS)
    personal = net.guest(PERSONAL)
    assert "203.0.113.2" in net.fetch(corporate, INTERNET)
    floods = [
        net.lab.start("/usr/bin/python3", "-c", FLOOD, target, namespace=guest)
        for guest, target in ((personal, "203.0.113.2"), (corporate, "10.77.0.1"))
    ]

    def both_wait() -> bool:
        now = classes(net)
        return now[FIRST]["backlog"] > 0 and now[LAST]["drops"] > 0

    wait_until(both_wait, "both wait for the link")
    before = classes(net)
    wait_until(
        lambda: classes(net)[LAST]["packets"] > before[LAST]["packets"] + 100, "100 packets of the last"
    )
    after = classes(net)
    for flood in floods:
        flood.kill()
    sent = {name: after[name]["bytes"] - before[name]["bytes"] for name in (FIRST, LAST)}
    # Four fifths and one fifth, and the kernel's rounding of what each class has sent in its turn.
    assert 3 * sent[LAST] < sent[FIRST] < 5 * sent[LAST]
