"""``/opt/twinhull/setup ANSWERS``: from the installed package to an enrolled laptop, no question asked.

All that can be known beforehand is asked before anything is changed. Each step may be done again, so the
command is run again after an interruption, or with another token. ``setup --undo`` takes back what it put
outside the package's own directories; the package does so when it is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twinhull_installer import boot, confinement, paths, reach, services, system
from twinhull_installer.errors import (
    BadAnswers,
    BadUsage,
    CannotStartAtBoot,
    InstallerError,
    NoMemory,
    NoRoom,
    NoSuchOwner,
    NotConfined,
    NotRoot,
    WaitedTooLong,
)
from twinhull_installer.journal import Journal, write_whole
from twinhull_installer.run import Runner
from twinhull_installer.steps import Progress, Step, elapsed, run_steps, wait_until

LOG = Path("/var/log/twinhull-setup.log")
VOLUME_SETTINGS = paths.HOST_SETTINGS.with_name("diskd.json")
VOLUMES = Path("/var/lib/twinhull-diskd")
RULE_TEMPLATE = paths.PROGRAM / "config/50-twinhull-owner.rules"
PARTITIONS = ("corporate", "personal")
IMAGES_GB = 4.0
"""To be free besides the volumes: golden images as they arrive, and once more as they are kept."""
CORE_SECONDS = 180.0
"""Longest the core takes to answer after its start."""
ENROL_SECONDS = 3 * 3600.0
"""Two waits for an image, an hour each by the command's own word, and what is done with them."""
_SECTIONS = {"host", "volumes", "at_boot"}
_CHECKS = {"host": "twinhulld", "volumes": "twinhull-diskd"}
"""Which service reads a section's settings, and says whether they are any good."""


