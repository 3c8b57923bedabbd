"""The laptop's part of the quickstart: enrolment, images, partitions, the pushed change, the desktop.

Everything here is done as the owner through ``twinhull``, exactly as a person would.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from pathlib import Path

from twinhull_installer import corporate, paths, services, system
from twinhull_installer.context import Context
from twinhull_installer.corporate import PARTITIONS, Record
from twinhull_installer.errors import CommandFailed, WaitedTooLong
from twinhull_installer.journal import write_whole
from twinhull_installer.run import LONG
from twinhull_installer.steps import Progress, elapsed, wait_until

IMAGE_SECONDS = 600
GUEST_SECONDS = 600
"""Longest boot of a guest under emulation on a loaded machine."""
CORE_SECONDS = 180
"""Longest the core takes to answer; on an emulated machine the question alone can take half a minute."""
PUSH_SECONDS = 60
PICTURE_SECONDS = {"small": 60, "desktop": 600}
"""Longest the picture waits for frames and for the screens to rest, by the images' size."""
SETTLE_SECONDS = {"small": 0, "desktop": 10}
"""How long the screens must not have changed before the picture; a console's cursor never rests."""


def twinhull(context: Context, *arguments: str | Path, stdin: str = "", secret: bool = False) -> str:
    """Run one ``twinhull`` command as the owner; returns what it prints."""
    command: list[str | Path] = [context.program("twinhull"), *arguments]
    return context.runner.run(command, timeout=LONG, stdin=stdin, secret=secret, user=context.owner).output


def status(context: Context) -> Record | None:
    """``twinhull status --json``; None while the daemon cannot be asked."""
    if not system.user_exists(context.owner) or not context.program("twinhull").exists():
        return None
    command: list[str | Path] = [context.program("twinhull"), "status", "--json"]
    asked = context.runner.run(command, check=False, secret=True, user=context.owner, timeout=CORE_SECONDS)
    if asked.status != 0:
        context.runner.note(f"twinhull status: {asked.errors.strip()}")
        return None
    answer: Record = json.loads(asked.output)
    return answer


def services_run(context: Context) -> bool:
    """Whether Twinhull's services run, with the program that is installed now, and the core answers."""
    return all(services.runs_current(name) for name in system.SERVICES) and status(context) is not None


def start_services(context: Context, progress: Progress) -> None:
    """Start Twinhull's services; those that run an older program are restarted.

    Raises:
        WaitedTooLong: the core does not answer on the bus.
    """
    corporate.install_probe_kernel(context)
    for name in system.SERVICES:
        progress.detail(name)
        services.start_current(context.runner, name)
    progress.detail("waiting for the core")
    if not wait_until(lambda: status(context) is not None, CORE_SECONDS):
        raise WaitedTooLong(
            seconds=CORE_SECONDS, what="the core to answer on the system bus", detail="", log=paths.LOG
        )


def enrolled(context: Context) -> bool:
    """Whether this laptop is enrolled and has a policy in force."""
    now = status(context)
    return now is not None and bool(now["enrolment"]["enrolled"]) and int(now["policy"]["sequence"]) > 0


def enrol(context: Context, progress: Progress) -> None:
    """Mint a one-time token on the server and enrol with it, as ``twinhull enroll`` does without a person.

    The token goes from one program's output to the other's input: neither arguments nor the log show it.
    """
    progress.detail("minting a token")
    token = corporate.server(context, "token", "new", secret=True).strip()
    progress.detail("certificate, root of trust, first policy")
    twinhull(context, "enroll", corporate.URL, "--token-file", "-", stdin=token + "\n", secret=True)
    if not wait_until(lambda: enrolled(context), PUSH_SECONDS):
        reason = (status(context) or {"policy": {"last_refusal": ""}})["policy"]["last_refusal"]
        detail = f": {reason}" if reason else ""
        raise WaitedTooLong(seconds=PUSH_SECONDS, what="the first policy", detail=detail, log=paths.LOG)


def peers(context: Context) -> list[tuple[str, str]]:
    """The tunnels' public keys and addresses of the laptops the server knows."""
    sections = corporate.server(context, "device", "wireguard-peers").split("[Peer]")[1:]
    found = []
    for section in sections:
        values = dict(line.split(" = ", 1) for line in section.splitlines() if " = " in line)
        found.append((values["PublicKey"].strip(), values["AllowedIPs"].strip()))
    return found


def gateway_knows(context: Context) -> bool:
    """Whether the company's gateway admits every laptop the server has enrolled."""
    state = corporate.network_state(context)
    if state is None or not corporate.server_runs(context):
        return False
    known = {(key, address) for key, address in (line.split() for line in state["peers"])}
    wanted = set(peers(context))
    return bool(wanted) and wanted <= known


