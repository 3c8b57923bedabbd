"""SIGKILL of the real netd before the transitions of its verbs: nothing leaks, and done again it ends well.

Guests send to the internet and to the company all the while, and the wire is captured from before the first
verb to after the last. ``--long`` tries every transition, else some that leave the network half built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from twinhull_hypervisor.ipc import HelperUnreachable
from twinhull_hypervisor.network.results import NetworkStatus
from twinhull_policy.names import Partition

from tests.support.netd_killed import doom, revive
from tests.support.netd_lab import GUESTS, INTERNET, INTRANET, NetdLab, assert_as_new, netd_lab
from tests.support.network_lab import Packet, Running, capture, wait_until

from .test_netd_corporate import leaks

CORPORATE, PERSONAL = Partition.CORPORATE, Partition.PERSONAL
DNS = ["198.51.100.1"]
MOST = 200
OPEN = ("198.51.100.1", "203.0.113.2")
"""What the personal partition may reach of what guests send to."""
SENT = b"not for the wire"
FLOOD = f"""
import os, socket, time
os.write(1, b"ready\\n")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    while True:
        for target in {(*OPEN, "10.77.0.80")!r}:
            try:
                sender.sendto({SENT!r}, (target, 9))
            except OSError:
                pass
        time.sleep(0.002)
"""


floods: list[Running] = []
"""What guests send; ended with them."""


@dataclass(frozen=True)
class Change:
    """A verb of netd in a situation.

    Attributes:
        verb: what netd calls it.
        before: brings the network to where it is asked for.
        work: asks for it; may be repeated.
        judge: what has to hold once it was done to its end.
        least: transitions that it has at least, so that none is lost unseen.
        some: the transitions, counted from 0, that are tried without ``--long``.
    """

    verb: str
    before: Callable[[NetdLab], None]
    work: Callable[[NetdLab], None]
    judge: Callable[[NetdLab], None]
    least: int
    some: tuple[int, ...]


def is_what_it_says(status: NetworkStatus) -> bool:
    """A network that is said to be up has all of the policy's routes, and a guest in it is confined."""
    corporate = status.corporate
    return status.state != "up" or (bool(corporate.routes) and corporate.confined == corporate.guest_link)


def leaked(packet: Packet, name: str) -> bool:
    """Whether it is the corporate guest's, or the personal one's and has not its due form."""
    translated = (packet.source, packet.target) in (("198.51.100.2", there) for there in OPEN)
    return packet.payload == SENT and not ("personal" in name and translated)


def nothing(_: NetdLab) -> None:
    """Nothing was built."""


def tapped(net: NetdLab) -> None:
    """A guest whose network was never built: it holds its tap, and netd connects it."""
    guest(net, CORPORATE)


def guest(net: NetdLab, partition: Partition) -> None:
    """A guest that sends as soon as it has a network to send by."""
    net.guest(partition)
    floods.append(net.lab.start("/usr/bin/python3", "-c", FLOOD, namespace=GUESTS[partition]))


def connected(net: NetdLab) -> None:
    """The company's network, with its guest."""
    net.corporate_up()
    guest(net, CORPORATE)


def at_home(net: NetdLab) -> None:
    """The personal network, with its guest."""
    net.client.personal_up(DNS)
    guest(net, PERSONAL)


def reaches_the_company(net: NetdLab) -> None:
    if CORPORATE not in net.guests:
        guest(net, CORPORATE)
    assert "company intranet" in net.fetch(GUESTS[CORPORATE], INTRANET)
    assert (net.client.status().state, net.client.status().corporate.confined) == ("up", True)


def reaches_the_internet(net: NetdLab) -> None:
    if PERSONAL not in net.guests:
        guest(net, PERSONAL)
    assert "stand-in for the internet" in net.fetch(GUESTS[PERSONAL], INTERNET)
    assert net.fetch(GUESTS[PERSONAL], INTRANET, 1).startswith("failed")


def is_cut(net: NetdLab) -> None:
    assert net.lab.links("th-corporate") == {"lo": False, "th-corp0": False}
    assert net.client.status().state == "blocked"
    net.corporate_up()
    reaches_the_company(net)


def is_down(partition: Partition) -> Callable[[NetdLab], None]:
    def judge(net: NetdLab) -> None:
        net.stop_guest(partition)
        net.client.down(partition)
        assert_as_new(net, f"th-{partition.value}")

    return judge


def rebuilt(net: NetdLab) -> None:
    net.corporate_up(routes=["10.77.0.0/16", "10.78.0.0/16"], mtu=1380)


def has_both_routes(net: NetdLab) -> None:
    reaches_the_company(net)
    assert net.client.status().corporate.routes == ["10.77.0.0/16 dev th-wg0", "10.78.0.0/16 dev th-wg0"]


def cut(net: NetdLab) -> None:
    net.client.corporate_cut()


def down(partition: Partition) -> Callable[[NetdLab], None]:
    return lambda net: net.client.down(partition)


def personal(net: NetdLab) -> None:
    net.client.personal_up(DNS)


CHANGES = {
    "the corporate network is built": Change(
        "corporate_up", nothing, NetdLab.corporate_up, reaches_the_company, 60, (0, 79)
    ),
    "the corporate network changes under its guest": Change(
        "corporate_up", connected, rebuilt, has_both_routes, 8, (0,)
    ),
    "the tunnel is taken away": Change("corporate_cut", connected, cut, is_cut, 2, (1,)),
    "the corporate network goes": Change("down", connected, down(CORPORATE), is_down(CORPORATE), 5, (2,)),
    "the personal network is built": Change(
        "personal_up", nothing, personal, reaches_the_internet, 10, (10,)
    ),
    "the personal network goes": Change("down", at_home, down(PERSONAL), is_down(PERSONAL), 5, (2,)),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def killed(net: NetdLab, change: Change, number: int) -> str:
    """Do it once with a netd that dies before that transition, and judge; what it was, or nothing."""
    change.before(net)
    told = doom(net, change.verb, number)
    try:
        change.work(net)
    except HelperUnreachable:
        if not told.exists():
            raise
    if told.exists():
        net.netd.wait()
    revive(net)
    wait_until(lambda: is_what_it_says(net.client.status()), "what netd says of itself is so")
    change.work(net)
    change.judge(net)
    return told.read_text() if told.exists() else ""


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_leaks_and_it_ends_well(net: NetdLab, name: str, request: pytest.FixtureRequest) -> None:
    change = CHANGES[name]
    every = request.config.getoption("--long")
    done: list[str] = []
    for number in range(MOST) if every else change.some:
        with capture(net.lab, "th-underlay", "uplink0") as underlay:
            try:
                before = killed(net, change, number)
            except Exception as error:
                raise AssertionError(f"killed before transition {number}, after {done}: {error}") from error
            while floods:
                floods.pop().kill()
            net.reset()
            seen = underlay.until_planted("198.51.100.1")
        assert [packet for packet in leaks(seen) if leaked(packet, name)] == [], before
        if not before:
            break
        done.append(before)
    assert len(done) >= (change.least if every else len(change.some)), done
