"""The personal side of netd, and who may talk to netd, on real namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from twinhull_hypervisor.ipc import call
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.support.netd_lab import FETCH, INTERNET, INTRANET, PAGES, NetdLab, assert_as_new, netd_lab
from tests.support.network_lab import capture, wait_until

PERSONAL, CORPORATE = Partition.PERSONAL, Partition.CORPORATE
DNS = ["198.51.100.1"]


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def forwarding(net: NetdLab) -> str:
    return net.lab.run("cat", "/proc/sys/net/ipv4/ip_forward", namespace="th-underlay").strip()


def test_it_reaches_the_internet_and_neither_company_nor_host(net: NetdLab) -> None:
    net.corporate_up()
    corporate = net.guest(CORPORATE)
    net.client.personal_up(DNS)
    guest = net.guest(PERSONAL)
    assert "stand-in for the internet" in net.fetch(guest, INTERNET)
    assert net.resolve(guest, "10.138.0.1", "www.example") == "198.51.100.1"
    assert "company intranet" in net.fetch(corporate, INTRANET)
    net.lab.start(
        *("/usr/bin/python3", "-c"),
        "import os, socket; s = socket.create_server(('', 80)); os.write(1, b'ready\\n'); s.accept()",
        namespace="th-underlay",
    )
    assert not net.lab.python(FETCH, INTERNET, "20", namespace="th-underlay").startswith("failed")
    for target in ("10.77.0.80", "10.77.1.5", "10.137.0.1", "10.137.0.2", "198.51.100.2", "10.138.0.5"):
        assert net.fetch(guest, f"http://{target}/", 2).startswith("failed"), target
    assert net.fetch(corporate, "http://10.138.0.2/", 2).startswith("failed")


def test_private_space_is_closed_but_for_its_name_server(net: NetdLab) -> None:
    net.client.personal_up(["192.168.7.53"])
    guest = net.guest(PERSONAL)
    net.lab.run("ip", "address", "add", "192.168.7.53/32", "dev", "lo", namespace="th-internet")
    try:
        with capture(net.lab, "th-underlay", "uplink0") as underlay:
            assert net.fetch(guest, "http://192.168.7.53/", 2).startswith("failed")
            assert net.resolve(guest, "10.138.0.1", "www.example", 2).startswith("failed")  # none listens
            seen = underlay.until_planted("198.51.100.1")
    finally:
        net.lab.run("ip", "address", "delete", "192.168.7.53/32", "dev", "lo", namespace="th-internet")
    assert {packet.target_port for packet in seen if packet.target == "192.168.7.53"} == {53}


def test_prove_covers_the_personal_side(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    net.client.personal_up(DNS)
    proof = net.client.prove()
    assert proof.passed, proof
    assert proof.canaries[2].name == "personal-cannot-reach-corporate"
    assert "saw 4 reach the door to the network, and 0 go through" in proof.canaries[2].evidence
    net.lab.run("nft", "flush", "chain", "inet", "twinhull", "forward", namespace="th-underlay")
    assert [canary.passed for canary in net.client.prove().canaries] == [True, True, False]


def test_other_machines_of_the_local_network_are_closed_whatever_their_addresses(net: NetdLab) -> None:
    """198.51.100.0/24 is no private space, and the laptop's own network here; .1 is the router."""
    net.client.personal_up(DNS)
    guest = net.guest(PERSONAL)
    net.lab.run("ip", "address", "add", "198.51.100.77/32", "dev", "lo", namespace="th-internet")
    net.lab.run("ip", "address", "add", "203.0.113.77/32", "dev", "lo", namespace="th-internet")
    serve = ("/usr/bin/python3", "-I", str(PAGES))
    for address in ("198.51.100.77", "203.0.113.77"):
        net.lab.start(*serve, address, "80", "internet", namespace="th-internet")
    assert "stand-in" in net.fetch(guest, "http://203.0.113.77/")
    assert net.fetch(guest, "http://198.51.100.77/", 2).startswith("failed")
    # The laptop comes into another network: what was a machine far away is a neighbour now.
    net.lab.run("ip", "address", "add", "203.0.113.200/24", "dev", "uplink0", namespace="th-underlay")
    try:
        wait_until(lambda: "203.0.113.0/24" in ruleset(net), "the new network is closed")
        assert net.fetch(guest, "http://203.0.113.77/", 2).startswith("failed")
    finally:
        net.lab.run("ip", "address", "delete", "203.0.113.200/24", "dev", "uplink0", namespace="th-underlay")


