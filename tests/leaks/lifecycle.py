"""Rows about what happens to the laptop and its network: boot, shutdown, gateways, links, roaming, sleep."""

from __future__ import annotations

import os
import signal
import time

from tests.support.network_lab import wait_until

from .machine import (
    COMPANY,
    CORPORATE,
    IN_TUNNEL,
    INTERNET,
    INTRANET,
    LAN_MACHINE,
    LAPTOP,
    ROAMED,
    ROUTER,
    SECOND_LAPTOP,
    TAP,
    UNDERLAY,
)
from .scenario import Family, scenario
from .stage import Stage

ASLEEP_SECONDS = 3
YEAR_SECONDS = 365 * 86_400.0
WALL = "table inet wall\ndelete table inet wall\n"


def wall(stage: Stage, verdict: str) -> None:
    """What the internet does with packets to the gateway; nothing any more for an empty verdict."""
    rule = f"meta l4proto udp udp dport 51820 {verdict}"
    chain = f"chain gate {{\ntype filter hook forward priority filter; policy accept;\n{rule}\n}}\n"
    table = f"table inet wall {{\n{chain}}}" if verdict else ""
    stage.run("nft", "-f", "-", namespace=INTERNET, input=f"{WALL}{table}\n")


@scenario(
    "boot",
    "a guest that writes before its network is built, before its tap is connected, and from then on",
    "the tap takes nothing before netd connected it; netd refuses to connect it before the network is built",
    underlays=("ethernet", "full tunnel", "no network"),
)
def boot(stage: Stage, family: Family) -> None:
    stage.tear_down()
    stage.start_guest(CORPORATE)
    attempts = stage.shouts(family)
    stage.tries_in_vain(attempts)
    assert not stage.adopt(CORPORATE)
    stage.tries_in_vain(attempts)
    stage.corporate_up()
    stage.tries_in_vain(attempts)
    assert stage.adopt(CORPORATE)
    stage.tries(attempts)
    if stage.online:
        stage.arrives()


@scenario(
    "shutdown",
    "the network is taken down while the guest goes on writing",
    "afterwards the tap takes nothing, and the namespace holds lo alone",
    name="network first",
    underlays=("ethernet", "full tunnel"),
)
def shutdown(stage: Stage, family: Family) -> None:
    stage.breaks()
    with stage.shouting(family):
        stage.net.client.down(CORPORATE)
    stage.tries_in_vain(stage.shouts(family))
    assert stage.lab.links("th-corporate") == {"lo": False}


@scenario(
    "shutdown",
    "the guest ends in the middle of a sentence, then the network is taken down",
    "the namespace holds lo alone",
    name="guest first",
)
def shutdown_guest_first(stage: Stage, family: Family) -> None:
    stage.breaks()
    stage.tries(stage.shouts(family))
    stage.stop_guest(CORPORATE)
    stage.net.client.down(CORPORATE)
    assert stage.lab.links("th-corporate") == {"lo": False}


@scenario(
    "gateway down",
    "the gateway's WireGuard ends while the guest writes, and the guest goes on",
    "the tap takes every frame",
    underlays=("ethernet", "roamed"),
)
def gateway_down(stage: Stage, family: Family) -> None:
    stage.breaks(session=True)
    with stage.shouting(family):
        stage.lab.demo("stop-gateway")
    stage.tries(stage.shouts(family))
    stage.start_gateway()


@scenario(
    "gateway back",
    "the gateway's WireGuard ends and comes back knowing of no session, while the guest writes",
    "the guest's bytes reach the company again without anybody's help",
    families=(4,),
)
def gateway_back(stage: Stage, family: Family) -> None:
    stage.lab.demo("stop-gateway")
    stage.tries(stage.shouts(family))
    with stage.shouting(family):
        stage.start_gateway()
        stage.arrives(60)


