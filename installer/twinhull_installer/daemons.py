"""The system's own daemons that Twinhull needs: the system bus, polkitd, virtlogd, libvirtd.

Whatever runs already is left as it is. With systemd the missing ones are started through it; without, under
our own launcher from the descriptions in ``daemons/``, and only those are stopped by ``--down``.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import paths, process, services
from twinhull_installer.context import Context
from twinhull_installer.errors import ServiceFailed
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress, wait_until

BUS_SOCKET = Path("/run/dbus/system_bus_socket")
START_SECONDS = 30.0
KVM = Path("/dev/kvm")
PROBES = Path("/var/lib/libvirt/qemu")
"""Where libvirtd keeps the monitor of a QEMU that it asks for its abilities."""


@dataclass(frozen=True)
class Daemon:
    """One of them.

    Attributes:
        name: its description in ``daemons/``.
        program: what runs.
        unit: Debian's systemd unit for it.
        answers: whether it does its work, given a runner.
    """

    name: str
    program: str
    unit: str
    answers: Callable[[Runner], bool]


def launcher(installer: Path | None = None) -> services.Launcher:
    """The launcher of system daemons, from the installed descriptions or the source tree's."""
    return services.Launcher(
        units=(installer or paths.PROGRAM) / "daemons", run=paths.DAEMON_RUN, logs=paths.SERVICE_LOGS
    )


def connects(path: Path) -> bool:
    """Whether somebody listens on a stream socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def on_bus(runner: Runner, name: str) -> bool:
    """Whether a name has an owner on the system bus."""
    call = ["dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]
    asked = runner.run(
        [*call, "org.freedesktop.DBus.NameHasOwner", f"string:{name}"], check=False, secret=True
    )
    return asked.status == 0 and "boolean true" in asked.output


DAEMONS = (
    Daemon("dbus", "/usr/bin/dbus-daemon", "dbus.service", lambda _: connects(BUS_SOCKET)),
    Daemon(
        "polkitd",
        "/usr/lib/polkit-1/polkitd",
        "polkit.service",
        lambda runner: on_bus(runner, "org.freedesktop.PolicyKit1"),
    ),
    Daemon(
        "virtlogd",
        "/usr/sbin/virtlogd",
        "virtlogd.service",
        lambda _: connects(Path("/run/libvirt/virtlogd-sock")),
    ),
    Daemon(
        "libvirtd",
        "/usr/sbin/libvirtd",
        "libvirtd.service",
        lambda runner: (
            runner.run(["virsh", "-c", "qemu:///system", "uri"], check=False, secret=True).status == 0
        ),
    ),
)


def all_answer(runner: Runner) -> bool:
    """Whether every one of them does its work."""
    return all(daemon.answers(runner) for daemon in DAEMONS)


def start_missing(context: Context, progress: Progress) -> None:
    """Start those that do not answer; one that runs but does not answer yet is waited for, never restarted.

    Raises:
        ServiceFailed: one does not come up.
    """
    for daemon in DAEMONS:
        progress.detail(daemon.name)
        if daemon.answers(context.runner):
            continue
        if services.systemd_runs():
            context.runner.run(["systemctl", "start", daemon.unit])
        elif process.find(daemon.program) is None or daemon.name == "dbus":
            _start(context, daemon)
        if not wait_until(lambda daemon=daemon: daemon.answers(context.runner), START_SECONDS):  # type: ignore[misc]
            raise ServiceFailed(name=daemon.name)


def stop(context: Context, name: str) -> None:
    """Stop one that we started."""
    launcher(context.installer).stop(name)
    if name == "libvirtd":
        end_orphaned_probes()


def end_orphaned_probes() -> None:
    """End the QEMUs that a killed libvirtd had started to ask them what they can do, and forgot.

    They wait on a monitor of their own for ever: ``-S -machine none -qmp unix:PROBES/qmp-XXXXXX/...``.
    """
    for identity, words in process.with_arguments():
        monitors = [word for word in words if word.startswith(f"unix:{PROBES}/qmp-")]
        if monitors and any(word.startswith("none,accel=") for word in words):
            process.stop(identity, 2.0)
            shutil.rmtree(
                Path(monitors[0].removeprefix("unix:").partition(",")[0]).parent, ignore_errors=True
            )


def _start(context: Context, daemon: Daemon) -> None:
    if daemon.name == "dbus":
        BUS_SOCKET.parent.mkdir(mode=0o755, exist_ok=True)
        context.runner.run(["dbus-uuidgen", "--ensure"])
    if daemon.name == "libvirtd" and KVM.exists():
        # What udev does at boot (50-udev-default.rules); without systemd there may be no udev.
        shutil.chown(KVM, group="kvm")
        KVM.chmod(0o660)
    for directory in (paths.DAEMON_RUN, paths.SERVICE_LOGS):
        context.journal.directory(directory)
    context.journal.add("daemon", daemon.name)
    launcher(context.installer).start(daemon.name)
