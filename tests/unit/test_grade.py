"""The isolation grade: each failing check caps it, and nothing else does."""

from __future__ import annotations

import dataclasses
import threading

import pytest
from twinhull_hypervisor.domain.errors import Unconfined
from twinhull_hypervisor.domain.grade import HostFacts, grade, keeps_cores, require_confinement
from twinhull_hypervisor.domain.probe import LONGEST_SECONDS, ProbeResult, Silence, judge
from twinhull_hypervisor.settings import HostSettings

BEST = HostFacts(
    kvm=ProbeResult(True, "It booted."),
    mac_driver="apparmor",
    iommu_groups=12,
    interrupt_remapping=True,
    tpm=True,
    encryption="luks2-dm-crypt",
    uncovered_swap=(),
    lockdown=True,
    init_on_free=True,
    core_pattern="|/bin/false",
    vulnerable=(),
)

FAILURES = {
    "accelerator": ({"kvm": ProbeResult(False, "It printed nothing.")}, "E"),
    "mandatory-access-control": ({"mac_driver": ""}, "E"),
    "memory-encryption-at-rest": ({"uncovered_swap": ("/dev/sda2",)}, "D"),
    "disk-encryption": ({"encryption": "qemu-luks"}, "C"),
    "iommu": ({"iommu_groups": 0}, "C"),
    "interrupt-remapping": ({"interrupt_remapping": False}, "C"),
    "core-dumps": ({"core_pattern": "|/lib/systemd/systemd-coredump"}, "C"),
    "processor-flaws": ({"vulnerable": ("mds",)}, "C"),
    "tpm": ({"tpm": False}, "B"),
    "kernel-lockdown": ({"lockdown": False}, "B"),
    "wipe-on-free": ({"init_on_free": False}, "B"),
}


def test_the_best_host_gets_an_a() -> None:
    given = grade(BEST)
    assert given.grade == "A"
    assert [check.name for check in given.checks] == list(FAILURES)
    assert all(check.passed and not check.fix for check in given.checks)


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_caps_the_grade_and_says_why(name: str) -> None:
    change, cap = FAILURES[name]
    given = grade(dataclasses.replace(BEST, **change))  # type: ignore[arg-type]
    assert given.grade == cap
    (failed,) = [check for check in given.checks if not check.passed]
    assert (failed.name, failed.caps_at) == (name, cap)
    assert failed.reason
    assert failed.fix


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("core", False),
        ("|/bin/false", False),
        ("|", True),
        ("|/usr/lib/coredump %p", True),
        ("/var/core/%p", True),
    ],
)
def test_core_patterns(pattern: str, kept: bool) -> None:
    assert keeps_cores(pattern) is kept


@pytest.mark.parametrize(
    ("output", "works", "says"),
    [
        (
            b"Linux version 6.1.0\r\nVFS: Unable to mount root fs on unknown-block(0,0)",
            True,
            "root file system",
        ),
        (b"Linux version 6.1.0\r\nACPI: hang\r\n", False, "no further in 9 s than: ACPI: hang"),
        (b"Linux version 6.1.0\r\n\x1b[2Jgotcha", False, "\ufffd[2Jgotcha"),
        (b"Probing EDD (edd=off to disable)... ok", False, "never reached its banner"),
        (b"", False, "printed nothing"),
    ],
)
def test_what_serial_output_proves(output: bytes, works: bool, says: str) -> None:
    result = judge(output, 9)
    assert result.works is works
    assert says in result.reason


def test_a_kernel_that_goes_on_printing_is_given_time_but_not_for_ever() -> None:
    now = [0.0]
    ended = threading.Event()
    silence = Silence(20, ended.set, lambda: now[0])
    silence.start()
    while now[0] < LONGEST_SECONDS - 10:
        now[0] += 15
        silence.heard()
        assert silence.left() == min(20, LONGEST_SECONDS - now[0])
    assert not ended.is_set()
    silence.end()
    assert not ended.is_set()


def test_silence_ends_the_wait() -> None:
    ended = threading.Event()
    silence = Silence(0.01, ended.set)
    silence.start()
    assert ended.wait(60)
    silence.end()


@pytest.mark.parametrize(("driver", "allowed"), [("apparmor", False), ("", True), ("selinux", True)])
def test_confinement_or_an_override(driver: str, allowed: bool) -> None:
    require_confinement(HostSettings(allow_unconfined=allowed), driver)


def test_no_confinement_and_no_override_refuses() -> None:
    with pytest.raises(Unconfined, match="no mandatory access control"):
        require_confinement(HostSettings(), "")