@scenario(
    "peer unreachable",
    "the internet answers each packet to the gateway with an ICMP error: net, host, port, prohibited",
    "once it no longer does, the tunnel still carries the guest's bytes",
    name="ICMP errors",
    underlays=("ethernet", "full tunnel"),
)
def unreachable(stage: Stage, family: Family) -> None:
    try:
        for kind in ("no-route", "host-unreachable", "port-unreachable", "admin-prohibited"):
            wall(stage, f"reject with icmpx type {kind}")
            stage.tries(stage.shouts(family))
    finally:
        wall(stage, "")
    stage.arrives()


@scenario(
    "peer unreachable",
    "the internet drops each packet to the gateway",
    "once it no longer does, the tunnel still carries the guest's bytes",
    name="black hole",
    underlays=("ethernet", "full tunnel", "roamed"),
)
def black_hole(stage: Stage, family: Family) -> None:
    try:
        wall(stage, "drop")
        stage.tries(stage.shouts(family))
    finally:
        wall(stage, "")
    stage.arrives()


@scenario(
    "peer unreachable",
    "the laptop has no route to the gateway, then one of type unreachable, prohibit, blackhole",
    "once it has one, the tunnel still carries the guest's bytes",
    name="no route",
)
def no_route(stage: Stage, family: Family) -> None:
    stage.ip(UNDERLAY, "route delete default")
    stage.tries(stage.shouts(family))
    for kind in ("unreachable", "prohibit", "blackhole"):
        stage.ip(UNDERLAY, f"route replace {kind} {COMPANY[4]}/32")
        stage.tries(stage.shouts(family))
    stage.ip(UNDERLAY, f"route delete blackhole {COMPANY[4]}/32")
    stage.default_over("uplink0")
    stage.arrives()


