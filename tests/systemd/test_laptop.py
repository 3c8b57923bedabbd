"""What the quickstart makes of a machine that systemd runs: units and their sandboxes, shutdown, removal.

In this order: the last tests end what the first ones look at.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.quickstart import SYSTEM_DAEMONS

from .conftest import INSTALL_SECONDS, UP
from .container import PYTHON, QUICKSTART, SOURCE, Container, fields

WORST = {
    "twinhulld": 1.0,
    "twinhull-fetch": 1.5,
    "twinhull-netd": 3.0,
    "twinhull-devd": 3.0,
    "twinhull-blockd": 1.0,
    "twinhull-tpmd": 1.5,
    "twinhull-diskd": 3.0,
}
"""The worst exposure each unit may have: design.md, section 2."""
CAPABILITIES = {
    "twinhull-netd": {"cap_net_admin", "cap_sys_admin"},
    "twinhull-diskd": {"cap_sys_admin"},
}
"""What a unit may ever have, where that is anything at all; devd's depend on what it runs on."""


MOUNTS_FOR_ALL = "twinhull-diskd"
"""What it mounts is for others to see, so it has no mount namespace of its own (adr/0019)."""


def status(container: Container) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(container.output("twinhull", "status", "--json"))
    return result


def main_pid(container: Container, unit: str) -> str:
    return container.output("systemctl", "show", "--property=MainPID", "--value", f"{unit}.service").strip()


def guests(container: Container) -> dict[str, str]:
    """The pid of each partition's QEMU."""
    found = container.output("pgrep", "-a", "-f", "guest=twinhull-").splitlines()
    return {
        line.split("guest=twinhull-")[1].split(",")[0]: line.split()[0]
        for line in found
        if "qemu-system" in line.split()[1]
    }


def test_systemd_runs_it_all(installed: Container) -> None:
    assert installed.output("cat", "/proc/1/comm").strip() == "systemd"
    for unit in WORST:
        assert installed.output("systemctl", "is-active", f"{unit}.service").strip() == "active"
    assert installed.output("systemctl", "--failed", "--no-legend", "--plain").strip() == ""


@pytest.mark.parametrize(("unit", "worst"), WORST.items())
def test_units_are_hardened(installed: Container, unit: str, worst: float) -> None:
    """The running units score at or under what design.md asks, as systemd itself counts."""
    said = installed.output("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    overall = next(line for line in said.splitlines() if "Overall exposure level" in line)
    assert float(overall.split(":")[1].split()[0]) <= worst


@pytest.mark.parametrize("unit", WORST)
def test_sandboxes_are_in_force(installed: Container, unit: str) -> None:
    """The processes really have what their units say: no new privileges, a filter, nothing to write to."""
    pid = main_pid(installed, unit)
    now = fields(installed.output("cat", f"/proc/{pid}/status"))
    assert now["NoNewPrivs"] == "1"
    assert now["Seccomp"] == "2"
    inside = ("nsenter", f"--target={pid}", "--mount", "--")
    if unit == MOUNTS_FOR_ALL:
        places = [installed.output("readlink", f"/proc/{one}/ns/mnt") for one in ("1", str(pid))]
        assert places[0] == places[1]
    else:
        written = installed.run(*inside, "touch", "/usr/twinhull-test", check=False)
        assert written.returncode != 0 and "Read-only file system" in written.stderr
    bounding = installed.output("capsh", f"--decode={now['CapBnd']}").strip().partition("=")[2]
    if unit != "twinhull-devd":
        assert set(filter(None, bounding.split(","))) == CAPABILITIES.get(unit, set())


def test_both_partitions_run_confined(installed: Container) -> None:
    """Each QEMU has a user of its own, no capability and a seccomp filter; the tunnel is up and confined."""
    now = status(installed)
    assert {part["name"]: part["state"] for part in now["partitions"]} == {
        "corporate": "running",
        "personal": "running",
    }
    assert now["vpn"]["state"] == "up" and now["vpn"]["confined"]
    pids = guests(installed)
    assert set(pids) == {"corporate", "personal"}
    for partition, pid in pids.items():
        shown = fields(installed.output("cat", f"/proc/{pid}/status"))
        owner = installed.output("id", "-u", f"th-{partition}").strip()
        assert shown["Uid"].split() == [owner] * 4
        assert int(shown["CapEff"], 16) == 0
        assert shown["NoNewPrivs"] == "1" and shown["Seccomp"] == "2"


@pytest.mark.parametrize("name", ["processes", "crashes"])
def test_the_laptops_own_tests_pass(installed: Container, name: str) -> None:
    """What holds of a laptop without systemd holds here, by the same tests."""
    words = ("-m", "pytest", "-p", "no:cacheprovider", "-q", "--keep-laptop", f"tests/e2e/test_{name}.py")
    done = installed.run("env", "-C", SOURCE, PYTHON, *words, check=False, seconds=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " failed" not in done.stdout and " skipped" not in done.stdout


def test_guests_end_before_the_network_at_shutdown_and_all_comes_back(installed: Container) -> None:
    before = status(installed)
    installed.reboot()
    stopped = "Stopped twinhull-netd.service"
    network = max(when for when, said in installed.journal("--boot=-1") if stopped in said)
    for partition in ("corporate", "personal"):
        log = installed.file(f"/var/log/libvirt/qemu/twinhull-{partition}.log")
        # 2026-01-31 12:00:00.123+0000: shutting down, reason=shutdown
        moment, _, reason = [line for line in log.splitlines() if "shutting down" in line][-1].partition(": ")
        assert reason == "shutting down, reason=shutdown"
        assert datetime.fromisoformat(moment) < network
    again = installed.run(QUICKSTART, *UP, seconds=INSTALL_SECONDS)
    assert "Done in" in again.stdout
    after = status(installed)
    assert after["enrolment"]["device_id"] == before["enrolment"]["device_id"]
    assert {part["state"] for part in after["partitions"]} == {"running"}


def test_down_leaves_nothing(installed: Container, before: set[str]) -> None:
    assert installed.traces() - before
    installed.run(QUICKSTART, "--down", "--yes", seconds=300)
    # The system's own daemons are systemd's to start and stop.
    assert {left for left in installed.traces() - before if not left.endswith(SYSTEM_DAEMONS)} == set()
    units = installed.output("systemctl", "list-units", "--all", "--no-legend", "--plain", "twinhull*")
    assert units.strip() == ""
