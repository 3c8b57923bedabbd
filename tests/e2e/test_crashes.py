"""kill -9 of any process leaves the guests running and status telling the truth (P9)."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.laptop import Laptop, kill_hard, pids_of, wait_for

SERVICES = ("twinhulld", "twinhull-fetch", "twinhull-netd", "twinhull-server")
INTRANET = "http://intranet.corp.example/"


def qemu_pids(laptop: Laptop) -> dict[str, int]:
    return {name: laptop.guest(name).pid() for name in ("corporate", "personal")}


def links_in(namespace: str) -> set[str]:
    """The interfaces of a namespace of this machine; none if it is missing."""
    if not Path("/run/netns", namespace).exists():
        return set()
    listed = subprocess.run(
        ["ip", "-n", namespace, "-o", "link"], check=True, capture_output=True, text=True, timeout=20
    )
    return {line.split(": ")[1].partition("@")[0] for line in listed.stdout.splitlines()}


def assert_true_status(laptop: Laptop, pids: dict[str, int]) -> None:
    """What status says is what is: both guests run in the same processes, enrolled, policy in force."""
    status = wait_for(lambda: _settled(laptop), "a settled status", 90)
    assert {part.name: part.state for part in status.partitions} == {
        "corporate": "running",
        "personal": "running",
    }
    assert status.policy.sequence > 0
    for name, pid in pids.items():
        assert laptop.guest(name).pid() == pid
        assert Path(f"/proc/{pid}").exists()


def _settled(laptop: Laptop):  # type: ignore[no-untyped-def]
    ended = laptop.twinhull("status", "--json")
    if ended.returncode != 0:
        return None
    status = laptop.status()
    return status if status.enrolment.connected and status.vpn.state == "up" else None


@pytest.mark.parametrize("program", SERVICES)
def test_killed_service_comes_back_and_the_guests_go_on(both_running: Laptop, program: str) -> None:
    pids = qemu_pids(both_running)
    killed = kill_hard(program)
    wait_for(lambda: any(pid != killed for pid in pids_of(program)), f"{program} to be back", 60)
    assert_true_status(both_running, pids)
    page = both_running.guest("corporate").run("/usr/bin/curl", "-sf", "--max-time", "30", INTRANET)
    assert page.status == 0, page.output


def test_killed_libvirtd_comes_back_and_the_guests_go_on(both_running: Laptop) -> None:
    pids = qemu_pids(both_running)
    killed = kill_hard("libvirtd")
    if not wait_for(lambda: not Path(f"/proc/{killed}").exists(), "libvirtd to be gone"):
        raise AssertionError
    both_running.must("status")
    both_running.restart_libvirtd()
    assert_true_status(both_running, pids)
    both_running.must("partition", "suspend", "personal")
    assert both_running.state("personal") == "paused"
    both_running.must("partition", "resume", "personal")
    assert both_running.state("personal") == "running"


def test_killed_tunnel_fails_closed_and_is_rebuilt(both_running: Laptop) -> None:
    """wireguard-go dies: the corporate guest is cut off, then the tunnel is back without a restart of it."""
    pids = qemu_pids(both_running)
    kind = both_running.status().vpn.kind
    if kind != "wireguard-go":
        pytest.skip("the kernel's WireGuard has no process to kill")
    victims = [
        pid for pid in pids_of("wireguard-go") if b"th-wg0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    wait_for(
        lambda: (
            both_running.guest("corporate").run("/usr/bin/curl", "-sf", "--max-time", "5", INTRANET).status
            == 0
        ),
        "the intranet to be reachable again",
        90,
    )
    assert_true_status(both_running, pids)


def test_a_guest_that_shuts_itself_down_is_shown_as_off(both_running: Laptop) -> None:
    both_running.guest("personal").agent("guest-sync", id=4711)
    # Not run(), which asks how the program ended: the agent may be gone by then.
    both_running.guest("personal").agent("guest-exec", path="/usr/bin/systemctl", arg=["poweroff"])
    wait_for(lambda: both_running.state("personal") in ("stopped", "locked"), "the partition to be off", 120)
    wait_for(lambda: links_in("th-personal") <= {"lo"}, "the personal network to be empty")
    both_running.ensure_running("personal")


def test_a_guest_paused_by_libvirt_survives_a_restart_of_the_core_and_goes_on(both_running: Laptop) -> None:
    """libvirt pauses a guest whose disk is full. That is no half-started machine and must never be ended."""
    pid = both_running.guest("personal").pid()
    virsh = ["virsh", "-c", "qemu:///system"]
    subprocess.run([*virsh, "suspend", "twinhull-personal"], check=True, capture_output=True, timeout=60)
    wait_for(lambda: both_running.state("personal") == "paused", "the pause to be seen")
    both_running.services("restart", "twinhulld")
    wait_for(lambda: both_running.state("personal") == "paused", "the pause to be seen again")
    assert both_running.guest("personal").pid() == pid
    both_running.start("personal")
    assert both_running.state("personal") == "running"
    assert both_running.guest("personal").pid() == pid
    subprocess.run([*virsh, "suspend", "twinhull-personal"], check=True, capture_output=True, timeout=60)
    both_running.start("personal")
    assert both_running.guest("personal").pid() == pid
    both_running.guest("personal").wait_until_up()
