"""At shutdown the partitions end before their network does, by systemd's own order (R25)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon.partitions import SHUTDOWN_SECONDS
from twinhull_policy.names import Partition

UNITS = Path(__file__).parents[2] / "installer/systemd"
PARTITIONS = "twinhull-partitions.service"
NEEDED_TO_THE_END = (
    "twinhulld.service",
    "twinhull-netd.service",
    "twinhull-devd.service",
    "libvirtd.service",
    "dbus.service",
    "polkit.service",
    "network.target",
)


def values(unit: str, key: str) -> list[str]:
    """All values of a directive, each line's words apart."""
    lines = re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return [word for line in lines for word in line.split()]


def lines(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


@pytest.mark.parametrize("needed", NEEDED_TO_THE_END)
def test_the_partitions_end_before_what_they_stand_on(needed: str) -> None:
    """systemd.unit(5), Before=, After=: two units are stopped in the reverse of their starting order."""
    assert needed in values(PARTITIONS, "After")


def test_both_guests_are_shut_down_and_have_the_time_for_it() -> None:
    stops = lines(PARTITIONS, "ExecStop")
    assert stops == [
        f"-/opt/twinhull/venv/bin/twinhull partition stop {partition.value}" for partition in Partition
    ]
    (seconds,) = values(PARTITIONS, "TimeoutStopSec")
    assert int(seconds.removesuffix("s")) > len(stops) * SHUTDOWN_SECONDS
    assert (values(PARTITIONS, "Type"), values(PARTITIONS, "RemainAfterExit")) == (["oneshot"], ["yes"])


def test_core_brings_it_and_no_restart_takes_it_along() -> None:
    assert PARTITIONS in values("twinhulld.service", "Wants")
    for key in ("PartOf", "Requires", "BindsTo", "Requisite", "Upholds"):
        assert values(PARTITIONS, key) == []
        for other in UNITS.iterdir():
            assert PARTITIONS not in values(other.name, key)


def test_nothing_is_run_when_the_network_helper_stops() -> None:
    """It has nothing to open: the namespaces stay as they are until the kernel ends them."""
    for key in ("ExecStop", "ExecStopPost", "ExecReload", "ExecCondition"):
        assert lines("twinhull-netd.service", key) == []
    assert values("twinhull-netd.service", "KillMode") == ["process"]


def test_nothing_waits_for_the_partitions() -> None:
    """A cycle is broken by systemd wherever it likes (systemd.unit(5)), and with it the order."""
    for unit in UNITS.iterdir():
        assert PARTITIONS not in values(unit.name, "After")
    assert values(PARTITIONS, "Before") == []


def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    units = []
    for unit in sorted(UNITS.iterdir()):
        text = re.sub(r"/opt/twinhull/venv/bin/\S+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
        units.append(tmp_path / unit.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True,
        text=True,
        timeout=120,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )
    ours = [line for line in done.stderr.splitlines() if "twinhull" in line]
    assert (done.returncode, ours) == (0, [])
