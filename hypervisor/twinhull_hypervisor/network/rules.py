"""The nftables rule sets, as text for ``nft -f -``: the second layer, behind the topology.

Every value put into a rule is an :mod:`ipaddress` object or a name of :mod:`.plan`, never text from outside.
Each rule set replaces its predecessor in one transaction (nft(8): a file is applied atomically).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Address

from ..run import run
from . import namespaces
from .arguments import CorporatePlan
from .plan import (
    CORPORATE,
    NOT_THE_INTERNET,
    PERSONAL,
    PROBE_MARK,
    TABLE,
    TUNNEL,
    VETH_INSIDE,
    VETH_INSIDE_ADDRESS,
    VETH_OUTSIDE,
    Side,
)

NFT_SECONDS = 20.0
DNS_PORT = 53
DETECTOR_TABLE = f"{TABLE}-proof"
LEFT = "left"
ARRIVED = "arrived"


def apply(namespace: str, ruleset: str) -> None:
    """Load a rule set in a namespace; all of it or nothing."""
    run([*namespaces.command(namespace), "nft", "-f", "-"], input=ruleset.encode(), timeout=NFT_SECONDS)


def present(namespace: str) -> bool:
    """Whether Twinhull's table is loaded there."""
    argv = [*namespaces.command(namespace), "nft", "list", "table", "inet", TABLE]
    return run(argv, timeout=NFT_SECONDS, check=False).status == 0


def remove(namespace: str) -> None:
    """Remove Twinhull's tables, and no other."""
    apply(namespace, _replacing(("inet", ""), ("arp", "")))


def corporate(plan: CorporatePlan) -> str:
    """Inside the corporate namespace: only tap to tunnel, DNS only to the policy's servers."""
    inet = f"""
    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{CORPORATE.tap}" meta nfproto ipv6 drop
        iifname "{CORPORATE.tap}" ip saddr != {CORPORATE.guest} drop
        iifname "{TUNNEL}" ip saddr {CORPORATE.gateway.network} drop
    }}
    chain names {{
        type nat hook prerouting priority dstnat; policy accept;
        {_dns_rule(CORPORATE, plan.dns)}
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "{CORPORATE.tap}" ip daddr {CORPORATE.gateway.ip} icmp type echo-request accept
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
        iifname "{CORPORATE.tap}" oifname "{TUNNEL}" accept
        iifname "{TUNNEL}" oifname "{CORPORATE.tap}" ct state established,related accept
    }}
    chain output {{
        type filter hook output priority filter; policy drop;
        oifname "{CORPORATE.tap}" ip protocol icmp accept
        meta mark {PROBE_MARK} accept
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "{TUNNEL}" snat ip to {plan.addresses[0]}
    }}
    """
    return _replacing(("inet", inet), ("arp", _arp(CORPORATE)))


def personal(dns: Sequence[IPv4Address]) -> str:
    """Inside the personal namespace: the guest's own address only, out only by the veth, no private space."""
    inet = f"""
    {_private_set()}
    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        iifname "{PERSONAL.tap}" meta nfproto ipv6 drop
        iifname "{PERSONAL.tap}" ip saddr != {PERSONAL.guest} drop
    }}
    chain names {{
        type nat hook prerouting priority dstnat; policy accept;
        {_dns_rule(PERSONAL, dns)}
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "{PERSONAL.tap}" ip daddr {PERSONAL.gateway.ip} icmp type echo-request accept
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
        iifname "{VETH_INSIDE}" oifname "{PERSONAL.tap}" ct state established,related accept
        {_dns_accept(dns)}
        ip daddr @private drop
        iifname "{PERSONAL.tap}" oifname "{VETH_INSIDE}" accept
    }}
    """
    return _replacing(("inet", inet), ("arp", _arp(PERSONAL)))


