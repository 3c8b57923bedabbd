"""A namespace that is emptied and never deleted, by a netd that runs as systemd has it run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.support.netd_lab import INTERNET, INTRANET, NetdLab, assert_as_new, netd_lab
from tests.support.network_lab import wait_until

PERSONAL, CORPORATE = Partition.PERSONAL, Partition.CORPORATE
NAMESPACES = {CORPORATE: "th-corporate", PERSONAL: "th-personal"}
DNS = ["198.51.100.1"]
ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab(as_systemd=True) as lab:
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def names(net: NetdLab) -> dict[str, str]:
    """What the host sees under /run/netns: each partition's namespace and which one it is."""
    listed = net.lab.run("stat", "-c", "%n %d:%i", *(f"/run/netns/{name}" for name in NAMESPACES.values()))
    return dict(line.split() for line in listed.splitlines())


def restart(net: NetdLab) -> None:
    """kill -9 netd and start it again, in a mount namespace made anew."""
    net.netd.kill()
    net.start_netd()


def assert_down(net: NetdLab) -> None:
    """Both sides are down and say so."""
    status = net.client.status()
    assert (status.state, status.reason) == ("down", "The corporate network is not built.")
    assert (status.corporate.built, status.personal.built) == (False, False)
    assert not status.corporate.confined


def test_the_host_sees_what_netd_builds_through_restarts(net: NetdLab) -> None:
    before = names(net)
    assert_down(net)
    for _ in range(2):
        net.corporate_up()
        guest = net.guest(CORPORATE)
        assert set(net.lab.links("th-corporate")) == {"lo", "th-corp0", "th-wg0"}
        assert "company intranet" in net.fetch(guest, INTRANET)
        net.stop_guest(CORPORATE)
        net.client.down(CORPORATE)
        assert_as_new(net, "th-corporate")
        assert_down(net)
        restart(net)
        assert_down(net)
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.client.personal_up(DNS)
    other = net.guest(PERSONAL)
    restart(net)
    assert net.lab.links("th-corporate") == {"lo": False, "th-corp0": True, "th-wg0": True}
    assert net.lab.links("th-personal") == {"lo": False, "th-pers0": True, "th-pers1": True}
    assert "company intranet" in net.fetch(guest, INTRANET)
    assert "stand-in for the internet" in net.fetch(other, INTERNET)
    status = net.client.status()
    assert (status.state, status.corporate.confined, status.personal.confined) == ("up", True, True)
    assert net.client.prove().passed
    assert names(net) == before


def test_a_down_namespace_connects_nobody(net: NetdLab) -> None:
    net.corporate_up()
    net.client.down(CORPORATE)
    net.client.tap(CORPORATE)
    with pytest.raises(RemoteError) as refusal:
        net.client.adopt(CORPORATE)
    assert refusal.value.remote.code == "TH-NET-007"
    assert net.lab.links()["th-corp0"] is False
    assert [canary.passed for canary in net.client.prove().canaries] == [False]


STRANGE_RULES = "table ip strange { chain in { type filter hook input priority 0; accept; }\n}"
STRANGERS = (
    ("ip", "link", "set", "lo", "up"),
    ("ip", "address", "add", "192.0.2.9/32", "dev", "lo"),
    ("ip", "link", "add", "stray", "type", "ifb"),
    ("ip", "route", "add", "blackhole", "192.0.2.0/24", "table", "77"),
    ("ip", "rule", "add", "from", "10.137.0.2", "lookup", "77"),
    ("nft", STRANGE_RULES),
)


def invite_strangers(net: NetdLab, namespace: str) -> None:
    """Put one of each kind into a namespace."""
    for words in STRANGERS:
        net.lab.run(*words, namespace=namespace)


