"""Going back to the gateway that the policy prefers, with two real gateways of different keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from twinhull_policy.names import Partition

from tests.support.netd_lab import ADDRESS, ECHO, PAGES, STREAM, NetdLab, netd_lab
from tests.support.network_lab import Packet, capture, wait_until

CORPORATE = Partition.CORPORATE
GATEWAY, PREFERRED = "203.0.113.2:51820", "192.0.2.2:51820"
QUICK = """
from twinhull_hypervisor.network import returning
returning.FIRST_SECONDS, returning.APART_SECONDS = 1.0, 1.0
"""
UDP, ICMP, ARP = 17, 1, 0x0806
INITIATION, DATA = b"\x01\x00\x00\x00", b"\x04\x00\x00\x00"


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab(prelude=QUICK) as lab:
        lab.lab.run("ip", "netns", "add", "th-gateway2")
        peer = ("peer", "name", "company1", "netns", "th-internet")
        lab.lab.run("ip", "link", "add", "uplink0", "type", "veth", *peer, namespace="th-gateway2")
        for namespace, link, address in (
            ("th-gateway2", "uplink0", "192.0.2.2/24"),
            ("th-internet", "company1", "192.0.2.1/24"),
        ):
            lab.lab.run("ip", "address", "add", address, "dev", link, namespace=namespace)
            lab.lab.run("ip", "link", "set", link, "up", namespace=namespace)
        lab.lab.run("ip", "route", "add", "default", "via", "192.0.2.1", namespace="th-gateway2")
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


class Preferred:
    """The gateway that the policy names first: its key, and whether it is there."""

    def __init__(self, net: NetdLab) -> None:
        self._lab = net.lab
        self._laptop = net.client.identity()
        self._private = self._lab.run("wg", "genkey").strip()
        self.key = self._lab.run("wg", "pubkey", input=self._private).strip()

    @contextmanager
    def there(self) -> Iterator[None]:
        """Answering, with a page of its own, until it is gone again without a word."""
        run, place = self._lab.run, "th-gateway2"
        run("wireguard-go", "th-gw2", namespace=place)
        wanted = f"[Interface]\nPrivateKey = {self._private}\nListenPort = 51820\n"
        wanted += f"[Peer]\nPublicKey = {self._laptop}\nAllowedIPs = {ADDRESS}/32\n"
        run("wg", "setconf", "th-gw2", "/dev/stdin", namespace=place, input=wanted)
        run("ip", "address", "add", "10.77.0.80/16", "dev", "th-gw2", namespace=place)
        run("ip", "link", "set", "th-gw2", "up", namespace=place)
        page = self._lab.start(
            *("/usr/bin/python3", "-I", str(PAGES), "10.77.0.80", "80", "internet"), namespace=place
        )
        yield
        page.kill()
        run("ip", "link", "delete", "th-gw2", namespace=place)


def leaks(packets: list[Packet]) -> list[Packet]:
    """All that is neither the tunnel to one of the two, nor ARP, nor an ICMP error about it."""
    return [
        packet
        for packet in packets
        if packet.ethertype != ARP
        and not (packet.protocol == UDP and f"{packet.target}:{packet.target_port}" in (GATEWAY, PREFERRED))
        and not (packet.protocol == ICMP and packet.payload[:1] == b"\x03")
    ]


def to(packets: list[Packet], endpoint: str, kind: bytes) -> int:
    """How many WireGuard messages of a kind went to a gateway."""
    return sum(
        f"{packet.target}:{packet.target_port}" == endpoint and packet.payload[:4] == kind
        for packet in packets
    )


def known_gateways(net: NetdLab) -> int:
    """How many peers the tunnel has."""
    return len(net.lab.run("wg", "show", "th-wg0", "peers", namespace="th-corporate").split())


def test_the_first_gateway_is_gone_back_to_and_asking_it_in_vain_disturbs_nothing(net: NetdLab) -> None:
    first = Preferred(net)
    both = [(PREFERRED, first.key), (GATEWAY, net.gateway_key)]
    net.corporate_up(gateways=both)
    guest = net.guest(CORPORATE)
    wait_until(lambda: "company intranet" in net.fetch(guest, "http://10.77.0.80/", 2), "the second one")
    server = net.lab.start("/usr/bin/python3", "-c", ECHO, namespace="th-gateway")
    stream = net.lab.start("/usr/bin/python3", "-c", STREAM, namespace=guest)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        # It is dead: asked, and given up, while the same session carries the stream.
        before = net.client.vpn_info()
        wait_until(lambda: known_gateways(net) == 2, "the first one is asked")
        assert net.client.status().corporate.confined
        wait_until(lambda: known_gateways(net) == 1, "it did not answer")
        seen = underlay.until_planted("198.51.100.1")
        after = net.client.vpn_info()
        assert stream.alive()
        assert (after.gateway, after.last_handshake) == (GATEWAY, before.last_handshake)
        assert to(seen, PREFERRED, INITIATION) >= 2
        assert to(seen, PREFERRED, DATA) == 0
        assert to(seen, GATEWAY, INITIATION) == 0  # nothing was started over
        assert to(seen, GATEWAY, DATA) > 20
        assert leaks(seen) == []
        server.kill()
        stream.wait()
        with first.there():
            wait_until(lambda: net.client.vpn_info().gateway == PREFERRED, "it is gone back to")
            assert known_gateways(net) == 1
            assert "stand-in for the internet" in net.fetch(guest, "http://10.77.0.80/")
            seen = underlay.until_planted("198.51.100.1")
            assert to(seen, PREFERRED, INITIATION) >= 2  # it had to answer twice
            assert to(seen, GATEWAY, INITIATION) == 0  # the other one carried on until then
            assert leaks(seen) == []
            assert net.client.status().state == "up"
            net.netd.kill()
            net.start_netd()
            assert net.client.vpn_info().gateway == PREFERRED
        wait_until(lambda: "company intranet" in net.fetch(guest, "http://10.77.0.80/", 2), "over again")
        assert leaks(underlay.until_planted("198.51.100.1")) == []
    assert net.client.vpn_info().gateway == GATEWAY


def test_a_netd_that_starts_again_knows_which_gateway_is_in_use(net: NetdLab) -> None:
    first = Preferred(net)
    net.corporate_up(gateways=[(PREFERRED, first.key), (GATEWAY, net.gateway_key)])
    guest = net.guest(CORPORATE)
    wait_until(lambda: "company intranet" in net.fetch(guest, "http://10.77.0.80/", 2), "the second one")
    session = net.client.vpn_info().last_handshake
    net.netd.kill()
    net.start_netd()
    wait_until(lambda: known_gateways(net) == 2, "the first one is asked")
    assert net.client.vpn_info().gateway == GATEWAY
    assert "company intranet" in net.fetch(guest, "http://10.77.0.80/")
    assert net.client.vpn_info().last_handshake == session


def test_a_gateway_with_the_key_of_the_one_in_use_is_not_asked(net: NetdLab) -> None:
    net.corporate_up(gateways=[(PREFERRED, net.gateway_key), (GATEWAY, net.gateway_key)])
    guest = net.guest(CORPORATE)
    wait_until(lambda: "company intranet" in net.fetch(guest, "http://10.77.0.80/", 2), "the second one")
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        session = net.client.vpn_info().last_handshake
        for _ in range(20):  # the keeper has looked meanwhile: it does at each of the underlay's events
            for verb in ("add", "delete"):
                way = ("192.0.2.128/25", "via", "198.51.100.1")
                net.lab.run("ip", "route", verb, *way, namespace="th-underlay")
            assert "company intranet" in net.fetch(guest, "http://10.77.0.80/")
        seen = underlay.until_planted("198.51.100.1")
    assert to(seen, PREFERRED, INITIATION) == 0
    assert known_gateways(net) == 1
    assert net.client.vpn_info().last_handshake == session
