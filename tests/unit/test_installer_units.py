"""The unit files and the launcher's reading of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_installer import confinement, unitfile
from twinhull_installer.errors import BadUnit, InstallerError
from twinhull_installer.supervisor import setpriv_arguments

INSTALLER = Path(__file__).parents[2] / "installer"
UNITS = INSTALLER / "systemd"
EXPOSURE = {
    "twinhulld": 1.0,
    "twinhull-fetch": 1.5,
    "twinhull-server": 1.5,
    "twinhull-netd": 3.0,
    "twinhull-devd": 1.5,
    "twinhull-blockd": 1.0,
    "twinhull-tpmd": 1.5,
    "twinhull-diskd": 3.0,
}
FILES = [UNITS / f"{name}.service" for name in EXPOSURE]
BOOT = INSTALLER / "config/boot/twinhull-usb-early.service"


@pytest.mark.parametrize(("unit", "limit"), [*zip(FILES, EXPOSURE.values(), strict=True), (BOOT, 3.0)])
def test_systemd_scores_each_unit_low_enough(unit: Path, limit: float) -> None:
    """R39: the exposure systemd itself computes, at or under the limits of the design."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    printed = done.stdout
    score = re.search(r"Overall exposure level for .*: ([0-9.]+)", printed)
    assert score is not None
    assert float(score[1]) <= limit


def test_every_unit_is_read_and_has_an_exposure_limit() -> None:
    assert set(unitfile.names(UNITS)) == set(EXPOSURE)


def test_services_start_after_those_they_need() -> None:
    order = unitfile.names(UNITS)
    assert order.index("twinhull-netd") < order.index("twinhulld")
    assert order.index("twinhull-fetch") < order.index("twinhulld")
    assert order.index("twinhull-devd") < order.index("twinhulld")
    assert "twinhull-blockd" in order


def test_core_has_no_capability_and_only_its_groups() -> None:
    core = unitfile.load(UNITS, "twinhulld")
    assert (core.user, core.group, core.supplementary_groups) == ("twinhull", "twinhull", ("libvirt",))
    assert core.bounding == frozenset()
    assert core.no_new_privileges
    assert core.restart == "on-failure"


def test_netd_is_handed_its_socket_and_two_capabilities() -> None:
    netd = unitfile.load(UNITS, "twinhull-netd")
    assert netd.bounding == frozenset({"net_admin", "sys_admin"})
    assert netd.socket == unitfile.Socket(Path("/run/twinhull/netd.sock"), "root", "twinhull", 0o660)
    assert not netd.kill_group


def test_devd_is_root_with_no_capability_at_all() -> None:
    devd = unitfile.load(UNITS, "twinhull-devd")
    assert (devd.user, devd.bounding, devd.ambient) == ("root", frozenset(), frozenset())
    assert devd.socket == unitfile.Socket(Path("/run/twinhull/devd.sock"), "root", "twinhull", 0o660)
    assert devd.no_new_privileges


def test_the_servers_console_is_for_its_own_machine() -> None:
    command = unitfile.load(UNITS, "twinhull-server").command
    assert command[-3:] == ("serve", "--admin-listen", "127.0.0.1:8444")


def test_blockd_has_a_user_of_its_own_and_listens_to_root_alone() -> None:
    blockd = unitfile.load(UNITS, "twinhull-blockd")
    assert (blockd.user, blockd.group, blockd.bounding) == ("twinhull-blockd", "twinhull-blockd", frozenset())
    assert blockd.socket == unitfile.Socket(Path("/run/twinhull/blockd.sock"), "root", "root", 0o600)
    assert (blockd.runtime_directory, blockd.runtime_directory_mode) == ("twinhull-blockd", 0o711)


def test_tpmd_may_open_one_node_by_one_group_and_answers_core() -> None:
    tpmd = unitfile.load(UNITS, "twinhull-tpmd")
    assert (tpmd.user, tpmd.group, tpmd.bounding) == ("twinhull-tpmd", "twinhull-tpmd", frozenset())
    assert (tpmd.supplementary_groups, tpmd.no_new_privileges) == (("tss",), True)
    assert tpmd.socket == unitfile.Socket(Path("/run/twinhull/tpmd.sock"), "root", "twinhull", 0o660)
    text = (UNITS / "twinhull-tpmd.service").read_text()
    assert re.findall("^Device.*", text, re.MULTILINE) == [
        "DeviceAllow=/dev/tpmrm0 rw",
        "DevicePolicy=closed",
    ]
    assert "SupplementaryGroups=libvirt\n" in (UNITS / "twinhulld.service").read_text(), "core has no chip"


