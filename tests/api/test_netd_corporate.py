"""The corporate side of netd on real namespaces, a real tap and real WireGuard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.support.netd_lab import INTERNET, INTRANET, NetdLab, assert_as_new, netd_lab
from tests.support.network_lab import Packet, capture, wait_until

CORPORATE = Partition.CORPORATE
ICMP = 1
UDP = 17
ARP = 0x0806


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def is_wireguard(packet: Packet) -> bool:
    """UDP from the laptop to the gateway's WireGuard port, or "nobody listens" (ICMP 3/3) about such."""
    ends = (packet.source, packet.target) == ("198.51.100.2", "203.0.113.2")
    if packet.protocol == ICMP:
        return ends and packet.payload[:2] == b"\x03\x03"
    return ends and packet.protocol == UDP and packet.target_port == 51820


def leaks(packets: list[Packet]) -> list[Packet]:
    """What the underlay must not have carried; its own ARP for the router is the underlay's."""
    return [packet for packet in packets if packet.ethertype != ARP and not is_wireguard(packet)]


def test_the_guest_reaches_the_intranet_through_the_tunnel_and_nothing_else_leaves(net: NetdLab) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.corporate_up()
        guest = net.guest(CORPORATE)
        assert "company intranet" in net.fetch(guest, INTRANET)
        assert net.resolve(guest, "10.137.0.1", "intranet.corp.example") == "10.77.0.80"
        assert net.fetch(guest, INTERNET, 3).startswith("failed")  # no route in the policy
        assert net.resolve(guest, "198.51.100.1", "www.example", 3).startswith("failed")
        seen = underlay.until_planted("198.51.100.1")
    assert any(is_wireguard(packet) for packet in seen)
    assert leaks(seen) == []
    status = net.client.status()
    assert status.state == "up"
    assert status.corporate.interfaces == ["lo", "th-corp0", "th-wg0"]
    assert status.corporate.routes == ["10.77.0.0/16 dev th-wg0"]
    info = net.client.vpn_info()
    assert (info.confined, info.gateway, info.address) == (True, "203.0.113.2:51820", "10.77.1.5/32")
    assert info.last_handshake > 0
    assert info.received_bytes > 0
    assert info.sent_bytes > 0


def test_a_default_route_goes_through_the_tunnel(net: NetdLab) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.corporate_up(routes=["0.0.0.0/0"])
        page = net.fetch(net.guest(CORPORATE), INTERNET)
        seen = underlay.until_planted("198.51.100.1")
    assert "203.0.113.2" in page  # the internet sees the company's address, not the laptop's
    assert leaks(seen) == []