class Told(Exception):
    """Another program of ours has said what is wrong, in its own sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def program(name: str) -> Path:
    """One of the installed programs."""
    return paths.VENV / "bin" / name


def read(runner: Runner, path: Path) -> dict[str, Any]:
    """The answers, once the command that enrols has found its part of them to be good.

    Raises:
        Told: that command found something.
        BadAnswers: what is for the laptop itself is missing, or holds what it may not.
    """
    _said(runner, [program("twinhull"), "enroll", "--answers", path.absolute(), "--check"])
    answers: dict[str, Any] = json.loads(path.read_text("utf-8"))
    laptop = answers.get("laptop")
    if not isinstance(laptop, dict):
        raise BadAnswers(reason="it has no 'laptop', which says whose laptop this is")
    unknown = sorted(set(laptop) - _SECTIONS)
    if unknown:
        raise BadAnswers(reason=f"'laptop' has the unknown key {unknown[0]!r}")
    if not isinstance(laptop.get("at_boot", False), bool):
        raise BadAnswers(reason="'at_boot' is neither true nor false")
    for section, service in _CHECKS.items():
        if section in laptop:
            _check_settings(runner, section, service, laptop[section])
    if not laptop.get("host", {}).get("owner"):
        raise BadAnswers(reason="'laptop.host' has no 'owner'")
    return answers


def _check_settings(runner: Runner, section: str, service: str, settings: object) -> None:
    """Have the service that will read these settings say whether it can. Raises Told."""
    with tempfile.NamedTemporaryFile("w", prefix="twinhull-", suffix=".json", encoding="utf-8") as file:
        json.dump(settings, file)
        file.flush()
        try:
            _said(runner, [program(service), "--settings", file.name, "--check"])
        except Told as told:
            shown = told.sentence.replace(file.name, f"laptop.{section} of the answer file")
            raise Told(told.status, shown) from None


def check(answers: dict[str, Any]) -> None:
    """Whether this computer, and the company's server, can do what the answers ask. Changes nothing.

    Raises:
        NoSuchOwner, NotConfined, NoMemory, NoRoom, CannotStartAtBoot, ServerNotReached, NotTheServer.
    """
    laptop = answers["laptop"]
    owner = laptop["host"]["owner"]
    if not system.user_exists(owner) or system.account(owner).pw_uid == 0:
        raise NoSuchOwner(owner=owner)
    if not laptop["host"].get("allow_unconfined", False) and not system.confined():
        raise NotConfined
    wanted = int(laptop["host"].get("personal", {}).get("memory_mib", 0))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    if wanted >= there:
        raise NoMemory(wanted=wanted, there=there)
    needed = IMAGES_GB + volumes_gb(answers)
    free = shutil.disk_usage(VOLUMES if VOLUMES.exists() else VOLUMES.parent).free / 1e9
    if free < needed:
        raise NoRoom(path=VOLUMES.parent, free=f"{free:.1f}", needed=f"{needed:.1f}")
    reason = boot.why_not() if laptop.get("at_boot", False) else ""
    if reason:
        raise CannotStartAtBoot(reason=reason)
    reach.require_server(answers["url"], answers["token"])


def volumes_gb(answers: dict[str, Any], directory: Path = VOLUMES) -> float:
    """What the volumes that are still to be made, as files of a given size, will take."""
    given = answers["laptop"].get("volumes", {})
    sizes = {name: given.get(name, {}) for name in PARTITIONS if answers.get(f"passphrase_{name}")}
    return sum(
        int(volume.get("gib", 0)) * 2**30 / 1e9
        for name, volume in sizes.items()
        if not volume.get("device") and not (directory / f"{name}.luks").exists()
    )


def files(answers: dict[str, Any]) -> dict[Path, str]:
    """The settings and the owner's rule, as they are to be. An owner's phrase that is there is kept."""
    laptop = answers["laptop"]
    host = dict(laptop["host"])
    if "owner_phrase" not in host and paths.HOST_SETTINGS.exists():
        before = json.loads(paths.HOST_SETTINGS.read_text("utf-8"))
        host["owner_phrase"] = str(before.get("owner_phrase", ""))
    rule = system.owner_rule(
        RULE_TEMPLATE.read_text("utf-8"), host["owner"], system.actions(paths.POLKIT_ACTIONS)
    )
    found = {
        paths.HOST_SETTINGS: json.dumps(host, indent=2) + "\n",
        paths.POLKIT_OWNER_RULE: rule,
    }
    if "volumes" in laptop:
        found[VOLUME_SETTINGS] = json.dumps(laptop["volumes"], indent=2) + "\n"
    return found


def probe_kernel(directory: Path = Path("/boot")) -> Path | None:
    """A kernel of this computer that the KVM probe can boot: the one that runs, else the newest."""
    running = directory / f"vmlinuz-{os.uname().release}"
    there = [running] if running.exists() else sorted(directory.glob("vmlinuz-*"), key=_age)
    return there[-1] if there else None


def _age(path: Path) -> float:
    return path.stat().st_mtime


def settle(answers: dict[str, Any], runner: Runner, progress: Progress) -> None:
    """Write settings and rule, and put the probe's kernel where the core looks for it."""
    for path, content in files(answers).items():
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_whole(path, content, 0o644)
    confinement.allow()
    kernel = probe_kernel()
    if kernel is None:
        progress.result("no kernel in /boot, so KVM will not be tried")
    else:
        paths.PROBE_KERNEL.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Not a link: whom the probe's QEMU runs as may read it, and kernels come and go in /boot.
        unfinished = paths.PROBE_KERNEL.with_suffix(".new")
        shutil.copyfile(kernel, unfinished)
        unfinished.chmod(0o644)
        unfinished.rename(paths.PROBE_KERNEL)
    # Settings are read when a service starts; those that do not run are started by the next step.
    names = [f"{name}.service" for name in ("twinhull-netd", "twinhull-diskd", "twinhulld")]
    runner.run(["systemctl", "try-restart", *names])


def settled(answers: dict[str, Any]) -> bool:
    """Whether nothing of :func:`settle` is left to do."""
    written = all(path.exists() and path.read_text("utf-8") == text for path, text in files(answers).items())
    return written and confinement.allowed() and (paths.PROBE_KERNEL.exists() or probe_kernel() is None)