def test_diskd_has_one_capability_and_mounts_where_others_see_it() -> None:
    diskd = unitfile.load(UNITS, "twinhull-diskd")
    assert (diskd.user, diskd.bounding, diskd.ambient) == ("root", frozenset({"sys_admin"}), frozenset())
    assert diskd.no_new_privileges
    assert diskd.socket == unitfile.Socket(Path("/run/twinhull/diskd.sock"), "root", "twinhull", 0o660)
    text = (UNITS / "twinhull-diskd.service").read_text()
    apart = (
        "ProtectSystem ProtectHome ProtectProc ProcSubset PrivateTmp PrivateDevices PrivateIPC PrivateMounts "
    )
    apart += (
        "ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ReadWritePaths"
    )
    assert [word for word in apart.split() if re.search(f"^{word}=", text, re.MULTILINE)] == []
    core = (UNITS / "twinhulld.service").read_text()
    assert "ReadWritePaths=-/var/lib/twinhull-diskd\n" in core


@pytest.mark.parametrize("before", ["", "  /srv/images/** r,\n", "# no line break"])
def test_apparmors_local_file_gains_one_line_and_loses_it(tmp_path: Path, before: str) -> None:
    local = tmp_path / "libvirt-qemu"
    confinement.allow(local)
    assert not local.exists() and confinement.allowed(local), "without libvirt's file there is nothing to do"
    local.write_text(before)
    assert not confinement.allowed(local)
    for _ in range(2):
        confinement.allow(local)
    assert local.read_text().count("twinhull") == 2 and local.read_text().startswith(before)
    for _ in range(2):
        confinement.disallow(local)
    assert local.read_text().rstrip("\n") == before.rstrip("\n")


def test_setpriv_gets_what_the_unit_says(tmp_path: Path) -> None:
    (tmp_path / "a.service").write_text(
        "[Service]\nExecStart=/bin/true --x\nUser=root\nGroup=daemon\nSupplementaryGroups=adm mail\n"
        "CapabilityBoundingSet=CAP_NET_ADMIN\nAmbientCapabilities=\nNoNewPrivileges=yes\n"
    )
    assert setpriv_arguments(unitfile.load(tmp_path, "a")) == [
        "/usr/bin/setpriv", "--reuid=root", "--regid=daemon", "--reset-env", "--groups=adm,mail",
        "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all,+net_admin", "--no-new-privs",
        "--", "/bin/true", "--x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("ExecStart=/bin/true\n", "line 1 is not understood"),
        ("[Service]\nnonsense\n", "line 2 is not understood"),
        ("[Service]\nProtectEverything=yes\n", "ProtectEverything, which the launcher does not know"),
        ("[Service]\nExecStart=true\n", "full path"),
        ("[Service]\n", "full path"),
        ("[Service]\nExecStart=/bin/true\nRestart=sometimes\n", "Restart=sometimes"),
        ("[Service]\nExecStart=/bin/true\nRestartSec=soon\n", "not a time span"),
        ("[Service]\nExecStart=/bin/true\nCapabilityBoundingSet=~CAP_SYS_ADMIN\n", "by name"),
        ("[Service]\nExecStart=/bin/true\nEnvironment=novalue\n", "Environment=novalue"),
    ],
)
def test_a_unit_that_is_not_understood_is_refused(tmp_path: Path, text: str, detail: str) -> None:
    (tmp_path / "a.service").write_text(text)
    with pytest.raises(BadUnit, match=re.escape(detail)):
        unitfile.load(tmp_path, "a")


def test_a_missing_unit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUnit):
        unitfile.load(tmp_path, "nothing")


def test_services_that_wait_for_one_another_are_refused(tmp_path: Path) -> None:
    for one, other in (("twinhull-a", "twinhull-b"), ("twinhull-b", "twinhull-a")):
        (tmp_path / f"{one}.service").write_text(
            f"[Unit]\nAfter={other}.service\n[Service]\nExecStart=/bin/true\n"
        )
    with pytest.raises(BadUnit, match="wait for one another"):
        unitfile.names(tmp_path)


def test_lists_add_up_and_an_empty_value_resets_them() -> None:
    text = "[Service]\nSystemCallFilter=a\nSystemCallFilter=b\nUser=x\nUser=y\nAfter=q\nAfter=\nAfter=r\n"
    section = unitfile.parse(text, Path("x"))["Service"]
    assert section == {"SystemCallFilter": ["a", "b"], "User": ["y"], "After": ["", "r"]}


@given(st.text(max_size=400))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        sections = unitfile.parse(text, Path("x"))
    except BadUnit:
        return
    known = unitfile.APPLIED | unitfile.SYSTEMD_ONLY
    assert all(key in known for section in sections.values() for key in section)


def test_every_error_has_its_own_code_and_a_next_step() -> None:
    classes: list[type[InstallerError]] = [InstallerError, *InstallerError.__subclasses__()]
    assert len({kind.code for kind in classes}) == len(classes)
    for kind in classes:
        assert re.fullmatch(r"TH-INS-\d{3}", kind.code)
        assert kind.next_step and (kind.__doc__ or "").strip()
