"""What confinement costs, and what one partition's load does to the other. Run by hand, on a quiet machine.

``python -m tests.bench.network`` makes a private machine with a real netd and prints one line a figure. What
is compared is measured side by side in one run, in turns, and only ratios mean anything:

- throughput and latency through the confined tunnel, against a tunnel of the same kind to the same gateway
  whose tap and interface stand in the laptop's own namespace with no filter: first one whose gateway knows
  the guest's own address, so that nothing is translated, and then one that the guest shares with the laptop,
  its address translated to the tunnel's, as a hypervisor's default network does it;
- the corporate side's 99th percentile of latency while it alone loads the link, and while both partitions do,
  on a link of LINK_MBIT whose next box holds a queue of its own (tbf; not every kernel has netem);
- from the gateway's return to the guest's first byte from the company, and WireGuard's own part in that.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from twinhull_policy.names import Partition

from tests.leaks import frames
from tests.leaks.machine import (
    COMPANY,
    GATEWAY,
    GUEST,
    INTERNET,
    INTRANET,
    PERSONAL_GUEST,
    ROUTER,
    TAP,
    UNDERLAY,
)
from tests.support.netd_lab import NetdLab, netd_lab
from tests.support.network_lab import wait_until

from .network_card import Card

ROUNDS = 40
ROUND_SECONDS = 0.5
LOADED_ROUNDS = 10
LOADED_SECONDS = 3.0
PINGS = 2000
WINDOW = 64
"""Packets under way at most, as of a TCP connection: nobody is asked to drop what does not fit."""
LINK_MBIT = 20
PAYLOAD_BYTES = 1300
HANDSHAKE_SECONDS = 15.0
"""WireGuard's least to notice that a peer forgot it: KEEPALIVE_ and REKEY_TIMEOUT (white paper, 6.1)."""
PLAIN_TAP, PLAIN_TUNNEL, PLAIN_GUEST, PLAIN_GATEWAY = "plain0", "plain-wg0", "10.139.0.2", "10.139.0.1"
SHARED_ADDRESS = "10.139.1.1"
"""The laptop's own in the unconfined tunnel, once the guest shares that."""
TRANSLATION = f"""
table inet bench {{
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "{PLAIN_TUNNEL}" snat ip to {SHARED_ADDRESS}
    }}
}}
"""
RETURNS = 5


def main() -> int:
    """Measure and print."""
    with netd_lab() as net:
        net.corporate_up()
        net.client.tap(Partition.CORPORATE)
        with Card(net.lab, "th-corp0", GUEST[4], TAP[4]) as confined, _plain(net) as plain:
            net.client.adopt(Partition.CORPORATE)
            for card in (confined, plain):
                wait_until(partial(_answers, card), "the tunnel is up")
            for what in ("untranslated", "sharing the laptop's"):
                if what != "untranslated":
                    _share(net)
                _throughput(confined, plain, what)
                _latency(confined, plain, what)
            _returns(net, confined)
            _priority(net, confined)
    return 0


def _answers(card: Card) -> bool:
    return card.ping(INTRANET[4], 1) is not None


@contextmanager
def _plain(net: NetdLab) -> Iterator[Card]:
    """A guest behind a tunnel of the same kind, confined by nothing."""
    lab = net.lab
    lab.run("ip", "tuntap", "add", PLAIN_TAP, "mode", "tap")
    with Card(lab, PLAIN_TAP, PLAIN_GUEST, PLAIN_GATEWAY) as card:
        lab.run("ip", "link", "set", PLAIN_TAP, "netns", UNDERLAY)
        if subprocess.run(
            lab.argv(("ip", "link", "add", PLAIN_TUNNEL, "type", "wireguard"), UNDERLAY)
        ).returncode:
            # A session of its own, as netd's has: the kernel shares processors out by session (sched(7),
            # autogroup), and a process of this session would be woken for fewer packets at a time.
            lab.run("setsid", "wireguard-go", PLAIN_TUNNEL, namespace=UNDERLAY)
        private = lab.run("wg", "genkey")
        public = lab.run("wg", "pubkey", input=private).strip()
        peer = f"[Peer]\nPublicKey = {net.gateway_key}\nEndpoint = {COMPANY[4]}:51820\n"
        wanted = f"[Interface]\nPrivateKey = {private}{peer}AllowedIPs = 10.77.0.0/16\n"
        lab.run("wg", "setconf", PLAIN_TUNNEL, "/dev/stdin", namespace=UNDERLAY, input=wanted)
        allowed = f"{PLAIN_GUEST}/32,{SHARED_ADDRESS}/32"
        lab.run("wg", "set", "th-gw0", "peer", public, "allowed-ips", allowed, namespace=GATEWAY)
        for address in allowed.split(","):
            lab.run("ip", "route", "add", address, "dev", "th-gw0", namespace=GATEWAY)
        lines = (
            f"address add {PLAIN_GATEWAY}/30 dev {PLAIN_TAP}",
            f"link set {PLAIN_TAP} up",
            f"link set {PLAIN_TUNNEL} mtu 1420 up",
            f"route add 10.77.0.0/16 dev {PLAIN_TUNNEL}",
        )
        lab.run("ip", "-batch", "-", namespace=UNDERLAY, input="\n".join(lines) + "\n")
        lab.run("tee", "/proc/sys/net/ipv4/ip_forward", namespace=UNDERLAY, input="1")
        yield card
        lab.run("ip", "link", "delete", PLAIN_TUNNEL, namespace=UNDERLAY)
        lab.run("ip", "link", "delete", PLAIN_TAP, namespace=UNDERLAY)