def underlay(dns: Sequence[IPv4Address], *, forward_others: bool) -> str:
    """In the underlay namespace: what the personal side may do there. Touches nobody else's traffic.

    Args:
        dns: the personal side's name servers, allowed although they may be in private space.
        forward_others: False when forwarding was off before Twinhull turned it on for its own use; then
            nothing else gets to use it.
    """
    others = "" if forward_others else "drop"
    senders = f"{{ {PERSONAL.guest}, {VETH_INSIDE_ADDRESS.ip} }}"  # the guest, and netd's own probes
    inet = f"""
    {_private_set()}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{VETH_OUTSIDE}" drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{VETH_OUTSIDE}" jump personal
        oifname "{VETH_OUTSIDE}" ct state established,related accept
        oifname "{VETH_OUTSIDE}" drop
        {others}
    }}
    chain personal {{
        ip saddr != {senders} drop
        meta nfproto ipv6 drop
        oifname "{VETH_OUTSIDE}" drop
        ct state invalid drop
        {_dns_accept(dns)}
        ip daddr @private drop
        accept
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {senders} oifname != "{VETH_OUTSIDE}" masquerade
    }}
    """
    return _replacing(("inet", inet))


def detector(token: bytes, leaving: Sequence[str], arriving: Sequence[str]) -> str:
    """Count packets whose first 16 bytes of UDP payload are a token, on their way out of or into interfaces.

    The netdev hooks (nft(8)) see a packet as the device driver gets it, after all routing, translation and
    encryption, and need CAP_NET_ADMIN, where a packet socket would need CAP_NET_RAW too.
    """
    chains = "".join(
        f"""
    chain {hook}{index} {{
        type filter hook {hook} device "{interface}" priority 0; policy accept;
        @th,64,128 0x{token.hex()} counter name "{counter}"
    }}"""
        for hook, counter, interfaces in (("egress", LEFT, leaving), ("ingress", ARRIVED, arriving))
        for index, interface in enumerate(interfaces)
    )
    counters = f"counter {LEFT} {{ }}\ncounter {ARRIVED} {{ }}"
    return _replacing(("netdev", f"{counters}\n{chains}"), name=DETECTOR_TABLE)


def detected(namespace: str) -> dict[str, int]:
    """Packets the detector has counted there, by counter name."""
    argv = [
        *namespaces.command(namespace),
        "nft",
        "-j",
        "list",
        "counters",
        "table",
        "netdev",
        DETECTOR_TABLE,
    ]
    objects = json.loads(run(argv, timeout=NFT_SECONDS).stdout)["nftables"]
    return {o["counter"]["name"]: int(o["counter"]["packets"]) for o in objects if "counter" in o}


def without_detector() -> str:
    """Remove the detector."""
    return _replacing(("netdev", ""), name=DETECTOR_TABLE)


def _arp(side: Side) -> str:
    return f"""
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{side.tap}" arp saddr ip != {side.guest} drop
    }}
    """


def _private_set() -> str:
    blocks = ", ".join(str(block) for block in NOT_THE_INTERNET)
    return f"set private {{ type ipv4_addr; flags interval; elements = {{ {blocks} }}; }}"


def _dns_rule(side: Side, servers: Sequence[IPv4Address]) -> str:
    """Send the guest's name queries to the servers in turn: a resolver's retry, a new flow, gets the next."""
    if not servers:
        return ""
    match = f'iifname "{side.tap}" ip daddr {side.gateway.ip} meta l4proto {{ tcp, udp }} th dport {DNS_PORT}'
    if len(servers) == 1:
        return f"{match} dnat ip to {servers[0]}"
    turns = ", ".join(f"{index} : {server}" for index, server in enumerate(servers))
    return f"{match} dnat ip to numgen inc mod {len(servers)} map {{ {turns} }}"


def _dns_accept(servers: Sequence[IPv4Address]) -> str:
    if not servers:
        return ""
    elements = ", ".join(str(server) for server in servers)
    return f"ip daddr {{ {elements} }} meta l4proto {{ tcp, udp }} th dport {DNS_PORT} accept"


def _replacing(*tables: tuple[str, str], name: str = TABLE) -> str:
    """Each table emptied (declaring it first makes deleting it safe) and, if it has a body, made anew."""
    parts = []
    for family, body in tables:
        parts.append(f"table {family} {name}\ndelete table {family} {name}\n")
        if body:
            parts.append(f"table {family} {name} {{\n{body}\n}}\n")
    return "".join(parts)