def ruleset(net: NetdLab) -> str:
    return net.lab.run("nft", "list", "table", "inet", "twinhull", namespace="th-underlay")


SENT = re.compile(r"class htb (\S+) .*\n Sent \d+ bytes (\d+) pkt")


def classes(net: NetdLab) -> dict[str, int]:
    """Packets sent so far by class of the uplink's queue."""
    shown = net.lab.run("tc", "-s", "class", "show", "dev", "uplink0", namespace="th-underlay")
    return {name: int(packets) for name, packets in SENT.findall(shown)}


def test_the_personal_side_waits_for_the_corporate_one(net: NetdLab) -> None:
    net.corporate_up()
    corporate = net.guest(CORPORATE)
    net.client.personal_up(DNS)
    guest = net.guest(PERSONAL)
    before = classes(net)
    assert "stand-in" in net.fetch(guest, INTERNET)
    between = classes(net)
    assert between["7468:20"] > before["7468:20"]
    assert "company intranet" in net.fetch(corporate, INTRANET)
    after = classes(net)
    assert after["7468:10"] > between["7468:10"]
    assert after["7468:20"] == between["7468:20"]
    net.client.personal_up(DNS)
    assert classes(net)["7468:20"] >= after["7468:20"]  # a repeat leaves the queue alone
    net.stop_guest(PERSONAL)
    net.client.down(PERSONAL)
    assert "7468" not in net.lab.run("tc", "qdisc", "show", namespace="th-underlay")


def test_drift_pulls_its_link_too(net: NetdLab) -> None:
    net.client.personal_up(DNS)
    net.guest(PERSONAL)
    net.lab.run("ip", "link", "add", "stray", "type", "ifb", namespace="th-personal")
    wait_until(lambda: not net.lab.links("th-personal")["th-pers0"], "the link is pulled")
    assert "stray" in net.client.status().personal.why_not


@pytest.mark.parametrize("before", ["0", "1"])
def test_down_gives_the_underlay_back_as_it_was(net: NetdLab, before: str) -> None:
    net.lab.run("tee", "/proc/sys/net/ipv4/ip_forward", namespace="th-underlay", input=before)
    rules, routes = (
        net.lab.run("nft", "list", "ruleset", namespace="th-underlay"),
        net.lab.run("ip", "route", namespace="th-underlay"),
    )
    net.client.personal_up(DNS)
    net.client.personal_up(DNS)
    assert forwarding(net) == "1"
    net.guest(PERSONAL)
    net.stop_guest(PERSONAL)
    net.client.down(PERSONAL)
    assert forwarding(net) == before
    assert net.lab.run("nft", "list", "ruleset", namespace="th-underlay") == rules
    assert net.lab.run("ip", "route", namespace="th-underlay") == routes
    assert set(net.lab.links("th-underlay")) == {"lo", "uplink0"}
    assert_as_new(net, "th-personal")
    assert net.client.status().personal.built is False
    net.lab.run("tee", "/proc/sys/net/ipv4/ip_forward", namespace="th-underlay", input="0")


def test_a_missing_underlay_is_named(net: NetdLab) -> None:
    settings = net.directory / "host.json"
    kept = settings.read_text()
    net.netd.kill()
    settings.write_text('{"underlay_namespace": "th-nowhere"}')
    net.start_netd()
    with pytest.raises(RemoteError) as refusal:
        net.corporate_up()
    assert refusal.value.remote.code == "TH-NET-005"
    net.netd.kill()
    settings.write_text(kept)
    net.start_netd()


ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.send(b'{"verb": "identity"}')
        answer = connection.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        answer = b""
    sys.stdout.write(answer.decode() or "nothing")
"""


def test_another_user_is_not_answered_even_if_the_socket_lets_it_in(net: NetdLab) -> None:
    assert net.socket.stat().st_mode & 0o777 == 0o660
    net.directory.chmod(0o755)
    net.socket.chmod(0o666)
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert net.lab.run(*as_nobody, "/usr/bin/python3", "-c", ASK, str(net.socket)) == "nothing"
    assert "public_key" in net.lab.run("/usr/bin/python3", "-c", ASK, str(net.socket))


@pytest.mark.parametrize("verb", ["", "exec", "Identity", "tap ", "corporate-up"])
def test_unknown_verbs(net: NetdLab, verb: str) -> None:
    with pytest.raises(RemoteError) as refusal:
        call(net.socket, verb)
    assert refusal.value.remote.code == "TH-IPC-002"
