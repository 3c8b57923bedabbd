"""``quickstart --down``: stop and remove what the journal says we made, newest first, and nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from twinhull_installer import boot, confinement, corporate, daemons, laptop, paths, process, services, system
from twinhull_installer.context import Context
from twinhull_installer.journal import Made, is_ours, remove_path
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress, Step

ORDER = ("network", "link", "file", "tree", "user", "group", "daemon")
"""Files go before the accounts that own them, and the bus and libvirt go last: removing needs them."""
NETD_SOCKET = Path("/run/twinhull/netd.sock")
NAMESPACES = Path("/run/netns")
"""Where ip-netns(8) keeps names."""
RUN_DIRECTORIES = tuple(Path("/run") / name for name in ("twinhull", "twinhull-devd", "twinhull-blockd"))
"""RuntimeDirectory= of the units."""
PARTITIONS_UNIT = "twinhull-partitions.service"
KEPT_ALWAYS = frozenset({str(paths.STATE)})


def steps(context: Context) -> list[Step]:
    """What ``--down`` does; each part may be repeated after an interruption."""

    def never() -> bool:
        return False

    def plain(act: Callable[[], None]) -> Callable[[Progress], None]:
        return lambda _: act()

    def stop_services() -> None:
        ask_netd_down(context)
        boot.switch_off(context.runner, context.journal)
        if services.systemd_runs():
            # Whose end would end the partitions, if they had not ended before; no other command stops it.
            context.runner.run(["systemctl", "stop", PARTITIONS_UNIT], check=False)
        services.stop_all(context.runner, [*system.SERVICES, system.SERVER])
        release_usb(context)
        confinement.disallow()

    return [
        Step("Stop both partitions", never, plain(lambda: laptop.stop_partitions(context))),
        Step("Stop Twinhull's services", never, plain(stop_services)),
        Step("Take down both sides' networks", never, plain(lambda: take_down_networks(context))),
        Step("Remove what the quickstart made", never, lambda progress: remove_all(context, progress)),
    ]


def ask_netd_down(context: Context) -> None:
    """Have the network helper empty both partitions' namespaces, which only it knows all the parts of."""
    for partition in corporate.PARTITIONS:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(60)
            try:
                connection.connect(str(NETD_SOCKET))
                connection.send(json.dumps({"verb": "down", "arguments": {"partition": partition}}).encode())
                context.runner.note(
                    f"netd down {partition}: {connection.recv(65536).decode(errors='replace')}"
                )
            except OSError as error:
                context.runner.note(f"netd down {partition}: {error}")
                return


def release_usb(context: Context) -> None:
    """Let the kernel authorise USB devices as it did before devd ran, and let in what was blocked."""
    devd = context.program("twinhull-devd")
    if devd.exists():
        context.runner.run([devd, "--release"], check=False)


def take_down_networks(context: Context) -> None:
    """Take down the demonstration network, and delete the partitions' namespaces, which netd only empties."""
    delete_namespaces(context.runner)
    if any(made.kind == "network" for made in context.journal.entries()):
        corporate.network(context, "down")
    for made in context.journal.entries():
        if made.kind == "network":
            context.journal.remove(made)


def delete_namespaces(runner: Runner) -> None:
    """Delete the partitions' namespaces, made by netd or its unit; those that are gone already are fine."""
    for partition in corporate.PARTITIONS:
        if (NAMESPACES / f"th-{partition}").exists():
            runner.run(["ip", "netns", "delete", f"th-{partition}"])


def remove_all(context: Context, progress: Progress) -> None:
    """Remove everything in the journal, then the journal."""
    # The daemons' own pid files stay until the daemons are stopped.
    entries = sorted(
        context.journal.entries(),
        key=lambda made: (made.name == str(paths.DAEMON_RUN), ORDER.index(made.kind)),
    )
    if context.options.all and paths.CACHE.exists():
        shutil.rmtree(paths.CACHE)
    for made in entries:
        progress.detail(made.name)
        remove(context, made)
        context.journal.remove(made)
    if services.systemd_runs():
        # Until then it goes by the unit files it has read, and remembers those that failed.
        context.runner.run(["systemctl", "daemon-reload"], check=False)
        context.runner.run(["systemctl", "reset-failed", "twinhull*"], check=False)
    shutil.rmtree(paths.STATE)
    for directory in (paths.SERVICE_RUN, paths.DAEMON_RUN, *RUN_DIRECTORIES):
        # A supervisor that is on its way out may have made it again, after the journal's entry had gone.
        with contextlib.suppress(OSError):
            directory.rmdir()


def remove(context: Context, made: Made) -> None:
    """Remove one thing; one that is gone already is fine."""
    if made.kind == "daemon":
        daemons.stop(context, made.name)
    elif made.kind == "user" and system.user_exists(made.name):
        # An account of ours with a program still running (the desktop app, say) could not be removed.
        for identity in process.of_user(system.account(made.name).pw_uid):
            process.stop(identity, 10.0)
        context.runner.run(["userdel", made.name])
    elif made.kind == "group" and system.group_exists(made.name):
        context.runner.run(["groupdel", made.name])
    elif made.kind in ("file", "link", "tree") and made.name not in KEPT_ALWAYS:
        remove_path_of(made)


def remove_path_of(made: Made) -> None:
    """Remove a path of ours. The image cache stays: it is asked for by ``--all`` alone."""
    path = Path(made.name)
    if is_ours(path) and (path == paths.CACHE or paths.CACHE in path.parents):
        return
    remove_path(path)
