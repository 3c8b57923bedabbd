"""Power: cut at any moment, switched off, asleep."""

from __future__ import annotations

from .machine import Disks, Machine
from .test_installed import status


def test_power_cut_with_both_partitions_running(own_machine: Machine, disks: Disks) -> None:
    """After a cut it boots again, the volumes are whole, and the quickstart goes on to both partitions."""
    own_machine.ssh("sync")
    own_machine.cut_power()
    own_machine.start(Disks(disks.base, disks.payload))
    own_machine.wait_for_ssh()
    said = own_machine.ssh(
        "/usr/src/twinhull/installer/quickstart", "--small", "--headless", "--yes", timeout=1200
    )
    assert "failed" not in said
    now = status(own_machine)
    assert {p["name"]: p["state"] for p in now["partitions"]} == {
        "corporate": "running",
        "personal": "running",
    }
    assert now["vpn"]["confined"]
