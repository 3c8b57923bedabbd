"""Core's care for the tunnel: proofs on a schedule, what the server is told of them, and resumes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.daemon import network
from twinhull_hypervisor.daemon import vpn as care
from twinhull_hypervisor.daemon.gateways import Gateways, NoGatewayAddress
from twinhull_hypervisor.daemon.network import Networks
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.fetch.client import Outside
from twinhull_hypervisor.ipc import HelperUnreachable
from twinhull_hypervisor.network.errors import NotConfined
from twinhull_hypervisor.network.results import NetworkStatus, SideStatus, TunnelStatus
from twinhull_hypervisor.settings import HostSettings
from twinhull_policy.api.types import VpnCanary, VpnInfo, VpnProof
from twinhull_policy.model import VpnSection
from twinhull_policy.names import Partition
from twinhull_policy.report import TunnelProof

CORPORATE = Partition.CORPORATE
HELD = VpnCanary(name="nothing-leaves-outside-the-tunnel", passed=True, evidence="0 seen")
LEAKED = VpnCanary(name="nothing-leaves-outside-the-tunnel", passed=False, evidence="3 seen")
PERSONAL_LEAKED = VpnCanary(name="personal-cannot-reach-corporate", passed=False, evidence="1 went through")


AWAY = HelperUnreachable(helper="netd")


class Netd:
    """What core asks of netd, with answers set by the test.

    Attributes:
        calls: the verbs asked for.
        refusals: what the next ``adopt``s raise, in turn; None for one that succeeds.
    """

    def __init__(self, *canaries: VpnCanary) -> None:
        self.calls: list[str] = []
        self.canaries = list(canaries)
        self.refusals: list[Exception | None] = []
        self.state: Any = "up"
        self.portal: list[str] = []
        self.dns: list[str] = []

    def personal_up(self, dns: Sequence[str], portal: Sequence[str]) -> None:
        self.calls.append("up")
        self.dns, self.portal = list(dns), list(portal)

    def status(self) -> NetworkStatus:
        side = SideStatus(built=True)
        return NetworkStatus(
            state=self.state, reason="", corporate=side, personal=side, tunnel=TunnelStatus()
        )

    def adopt(self, partition: Partition) -> None:
        self.calls.append("adopt")
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal

    def prove(self) -> VpnProof:
        self.calls.append("prove")
        return VpnProof(at=1000.0, passed=all(c.passed for c in self.canaries), canaries=self.canaries)

    def vpn_info(self) -> VpnInfo:
        return VpnInfo(state=self.state)


class Bench:
    """A tunnel to care for."""

    def __init__(self, path: Path, *canaries: VpnCanary) -> None:
        self.netd = Netd(*canaries)
        self.state = State(path / "state.sqlite")
        self.reports: list[TunnelProof] = []
        self.repairs = 0
        self.changes: list[str] = []
        self.network: Outside | None = None
        self.asked = 0
        self._until, self._enough = 0, asyncio.Event()
        self.care = care.VpnCare(
            networks=Networks(self.netd, HostSettings(), lambda _: True),  # type: ignore[arg-type]  # netd's client, as far as asked
            state=self.state,
            is_up=lambda: True,
            repair=self._repair,
            report=self.reports.append,
            outside=self._outside,
            on_change=self._changed,
        )

    def _changed(self, what: str) -> None:
        self.changes.append(what)
        if self.netd.calls.count("prove") >= self._until:
            self._enough.set()

    async def _outside(self) -> Outside | None:
        self.asked += 1
        return self.network

    async def _repair(self) -> None:
        self.repairs += 1

    async def runs(self, monkeypatch: pytest.MonkeyPatch, until: int, **seconds: float) -> None:
        """Let it run until netd was asked for so many proofs."""
        for name, value in {"WATCH_SECONDS": 0.0, "FIRST_PROOF_SECONDS": 0.0, **seconds}.items():
            monkeypatch.setattr(care, name, value)
        task = asyncio.create_task(self.care.run())
        self._until, self._enough = until, asyncio.Event()
        async with asyncio.timeout(10):
            await self._enough.wait()
        task.cancel()


async def test_it_proves_by_itself_and_logs_the_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, HELD)
    await bench.runs(monkeypatch, until=3, PROOF_SECONDS=0.0)
    entries = bench.state.read_log(10)
    assert {entry.text for entry in entries} == {"Leak canaries: 1 of 1 passed"}
    assert "0 seen" in entries[0].body
    assert bench.reports == [TunnelProof(proved_at=1000, passed=True, failed=[])]  # once, not each time
    assert (await bench.care.info()).proved_at == 1000.0


async def test_a_failure_is_told_at_once_and_tried_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, LEAKED, PERSONAL_LEAKED)
    await bench.runs(monkeypatch, until=2, PROOF_SECONDS=1e9, FAILED_PROOF_SECONDS=0.0)
    assert "vpn" in bench.changes
    info = await bench.care.info()
    assert info.proof_failed == [LEAKED.name, PERSONAL_LEAKED.name]
    assert "0 of 2 passed; failed: " in bench.state.read_log(1)[0].text
    assert bench.reports[0].failed == [LEAKED.name]
    bench.netd.canaries = [HELD]
    await bench.care.prove()
    assert [report.passed for report in bench.reports] == [False, True]


PORTAL = Outside(
    "portal",
    "http://192.168.1.1/login",
    ["192.168.1.1", "127.0.0.1", "rm -rf", "10.137.0.2"],
    ["192.168.1.53", "::1", "10.138.0.1", "fe80::1%eth0", "localhost"],
)


async def test_a_portal_is_shown_and_opened_for_the_personal_side_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, HELD)
    bench.netd.state, bench.network = "connecting", PORTAL
    await bench.runs(monkeypatch, until=3, PROOF_SECONDS=0.0)
    info = await bench.care.info()
    assert (info.state, info.portal) == ("connecting", "http://192.168.1.1/login")
    assert "sign in" in info.reason
    assert bench.netd.portal == ["192.168.1.1"]
    assert bench.netd.dns == ["192.168.1.53"]
    assert bench.asked == 1  # not at every look
    assert bench.netd.calls.count("up") == 1
    bench.netd.state = "up"
    await bench.runs(monkeypatch, until=bench.netd.calls.count("prove") + 2, PROOF_SECONDS=0.0)
    assert (await bench.care.info()).portal == ""
    assert bench.netd.portal == []
    assert bench.netd.dns == []  # the owner's, who named none here


@pytest.mark.parametrize(
    "location", ["", "javascript:x", "http://a b/", "http://x/\x1b[2J", "http://" + "x" * 301]
)
async def test_what_is_not_fit_to_be_shown_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    bench = Bench(tmp_path, HELD)
    bench.netd.state, bench.network = "connecting", Outside("portal", location, [])
    await bench.runs(monkeypatch, until=2, PROOF_SECONDS=0.0)
    assert (await bench.care.info()).portal == ""


class Names:
    """What the network says of names."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def resolve(self, name: str) -> list[str]:
        self.asked.append(name)
        answer = self.answers.pop(0)
        if answer is None:
            raise AWAY
        return answer


