"""The Debian packages under a real systemd: install, upgrade, refused downgrade, remove and purge.

In this order, in one container: each test goes on from where the one before it stopped.
"""

from __future__ import annotations

import pytest

from .container import Container
from .packages import NEW, OLD, Packages, dpkg, exists, failed, version
from .test_laptop import main_pid

CORE = ("twinhull-netd", "twinhull-devd", "twinhull-fetch", "twinhulld")
"""What an upgrade restarts."""
VOLUME = "/var/lib/twinhull/volumes/personal/overlay.qcow2"
GUEST = """<domain type='qemu'><name>twinhull-test</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""
"""A machine without a disk, which does nothing: like a partition it belongs to libvirt."""
SLICES = {"corporate": ("/twinhull/corporate", "0"), "personal": ("/twinhull_personal", "800")}
"""Where each partition's machine is put, and what libvirt's hook says to the kernel about it."""


def invocation(container: Container, unit: str) -> str:
    return container.output("systemctl", "show", "--property=InvocationID", "--value", unit).strip()


def guest_pid(container: Container) -> str:
    return container.output("pgrep", "-f", "guest=twinhull-test").strip()


def test_an_installation_starts_nothing_and_is_whole(started: Container, packages: Packages) -> None:
    dpkg(started, "-i", packages.old)
    assert version(started) == f"installed {OLD.version}"
    assert dpkg(started, "--verify", "twinhull") == (0, "")
    helpers = ("twinhull-fetch", "twinhull-blockd", "twinhull-tpmd")
    for user in ("twinhull", *helpers, "th-corporate", "th-personal"):
        started.run("id", user)
    for unit in (*CORE, "twinhull-blockd", "twinhull-tpmd", "twinhull-diskd"):
        assert started.run("systemctl", "is-active", f"{unit}.service", check=False).stdout == "inactive\n"
    asked = started.run("twinhull", "status", check=False)
    assert asked.returncode == 3 and "TH-" in asked.stderr
    assert failed(started) == ""


def test_the_services_of_the_package_run(started: Container, packages: Packages) -> None:
    # Sockets start the network helper and the fetcher; that they are up makes them something to restart.
    units = [f"{unit}.service" for unit in ("libvirtd", *CORE)]
    started.run("systemctl", "start", "twinhull.target", *units)
    for unit in CORE:
        assert started.output("systemctl", "is-active", f"{unit}.service") == "active\n"
    assert "absent" in started.output("twinhull", "status", "--json")
    assert failed(started) == ""


@pytest.mark.parametrize("partition", SLICES)
def test_libvirts_hook_says_whom_the_kernel_ends_first(
    started: Container, packages: Packages, partition: str
) -> None:
    place, adjusted = SLICES[partition]
    name = f"twinhull-{partition}"
    resource = f"<resource><partition>{place}</partition></resource>"
    guest = GUEST.replace("twinhull-test", name).replace("<os>", f"{resource}<os>")
    started.run("virsh", "-c", "qemu:///system", "create", "/dev/stdin", input=guest)
    pid = started.output("cat", f"/run/libvirt/qemu/{name}.pid").strip()
    assert started.output("cat", f"/proc/{pid}/oom_score_adj").strip() == adjusted
    started.run("virsh", "-c", "qemu:///system", "destroy", name)
    core = main_pid(started, "twinhulld")
    # Where the container may not lower it, systemd goes on without.
    shown = started.output("systemctl", "show", "--property=OOMScoreAdjust", "twinhulld.service")
    assert shown.strip() == "OOMScoreAdjust=-500"
    assert "/twinhull.slice/" in started.output("cat", f"/proc/{core}/cgroup")


def test_a_machine_of_libvirt_runs_on_over_an_upgrade(started: Container, packages: Packages) -> None:
    started.run("virsh", "-c", "qemu:///system", "create", "/dev/stdin", input=GUEST)
    kept = ("twinhull-partitions.service", "libvirtd.service")
    before = {unit: invocation(started, unit) for unit in kept}
    guest, programs = guest_pid(started), {unit: main_pid(started, unit) for unit in CORE}
    dpkg(started, "-i", packages.new)
    assert version(started) == f"installed {NEW.version}"
    assert guest_pid(started) == guest != ""
    assert {unit: invocation(started, unit) for unit in kept} == before
    for unit in CORE:
        assert main_pid(started, unit) not in ("0", programs[unit]), unit
    assert "absent" in started.output("twinhull", "status", "--json")
    assert failed(started) == ""


def test_a_downgrade_is_refused_and_changes_nothing(started: Container, packages: Packages) -> None:
    programs = {unit: main_pid(started, unit) for unit in CORE}
    status, said = dpkg(started, "-i", packages.old, check=False)
    assert status == 1
    assert f"version {NEW.version} is newer than {OLD.version}, which may not read what it left" in said
    assert version(started) == f"installed {NEW.version}"
    assert {unit: main_pid(started, unit) for unit in CORE} == programs


def test_a_package_is_not_removed_from_under_a_machine(started: Container, packages: Packages) -> None:
    status, said = dpkg(started, "-r", "twinhull", check=False)
    assert status == 1 and "a partition still runs" in said
    assert version(started) == f"installed {NEW.version}"
    for unit in (*CORE, "twinhull-partitions"):
        assert started.output("systemctl", "is-active", f"{unit}.service") == "active\n"


def test_removing_leaves_the_partitions(started: Container, packages: Packages) -> None:
    started.run("virsh", "-c", "qemu:///system", "destroy", "twinhull-test")
    started.run("install", "-D", "-m", "600", "/dev/null", VOLUME)
    dpkg(started, "-r", "twinhull")
    assert exists(started, VOLUME)
    assert not exists(started, "/opt/twinhull/venv")
    assert started.output("systemctl", "list-units", "--no-legend", "--plain", "twinhull*").strip() == ""
    assert started.run("pgrep", "-f", "/opt/twinhull/", check=False).stdout == ""
    assert failed(started) == ""
    status, said = dpkg(started, "-i", packages.old, check=False)
    assert status == 1 and "is newer than" in said


def test_purging_leaves_disks_and_says_what_deletes_them(started: Container, packages: Packages) -> None:
    _, said = dpkg(started, "-P", "twinhull")
    assert exists(started, VOLUME)
    (line,) = [line.strip() for line in said.splitlines() if line.strip().startswith("rm -r ")]
    dpkg(started, "-i", packages.new)
    assert exists(started, VOLUME)
    started.run(*line.split()[:2], "--force", *line.split()[2:])
    dpkg(started, "-P", "twinhull")
    for path in ("/var/lib/twinhull", "/var/lib/twinhull-fetch", "/var/lib/twinhull-netd"):
        assert not exists(started, path), path
    for path in ("/opt/twinhull/venv", "/opt/twinhull/lib", "/opt/twinhull/services"):
        assert not exists(started, path), path


def test_a_fleet_outlives_its_package(started: Container, server: Packages) -> None:
    dpkg(started, "-i", server.old)
    started.run("runuser", "-u", "twinhull-server", "--", "twinhull-server", "init")
    started.run("systemctl", "enable", "--now", "twinhull-server.service")
    before = main_pid(started, "twinhull-server")
    dpkg(started, "-i", server.new)
    assert main_pid(started, "twinhull-server") not in ("0", before)
    assert started.output("systemctl", "is-active", "twinhull-server.service") == "active\n"
    status, said = dpkg(started, "-i", server.old, check=False)
    assert status == 1 and "is newer than" in said
    _, said = dpkg(started, "-P", "twinhull-server")
    assert "rm -r /var/lib/twinhull-server" in said
    assert started.output("find", "/var/lib/twinhull-server", "-type", "f").strip()
    assert started.run("pgrep", "-f", "/opt/twinhull-server/", check=False).stdout == ""