@scenario(
    "link flap",
    "the uplink goes down and up five times while the guest writes, then its cable is pulled and put back",
    "with the link back, the tunnel carries the guest's bytes",
    underlays=("ethernet", "full tunnel", "small MTU"),
)
def link_flap(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        for _ in range(5):
            stage.ip(UNDERLAY, "link set uplink0 down", "link set uplink0 up")
        for state in ("down", "up"):
            stage.ip(INTERNET, f"link set laptop0 {state}")
    stage.ip(INTERNET, f"address replace {ROUTER[6]}/64 dev laptop0")
    stage.ip(INTERNET, f"address replace {LAN_MACHINE[6]}/128 dev laptop0")
    stage.ip(UNDERLAY, f"address replace {LAPTOP[6]}/64 dev uplink0")
    stage.default_over("uplink0")
    stage.arrives()


@scenario(
    "roam",
    "the default route moves to the second uplink and back while the guest writes",
    "the tunnel carries the guest's bytes over each",
    name="to another interface",
    underlays=("ethernet", "full tunnel"),
)
def roam(stage: Stage, family: Family) -> None:
    for uplink in ("uplink1", "uplink0"):
        with stage.shouting(family):
            stage.default_over(uplink)
            stage.arrives()


@scenario(
    "roam",
    "the default route moves to the second uplink and back before netd looks, and what the gateway sends "
    "next comes by the second",
    "the tunnel carries the guest's bytes over the first",
    name="there and back, unseen",
)
def roam_unseen(stage: Stage, family: Family) -> None:
    stage.net.netd.pause()
    try:
        stage.default_over("uplink1")
        stage.arrives()
        stage.default_over("uplink0")
        mark = stage.watch.mark()
        stage.company_says(INTRANET[family], 9, IN_TUNNEL[family], 9, stage.poison)
        stage.watch.until(
            lambda: any(
                seen.place == "the underlay" and seen.interface == "uplink1" and not seen.outgoing
                for seen in stage.watch.since(mark)
            ),
            "the gateway's packet came by the second uplink",
        )
    finally:
        stage.net.netd.resume()
    stage.arrives()


@scenario(
    "roam",
    "the uplink gets another address in place of its own while the guest writes",
    "the tunnel carries the guest's bytes from the new address",
    name="to another address",
)
def new_address(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.ip(
            UNDERLAY, f"address delete {LAPTOP[4]}/24 dev uplink0", f"address add {ROAMED}/24 dev uplink0"
        )
        stage.default_over("uplink0")
        stage.arrives()
    stage.ip(UNDERLAY, f"address delete {ROAMED}/24 dev uplink0", f"address add {LAPTOP[4]}/24 dev uplink0")
    stage.default_over("uplink0")
    stage.arrives()


@scenario(
    "roam",
    "the first uplink goes down for good while the guest writes; some time later the second one comes up",
    "nothing takes the frames elsewhere in between; then it carries them over the second",
    name="with a gap",
)
def roam_with_a_gap(stage: Stage, family: Family) -> None:
    stage.ip(UNDERLAY, "link set uplink1 down")
    with stage.shouting(family):
        stage.ip(UNDERLAY, "link set uplink0 down")
    stage.tries(stage.shouts(family))
    with stage.shouting(family):
        stage.ip(UNDERLAY, "link set uplink1 up", f"address replace {SECOND_LAPTOP[6]}/64 dev uplink1")
        stage.default_over("uplink1")
        stage.arrives()
    stage.relay()


@scenario(
    "resume",
    "netd and wireguard-go are stopped as in a suspend, and continued; the guest writes meanwhile",
    "continued, the tunnel carries the guest's bytes",
    name="on the same network",
    underlays=("ethernet", "full tunnel"),
)
def resume(stage: Stage, family: Family) -> None:
    with stage.asleep():
        stage.tries(stage.shouts(family))
    stage.arrives()


@scenario(
    "resume",
    "as above, and the laptop wakes up on another uplink with another address",
    "continued, the tunnel carries the guest's bytes over the new uplink",
    name="on another network",
)
def resume_elsewhere(stage: Stage, family: Family) -> None:
    with stage.asleep():
        stage.ip(UNDERLAY, "link set uplink0 down")
        stage.default_over("uplink1")
        stage.tries(stage.shouts(family))
    stage.arrives()
    stage.relay()


@scenario(
    "resume",
    "the guest is stopped and continued while its network is taken away and built anew",
    "the tap takes nothing until netd has checked the new network and connected it",
    name="of the guest alone",
)
def resume_guest(stage: Stage, family: Family) -> None:
    stage.breaks()
    stage.stop_guest(CORPORATE)
    stage.net.client.down(CORPORATE)
    stage.start_guest(CORPORATE)
    stage.corporate_up()
    stage.run("nft", "flush", "ruleset", namespace="th-corporate")
    assert not stage.adopt(CORPORATE)
    stage.tries_in_vain(stage.shouts(family))
    stage.corporate_up()
    assert stage.adopt(CORPORATE)
    stage.tries(stage.shouts(family))
    stage.arrives()


@scenario(
    "resume",
    "the whole machine is suspended and woken up, a guest and its network as they were",
    "the guest's bytes come out of the tunnel again, whose keys the kernel forgot meanwhile",
    name="of the whole machine",
    underlays=("ethernet", "full tunnel"),
    own_kernel=True,
)
def resume_all(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.arrives()
        stage.suspend(ASLEEP_SECONDS)
        stage.arrives()


@scenario(
    "resume",
    "as above, and the laptop wakes up on another uplink with another address, before netd runs again",
    "the guest's bytes come out of the tunnel again over the new uplink",
    name="of the whole machine elsewhere",
    own_kernel=True,
)
def resume_all_elsewhere(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.arrives()
        with stage.asleep():
            stage.ip(UNDERLAY, "link set uplink0 down")
            stage.default_over("uplink1")
            stage.suspend(ASLEEP_SECONDS)
        stage.arrives()
    stage.relay()


@scenario(
    "clock set",
    "the laptop's clock is set a year ahead and then back, while the guest writes",
    "the tunnel carries the guest's bytes all the time",
    own_kernel=True,
)
def clock_set(stage: Stage, family: Family) -> None:
    now = time.time()
    with stage.shouting(family):
        stage.arrives()
        for when in (now + YEAR_SECONDS, now):
            time.clock_settime(time.CLOCK_REALTIME, when)
            stage.arrives()


def _wireguard(stage: Stage) -> list[str]:
    return [str(pid) for pid in stage.net.wireguard_pids()]


@scenario(
    "kill -9",
    "netd dies while the guest writes",
    "the tunnel carries the guest's bytes without it; netd, started again, finds the network up and confined",
    name="netd",
)
def kill_netd(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.net.netd.kill()
        stage.arrives()
        stage.net.start_netd()
    status = stage.net.client.status()
    assert status.corporate.confined, status
    # Where the clock was set before, netd asks the gateway for a new handshake first.
    wait_until(lambda: stage.net.client.status().state == "up", "the network is up")


@scenario(
    "kill -9",
    "wireguard-go dies while the guest writes, and the guest goes on",
    "netd says blocked; it mends the tunnel under the guest, whose bytes then reach the company again",
    name="wireguard-go",
    underlays=("ethernet", "full tunnel"),
)
def kill_wireguard(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.net.kill_wireguard()
    stage.tunnelless(family)
    assert stage.net.client.status().state == "blocked"
    stage.corporate_up()
    stage.arrives()


@scenario(
    "kill -9",
    "netd and wireguard-go die at once, and the guest goes on writing",
    "netd, started again, says blocked and mends it",
    name="netd and wireguard-go",
)
def kill_both(stage: Stage, family: Family) -> None:
    stage.run("kill", "-9", *_wireguard(stage))
    stage.net.netd.kill()
    stage.tunnelless(family)
    stage.net.start_netd()
    assert stage.net.client.status().state == "blocked"
    stage.corporate_up()
    stage.arrives()


@scenario(
    "kill -9",
    "the company's name server dies while the guest asks it",
    "the guest's questions still go into the tunnel and nowhere else",
    name="dnsmasq",
    families=(4,),
)
def kill_names(stage: Stage, family: Family) -> None:
    stage.run("kill", "-9", stage.run("cat", "/run/twinhull-demo/gateway-dns.pid").strip())
    stage.tries([stage.datagram(server, 53) for server in (TAP[4], "10.77.0.1", ROUTER[4])])
    stage.tries(stage.shouts(family))
    stage.arrives()
    stage.start_gateway()


@scenario(
    "kill -9",
    "core dies in the middle of asking netd: connections that end at once, in a request, before its answer",
    "netd answers the next one; the tunnel carries the guest's bytes",
    name="core's connection",
)
def kill_core(stage: Stage, family: Family) -> None:
    for request in (b"", b'{"verb"', b'{"verb": "status"}', b"\xff" * 4096):
        stage.hang_up(request)
        stage.tries(stage.shouts(family))
    assert stage.net.client.status().state == "up"
    stage.arrives()


@scenario(
    "kill -9",
    "the guest's machine dies while it writes; another takes its place",
    "the new one's bytes reach the company",
    name="the guest",
)
def kill_guest(stage: Stage, family: Family) -> None:
    stage.tries(stage.shouts(family))
    stage.stop_guest(CORPORATE)
    stage.start_guest(CORPORATE)
    stage.tries_in_vain(stage.shouts(family))
    assert stage.adopt(CORPORATE)
    stage.tries(stage.shouts(family))
    stage.arrives()


@scenario(
    "netd restart",
    "netd is ended and started while the guest writes, then asked for the same network again",
    "the tunnel carries the guest's bytes throughout",
    underlays=("ethernet", "full tunnel"),
)
def restart(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.end_netd(signal.SIGTERM)
        stage.arrives()
        stage.net.start_netd()
        stage.arrives()
        stage.corporate_up()
        stage.arrives()


@scenario(
    "guest that changes its MAC",
    "the guest's card gets another address while it writes; its own network stack goes on with that",
    "the tunnel carries what its own network stack sends from the new address",
    name="for good",
)
def new_card(stage: Stage, family: Family) -> None:
    guest, word = stage.need(CORPORATE), os.urandom(16)
    with stage.shouting(family):
        stage.ip(guest.namespace, "link set eth0 address 02:aa:bb:cc:dd:ee")
        mark = stage.watch.mark()
        stage.guest_says(guest, INTRANET[family], word)
        stage.watch.until(lambda: stage.watch.holds(mark, "the gateway", word), "it comes out of the tunnel")
    stage.ip(guest.namespace, f"link set eth0 address {guest.mac}")
