"""Core's care for the tunnel: proofs on a schedule, what the server is told of them, and resumes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.daemon import network
from twinhull_hypervisor.daemon import vpn as care
from twinhull_hypervisor.daemon.network import Networks
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.ipc import HelperUnreachable
from twinhull_hypervisor.network.errors import NotConfined
from twinhull_hypervisor.settings import HostSettings
from twinhull_policy.api.types import VpnCanary, VpnInfo, VpnProof
from twinhull_policy.names import Partition
from twinhull_policy.report import TunnelProof

CORPORATE = Partition.CORPORATE
HELD = VpnCanary(name="nothing-leaves-outside-the-tunnel", passed=True, evidence="0 seen")
LEAKED = VpnCanary(name="nothing-leaves-outside-the-tunnel", passed=False, evidence="3 seen")
PERSONAL_LEAKED = VpnCanary(name="personal-cannot-reach-corporate", passed=False, evidence="1 went through")


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

    def personal_up(self, dns: object) -> None:
        self.calls.append("up")

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
        self._until, self._enough = 0, asyncio.Event()
        self.care = care.VpnCare(
            networks=Networks(self.netd, HostSettings(), lambda _: True),  # type: ignore[arg-type]  # netd's client, as far as asked
            state=self.state,
            is_up=lambda: True,
            repair=self._repair,
            report=self.reports.append,
            on_change=self._changed,
        )

    def _changed(self, what: str) -> None:
        self.changes.append(what)
        if self.netd.calls.count("prove") >= self._until:
            self._enough.set()

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
AWAY = HelperUnreachable(helper="netd")


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
