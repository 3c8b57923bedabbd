"""Who the guests' processes are, what they may do, and what hardware they emulate (security.md R1 to R4)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from twinhull_hypervisor.domain.devices import arguments, device_models

from tests.support.laptop import Laptop, as_user

PARTITIONS = ("corporate", "personal")


def proc_status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_each_guest_runs_unprivileged_as_its_own_user(both_running: Laptop) -> None:
    users = {}
    for name in PARTITIONS:
        pid = both_running.guest(name).pid()
        status = proc_status(pid)
        users[name] = set(status["Uid"].split())
        assert "0" not in users[name]
        for capabilities in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[capabilities], 16) == 0, (name, capabilities)
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
    assert not users["corporate"] & users["personal"]


def test_no_key_or_passphrase_in_what_a_guest_process_shows(both_running: Laptop) -> None:
    for name in PARTITIONS:
        passphrase = both_running.passphrase(name).encode()
        pid = both_running.guest(name).pid()
        xml = subprocess.run(
            ["virsh", "-c", "qemu:///system", "dumpxml", f"twinhull-{name}", "--security-info"],
            capture_output=True,
            check=True,
        ).stdout
        shown = xml + Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert passphrase not in shown
    secrets = subprocess.run(
        ["virsh", "-c", "qemu:///system", "secret-list"], capture_output=True, text=True, check=True
    ).stdout
    assert "overlay.qcow2" not in secrets


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_device_list_is_the_golden_one(both_running: Laptop, name: str, rewrite_golden: bool) -> None:
    """Both partitions emulate the same hardware, so there is one list."""
    models = device_models(arguments(Path(f"/proc/{both_running.guest(name).pid()}")))
    golden = Path(__file__).parent.parent / "data/domain/devices.txt"
    if rewrite_golden:
        golden.write_text("".join(f"{model}\n" for model in models))
    assert models == golden.read_text().splitlines()
    assert len(set(models)) <= 20


def test_the_owner_cannot_open_libvirt(both_running: Laptop) -> None:
    tried = subprocess.run(
        [*as_user(both_running.owner), "virsh", "-c", "qemu:///system", "list"],
        capture_output=True,
        text=True,
    )
    assert tried.returncode != 0


def test_another_user_may_neither_start_nor_stop(both_running: Laptop) -> None:
    denied = both_running.twinhull("partition", "stop", "personal", user="nobody")
    assert denied.returncode == 4, denied.stderr
    assert "TH-DMN-003" in denied.stderr
    assert both_running.state("personal") == "running"