def vpn(*endpoints: str, **more: Any) -> VpnSection:
    key = "ZXhhbXBsZS1nYXRld2F5LXB1YmxpYy1rZXktMDAwMDE="
    gateways = [
        {"name": f"g{index}", "endpoint": endpoint, "public_key": key}
        for index, endpoint in enumerate(endpoints)
    ]
    return msgspec.convert({"gateways": gateways, "routes": ["10.0.0.0/8"], **more}, VpnSection)


NAMED = "vpn.corp.example:51820"
PUBLIC, PRIVATE = "9.9.9.9", "192.168.1.1"


@pytest.mark.parametrize(
    ("section", "answers", "expected"),
    [
        (vpn("203.0.113.2:1"), [], [["203.0.113.2:1"]]),
        (vpn(NAMED, "203.0.113.2:1"), [[PUBLIC]], [["9.9.9.9:51820", "203.0.113.2:1"]]),
        (vpn(NAMED), [["2620:fe::fe", PUBLIC]], [["[2620:fe::fe]:51820", "9.9.9.9:51820"]]),
        (vpn(NAMED), [[PUBLIC], None], [["9.9.9.9:51820"]] * 2),
        (vpn(NAMED), [[PUBLIC], ["9.9.9.10"]], [["9.9.9.9:51820"], ["9.9.9.10:51820", "9.9.9.9:51820"]]),
        (vpn(NAMED), [[PRIVATE]], [["192.168.1.1:51820"]]),
        (vpn(NAMED, public_gateways=True), [[PRIVATE], [PUBLIC]], [[], ["9.9.9.9:51820"]]),
        (vpn(NAMED), [["127.0.0.1", "::1", "224.0.0.1", "::ffff:1.2.3.4", "fe80::1", "x;y"]], [[]]),
        (vpn(NAMED), [[]], [[]]),
        (vpn(NAMED), [None], [[]]),
    ],
)
async def test_named_gateways(
    tmp_path: Path, section: VpnSection, answers: list[list[str] | None], expected: list[list[str]]
) -> None:
    names = Names(*answers)
    gateways = Gateways(names, State(tmp_path / "state.sqlite"))  # type: ignore[arg-type]  # fetch, as far as asked
    for places in expected:
        if places:
            assert [endpoint for endpoint, _ in await gateways.find(section)] == places
        else:
            with pytest.raises(NoGatewayAddress):
                await gateways.find(section)
    assert set(names.asked) <= {"vpn.corp.example"}


