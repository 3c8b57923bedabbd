"""P6: whatever policy the laptop accepts, nothing of the personal partition is another byte for it.

Each policy comes the whole way: written, signed, verified by the inbox and in force; then what derives the
personal machine, its volume, its network and the reports is asked, and must say what it said before.
"""

from __future__ import annotations

import ast
import asyncio
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twinhull_hypervisor.daemon.device_journal import reported
from twinhull_hypervisor.daemon.device_memory import DeviceMemory
from twinhull_hypervisor.daemon.fleet import Fleet
from twinhull_hypervisor.daemon.host import Host
from twinhull_hypervisor.daemon.images import ImageStore
from twinhull_hypervisor.daemon.lease import LeaseKeeper
from twinhull_hypervisor.daemon.network import Networks
from twinhull_hypervisor.daemon.partition_view import partition_info, volume_view
from twinhull_hypervisor.daemon.specs import Specs
from twinhull_hypervisor.daemon.state import PARTITION_DOCUMENTS, Document, PartitionRecord
from twinhull_hypervisor.domain.builder import domain_xml
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.machine import MachineState
from twinhull_hypervisor.domain.spec import Accelerator
from twinhull_hypervisor.network.client import NetdClient
from twinhull_hypervisor.settings import HostSettings
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.types import DeviceInfo, KillSwitches
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.kinds import Kind
from twinhull_policy.model import Match, OwnerRule, OwnerRules, Policy
from twinhull_policy.names import Partition
from twinhull_policy.trust.envelope import envelope_hash

from tests.support.core_laptop import LIBVIRT, RecordingNetd, SetClocks
from tests.support.policies import MATCHES, policies
from tests.support.signing import NOW
from tests.support.source import ROOT
from tests.unit.test_daemon_inbox import Laptop

PERSONAL = Partition.PERSONAL
RECORD = PartitionRecord(
    uuid="00000000-0000-4000-8000-000000000001",
    image="images/personal-0.qcow2",
    image_sha256="cd" * 32,
    disk_gib=32,
    created=True,
    wanted="running",
)
SETTINGS = HostSettings(allow_unconfined=True, personal_dns=["198.51.100.1"], owner="owner")
OWNED: tuple[Document, ...] = ("partition-personal", "owner-rules", "device-answers", "kill-switches")