def tell_gateway(context: Context, progress: Progress) -> None:
    """Admit the laptop at the company's WireGuard gateway."""
    for key, address in peers(context):
        progress.detail(address)
        corporate.network(context, "peer", key, address)


def images_here(context: Context) -> bool:
    """Whether both golden images are verified and here."""
    now = status(context)
    if now is None:
        return False
    ready = {image["partition"] for image in now["images"] if image["ready"]}
    made = {part["name"] for part in now["partitions"] if part["state"] != "absent"}
    return set(PARTITIONS) <= ready | made


def wait_for_images(context: Context, progress: Progress) -> None:
    """Wait until the fetcher has brought both images and the core has verified them."""

    def here() -> bool:
        now = status(context) or {"images": []}
        received = sum(image["received_bytes"] for image in now["images"])
        total = sum(image["size_bytes"] for image in now["images"])
        if total:
            progress.detail(f"{received * 100 // total} % of {total / 1e6:.0f} MB")
        return images_here(context)

    if not wait_until(here, IMAGE_SECONDS, pause=1.0):
        raise WaitedTooLong(seconds=IMAGE_SECONDS, what="the golden images", detail="", log=paths.LOG)


def passphrase(partition: str) -> str:
    """A partition's passphrase, made at first use and kept where only root reads it."""
    path = paths.PASSPHRASES / partition
    if not path.exists():
        paths.PASSPHRASES.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, secrets.token_urlsafe(18) + "\n", 0o600)
    return path.read_text("ascii")


def states(context: Context) -> dict[str, str]:
    """The partitions and the state each is in."""
    now = status(context)
    return {} if now is None else {part["name"]: part["state"] for part in now["partitions"]}


def ask_agent(context: Context, partition: str, request: str, **arguments: object) -> object:
    """Ask a guest's agent; returns its answer (QEMU Guest Agent Protocol), None while it gives none."""
    asked = json.dumps({"execute": request, **({"arguments": arguments} if arguments else {})})
    command = ["virsh", "-c", "qemu:///system", "qemu-agent-command", f"twinhull-{partition}", asked]
    said = context.runner.run([*command, "--timeout", "5"], check=False, secret=True)
    return json.loads(said.output)["return"] if said.status == 0 else None


def guest_answers(context: Context, partition: str) -> bool:
    """Whether a guest has booted as far as its agent."""
    return ask_agent(context, partition, "guest-ping") is not None


def browser_runs(context: Context, partition: str) -> bool:
    """Whether a guest's desktop is up as far as its browser; only desktop images have one."""
    pgrep = {"path": "/usr/bin/pgrep", "arg": ["-f", "netsurf"]}
    begun = ask_agent(context, partition, "guest-exec", **pgrep)
    if not isinstance(begun, dict):
        return False
    ended: Record = {}

    def over() -> bool:
        answer = ask_agent(context, partition, "guest-exec-status", pid=begun["pid"])
        ended.update(answer if isinstance(answer, dict) else {})
        return bool(ended.get("exited"))

    return wait_until(over, 30, pause=0.5) and ended.get("exitcode") == 0


def partitions_run(context: Context) -> bool:
    """Whether both partitions run and their guests answer."""
    now = states(context)
    return all(now.get(name) == "running" for name in PARTITIONS) and all(
        guest_answers(context, name) for name in PARTITIONS
    )


def start_partitions(context: Context, progress: Progress) -> None:
    """Create both partitions' encrypted disks, start them, and wait until their guests are up."""
    for name in PARTITIONS:
        secret = passphrase(name)
        if states(context).get(name, "absent") == "absent":
            progress.detail(f"creating {name}")
            try:
                twinhull(context, "partition", "create", name, "--passphrase-file", "-", stdin=secret)
            except CommandFailed:
                # The core goes on with what an interrupted run asked for; then it exists by now.
                if states(context).get(name, "absent") == "absent":
                    raise
        if states(context).get(name) != "running":
            progress.detail(f"starting {name}")
            twinhull(context, "partition", "start", name, "--passphrase-file", "-", stdin=secret)
    began = time.monotonic()
    for name in PARTITIONS:
        progress.detail(f"waiting for {name} to boot")
        if not wait_until(lambda name=name: guest_answers(context, name), GUEST_SECONDS, pause=2.0):  # type: ignore[misc]
            raise WaitedTooLong(seconds=GUEST_SECONDS, what=f"{name} to boot", detail="", log=paths.LOG)
    progress.result(f"both guests up {elapsed(time.monotonic() - began)} after their start")


