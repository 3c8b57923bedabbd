"""The nftables rule sets, as text for ``nft -f -``: the second layer, behind the topology.

Every value put into a rule is an :mod:`ipaddress` object or a name of :mod:`.plan`, never text from outside.
Each rule set replaces its predecessor in one transaction (nft(8): a file is applied atomically).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from ..run import run
from . import namespaces
from .arguments import Address, CorporatePlan, Network, PersonalPlan
from .plan import (
    CORPORATE,
    NOT_THE_INTERNET,
    PERSONAL,
    PERSONAL_CLASS,
    PROBE_MARK,
    TABLE,
    THE_INTERNET6,
    TUNNEL,
    VETH_INSIDE,
    VETH_INSIDE_ADDRESS,
    VETH_INSIDE_ADDRESS6,
    VETH_OUTSIDE,
    Side,
)
from .underlay import Neighbours

NFT_SECONDS = 20.0
DNS_PORT = 53
PORTAL_PORTS = "80, 443, 8080, 8443"
"""Where sign-in pages are; of the machine that shows one nothing else is opened."""
DETECTOR_TABLE = f"{TABLE}-proof"
CLAMP = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"
"""Both ends of a connection are told what fits both ways: "rt mtu" is the smaller of the routes' (nft(8))."""
ICMPV6_OUT = (
    "nd-neighbor-solicit, nd-neighbor-advert, echo-reply, "
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem"
)
"""What a router tells its neighbour (RFC 4890, section 4.3); no router advertisement, and no redirect."""
NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255"
LEFT = "left"
ARRIVED = "arrived"


def apply(namespace: str, ruleset: str) -> None:
    """Load a rule set in a namespace; all of it or nothing."""
    run([*namespaces.command(namespace), "nft", "-f", "-"], input=ruleset.encode(), timeout=NFT_SECONDS)


def present(namespace: str) -> bool:
    """Whether Twinhull's table is loaded there."""
    return bool(listing(namespace))


def listing(namespace: str) -> str:
    """Twinhull's table as it is loaded there, without counters; empty when it is not.

    Two loads of one rule set read the same, and any change of it reads differently.
    """
    argv = [*namespaces.command(namespace), "nft", "--stateless", "list", "table", "inet", TABLE]
    completed = run(argv, timeout=NFT_SECONDS, check=False)
    return completed.text if completed.status == 0 else ""


def fingerprint(namespace: str) -> str:
    """SHA-256 of :func:`listing`, hex; empty when there is no table."""
    text = listing(namespace)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def remove(namespace: str) -> None:
    """Remove Twinhull's tables, and no other."""
    apply(namespace, _replacing(("inet", ""), ("arp", "")))


def corporate(plan: CorporatePlan) -> str:
    """Inside the corporate namespace: only tap to tunnel, DNS only to the policy's servers.

    In a family that the tunnel does not carry, everything is dropped.
    """
    tap = CORPORATE.tap
    sources = {version: plan.source(version) for version in (4, 6)}
    inet = f"""
    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        {_guest_only(CORPORATE, ipv4=sources[4] is not None, ipv6=sources[6] is not None)}
        iifname "{TUNNEL}" ip saddr {CORPORATE.gateway.network} drop
        iifname "{TUNNEL}" ip6 saddr {CORPORATE.gateway6.network} drop
    }}
    chain names {{
        type nat hook prerouting priority dstnat; policy accept;
        {_dns_rules(CORPORATE, plan.dns)}
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        {_answers(CORPORATE)}
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        {CLAMP}
        iifname "{tap}" oifname "{TUNNEL}" accept
        iifname "{TUNNEL}" oifname "{tap}" ct state established,related accept
    }}
    chain output {{
        type filter hook output priority filter; policy drop;
        oifname "{tap}" ip protocol icmp accept
        oifname "{tap}" meta l4proto ipv6-icmp icmpv6 type {{ {ICMPV6_OUT} }} accept
        meta mark {PROBE_MARK} accept
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        {_translate(sources)}
    }}
    """
    return _replacing(("inet", inet), ("arp", _arp(CORPORATE)))


def personal(plan: PersonalPlan) -> str:
    """Inside the personal namespace: the guest's own address only, out only by the veth, no private space."""
    inet = f"""
    {_private_set()}
    chain spoofed {{
        type filter hook prerouting priority raw; policy accept;
        {_guest_only(PERSONAL, ipv4=True, ipv6=True)}
    }}
    chain names {{
        type nat hook prerouting priority dstnat; policy accept;
        {_dns_rules(PERSONAL, plan.dns)}
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        {_answers(PERSONAL)}
        iifname "{VETH_INSIDE}" {NEIGHBOURS} accept
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        {CLAMP}
        iifname "{VETH_INSIDE}" oifname "{PERSONAL.tap}" ct state established,related accept
        {_dns_accept(plan.dns)}
        {_among("daddr", plan.portal, f"tcp dport {{ {PORTAL_PORTS} }} accept")}
        ip daddr @private drop
        ip6 daddr != {THE_INTERNET6} drop
        iifname "{PERSONAL.tap}" oifname "{VETH_INSIDE}" accept
    }}
    """
    return _replacing(("inet", inet), ("arp", _arp(PERSONAL)))


