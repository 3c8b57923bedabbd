"""Rows in which other programs of the laptop change what netd built, with root's rights, behind its back."""

from __future__ import annotations

from collections.abc import Callable

from .machine import CORPORATE, INTRANET, PERSONAL, ROUTER, TAP, UNDERLAY
from .scenario import Family, add, scenario
from .stage import Stage

INSIDE = "th-corporate"
ACCEPT_ALL = """
table inet helpful {{
    chain first {{ type filter hook prerouting priority -400; accept
    }}
    chain forward {{ type filter hook forward priority -10; accept
    }}
    chain output {{ type filter hook output priority -10; accept
    }}
    chain names {{
        type nat hook prerouting priority -110; policy accept;
        meta l4proto {{ tcp, udp }} th dport 53 dnat {there}
    }}
    chain hide {{ type nat hook postrouting priority 90; masquerade
    }}
}}
"""
"""As firewalls, container engines and VPN programs insert them: everything accepted, names sent elsewhere."""


def pulled(stage: Stage) -> None:
    """Wait until netd has pulled the guest's link, or its namespace took it along."""
    frame = stage.datagram(INTRANET[4], 9)
    guest = stage.need(CORPORATE)
    stage.watch.until(lambda: not guest.write(frame), "the guest's link is pulled")


@scenario(
    "namespace deleted behind us",
    "the namespace loses its name while the guest writes",
    "the tap soon takes nothing more; the network is built anew and carries the guest's bytes",
    underlays=("ethernet", "full tunnel"),
)
def namespace_deleted(stage: Stage, family: Family) -> None:
    stage.breaks(session=True)
    with stage.shouting(family):
        stage.run("ip", "netns", "delete", INSIDE)
        pulled(stage)
    assert stage.net.client.status().state == "down"


@scenario(
    "namespace deleted behind us",
    "the namespace is deleted and an empty one put in its place, with forwarding on, while the guest writes",
    "the tap soon takes nothing more",
    name="and made again",
)
def namespace_replaced(stage: Stage, family: Family) -> None:
    stage.breaks(session=True)
    with stage.shouting(family):
        stage.run("ip", "netns", "delete", INSIDE)
        stage.run("ip", "netns", "add", INSIDE)
        stage.sysctl(INSIDE, "ipv4/ip_forward", "1")
        stage.sysctl(INSIDE, "ipv6/conf/all/forwarding", "1")
        pulled(stage)


