"""The accelerator probe on real QEMU. Needs root, libvirtd and a Debian kernel (fetched by apt)."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.grade import grade, mac_driver, read_facts
from twinhull_hypervisor.domain.probe import ProbeResult, probe_kvm
from twinhull_hypervisor.domain.spec import Accelerator
from twinhull_hypervisor.run import run
from twinhull_images.boot import unpacked_kernel

from tests.support.hypervisor import passable_directory

ACCOUNT = "th-probe-test"


@pytest.fixture(scope="module")
def account() -> Iterator[pwd.struct_passwd]:
    """A user like th-corporate: in the groups that may pass through libvirt's directory and open /dev/kvm."""
    run(["useradd", "--system", "--groups", "libvirt-qemu,kvm", ACCOUNT], timeout=30)
    yield pwd.getpwnam(ACCOUNT)
    run(["userdel", ACCOUNT], timeout=30)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Path]:
    with passable_directory() as directory:
        run(["apt-get", "-q", "update"], timeout=300)
        shown = run(["apt-cache", "depends", "--important", "linux-image-cloud-amd64"], timeout=60).text
        package = next(
            word for word in shown.split() if word.startswith("linux-image-") and word[12].isdigit()
        )
        fetch = 'cd "$0" && exec apt-get -q -o APT::Sandbox::User=root download "$1"'
        run(["sh", "-c", fetch, directory, package], timeout=300)
        archive = next(directory.glob("*.deb"))
        run(["dpkg", "-x", archive, directory / "kernel"], timeout=120)
        image = next((directory / "kernel/boot").glob("vmlinuz-*"))
        (directory / "vmlinuz").write_bytes(unpacked_kernel(image.read_bytes()))
        (directory / "vmlinuz").chmod(0o444)
        yield directory / "vmlinuz"


@pytest.fixture
def hypervisor() -> Iterator[Hypervisor]:
    made = Hypervisor()
    before = names(made)
    yield made
    assert names(made) == before
    made.close()


def names(hypervisor: Hypervisor) -> list[str]:
    """The test machines libvirt knows, running or not."""
    found = (domain.name() for domain in hypervisor.connection().listAllDomains())
    return sorted(name for name in found if name.startswith("twinhull-probe-"))


def test_a_working_accelerator_is_found_working(
    hypervisor: Hypervisor, kernel: Path, account: pwd.struct_passwd
) -> None:
    result = probe_kvm(
        hypervisor,
        kernel,
        silence_seconds=120,
        uid=account.pw_uid,
        gid=account.pw_gid,
        accelerator=Accelerator.EMULATION,
    )
    assert result == ProbeResult(True, "A test kernel booted until it looked for its root file system.")


def test_what_boots_nothing_is_found_not_working(
    hypervisor: Hypervisor, kernel: Path, account: pwd.struct_passwd
) -> None:
    """A boot sector that only loops, in place of a kernel: silent, like a broken accelerator."""
    silent = kernel.with_name("silent")
    silent.write_bytes(b"\xeb\xfe" + bytes(510))
    silent.chmod(0o444)
    result = probe_kvm(
        hypervisor,
        silent,
        silence_seconds=5,
        uid=account.pw_uid,
        gid=account.pw_gid,
        accelerator=Accelerator.EMULATION,
    )
    assert not result.works
    assert result.reason


def test_a_missing_kernel_is_a_reason_and_no_error(
    hypervisor: Hypervisor, account: pwd.struct_passwd
) -> None:
    result = probe_kvm(
        hypervisor,
        Path("/nonexistent/vmlinuz"),
        silence_seconds=5,
        uid=account.pw_uid,
        gid=account.pw_gid,
        accelerator=Accelerator.EMULATION,
    )
    assert not result.works
    assert "vmlinuz" in result.reason


def test_kvm_gets_a_verdict_with_a_reason_and_the_grade_follows_it(
    hypervisor: Hypervisor, kernel: Path, account: pwd.struct_passwd
) -> None:
    """Whether KVM works here is the machine's affair; that the grade says the same is ours."""
    result = probe_kvm(hypervisor, kernel, silence_seconds=15, uid=account.pw_uid, gid=account.pw_gid)
    assert result.reason
    assert "master-key" not in result.reason, "the machine failed for a reason of the test's own"
    facts = read_facts(hypervisor, result, "qemu-luks")
    assert facts.mac_driver == mac_driver(hypervisor)
    given = grade(facts)
    check = next(check for check in given.checks if check.name == "accelerator")
    assert check.passed is result.works
    assert result.reason in check.reason
    assert given.grade == "E" or (result.works and facts.mac_driver)