def underlay(plan: PersonalPlan, neighbours: Neighbours, *, forward_others: Mapping[int, bool]) -> str:
    """In the underlay namespace: what the personal side may do there. Touches nobody else's traffic.

    Args:
        plan: the personal side's name servers, and where the network wants somebody to sign in: both allowed
            although they may be in private space.
        neighbours: the local network, whose machines it may not reach.
        forward_others: by family, False when forwarding was off before Twinhull turned it on for its own
            use; then nothing else gets to use it.
    """
    closed = [version for version, open_before in forward_others.items() if not open_before]
    others = "\n        ".join(f"meta nfproto ipv{version} drop" for version in closed)
    # Before routing, where the kernel would tell whoever sent it of a better way or of none.
    elsewhere = "fib daddr type unicast"
    passing = "\n        ".join(f"meta nfproto ipv{version} {elsewhere} drop" for version in closed)
    # The guest, and netd's own probes.
    senders = f"{{ {PERSONAL.guest}, {VETH_INSIDE_ADDRESS.ip} }}"
    senders6 = f"{{ {PERSONAL.guest6}, {VETH_INSIDE_ADDRESS6.ip} }}"
    inet = f"""
    {_private_set()}
    chain strangers {{
        type filter hook prerouting priority raw; policy accept;
        iifname {{ "lo", "{VETH_OUTSIDE}" }} accept
        {passing}
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{VETH_OUTSIDE}" {NEIGHBOURS} accept
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
        meta priority set {PERSONAL_CLASS}
        ip saddr != {senders} drop
        ip6 saddr != {senders6} drop
        oifname "{VETH_OUTSIDE}" drop
        ct state invalid drop
        {CLAMP}
        {_dns_accept(plan.dns)}
        {_among("daddr", plan.portal, f"tcp dport {{ {PORTAL_PORTS} }} accept")}
        ip daddr @private drop
        ip6 daddr != {THE_INTERNET6} drop
        {_among("daddr", neighbours.routers, "accept")}
        {_among("daddr", neighbours.networks, "drop")}
        accept
    }}
    chain translate {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {senders} oifname != "{VETH_OUTSIDE}" masquerade
        ip6 saddr {senders6} oifname != "{VETH_OUTSIDE}" masquerade
    }}
    """
    return _replacing(("inet", inet))


def _among(field: str, wanted: Sequence[Address | Network], verdict: str) -> str:
    """One rule a family that says what happens to packets from or to any of some addresses or networks."""
    lines = []
    for word, version in (("ip", 4), ("ip6", 6)):
        some = ", ".join(str(one) for one in wanted if one.version == version)
        if some:
            lines.append(f"{word} {field} {{ {some} }} {verdict}")
    return "\n        ".join(lines)


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


def _guest_only(side: Side, *, ipv4: bool, ipv6: bool) -> str:
    """Nothing enters by the tap but from the guest's own addresses (QSB-056), in the families that are on."""
    tap = f'iifname "{side.tap}"'
    lines = [f"{tap} ip saddr != {side.guest} drop" if ipv4 else f"{tap} meta nfproto ipv4 drop"]
    if ipv6:
        # A neighbour is also asked for from a link-local address (RFC 4861, section 7.2.2).
        lines.append(f"{tap} ip6 saddr fe80::/10 {NEIGHBOURS} accept")
        lines.append(f"{tap} ip6 saddr != {side.guest6} drop")
        lines.append(f"{tap} rt type 0 drop")
    else:
        lines.append(f"{tap} meta nfproto ipv6 drop")
    return "\n        ".join(lines)


def _answers(side: Side) -> str:
    """What the namespace itself takes from its guest: pings and the question where the gateway is."""
    return f"""ct state established,related accept
        iifname "{side.tap}" ip daddr {side.gateway.ip} icmp type echo-request accept
        iifname "{side.tap}" ip6 daddr {side.gateway6.ip} icmpv6 type echo-request accept
        iifname "{side.tap}" {NEIGHBOURS} accept"""


def _translate(sources: Mapping[int, Address | None]) -> str:
    words = {4: "ip", 6: "ip6"}
    return "\n        ".join(
        f'oifname "{TUNNEL}" snat {words[version]} to {source}'
        for version, source in sources.items()
        if source is not None
    )


def _families(servers: Sequence[Address]) -> dict[str, list[Address]]:
    words = {"ip": 4, "ip6": 6}
    found = {word: [s for s in servers if s.version == version] for word, version in words.items()}
    return {word: some for word, some in found.items() if some}


def _dns_rules(side: Side, servers: Sequence[Address]) -> str:
    """Send the guest's name queries to the servers in turn: a resolver's retry, a new flow, gets the next."""
    lines = []
    for word, some in _families(servers).items():
        own = side.gateway.ip if word == "ip" else side.gateway6.ip
        match = f'iifname "{side.tap}" {word} daddr {own} meta l4proto {{ tcp, udp }} th dport {DNS_PORT}'
        if len(some) == 1:
            lines.append(f"{match} dnat {word} to {some[0]}")
        else:
            turns = ", ".join(f"{index} : {server}" for index, server in enumerate(some))
            lines.append(f"{match} dnat {word} to numgen inc mod {len(some)} map {{ {turns} }}")
    return "\n        ".join(lines)


def _dns_accept(servers: Sequence[Address]) -> str:
    question = f"meta l4proto {{ tcp, udp }} th dport {DNS_PORT}"
    return "\n        ".join(
        f"{word} daddr {{ {', '.join(map(str, some))} }} {question} accept"
        for word, some in _families(servers).items()
    )


def _replacing(*tables: tuple[str, str], name: str = TABLE) -> str:
    """Each table emptied (declaring it first makes deleting it safe) and, if it has a body, made anew."""
    parts = []
    for family, body in tables:
        parts.append(f"table {family} {name}\ndelete table {family} {name}\n")
        if body:
            parts.append(f"table {family} {name} {{\n{body}\n}}\n")
    return "".join(parts)
