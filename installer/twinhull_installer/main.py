"""``installer/quickstart``: from a bare Debian to two partitions under a company's policy, and back."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from twinhull_installer import (
    checks,
    corporate,
    daemons,
    down,
    environment,
    laptop,
    packages,
    paths,
    services,
    sizes,
    system,
)
from twinhull_installer.context import Context, Options, choose_owner
from twinhull_installer.errors import BadUsage, InstallerError
from twinhull_installer.journal import Journal, exclusive
from twinhull_installer.run import Runner
from twinhull_installer.steps import Step, elapsed, run_steps

INTRODUCTION = """\
This turns this machine into a Twinhull laptop with a demonstration company beside it:
  - installs Debian packages ({packages} missing) and a private Python environment in /opt/twinhull
  - builds two golden images ({size}) from Debian packages, kept in /var/cache/twinhull
  - makes the users twinhull, twinhull-fetch, twinhull-server, th-corporate, th-personal{owner}
  - starts the system bus, polkitd, virtlogd and libvirtd where missing, and Twinhull's services
  - makes network namespaces for a company, an internet and both partitions; your own network is not touched
  - enrols this machine at a fleet server on it, and creates and boots both partitions for {name}
It takes up to {room:.0f} GB on disk ({free:.0f} GB are free). 'installer/quickstart --down' removes it again,
except for the Debian packages and the image cache ('--down --all' removes that too).{confinement}
Full output: {log}
"""
UNCONFINED = """
This kernel has no mandatory access control driver (AppArmor, SELinux), so a guest that broke out of QEMU
would meet one wall less; you accept that by going on, and the isolation grade will say so."""
NEXT = """\
What to try next{as_owner}:
  1. twinhull doctor                  how well the two are isolated here, and what would make it better
  2. twinhull vpn prove               watch the tunnel's leak canaries run, with their evidence
  3. {third}