def core_answers(runner: Runner) -> bool:
    """Whether the core can be asked."""
    asked = runner.run([program("twinhull"), "status", "--json"], check=False, secret=True)
    return asked.status == 0


def start_services(runner: Runner, progress: Progress) -> None:
    """Start libvirt and all of Twinhull. Raises WaitedTooLong where the core does not answer then."""
    runner.run(["systemctl", "start", "libvirtd.service", "twinhull.target"], timeout=CORE_SECONDS)
    progress.detail("waiting for the core")
    if not wait_until(lambda: core_answers(runner), CORE_SECONDS):
        raise WaitedTooLong(
            seconds=int(CORE_SECONDS), what="the core to answer on the system bus", detail="", log=LOG
        )


def steps(answers: dict[str, Any], path: Path, runner: Runner) -> list[Step]:
    """What changes something, in order."""

    def enrol(progress: Progress) -> None:
        command: list[str | Path] = [program("twinhull"), "enroll", "--answers", path.absolute()]
        said = _said(runner, command, ENROL_SECONDS).strip().splitlines()
        progress.result(" ".join(said))

    found = [
        Step(
            "Settings and the owner's rights",
            lambda: settled(answers),
            lambda progress: settle(answers, runner, progress),
        ),
        Step(
            "Start Twinhull",
            lambda: services.running("libvirtd") and core_answers(runner),
            lambda progress: start_services(runner, progress),
        ),
        # It knows itself what is done already, and says so at once.
        Step("Enrol, fetch images, make partitions", lambda: False, enrol),
    ]
    if answers["laptop"].get("at_boot", False):
        found.append(
            Step(
                "Start Twinhull with the computer",
                lambda: boot.EARLY_UNIT.exists(),
                lambda _: boot.switch_on(runner, Journal()),
            )
        )
    return found


def undo() -> None:
    """Take back what was put outside the package's own directories; settings stay until it is purged."""
    confinement.disallow()
    for path in (paths.POLKIT_OWNER_RULE, paths.PROBE_KERNEL):
        path.unlink(missing_ok=True)
    if paths.PROBE_KERNEL.parent.is_dir() and not any(paths.PROBE_KERNEL.parent.iterdir()):
        paths.PROBE_KERNEL.parent.rmdir()


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="setup", description=(__doc__ or "").partition(":")[2].strip())
    parser.add_argument("answers", nargs="?", type=Path, metavar="ANSWERS", help="see docs/answers.md")
    parser.add_argument("--undo", action="store_true", help="take back what it put outside the package")
    options = parser.parse_args(arguments)
    os.umask(0o022)
    began = time.monotonic()
    runner = Runner(LOG)
    try:
        if (options.answers is None) != options.undo:
            raise BadUsage(detail="Give the answer file, or --undo")
        if os.geteuid() != 0:
            raise NotRoot(command=f"/opt/twinhull/setup {' '.join(arguments)}")
        if options.undo:
            undo()
            return 0
        answers = read(runner, options.answers)
        check(answers)
        run_steps(steps(answers, options.answers, runner), runner, sys.stdout)
    except InstallerError as error:
        sys.stdout.flush()
        services.report(error, LOG)
        return 2 if isinstance(error, (BadUsage, BadAnswers)) else 1
    except Told as told:
        sys.stdout.flush()
        sys.stderr.write(told.sentence)
        return told.status
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Run the same command again to go on from here.\n")
        return 130
    sys.stdout.write(
        f"\nDone in {elapsed(time.monotonic() - began)}. The answer file holds secrets: delete it.\n"
    )
    return 0


def _said(runner: Runner, command: Sequence[str | Path], timeout: float = 60.0) -> str:
    """What one of our programs prints; raises Told with its own sentence where it fails."""
    done = runner.run(command, check=False, timeout=timeout)
    if done.status != 0:
        raise Told(done.status, done.errors)
    return done.output