def change_applied(context: Context) -> bool:
    """Whether the changed policy was published and is in force."""
    return context.fact("changed").exists() and enrolled(context)


def push_change(context: Context, progress: Progress) -> None:
    """Publish a policy with a longer lease and wait until the laptop reports it in force."""
    policy = corporate.change_policy(json.loads((paths.STATE / "policy.json").read_text("utf-8")))
    path = paths.STATE / "policy-changed.json"
    write_whole(path, json.dumps(policy, indent=2) + "\n", 0o600)
    began = time.monotonic()
    corporate.server(context, "policy", "publish", path)

    def applied() -> bool:
        now = status(context)
        document = now["policy"]["document"] if now is not None else ""
        return bool(document) and json.loads(document)["lease"] == policy["lease"]

    if not wait_until(applied, PUSH_SECONDS, pause=0.1):
        raise WaitedTooLong(seconds=PUSH_SECONDS, what="the changed policy", detail="", log=paths.LOG)
    progress.result(f"in force {time.monotonic() - began:.1f} s after it was published")
    context.fact("changed").touch(mode=0o600)


def screenshot_path(context: Context) -> Path:
    """Where the headless run leaves its picture of the desktop app."""
    return paths.STATE / "twinhull.png"


def picture_done(context: Context) -> bool:
    """Whether the picture of this run's partitions was taken."""
    return not context.options.headless or screenshot_path(context).exists()


def take_picture(context: Context, progress: Progress) -> None:
    """Let the desktop app write a picture of itself with both live screens, off screen, as the owner."""
    size = context.size
    if size == "desktop":
        progress.detail("waiting for the desktops")
        up = wait_until(
            lambda: all(browser_runs(context, name) for name in PARTITIONS), GUEST_SECONDS, pause=2.0
        )
        if not up:
            raise WaitedTooLong(seconds=GUEST_SECONDS, what="the desktops", detail="", log=paths.LOG)
    progress.detail("both live screens")
    directory = Path("/run/twinhull-quickstart/picture")
    context.journal.directory(directory.parent)
    directory.mkdir(exist_ok=True)
    os.chown(directory, *_ids(context.owner))
    taken = directory / "twinhull.png"
    wait = PICTURE_SECONDS[size]
    command: list[str | Path] = [context.program("twinhull"), "gui", "--screenshot", taken]
    command += ["--wait", str(wait), "--settle", str(SETTLE_SECONDS[size])]
    command += ["--drawn"] if size == "desktop" else []
    variables = {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(directory), "HOME": str(directory)}
    context.runner.run(command, timeout=wait + 60, user=context.owner, environment=variables)
    whole = screenshot_path(context).with_suffix(".new")
    shutil.copyfile(taken, whole)
    whole.chmod(0o644)
    whole.rename(screenshot_path(context))
    progress.result(str(screenshot_path(context)))


def open_desktop(context: Context) -> bool:
    """Open the desktop app on the owner's screen; False where there is none."""
    shown = {
        key: os.environ[key] for key in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY") if key in os.environ
    }
    if context.options.headless or not shown:
        return False
    runtime = f"/run/user/{_ids(context.owner)[0]}"
    variables = {**shown, **({"XDG_RUNTIME_DIR": runtime} if Path(runtime).is_dir() else {})}
    context.runner.start([context.program("twinhull"), "gui"], user=context.owner, environment=variables)
    return True


def stop_partitions(context: Context) -> None:
    """Stop both partitions, by force where they do not shut down: ``--down`` removes their disks anyway."""
    for name, state in states(context).items():
        if state not in ("absent", "locked", "stopped"):
            command: list[str | Path] = [context.program("twinhull"), "partition", "stop", "--force", name]
            context.runner.run(command, check=False, timeout=120, user=context.owner)
        if state not in ("absent", "locked"):
            # A volume on dm-crypt stays open and mounted until it is locked, whoever ends.
            lock: list[str | Path] = [context.program("twinhull"), "disk", "lock", name]
            context.runner.run(lock, check=False, timeout=120, user=context.owner)
    for name in PARTITIONS:
        domain = f"twinhull-{name}"
        for verb in (["destroy", domain], ["undefine", domain, "--nvram"]):
            # There is no virsh before the first step has ended.
            with contextlib.suppress(CommandFailed):
                context.runner.run(["virsh", "-c", "qemu:///system", *verb], check=False)


def _ids(user: str) -> tuple[int, int]:
    account = system.account(user)
    return account.pw_uid, account.pw_gid