class Whole:
    """An enrolled laptop's parts that say what the personal partition is, over one inbox."""

    def __init__(self, directory: Path) -> None:
        self.laptop = Laptop(directory)
        assert self.laptop.inbox.accept(NOW)
        self.last, self.seq = self.laptop.statement, 1
        state = self.laptop.state
        state.put(PARTITION_DOCUMENTS[PERSONAL], RECORD)
        state.put("kill-switches", KillSwitches(camera_off=True))
        memory = DeviceMemory(state, "boot-1")
        memory.set_owner(b'{"devices":[{"name":"mine","match":{},"to":"personal"}]}')
        memory.remember(DeviceFacts(bus="usb", vendor="0001", product="0002", serial="s"), "personal")
        self.netd = RecordingNetd(directory / "netd.sock")
        self.hypervisor = Hypervisor(LIBVIRT)
        host = Host(self.hypervisor, SETTINGS, state, Path("/nonexistent/kernel"))
        self.specs = Specs(SETTINGS, host)
        self.volume = QemuLuksVolume(PERSONAL, directory / "volumes" / "personal")
        self.clocks = SetClocks(wall=NOW)
        self.lease = LeaseKeeper(
            state=state,
            clocks=self.clocks,
            in_force=lambda: self.laptop.inbox.in_force,
            on_change=lambda _: None,
        )
        self.networks = Networks(NetdClient(directory / "netd.sock"), SETTINGS, self.lease.network_allowed)

    def accept(self, policy: Policy) -> None:
        """The policy is published, and accepted by the laptop."""
        fields = {name: getattr(policy, name) for name in Policy.__struct_fields__}
        self.seq += 1
        self.last = self.laptop.put(
            seq=self.seq, prev_hash=envelope_hash(self.last), policies=[self.laptop.put_body(**fields)]
        )
        assert self.laptop.inbox.accept(NOW)
        assert self.laptop.inbox.in_force is not None
        assert self.laptop.inbox.in_force.policy == policy

    async def _network(self) -> list[tuple[str, dict[str, Any]]]:
        self.netd.calls.clear()
        await self.networks.bring_up(PERSONAL, self.laptop.inbox.in_force)
        await self.networks.tap(PERSONAL)
        await self.networks.adopt(PERSONAL)
        await self.networks.down(PERSONAL)
        return list(self.netd.calls)

    def everything(self) -> list[object]:
        """The personal machine, its volume and keys, its network, what is stored and what is shown of it."""
        in_force = self.laptop.inbox.in_force
        self.specs.require_host(PERSONAL, in_force)
        self.lease.require(PERSONAL)
        spec = self.specs.domain(
            PERSONAL,
            RECORD,
            accelerator=Accelerator.EMULATION,
            volume=self.volume,
            base=Path("/var/lib/twinhull/images/base.qcow2"),
            tap="th-pers0",
            in_force=in_force,
        )
        resources = self.specs.resources(PERSONAL, in_force)
        return [
            domain_xml(spec),
            resources.disk_gib,
            self.volume.secret_uuid,
            self.volume.paths,
            asyncio.run(self._network()),
            [self.laptop.state.get_bytes(name) for name in OWNED],
            partition_info(
                PERSONAL,
                RECORD,
                MachineState.RUNNING,
                doing=None,
                volume=volume_view(self.volume),
                resources=resources,
                barred=self.lease.barred(PERSONAL),
                wanted=None,
            ),
        ]

    def close(self) -> None:
        """Let everything go."""
        self.netd.close()
        self.hypervisor.close()
        self.laptop.state.close()


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    # Whoever the user is on this machine; it does not come from a policy either.
    monkeypatch.setattr(pwd, "getpwnam", lambda _: pwd.getpwuid(1))
    made = Whole(tmp_path)
    yield made
    made.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies(), st.integers(0, 20_000))
def test_no_policy_changes_a_byte_of_the_personal_partition(whole: Whole, policy: Policy, hours: int) -> None:
    before = whole.everything()
    whole.accept(policy)
    assert whole.everything() == before
    # And whatever its lease comes to.
    whole.clocks.go_on(hours)
    assert whole.everything() == before


def test_the_corporate_partition_does_follow_the_policy(whole: Whole) -> None:
    """The test above compares something: the same questions about the corporate one have other answers."""
    partition = msgspec.structs.replace(example_policy().partition, vcpus=7, memory_mib=7777)
    before = whole.specs.resources(Partition.CORPORATE, whole.laptop.inbox.in_force)
    whole.accept(msgspec.structs.replace(example_policy(), partition=partition))
    after = whole.specs.resources(Partition.CORPORATE, whole.laptop.inbox.in_force)
    assert (before.vcpus, after.vcpus, after.memory_mib) == (2, 7, 7777)
    whole.clocks.go_on(10_000)
    assert whole.lease.barred(Partition.CORPORATE)
    assert not whole.lease.barred(PERSONAL)


FACTS = st.builds(
    DeviceFacts,
    bus=st.sampled_from(["usb", "pci", "bluetooth"]),
    vendor=st.sampled_from(["0001", "0951"]),
    product=st.sampled_from(["0001", "1666"]),
    serial=st.sampled_from(["", "s"]),
    port=st.sampled_from(["1-2", "1-3"]),
    interfaces=st.sampled_from([("08:06:50",), ("0e:01:00", "01:01:00"), ("02:06:00",), ("03:00:00",)]),
)
OWNERS = st.lists(
    st.tuples(MATCHES, st.sampled_from(["personal", "corporate", "ask", "deny"])), min_size=1, max_size=4
).map(
    lambda parts: msgspec.convert(
        {"devices": [{"name": f"o{n}", "match": match, "to": to} for n, (match, to) in enumerate(parts)]},
        OwnerRules,
    )
)


