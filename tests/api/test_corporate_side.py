"""The demonstration company: idempotent, survives its gateway, and down leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest

from tests.support.netd_lab import FETCH, INTERNET, INTRANET, RESOLVE
from tests.support.network_lab import ROOT, Lab

PEER = "Nd1jUvSPyxEjhXsUYGLVGgtyHEXG4hI02nCS1bMPgRU="
DEMO = ROOT / "installer/corporate_side"
PROCESSES = ["gateway", "gateway-dns", "internet", "internet-dns", "intranet"]


@pytest.fixture
def lab() -> Iterator[Lab]:
    running = Lab()
    try:
        yield running
    finally:
        running.close()


def test_up_twice_is_up_once_and_down_leaves_nothing(lab: Lab) -> None:
    before = lab.run("ps", "ax", "-o", "comm=").split()
    key = lab.demo("up")
    lab.demo("peer", PEER, "10.77.1.5")
    first = lab.demo("status")
    assert json.loads(first)["running"] == PROCESSES
    processes = lab.run("cat", "/run/twinhull-demo/processes.json")
    assert lab.demo("up") == key
    assert lab.demo("status") == first
    assert lab.run("cat", "/run/twinhull-demo/processes.json") == processes
    lab.demo("down")
    lab.demo("down")
    assert lab.run("ip", "netns", "list") == ""
    assert lab.run("ps", "ax", "-o", "comm=").split() == before
    assert lab.run("ls", "/run").split() == ["netns", "wireguard"]
    assert lab.run("ls", "/run/wireguard") == ""


def test_what_can_be_seen_from_where(lab: Lab) -> None:
    lab.demo("up")
    assert "stand-in for the internet" in lab.python(FETCH, INTERNET, "20", namespace="th-underlay")
    assert lab.python(RESOLVE, "198.51.100.1", "www.example", "20", namespace="th-underlay") == "198.51.100.1"
    assert "company intranet" in lab.python(FETCH, INTRANET, "20", namespace="th-gateway")
    # Not without the tunnel, not even for a neighbour that routes there.
    lab.run("ip", "route", "add", "10.77.0.0/16", "via", "203.0.113.2", namespace="th-internet")
    assert lab.python(FETCH, INTRANET, "2", namespace="th-internet").startswith("failed")
    assert lab.python(FETCH, INTRANET, "2", namespace="th-underlay").startswith("failed")


def test_the_gateway_goes_and_comes_back_with_its_key_and_peers(lab: Lab) -> None:
    key = lab.demo("up")
    lab.demo("peer", PEER, "10.77.1.5")
    lab.demo("stop-gateway")
    assert json.loads(lab.demo("status"))["running"] == ["internet", "internet-dns"]
    lab.demo("start-gateway")
    assert json.loads(lab.demo("status"))["running"] == PROCESSES
    shown = lab.run("wg", "show", "th-gw0", "allowed-ips", namespace="th-gateway")
    assert shown.split() == [PEER, "10.77.1.5/32"]
    assert lab.run("wg", "show", "th-gw0", "public-key", namespace="th-gateway").strip() == key


def test_killed_while_it_comes_up_it_comes_up_the_next_time(lab: Lab) -> None:
    """What a killed run left running and did not come to note stands in the way of nothing."""
    before = lab.run("ps", "ax", "-o", "comm=").split()
    chance = Random(7)  # noqa: S311 - variety, not secrecy
    for _ in range(12):
        seconds = f"{chance.uniform(0.05, 0.9):.3f}"
        lab.run("timeout", "-s", "KILL", seconds, "/usr/bin/python3", str(DEMO), "up", check=False)
        if chance.random() < 0.3:
            lab.run("timeout", "-s", "KILL", "0.15", "/usr/bin/python3", str(DEMO), "down", check=False)
    lab.demo("up")
    status = json.loads(lab.demo("status"))
    assert status["up"]
    assert status["running"] == PROCESSES
    assert "company intranet" in lab.python(FETCH, INTRANET, "20", namespace="th-gateway")
    assert "stand-in for the internet" in lab.python(FETCH, INTERNET, "20", namespace="th-underlay")
    lab.demo("down")
    assert lab.run("ip", "netns", "list") == ""
    assert lab.run("ps", "ax", "-o", "comm=").split() == before


def test_half_of_it_is_not_up(lab: Lab) -> None:
    lab.demo("up")
    assert json.loads(lab.demo("status"))["up"]
    lab.demo("stop-gateway")
    assert not json.loads(lab.demo("status"))["up"]


def test_down_leaves_namespaces_it_did_not_make(lab: Lab) -> None:
    lab.run("ip", "netns", "add", "th-internet")
    lab.demo("up")
    lab.demo("down")
    assert lab.run("ip", "netns", "list").split()[0] == "th-internet"