def _share(net: NetdLab) -> None:
    """Have the unconfined guest share the laptop's own address in the tunnel."""
    lab = net.lab
    lab.run("ip", "address", "add", f"{SHARED_ADDRESS}/32", "dev", PLAIN_TUNNEL, namespace=UNDERLAY)
    lab.run("nft", "-f", "-", namespace=UNDERLAY, input=TRANSLATION)


def _pour(card: Card, target: str, seconds: float, mbit: float = 0.0) -> None:
    """Datagrams as fast as the tap takes them, or at a rate."""
    packet = frames.udp(card.address, target, 9, bytes(PAYLOAD_BYTES))
    frame = card.frame(frames.ip(packet, frames.UDP, card.address, target))
    pause = len(frame) * 8 / (mbit * 1e6) if mbit else 0.0
    began = due = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        if now < due:
            time.sleep(min(due - now, 0.001))  # the pace is what is measured under
            continue
        card.write(frame)
        due += pause


def _throughput(confined: Card, plain: Card, what: str) -> None:
    cards = {"confined": confined, "plain": plain}
    rates: dict[str, list[float]] = {name: [] for name in cards}
    for turn in range(ROUNDS):
        for name in sorted(cards, reverse=turn % 2 == 1):
            answered = cards[name].exchange(INTRANET[4], ROUND_SECONDS, PAYLOAD_BYTES, WINDOW)
            rates[name].append(answered * PAYLOAD_BYTES * 8e-6 / ROUND_SECONDS)
    _ratio(f"throughput each way, confined to plain, {what}", rates["confined"], rates["plain"], "Mbit/s")


def _latency(confined: Card, plain: Card, what: str) -> None:
    cards = {"confined": confined, "plain": plain}
    times: dict[str, list[float]] = {name: [] for name in cards}
    for turn in range(PINGS):
        for name in sorted(cards, reverse=turn % 2 == 1):
            took = cards[name].ping(INTRANET[4], 2)
            times[name].append((2 if took is None else took) * 1000)
    _ratio(f"latency, plain to confined, {what}", times["plain"], times["confined"], "ms")


def _returns(net: NetdLab, confined: Card) -> None:
    took = []
    for _ in range(RETURNS):
        net.lab.demo("stop-gateway")
        confined.ping(INTRANET[4], 1)
        net.lab.demo("start-gateway")
        began = time.monotonic()
        while confined.ping(INTRANET[4], 0.2) is None:
            pass
        took.append(time.monotonic() - began)
    middle = statistics.median(took)
    _say(
        f"gateway back to first byte: median {middle:.1f} s ({min(took):.1f} to {max(took):.1f}), "
        f"{middle / HANDSHAKE_SECONDS:.2f} of WireGuard's own {HANDSHAKE_SECONDS:.0f} s"
    )


def _priority(net: NetdLab, confined: Card) -> None:
    settings = net.directory / "host.json"
    known = json.loads(settings.read_text())
    settings.write_text(json.dumps({**known, "uplink_mbit": LINK_MBIT, "downlink_mbit": LINK_MBIT}))
    net.netd.kill()
    net.start_netd()
    net.corporate_up()
    for link in ("company0", "laptop0"):
        shape = ("root", "tbf", "rate", f"{LINK_MBIT}mbit", "burst", "32kb", "latency", "200ms")
        net.lab.run("tc", "qdisc", "add", "dev", link, *shape, namespace=INTERNET)
    net.client.tap(Partition.PERSONAL)
    with Card(net.lab, "th-pers0", PERSONAL_GUEST[4], "10.138.0.1") as other:
        net.client.personal_up([ROUTER[4]])
        net.client.adopt(Partition.PERSONAL)
        alone: list[float] = []
        both: list[float] = []
        for _ in range(LOADED_ROUNDS):
            alone += _loaded(confined, [(confined, INTRANET[4], LINK_MBIT / 2)])
            both += _loaded(
                confined, [(confined, INTRANET[4], LINK_MBIT / 2), (other, COMPANY[4], 2 * LINK_MBIT)]
            )
        worst = [statistics.quantiles(times, n=100)[98] for times in (alone, both)]
        _say(
            f"corporate p99 latency: {worst[0]:.1f} ms alone, {worst[1]:.1f} ms with the personal side "
            f"pouring, ratio {worst[1] / worst[0]:.2f} (medians {statistics.median(alone):.1f} and "
            f"{statistics.median(both):.1f} ms)"
        )


def _loaded(card: Card, loads: list[tuple[Card, str, float]]) -> list[float]:
    """Ping times, in milliseconds, while these loads are poured."""
    seconds = LOADED_SECONDS
    pourers = [
        threading.Thread(target=_pour, args=(who, target, seconds, rate)) for who, target, rate in loads
    ]
    for one in pourers:
        one.start()
    times: list[float] = []
    while any(one.is_alive() for one in pourers):
        took = card.ping(INTRANET[4], 2)
        times.append((2 if took is None else took) * 1000)
    for one in pourers:
        one.join()
    return times


def _ratio(name: str, first: list[float], second: list[float], unit: str) -> None:
    """Of two measured in turns: of the medians, and the middle half of the ratios of neighbours."""
    one, other = statistics.median(first), statistics.median(second)
    low, _, high = statistics.quantiles([a / b for a, b in zip(first, second, strict=True) if b], n=4)
    _say(
        f"{name}: {one / other:.3f} (medians {one:.2f} and {other:.2f} {unit}, {len(first)} each, in turns; "
        f"half of the pairs between {low:.2f} and {high:.2f})"
    )


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    load = os.getloadavg()[0]
    _say(f"load before: {load:.1f} on {os.cpu_count()} processors")
    sys.exit(main())