def told(facts: DeviceFacts, policy: Policy, owner: OwnerRules) -> tuple[object, DeviceInfo]:
    """What would be reported of a device that went where it was sent, and the device."""
    decision = CompiledPolicy(policy, owner).decide(facts, {})
    went = decision.verdict if decision.verdict in ("corporate", "personal") else ""
    info = DeviceInfo(
        id="usb-1-2",
        bus="usb",
        name="My own stick, left port",
        port=facts.port,
        verdict=decision.verdict,
        rule=decision.rule,
        reason=decision.reason,
        attached_to=went,
        state="attached" if went else "asking" if decision.verdict == "ask" else "blocked",
        kind=Kind.STORAGE,
        targets=list(decision.targets),
        model=f"{facts.vendor}:{facts.product}",
        interfaces=list(facts.interfaces),
    )
    return reported(info), info


@settings(max_examples=100)
@given(policies(), OWNERS, FACTS)
def test_nothing_is_reported_of_what_is_the_owners(
    policy: Policy, owner: OwnerRules, facts: DeviceFacts
) -> None:
    report, info = told(facts, policy, owner)
    if info.attached_to == "personal" or info.verdict in ("ask", "personal", "host"):
        assert report is None
    if report is not None:
        text = msgspec.json.encode(report).decode()
        assert "personal" not in text and "owner" not in text and info.name not in text
        # Nothing in it depends on what the owner wrote, but that it was not sent elsewhere.
        alone, _ = told(
            facts, policy, OwnerRules(devices=(OwnerRule(name="o", match=Match(), to="corporate"),))
        )
        assert report == alone


class Wire:
    """fetch, as far as a report goes."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def report(self, body: str) -> None:
        """Posted."""
        self.sent.append(body)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies(), st.lists(st.tuples(FACTS, OWNERS), max_size=4))
def test_no_policy_gets_anything_of_it_into_a_report(
    whole: Whole, policy: Policy, devices: list[tuple[DeviceFacts, OwnerRules]]
) -> None:
    policy = msgspec.structs.replace(policy, report=("version", "policy", "devices"))
    whole.accept(policy)
    wire: Any = Wire()
    images = ImageStore(whole.laptop.paths.images)
    fleet = Fleet(whole.laptop.state, whole.laptop.paths, whole.laptop.inbox, images, wire, lambda _: None)

    async def send() -> None:
        for facts, owner in devices:
            _, info = told(facts, policy, owner)
            fleet.report_device(msgspec.structs.replace(info, attached_to="personal", verdict="personal"))
        await fleet._report()

    asyncio.run(send())
    (body,) = wire.sent
    report = msgspec.json.decode(body)
    assert set(report) <= {"seq", "policy", "applied_at", "items"}
    assert [item["name"] for item in report["items"]] == ["policy"]


@pytest.mark.parametrize("package", ["storage", "network", "domain", "images"])
def test_what_makes_keys_disks_and_networks_cannot_read_a_policy(package: str) -> None:
    """Their arguments are plain values; none of them imports the policy's model, parser or evaluator."""
    allowed = {"names", "errors", "api.types", "api", "escrow", "recovery_code"}
    for path in (ROOT / "hypervisor" / "twinhull_hypervisor" / package).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("twinhull_policy"):
                assert (node.module or "").removeprefix("twinhull_policy.") in allowed, path.name


@pytest.mark.parametrize("module", ["escrow", "recovery_code"])
def test_what_seals_and_spells_codes_cannot_read_a_policy(module: str) -> None:
    """Storage imports these two; they are given a key as text and know no policy either."""
    tree = ast.parse((ROOT / "policy" / "twinhull_policy" / f"{module}.py").read_text())
    own = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level}
    assert own <= {"canonical", "errors", "recovery_code", "trust.documents"}