"""


def parse(arguments: list[str]) -> Options:
    """The command line.

    Raises:
        BadUsage: it makes no sense.
    """
    parser = argparse.ArgumentParser(
        prog="installer/quickstart", description=(__doc__ or "").partition(":")[2]
    )
    parser.add_argument("--headless", action="store_true", help="no desktop: write a picture of it instead")
    parser.add_argument("--small", action="store_true", help="console-only images: smaller, and boot sooner")
    parser.add_argument("--down", action="store_true", help="stop and remove all that it made")
    parser.add_argument("--all", action="store_true", help="with --down: the image cache too")
    parser.add_argument("--yes", action="store_true", help="do not ask before the first change")
    given = parser.parse_args(arguments)
    if given.all and not given.down:
        raise BadUsage(detail="--all goes with --down")
    return Options(**vars(given))


def install_steps(context: Context) -> list[Step]:
    """The whole installation, in order."""
    needed = packages.listed(context.installer / "packages.txt")
    runner = context.runner
    return [
        Step(
            "Install Debian packages",
            lambda: not packages.missing(runner, needed),
            lambda progress: packages.install(runner, needed, progress),
        ),
        Step(
            "Start the system's daemons",
            lambda: daemons.all_answer(runner),
            lambda progress: daemons.start_missing(context, progress),
        ),
        Step(
            "Make the Python environment",
            lambda: environment.environment_done(context),
            lambda progress: environment.make_environment(context, progress),
        ),
        Step(
            "Install Twinhull",
            lambda: environment.program_done(context),
            lambda progress: environment.install_program(context, progress),
        ),
        Step(
            "Make accounts and settings",
            lambda: system.system_done(context),
            lambda progress: system.make_system(context, progress),
        ),
        Step(
            "Build the golden images",
            lambda: corporate.images(context) is not None,
            lambda progress: corporate.build_images(context, progress),
        ),
        Step(
            "Start the company's network",
            lambda: corporate.network_state(context) is not None,
            lambda progress: corporate.start_network(context, progress),
        ),
        Step(
            "Start the company's fleet server",
            lambda: corporate.server_runs(context),
            lambda progress: corporate.start_server(context, progress),
        ),
        Step(
            "Publish images and policy",
            lambda: corporate.published(context),
            lambda progress: corporate.publish(context, progress),
        ),
        Step(
            "Start Twinhull's services",
            lambda: corporate.probe_kernel_done(context) and laptop.services_run(context),
            lambda progress: laptop.start_services(context, progress),
        ),
        Step(
            "Enrol this laptop",
            lambda: laptop.enrolled(context),
            lambda progress: laptop.enrol(context, progress),
        ),
        Step(
            "Tell the gateway about it",
            lambda: laptop.gateway_knows(context),
            lambda progress: laptop.tell_gateway(context, progress),
        ),
        Step(
            "Receive the golden images",
            lambda: laptop.images_here(context),
            lambda progress: laptop.wait_for_images(context, progress),
        ),
        Step(
            "Create and boot both partitions",
            lambda: laptop.partitions_run(context),
            lambda progress: laptop.start_partitions(context, progress),
        ),
        Step(
            "Push a changed policy",
            lambda: laptop.change_applied(context),
            lambda progress: laptop.push_change(context, progress),
        ),
        Step(
            "Take a picture of the desktop app",
            lambda: laptop.picture_done(context),
            lambda progress: laptop.take_picture(context, progress),
        ),
    ]


def introduce(context: Context) -> None:
    """Say what will be done and what it takes, and on a terminal wait for a yes."""
    needed = packages.listed(context.installer / "packages.txt")
    made_owner = context.owner == paths.OWNER
    text = INTRODUCTION.format(
        packages=len(packages.missing(context.runner, needed)),
        size="console only" if context.options.small else "a light desktop",
        owner=f", {context.owner}" if made_owner else "",
        name=context.owner,
        room=sizes.ROOM_GB[context.size],
        free=shutil.disk_usage("/").free / 1e9,
        confinement="" if system.confined() else UNCONFINED,
        log=paths.LOG,
    )
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if sys.stdin.isatty() and not context.options.yes:
        sys.stdout.write("Go on? [Y/n] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
            raise BadUsage(detail="Nothing was changed")


def install(context: Context) -> None:
    """Run the installation and show what came of it."""
    finished = context.fact("finished").exists()
    if not finished:
        introduce(context)
    # Not recorded in the journal: --down removes it last, after everything the journal names.
    paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_steps(install_steps(context), context.runner, sys.stdout, stop_if_asked)
    context.fact("finished").touch(mode=0o600)
    opened = laptop.open_desktop(context)
    sys.stdout.write("\n" + laptop.twinhull(context, "status") + "\n")
    sys.stdout.write(f"The partitions' passphrases are in {paths.PASSPHRASES}, for root alone.\n")
    prefix = f" (as {context.owner}: su - {context.owner})" if context.owner == paths.OWNER else ""
    third = "twinhull policy show             what the company controls and sees"
    if not opened:
        third = "twinhull gui                     both computers, side by side (needs a graphical session)"
    sys.stdout.write(NEXT.format(as_owner=prefix, third=third))


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a signal that asks as much: all end a run the same way, and its command with it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


_asked: list[int] = []


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Raises Interrupted wherever the program is."""
    _asked.append(number)
    raise Interrupted(number)


def stop_if_asked() -> None:
    """Raises Interrupted if a signal came whose exception got lost, in a destructor say (docs of signal)."""
    if _asked:
        raise Interrupted(_asked[0])


def main(arguments: list[str], repository: Path) -> int:
    """The command; returns its exit status."""
    began = time.monotonic()
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, interrupt)
    try:
        options = parse(arguments)
        size = "small" if options.small else "desktop"
        installed = (paths.STATE / "finished").exists()
        checks.check("installer/quickstart " + " ".join(arguments), size, installed or options.down)
        with exclusive() as held:
            owner = choose_owner(os.environ.get("SUDO_USER", ""))
            context = Context(repository, options, Runner(paths.LOG, (held,)), Journal(), owner)
            context.runner.note(f"quickstart {' '.join(arguments)} on {platform.platform()}")
            if options.down:
                run_steps(down.steps(context), context.runner, sys.stdout, stop_if_asked)
                paths.LOCK.unlink(missing_ok=True)
                sys.stdout.write("Everything it made is gone.\n")
            else:
                install(context)
    except InstallerError as error:
        sys.stdout.flush()
        services.report(error)
        sys.stderr.write(f"Full output: {paths.LOG}\n")
        return 2 if isinstance(error, BadUsage) else 1
    except Interrupted as error:
        sys.stderr.write("\nStopped. Run the same command again to go on from here.\n")
        return 128 + error.number
    sys.stdout.write(f"\nDone in {elapsed(time.monotonic() - began)}.\n")
    return 0