@pytest.mark.parametrize("partition", list(Partition))
def test_strangers_go_with_down(net: NetdLab, partition: Partition) -> None:
    net.corporate_up()
    net.client.personal_up(DNS)
    net.guest(partition)
    invite_strangers(net, NAMESPACES[partition])
    net.client.down(partition)
    assert_as_new(net, NAMESPACES[partition])
    other = ({*Partition} - {partition}).pop()
    assert len(net.lab.links(NAMESPACES[other])) == 2
    assert set(net.lab.links()) == {"lo"}


def test_strangers_in_a_down_namespace_are_told_and_not_built_upon(net: NetdLab) -> None:
    for namespace in NAMESPACES.values():
        invite_strangers(net, namespace)
    status = net.client.status()
    assert (status.state, "stray" in status.reason) == ("error", True)
    assert "stray" in status.personal.why_not
    net.corporate_up()
    net.client.personal_up(DNS)
    assert set(net.lab.links("th-corporate")) == {"lo", "th-wg0"}
    for namespace in NAMESPACES.values():
        assert "strange" not in net.lab.run("nft", "list", "ruleset", namespace=namespace)
        assert "77" not in net.lab.run("ip", "rule", namespace=namespace)
        assert "192.0.2" not in net.lab.run("ip", "route", "show", "table", "all", namespace=namespace)
    assert "company intranet" in net.fetch(net.guest(CORPORATE), INTRANET)
    assert "stand-in for the internet" in net.fetch(net.guest(PERSONAL), INTERNET)


def test_a_network_that_lost_its_contents_is_not_called_down(net: NetdLab) -> None:
    net.corporate_up()
    net.kill_wireguard()
    net.lab.run("nft", "flush", "ruleset", namespace="th-corporate")
    assert net.lab.links("th-corporate") == {"lo": False}
    assert net.client.status().state == "error"
    restart(net)
    assert net.client.status().state == "error"


def test_after_a_reboot_nothing_is_remembered(net: NetdLab) -> None:
    """A reboot leaves the state directory, and namespaces made anew that may get the old ones' numbers."""
    net.corporate_up()
    net.client.personal_up(DNS)
    state = net.directory / "state"
    files = [state / name for name in ("corporate.json", "personal.json", "underlay.json")]
    kept = {path: path.read_text() for path in files}
    for partition in Partition:
        net.client.down(partition)
    assert [path.exists() for path in files] == [False] * 3
    for path, text in kept.items():
        path.write_text(text)
    assert net.client.status().state == "error"  # this boot, this namespace: it lost its contents
    for path, text in kept.items():
        _, _, cookie = json.loads(text)["namespace"].partition("/")
        path.write_text(json.dumps({**json.loads(text), "namespace": f"{ANOTHER_BOOT}/{cookie}"}))
    restart(net)
    assert_down(net)
    assert [canary.passed for canary in net.client.prove().canaries] == [False]
    net.corporate_up()
    assert "company intranet" in net.fetch(net.guest(CORPORATE), INTRANET)


@pytest.mark.parametrize("content", ["", "{}", '{"addresses": []}', '{"namespace": "x", "content": {}}'])
def test_a_memory_of_another_form_tells_nothing(net: NetdLab, content: str) -> None:
    for name in ("corporate.json", "personal.json", "underlay.json"):
        (net.directory / "state" / name).write_text(content)
    assert_down(net)
    net.corporate_up()
    net.client.personal_up(DNS)
    assert "company intranet" in net.fetch(net.guest(CORPORATE), INTRANET)


def test_a_namespace_deleted_and_made_anew_outside_is_found_down_and_built(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    net.lab.run("ip", "netns", "delete", "th-corporate")
    net.lab.run("ip", "netns", "add", "th-corporate")
    wait_until(lambda: net.fetch(guest, INTRANET, 2).startswith("failed"), "the guest is cut off")
    assert_down(net)
    net.stop_guest(CORPORATE)
    net.corporate_up()
    assert "company intranet" in net.fetch(net.guest(CORPORATE), INTRANET)
    assert set(net.lab.links("th-corporate")) == {"lo", "th-corp0", "th-wg0"}