@scenario(
    "nftables flushed",
    "every packet filter of the corporate namespace is flushed while the guest writes",
    "the guest's link is pulled, and netd says error; asked again, it mends the network under the guest",
    name="in the corporate namespace",
    underlays=("ethernet", "full tunnel"),
)
def flushed(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.run("nft", "flush", "ruleset", namespace=INSIDE)
        pulled(stage)
    assert stage.net.client.status().state == "error"
    stage.corporate_up()
    stage.arrives()


@scenario(
    "nftables flushed",
    "every packet filter of the underlay is flushed, with the personal side connected, while the "
    "corporate guest writes",
    "the corporate guest's bytes still come out of the tunnel alone",
    name="in the underlay",
)
def flushed_outside(stage: Stage, family: Family) -> None:
    stage.breaks()
    stage.personal_up()
    with stage.shouting(family):
        stage.run("nft", "flush", "ruleset", namespace=UNDERLAY)
    stage.tries(stage.shouts(family))
    stage.arrives()


@scenario(
    "nftables rules inserted",
    "a table that accepts and masquerades everything and redirects DNS, before netd's chains, while the "
    "guest writes",
    "nothing else: a chain that accepts cannot undo another that drops, and there is no other way out",
    name="in the corporate namespace",
    underlays=("ethernet", "full tunnel"),
)
def inserted(stage: Stage, family: Family) -> None:
    stage.breaks()
    there = f"ip to {ROUTER[4]}" if family == 4 else f"ip6 to {ROUTER[6]}"
    with stage.shouting(family):
        stage.run("nft", "-f", "-", namespace=INSIDE, input=ACCEPT_ALL.format(there=there))
    for frame in stage.shouts(family):
        stage.need(CORPORATE).write(frame)


@scenario(
    "nftables rules inserted",
    "the same in the underlay, with forwarding on for all of it",
    "the corporate guest's bytes come out of the tunnel alone",
    name="in the underlay",
)
def inserted_outside(stage: Stage, family: Family) -> None:
    there = f"ip to {ROUTER[4]}" if family == 4 else f"ip6 to {ROUTER[6]}"
    forwarding = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
    stage.run("nft", "-f", "-", namespace=UNDERLAY, input=ACCEPT_ALL.format(there=there))
    try:
        for name in forwarding:
            stage.sysctl(UNDERLAY, name, "1")
        stage.tries(stage.shouts(family))
        stage.arrives()
    finally:
        for name in forwarding:
            stage.sysctl(UNDERLAY, name, "0")
        stage.run("nft", "flush", "ruleset", namespace=UNDERLAY)
        stage.relay()


@scenario(
    "nftables rules inserted",
    "one rule of netd's own chain deleted, the one that drops strangers' addresses",
    "the guest's link is pulled",
    name="netd's own chain changed",
    families=(4,),
)
def own_chain_changed(stage: Stage, family: Family) -> None:
    stage.breaks()
    stage.need(CORPORATE)
    stage.run("nft", "flush", "chain", "inet", "twinhull", "spoofed", namespace=INSIDE)
    pulled(stage)
    stage.tries_in_vain(stage.shouts(family))


def _veth(stage: Stage) -> None:
    stage.ip(INSIDE, f"link add leak1 type veth peer name leak0 netns {UNDERLAY}")
    stage.ip(UNDERLAY, "link set leak0 up")


def _macvlan(stage: Stage) -> None:
    stage.ip(UNDERLAY, "link add link uplink0 name leak1 type macvlan mode bridge")
    stage.ip(UNDERLAY, f"link set leak1 netns {INSIDE}")


def _uplink(stage: Stage) -> None:
    stage.ip(UNDERLAY, f"link set uplink1 netns {INSIDE}")


STRANGERS: dict[str, tuple[str, str, Callable[[Stage], None]]] = {
    "a cable to the underlay": ("leak1", "a veth pair between it and the underlay", _veth),
    "a second face of the uplink": ("leak1", "a macvlan of the uplink, which needs no forwarding", _macvlan),
    "the uplink itself": ("uplink1", "the laptop's second uplink", _uplink),
}


def _foreign(name: str) -> Callable[[Stage, Family], None]:
    link, _, move_in = STRANGERS[name]

    def act(stage: Stage, family: Family) -> None:
        stage.breaks()
        stage.need(CORPORATE)
        with stage.shouting(family):
            move_in(stage)
            pulled(stage)
        stage.run("nft", "flush", "ruleset", namespace=INSIDE)
        stage.ip(INSIDE, f"link set {link} up")
        stage.ip(INSIDE, f"address add 198.51.100.9/24 dev {link}", f"route replace default dev {link}")
        assert stage.net.client.status().state == "error"
        assert not stage.adopt(CORPORATE)
        stage.tries_in_vain(stage.shouts(family))
        if name == "the uplink itself":
            stage.ip(INSIDE, f"link set {link} netns {UNDERLAY}")
            stage.as_a_desktop()
        else:
            stage.ip(INSIDE, f"link delete {link}")
        stage.relay()

    return act


for _name, (_link, _what, _move) in STRANGERS.items():
    add(
        "foreign interface moved in",
        _name,
        f"{_what} is moved into the corporate namespace while the guest writes; then the packet filter is "
        "flushed and the stranger given the default route",
        "the guest's link is pulled before that, netd says error, and refuses to connect the guest again",
        _foreign(_name),
        (4, 6),
        ("ethernet",),
    )


@scenario(
    "route added around",
    "default and more exact routes back over the tap, a rule and a table of their own, while the "
    "guest writes",
    "netd refuses to connect the guest again until it has mended the network",
    underlays=("ethernet", "full tunnel"),
)
def around(stage: Stage, family: Family) -> None:
    stage.breaks()
    option = "-4" if family == 4 else "-6"
    every, near = ("0.0.0.0/1", "198.51.100.0/24") if family == 4 else ("2000::/4", "2001:db8:100::/64")
    with stage.shouting(family):
        stage.run("ip", option, "route", "add", every, "dev", "th-corp0", namespace=INSIDE)
        for words in (
            ("route", "add", near, "dev", "th-corp0"),
            ("route", "add", near, "dev", "th-corp0", "table", "77"),
            ("rule", "add", "from", "all", "lookup", "77"),
        ):
            # The first may have had the link pulled by now, and there is no route over one that is down.
            stage.run("ip", option, *words, namespace=INSIDE, check=False)
    assert not stage.adopt(CORPORATE)
    stage.tries_in_vain(stage.shouts(family))


def _tunnel(name: str, tried: str, *commands: str) -> None:
    def act(stage: Stage, family: Family) -> None:
        stage.breaks(session=True)
        with stage.shouting(family):
            stage.ip(INSIDE, *commands)
        stage.tunnelless(family)
        assert stage.net.client.status().state in ("blocked", "error")
        stage.run("ip", "link", "delete", "th-wg0", namespace=UNDERLAY, check=False)
        stage.corporate_up()
        stage.arrives()

    seen = "netd says blocked or error; asked again, it mends the tunnel, which carries the guest's bytes"
    add("tunnel interface deleted", name, tried, seen, act, (4, 6), ("ethernet",))


_tunnel("deleted", "the tunnel interface is deleted while the guest writes", "link delete th-wg0")
_tunnel("down", "the tunnel interface is set down while the guest writes", "link set th-wg0 down")
_tunnel(
    "moved out",
    "the tunnel interface is moved to the underlay while the guest writes",
    f"link set th-wg0 netns {UNDERLAY}",
)


@scenario(
    "settings softened",
    "router advertisements, redirects, proxy ARP, source routes are switched on in the corporate namespace",
    "nothing else: there is no wire there to hear them on",
)
def softened(stage: Stage, family: Family) -> None:
    stage.breaks()
    guest = stage.need(CORPORATE)
    # All along: netd pulls the link at the first of them.
    with stage.shouting(family):
        for name in ("accept_redirects", "proxy_arp", "accept_source_route", "route_localnet"):
            stage.sysctl(INSIDE, f"ipv4/conf/all/{name}", "1")
            guest.write(stage.datagram(TAP[family], 53))
        for name in ("accept_ra", "accept_redirects", "accept_source_route", "proxy_ndp"):
            stage.sysctl(INSIDE, f"ipv6/conf/all/{name}", "1")
            guest.write(stage.datagram(TAP[family], 53))


@scenario(
    "other partition's network",
    "the personal side is built, connected, and taken down again while the corporate guest writes",
    "the corporate guest's bytes come out of the tunnel throughout",
)
def other_partition(stage: Stage, family: Family) -> None:
    with stage.shouting(family):
        stage.personal_up()
        stage.arrives()
        stage.stop_guest(PERSONAL)
        stage.net.client.down(PERSONAL)
    stage.arrives()