@pytest.mark.parametrize(
    "endpoint",
    [
        "vpn:51820",
        "vpn.corp.example",
        "VPN.corp.example:1",
        "vpn_1.example:1",
        "1.2.3:1",
        "a..b:1",
        "vpn.example.1:1",
        "-a.example:1",
        "vpn.example:0",
        "vpn.example:65536",
        "vpn.example\n:1",
        "x" * 250 + ".example:1",
    ],
)
def test_no_name_of_a_gateway(endpoint: str) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError)):
        vpn(endpoint)


def test_a_policy_without_the_new_fields_keeps_its_bytes() -> None:
    assert set(msgspec.to_builtins(vpn("203.0.113.2:1"))) == {"kind", "gateways", "routes", "dns", "mtu"}


def test_the_server_is_told_nothing_of_the_personal_side() -> None:
    proof = VpnProof(at=1.0, passed=False, canaries=[HELD, PERSONAL_LEAKED])
    assert care.reported(proof) == TunnelProof(proved_at=1, passed=True, failed=[])


@pytest.mark.parametrize("state", ["down", "blocked", "error"])
async def test_a_network_that_is_not_there_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    bench = Bench(tmp_path, HELD)
    bench.netd.state = state
    await bench.runs(monkeypatch, until=2, PROOF_SECONDS=0.0)
    assert bench.repairs >= 1


NOT = NotConfined(partition="personal", reason="it holds stray")


@pytest.mark.parametrize(
    ("refusals", "calls", "passes"),
    [
        ([None], ["adopt"], True),
        ([NOT, None], ["adopt", "up", "adopt"], True),
        ([NOT, NOT], ["adopt", "up", "adopt"], False),
        ([AWAY, AWAY, None], ["adopt", "adopt", "adopt"], True),
        ([AWAY, NOT, None], ["adopt", "adopt", "up", "adopt"], True),
        ([AWAY] * 11, ["adopt"] * 11, False),
    ],
)
async def test_a_machine_is_connected_only_by_a_check_that_passes(
    monkeypatch: pytest.MonkeyPatch, refusals: list[Exception | None], calls: list[str], passes: bool
) -> None:
    monkeypatch.setattr(network, "RETRY_SECONDS", 0.0)
    netd = Netd()
    netd.refusals = list(refusals)
    networks = Networks(netd, HostSettings(), lambda _: True)  # type: ignore[arg-type]  # as above
    if passes:
        await networks.connect(Partition.PERSONAL, None)
    else:
        with pytest.raises((NotConfined, HelperUnreachable)):
            await networks.connect(Partition.PERSONAL, None)
    assert netd.calls == calls
