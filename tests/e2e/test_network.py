"""What each partition reaches, from inside the guests, and what leaves the machine, from outside."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from tests.support.capture import capture
from tests.support.laptop import Laptop, wait_for

INTRANET = "http://intranet.corp.example/"
INTRANET_ADDRESS = "http://10.77.0.80/"
INTERNET = "http://www.example/"
WIREGUARD = "udp and dst host 203.0.113.2 and dst port 51820"
FROM_LAPTOP = "src host 198.51.100.2"
LINK_LOCAL_DISCOVERY = "(arp or (icmp6 and src net fe80::/10) or (ip6 and src host ::))"
"""What the uplink's own kernel says to find its neighbour; it never holds a guest's byte."""


def curl(url: str) -> list[str]:
    return ["/usr/bin/curl", "--silent", "--show-error", "--fail", "--max-time", "20", url]


def test_corporate_reaches_the_intranet_by_name(both_running: Laptop) -> None:
    page = both_running.guest("corporate").run(*curl(INTRANET))
    assert page.status == 0, page.output
    assert "<html" in page.output.lower()


def test_personal_reaches_the_internet_and_not_the_intranet(both_running: Laptop) -> None:
    guest = both_running.guest("personal")
    page = guest.run(*curl(INTERNET))
    assert page.status == 0, page.output
    assert "<html" in page.output.lower()
    assert guest.run(*curl(INTRANET)).status != 0
    assert guest.run(*curl(INTRANET_ADDRESS)).status != 0


def test_neither_reaches_the_other_or_the_host(both_running: Laptop) -> None:
    for name, others in {
        "personal": ("10.137.0.1", "10.137.0.2", "198.51.100.2", "10.138.0.5"),
        "corporate": ("10.138.0.1", "10.138.0.2", "198.51.100.2", "198.51.100.1"),
    }.items():
        guest = both_running.guest(name)
        for address in others:
            ping = guest.run("/usr/bin/ping", "-c1", "-W2", address)
            assert ping.status != 0, f"{name} reached {address}: {ping.output}"


def test_the_corporate_namespace_holds_lo_tap_and_tunnel(both_running: Laptop) -> None:
    links = subprocess.run(
        ["ip", "-n", "th-corporate", "-o", "link"], capture_output=True, text=True, check=True
    ).stdout
    names = {line.split(":")[1].strip().partition("@")[0] for line in links.splitlines()}
    assert names == {"lo", "th-corp0", "th-wg0"}
    vpn = both_running.status().vpn
    assert vpn.confined
    assert vpn.state == "up"


def test_prove_shows_its_evidence(both_running: Laptop) -> None:
    shown = both_running.must("vpn", "prove")
    assert "passed" in shown.lower()


def test_every_packet_is_wireguard_from_before_boot_until_after_shutdown(
    laptop: Laptop, passable: Path
) -> None:
    """Also while the gateway is gone and comes back. The capture first catches a packet sent on purpose."""
    laptop.stop("personal")
    laptop.stop("corporate")
    planted, secret = secrets.token_bytes(16).hex().encode(), secrets.token_bytes(16).hex().encode()
    with capture("th-underlay", "uplink0", passable / "underlay.pcap") as seen:
        plant = "import socket,sys;socket.socket(2,2).sendto(sys.argv[1].encode(),('198.51.100.1',9))"
        subprocess.run(
            ["ip", "netns", "exec", "th-underlay", "/usr/bin/python3", "-c", plant, planted.decode()],
            check=True,
        )
        wait_for(lambda: seen.contains(planted), "the capture to see the planted packet")

        guest = laptop.ensure_running("corporate")
        assert guest.run(*curl(INTRANET)).status == 0
        guest.run("/usr/bin/bash", "-c", _shell_shout(secret.decode()))
        laptop.network("stop-gateway")
        try:
            assert guest.run(*curl(INTRANET)).status != 0
            guest.run("/usr/bin/bash", "-c", _shell_shout(secret.decode()))
        finally:
            laptop.network("start-gateway")
        wait_for(
            lambda: guest.run(*curl(INTRANET)).status == 0, "the intranet after the gateway came back", 120
        )
        laptop.stop("corporate")
    assert seen.packets(f"{FROM_LAPTOP} and {WIREGUARD}"), "no tunnel packet was captured at all"
    strays = seen.packets(f"not ({FROM_LAPTOP} and {WIREGUARD}) and not src host 203.0.113.2")
    ours = seen.packets(f"{FROM_LAPTOP} and udp and dst host 198.51.100.1 and dst port 9")
    assert len(ours) == 1, ours
    # A proof follows each start, and its detector is shown a packet of 16 random bytes outside the tunnel.
    shown = seen.packets(
        f"{FROM_LAPTOP} and udp and dst host 255.255.255.255 and dst port 9 and ip[2:2] == 44"
    )
    assert len(shown) <= 2, shown
    left = (
        set(strays)
        - set(ours)
        - set(shown)
        - set(seen.packets(LINK_LOCAL_DISCOVERY))
        - _answers(seen.packets("icmp"))
    )
    assert not left, sorted(left)[:20]
    assert not seen.contains(secret)


def _answers(packets: list[str]) -> set[str]:
    """The router's own ICMP complaints about the planted packet and the dead gateway."""
    return {packet for packet in packets if "IP 198.51.100.1 >" in packet or "IP 203.0.113." in packet}


def _shell_shout(secret: str) -> str:
    """Say the secret to everybody: unicast, broadcast and multicast, by name servers' and other ports."""
    targets = ("198.51.100.1", "203.0.113.2", "10.77.0.80", "10.137.0.1", "203.0.113.99", "224.0.0.251")
    return "; ".join(
        f"echo -n {secret} > /dev/udp/{address}/{port}" for address in targets for port in (9, 53, 5353)
    )