def test_the_gateway_goes_and_comes_back_and_nothing_leaks(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.lab.demo("stop-gateway")
        assert net.fetch(guest, INTRANET, 3).startswith("failed")
        outgoing = underlay.until_planted("198.51.100.1")
        net.lab.demo("start-gateway")
        wait_until(lambda: "company intranet" in net.fetch(guest, INTRANET), "the intranet is back")
        outgoing += underlay.until_planted("198.51.100.1")
    assert any(is_wireguard(packet) for packet in outgoing)
    assert leaks(outgoing) == []


def test_wireguard_killed_fails_closed_and_is_mended_under_the_guest(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.kill_wireguard()
        status = net.client.status()
        assert (status.state, status.corporate.interfaces) == ("blocked", ["lo", "th-corp0"])
        assert status.corporate.routes == []
        assert net.fetch(guest, INTRANET, 3).startswith("failed")
        with pytest.raises(RemoteError) as refusal:
            net.client.adopt(CORPORATE)
        assert refusal.value.remote.code == "TH-NET-004"
        net.corporate_up()
        assert "company intranet" in net.fetch(guest, INTRANET)
        assert leaks(underlay.until_planted("198.51.100.1")) == []
    assert net.client.status().state == "up"


def test_a_network_that_is_cut_lets_nothing_out_and_comes_back_under_the_guest(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        for _ in range(2):
            net.client.corporate_cut()
            assert net.lab.links("th-corporate") == {"lo": False, "th-corp0": False}
            assert net.client.status().state == "blocked"
        with pytest.raises(RemoteError):
            net.client.adopt(CORPORATE)
        assert net.fetch(guest, INTRANET, 3).startswith("failed")
        seen = underlay.until_planted("198.51.100.1")
    assert leaks(seen) == []
    net.corporate_up()
    assert net.client.status().corporate.confined
    assert "company intranet" in net.fetch(guest, INTRANET)


def test_a_network_that_was_never_built_can_be_cut(net: NetdLab) -> None:
    net.client.corporate_cut()
    assert net.client.status().state == "down"
    net.corporate_up()
    assert net.client.status().tunnel.kind


def test_netd_killed_changes_nothing_and_finds_everything_again(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    key = net.client.identity()
    daemons = net.wireguard_pids()
    net.netd.kill()
    assert "company intranet" in net.fetch(guest, INTRANET)
    net.start_netd()
    assert net.client.identity() == key
    assert net.client.status().state == "up"
    net.corporate_up()
    assert net.wireguard_pids() == daemons
    net.lab.run("ip", "link", "add", "stray", "type", "ifb", namespace="th-corporate")
    wait_until(lambda: not net.lab.links("th-corporate")["th-corp0"], "the new netd watches the old guest")


def test_an_idempotent_repeat_keeps_the_session(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    before = net.client.vpn_info()
    net.corporate_up()
    after = net.client.vpn_info()
    assert after.last_handshake == before.last_handshake
    assert after.sent_bytes >= before.sent_bytes


def test_changed_settings_replace_the_old_ones(net: NetdLab) -> None:
    net.corporate_up()
    net.corporate_up(routes=["10.77.0.0/24", "192.0.2.0/24"], addresses=["10.77.1.6"], mtu=1300)
    status = net.client.status()
    assert status.corporate.routes == ["10.77.0.0/24 dev th-wg0", "192.0.2.0/24 dev th-wg0"]
    assert status.corporate.addresses == ["10.77.1.6/32"]
    assert "mtu 1300" in net.lab.run("ip", "link", "show", "th-wg0", namespace="th-corporate")


def test_adopt_refuses_a_namespace_that_holds_more(net: NetdLab) -> None:
    net.corporate_up()
    net.lab.run("ip", "link", "add", "stray", "type", "ifb", namespace="th-corporate")
    with pytest.raises(RemoteError) as refusal:
        net.guest(CORPORATE)
    assert refusal.value.remote.code == "TH-NET-004"
    assert "stray" in refusal.value.message
    assert net.lab.links()["th-corp0"] is False  # still outside, still down
    assert net.client.status().state == "error"


def test_adopt_refuses_a_route_that_is_not_the_policys(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    net.lab.run("ip", "route", "add", "192.0.2.0/24", "dev", "th-wg0", namespace="th-corporate")
    with pytest.raises(RemoteError) as refusal:
        net.client.adopt(CORPORATE)
    assert "192.0.2.0/24" in refusal.value.message
    assert net.lab.links("th-corporate")["th-corp0"] is False


def test_adopt_refuses_when_the_packet_filter_was_flushed(net: NetdLab) -> None:
    net.corporate_up()
    net.lab.run("nft", "flush", "ruleset", namespace="th-corporate")
    with pytest.raises(RemoteError) as refusal:
        net.guest(CORPORATE)
    assert "packet filter" in refusal.value.message


def test_drift_pulls_the_running_guests_link(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    net.lab.run("ip", "link", "add", "stray", "type", "ifb", namespace="th-corporate")
    wait_until(lambda: not net.lab.links("th-corporate")["th-corp0"], "the link is pulled")
    assert net.fetch(guest, INTRANET, 3).startswith("failed")
    net.lab.run("ip", "link", "delete", "stray", namespace="th-corporate")
    net.corporate_up()
    assert "company intranet" in net.fetch(guest, INTRANET)


DRIFTS = {
    "a route by way of the guest": ("ip", "route", "add", "192.0.2.0/24", "dev", "th-corp0"),
    "a route by the tunnel": ("ip", "route", "add", "192.0.2.0/24", "dev", "th-wg0"),
    "a route in another table": ("ip", "route", "add", "192.0.2.0/24", "dev", "th-wg0", "table", "77"),
    "the policy's route in another table": (
        *("ip", "route", "add", "10.77.0.0/16"),
        *("dev", "th-wg0", "table", "77"),
    ),
    "a route before all others": ("ip", "route", "add", "10.77.0.0/24", "dev", "th-corp0", "table", "local"),
    "an address by route": ("ip", "route", "add", "local", "10.77.0.80", "dev", "lo", "table", "local"),
    "a blackhole": ("ip", "route", "add", "blackhole", "192.0.2.0/24"),
    "an IPv6 route": ("ip", "-6", "route", "add", "unreachable", "2001:db8::/32"),
    "a rule": ("ip", "rule", "add", "from", "10.137.0.2", "lookup", "77"),
    "a rule before all others": ("ip", "rule", "add", "priority", "0", "from", "all", "lookup", "77"),
    "a rule by mark": ("ip", "rule", "add", "fwmark", "7", "lookup", "main", "priority", "32766"),
    "a rule upside down": ("ip", "rule", "add", "not", "from", "10.137.0.2", "lookup", "main"),
    "an IPv6 rule": ("ip", "-6", "rule", "add", "from", "all", "lookup", "77"),
    "an IPv6 rule that forbids": ("ip", "-6", "rule", "add", "from", "all", "prohibit"),
    "an address of the tunnel": ("ip", "address", "add", "192.0.2.9/32", "dev", "th-wg0"),
    "an address of the guest's link": ("ip", "address", "add", "192.0.2.9/32", "dev", "th-corp0"),
    "an address of loopback": ("ip", "address", "add", "10.77.0.80/32", "dev", "lo"),
    "no packet filter": ("nft", "flush", "ruleset"),
    "a chain emptied": ("nft", "flush", "chain", "inet", "twinhull", "spoofed"),
    "a rule more": ("nft", "add", "rule", "inet", "twinhull", "forward", "accept"),
    "no tunnel": ("ip", "link", "delete", "th-wg0"),
    "the tunnel down": ("ip", "link", "set", "th-wg0", "down"),
    "a vlan": ("ip", "link", "add", "stray", "type", "bridge"),
}


def test_a_route_that_somebody_deleted_is_put_back(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.lab.run("ip", "route", "delete", "10.77.0.0/16", namespace="th-corporate")
    wait_until(
        lambda: net.client.status().corporate.routes == ["10.77.0.0/16 dev th-wg0"], "the route is back"
    )
    assert "company intranet" in net.fetch(guest, INTRANET)


@pytest.mark.parametrize("name", DRIFTS)
def test_every_drift_pulls_the_link_and_the_next_build_mends_it(net: NetdLab, name: str) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert net.lab.links("th-corporate")["th-corp0"] is True
    net.lab.run(*DRIFTS[name], namespace="th-corporate")
    wait_until(lambda: not net.lab.links("th-corporate")["th-corp0"], "the link is pulled")
    assert not net.client.status().corporate.guest_link
    if name == "a vlan":  # whose it is, nobody knows: it stays, and so does the refusal
        with pytest.raises(RemoteError):
            net.corporate_up()
        net.lab.run("ip", "link", "delete", "stray", namespace="th-corporate")
    net.corporate_up()
    assert net.client.status().corporate.confined
    assert "company intranet" in net.fetch(guest, INTRANET)
    for words in (("ip", "rule"), ("ip", "-6", "rule"), ("ip", "route", "show", "table", "77")):
        assert "77" not in net.lab.run(*words, namespace="th-corporate", check=False)


RULES_GONE = {
    "main": ("ip", "rule", "delete", "priority", "32766"),
    "local": ("ip", "rule", "delete", "priority", "0"),
    "main of IPv6": ("ip", "-6", "rule", "delete", "priority", "32766"),
}


@pytest.mark.parametrize("name", RULES_GONE)
def test_a_rule_that_somebody_deleted_is_put_back(net: NetdLab, name: str) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    words = ("ip", "-6", "rule") if "-6" in RULES_GONE[name] else ("ip", "rule")
    before = net.lab.run(*words, namespace="th-corporate")
    net.lab.run(*RULES_GONE[name], namespace="th-corporate")
    net.corporate_up()
    assert net.lab.run(*words, namespace="th-corporate") == before
    assert "company intranet" in net.fetch(guest, INTRANET)


SETTINGS = (
    "ipv4/conf/th-corp0/accept_redirects",
    "ipv4/conf/all/rp_filter",
    "ipv4/conf/th-wg0/accept_source_route",
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_softened_setting_is_not_confined(net: NetdLab, setting: str) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    value = "0" if "rp_filter" in setting else "1"
    net.lab.run("tee", f"/proc/sys/net/{setting}", namespace="th-corporate", input=value)
    assert "net." + setting.replace("/", ".") in net.client.status().corporate.why_not
    net.corporate_up()
    assert net.client.status().corporate.confined


def test_a_failed_canary_blocks_until_a_run_passes(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.client.personal_up(["198.51.100.1"])
    net.lab.run("nft", "flush", "chain", "inet", "twinhull", "forward", namespace="th-underlay")
    assert not net.client.prove().passed
    status = net.client.status()
    assert (status.state, status.corporate.guest_link) == ("blocked", False)
    assert "personal-cannot-reach-corporate" in status.corporate.why_not
    with pytest.raises(RemoteError) as refusal:
        net.client.adopt(CORPORATE)
    assert refusal.value.remote.code == "TH-NET-004"
    with pytest.raises(RemoteError):
        net.corporate_up()
    net.netd.kill()
    net.start_netd()
    assert net.client.status().state == "blocked"
    net.client.personal_up(["198.51.100.1"])
    assert net.client.prove().passed
    net.corporate_up()
    assert "company intranet" in net.fetch(guest, INTRANET)


def test_a_namespace_removed_behind_our_back_pulls_the_link(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.lab.run("ip", "netns", "delete", "th-corporate")
    wait_until(lambda: net.fetch(guest, INTRANET, 2).startswith("failed"), "the guest is cut off")
    assert net.client.status().state == "down"


SPOOF = """
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for source in sys.argv[2:]:
    payload = struct.pack("!HHHH", 4000, 4001, 8, 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(sys.argv[1]))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    sender.sendto(head + payload, (sys.argv[1], 0))
"""


def test_spoofed_sources_do_not_enter_the_tunnel(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.lab.run("ip", "route", "add", "10.77.1.5/32", "via", "10.137.0.1", namespace=guest)
    # The tunnel carries no Ethernet: the capture is on the guest's side of the gateway's routing.
    rules = (
        "table ip seen { chain in { type filter hook prerouting priority raw; udp dport 4001 counter; }\n}"
    )
    net.lab.run("nft", "-f", "-", namespace="th-gateway", input=rules)
    try:
        net.lab.python(SPOOF, "10.77.0.1", "10.77.0.99", "198.51.100.2", "10.138.0.2", namespace=guest)
        net.lab.python(SPOOF, "10.77.0.1", "10.137.0.2", namespace=guest)  # the guest's own, last

        def packets() -> int:
            listing = net.lab.run("nft", "list", "table", "ip", "seen", namespace="th-gateway")
            return int(listing.split("packets ")[1].split()[0])

        wait_until(lambda: packets() > 0, "the guest's own packet arrived")
        assert packets() == 1
    finally:
        net.lab.run("nft", "delete", "table", "ip", "seen", namespace="th-gateway")


def test_a_forged_arp_sender_is_not_believed(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.lab.run("ip", "address", "add", "10.137.0.3/30", "dev", "eth0", namespace=guest)
    net.lab.run("ping", "-c1", "-W1", "-I", "10.137.0.3", "10.137.0.1", namespace=guest, check=False)
    neighbours = net.lab.run("ip", "neighbour", "show", namespace="th-corporate")
    assert "10.137.0.3" not in neighbours


def test_ipv6_is_off_inside(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    assert net.lab.run("ip", "-6", "address", "show", namespace="th-corporate") == ""


def test_prove_shows_its_evidence_and_does_not_disturb_the_guest(net: NetdLab) -> None:
    net.corporate_up(routes=["0.0.0.0/0"])
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        proof = net.client.prove()
        seen = underlay.until_planted("198.51.100.1")
    assert proof.passed, proof
    assert [canary.name for canary in proof.canaries] == [
        "corporate-holds-only-tap-and-tunnel",
        "nothing-leaves-outside-the-tunnel",
    ]
    assert "caught 2 of 2 planted" in proof.canaries[1].evidence  # lo and uplink0
    # The independent capture saw one packet outside the tunnel: the one the proof planted.
    assert [packet.target for packet in leaks(seen)] == ["255.255.255.255"]
    assert "company intranet" in net.fetch(guest, INTRANET)
    assert "twinhull-proof" not in net.lab.run("nft", "list", "ruleset", namespace="th-underlay")


def test_prove_finds_a_leak_made_on_purpose(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    peer = ["peer", "name", "leak1", "netns", "th-underlay"]
    net.lab.run("ip", "link", "add", "leak0", "type", "veth", *peer, namespace="th-corporate")
    try:
        for namespace, link, address in (("th-corporate", "leak0", "1"), ("th-underlay", "leak1", "2")):
            net.lab.run("ip", "address", "add", f"192.0.2.{address}/24", "dev", link, namespace=namespace)
            net.lab.run("ip", "link", "set", link, "up", namespace=namespace)
        net.lab.run("ip", "route", "add", "default", "via", "192.0.2.2", namespace="th-corporate")
        net.lab.run("tee", "/proc/sys/net/ipv4/ip_forward", namespace="th-underlay", input="1")
        proof = net.client.prove()
        assert not proof.passed
        assert [canary.passed for canary in proof.canaries] == [False, False]
    finally:
        net.lab.run("ip", "link", "delete", "leak1", namespace="th-underlay", check=False)
        net.lab.run("tee", "/proc/sys/net/ipv4/ip_forward", namespace="th-underlay", input="0")


def test_down_leaves_an_empty_namespace_and_may_be_repeated(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    net.stop_guest(CORPORATE)
    net.client.down(CORPORATE)
    net.client.down(CORPORATE)
    assert_as_new(net, "th-corporate")
    assert net.wireguard_pids() == []
    assert set(net.lab.links()) == {"lo"}
    assert set(net.lab.links("th-underlay")) == {"lo", "uplink0"}
    assert net.client.status().state == "down"


def test_a_tap_in_use_is_not_replaced_and_a_stale_one_is(net: NetdLab) -> None:
    net.corporate_up()
    net.guest(CORPORATE)
    with pytest.raises(RemoteError) as refusal:
        net.client.tap(CORPORATE)
    assert refusal.value.remote.code == "TH-NET-002"
    net.stop_guest(CORPORATE)
    assert net.client.tap(CORPORATE) == "th-corp0"
    assert "th-corp0" not in net.lab.links("th-corporate")
    assert net.lab.links()["th-corp0"] is False


@pytest.mark.parametrize("built", [False, True])
def test_adopt_without_a_network_or_a_tap(net: NetdLab, built: bool) -> None:
    if built:
        net.corporate_up()
    with pytest.raises(RemoteError) as refusal:
        net.client.adopt(CORPORATE)
    assert refusal.value.remote.code == ("TH-NET-003" if built else "TH-NET-007")


def test_the_private_key_stays_with_netd(net: NetdLab) -> None:
    net.corporate_up()
    path = net.directory / "state" / "wireguard.key"
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_text()
    everything = net.lab.run("ps", "axeww")
    assert key not in everything
    assert key not in (net.directory / "state" / "corporate.json").read_text()
