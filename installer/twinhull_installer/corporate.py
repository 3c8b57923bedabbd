"""The demonstration corporate side: fleet server, golden images, company network, first policy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from twinhull_installer import daemons, paths, services, sizes, system
from twinhull_installer.context import Context
from twinhull_installer.errors import WaitedTooLong
from twinhull_installer.journal import write_whole
from twinhull_installer.run import LONG
from twinhull_installer.steps import Progress, wait_until

URL = "https://localhost:8443"
SERVER_DIRECTORY = Path("/var/lib/twinhull-server")
ADMIN_SOCKET = SERVER_DIRECTORY / "admin.sock"
PARTITIONS = ("corporate", "personal")
ROUTES = ["10.77.0.0/16"]
DNS = ["10.77.0.1"]
"""Of the company, docs/architecture.md, "The demonstration corporate side"."""
Record = dict[str, Any]


def server(context: Context, *arguments: str | Path, secret: bool = False) -> str:
    """Run one administrator's command of the fleet server; returns what it prints."""
    return context.runner.run(
        [context.program("twinhull-server"), *arguments], timeout=300, secret=secret
    ).output


# Images.


def images(context: Context) -> Record | None:
    """The manifest of the golden images built for this size, with ``directory`` added; None before."""
    try:
        directory = Path(context.fact(f"images-{context.size}").read_text("utf-8").strip())
        manifest: Record = json.loads((directory / "manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    files = [directory / image["file"] for image in manifest["images"]]
    return {**manifest, "directory": directory} if all(file.exists() for file in files) else None


def build_images(context: Context, progress: Progress) -> None:
    """Build both golden images from Debian packages, or find them in the cache."""
    output = paths.CACHE / "images"
    command: list[str | Path] = [context.installer / "images" / "build", context.size, "--output", output]
    printed = context.runner.stream(
        [*command, "--cache", paths.CACHE / "packages"], progress.detail, timeout=LONG
    )
    directory = printed.strip().splitlines()[-1]
    write_whole(context.fact(f"images-{context.size}"), directory + "\n", 0o600)


def probe_kernel_done(context: Context) -> bool:
    """Whether the kernel that shows if KVM works is where the core looks for it."""
    manifest = images(context)
    if manifest is None or not paths.PROBE_KERNEL.exists():
        return False
    source: Path = manifest["directory"] / manifest["probe_kernel"]
    return source.stat().st_size == paths.PROBE_KERNEL.stat().st_size


def install_probe_kernel(context: Context) -> None:
    """Put the kernel of the golden images where the core finds it, for its boot probe of KVM."""
    manifest = images(context)
    if manifest is None:
        return
    context.journal.directory(paths.PROBE_KERNEL.parent)
    temporary = paths.PROBE_KERNEL.with_suffix(".new")
    shutil.copyfile(manifest["directory"] / manifest["probe_kernel"], temporary)
    temporary.chmod(0o644)
    temporary.rename(paths.PROBE_KERNEL)


# Server.


def server_runs(context: Context) -> bool:
    """Whether the fleet server is initialised and up."""
    return (
        (SERVER_DIRECTORY / "server.sqlite").exists()
        and services.runs_current(system.SERVER)
        and daemons.connects(ADMIN_SOCKET)
    )


def start_server(context: Context, progress: Progress) -> None:
    """Initialise the fleet server and start it.

    Raises:
        WaitedTooLong: it does not answer.
    """
    progress.detail("certificates and signing keys")
    server(context, "--dir", SERVER_DIRECTORY, "init", "--owner", "twinhull-server", "--if-needed")
    for directory in (paths.SERVICE_RUN, paths.SERVICE_LOGS):
        context.journal.directory(directory)
    progress.detail("starting")
    services.start_current(context.runner, system.SERVER)
    if not wait_until(lambda: daemons.connects(ADMIN_SOCKET), 60):
        log = paths.SERVICE_LOGS / f"{system.SERVER}.log"
        raise WaitedTooLong(seconds=60, what="the fleet server", detail="", log=log)


# Company network.


def network(context: Context, *arguments: str) -> str:
    """Run one command of the demonstration network; returns what it prints."""
    command: list[str | Path] = ["/usr/bin/python3", "-P", context.installer / "corporate_side", *arguments]
    return context.runner.run(command, timeout=120).output


def network_state(context: Context) -> Record | None:
    """What the demonstration network says of itself; None while it is not up, or not all of it."""
    command: list[str | Path] = ["/usr/bin/python3", "-P", context.installer / "corporate_side", "status"]
    asked = context.runner.run(command, check=False, secret=True)
    if asked.status != 0:
        return None
    state: Record = json.loads(asked.output)
    return state if state["up"] else None


def start_network(context: Context, progress: Progress) -> None:
    """Bring up the gateway, the intranet and the stand-in for the internet in namespaces of their own."""
    progress.detail("gateway, intranet, internet")
    context.journal.add("network", "corporate_side")
    network(context, "up")


# What is published.


def base_policy(context: Context) -> Record:
    """The first policy: the documented example, with this company's gateway and this machine's sizes."""
    example = context.runner.run([context.program("twinhull"), "policy", "example"]).output
    policy: Record = json.loads(example)
    state = network_state(context)
    if state is None:
        raise WaitedTooLong(seconds=0, what="the demonstration network", detail=": it is down")
    return adjust(policy, context.size, state["gateway"], state["public_key"])


def adjust(policy: Record, size: str, endpoint: str, public_key: str) -> Record:
    """The example policy with the demonstration's values in place of the example's."""
    partition = {
        "image": f"corporate-{size}",
        "memory_mib": sizes.MEMORY_MIB[size],
        "vcpus": sizes.VCPUS[size],
        "disk_gib": sizes.DISK_GIB[size],
    }
    gateway = {"name": "first", "endpoint": endpoint, "public_key": public_key}
    vpn = {**policy["vpn"], "gateways": [gateway], "routes": ROUTES, "dns": DNS}
    return {**policy, "partition": partition, "vpn": vpn}


def published(context: Context) -> bool:
    """Whether images and first policy are on the server."""
    return context.fact(f"published-{context.size}").exists() and server_runs(context)


def publish(context: Context, progress: Progress) -> None:
    """Put the golden images on the server as signed targets, and publish the first policy."""
    manifest = images(context)
    if manifest is None:
        raise WaitedTooLong(seconds=0, what="the golden images", detail=": they are gone from the cache")
    for image in manifest["images"]:
        progress.detail(f"image {image['name']}")
        options = ["--name", image["name"], "--partition", image["partition"], "--json"]
        server(context, "image", "add", manifest["directory"] / image["file"], *options)
    progress.detail("policy")
    policy = paths.STATE / "policy.json"
    write_whole(policy, json.dumps(base_policy(context), indent=2) + "\n", 0o600)
    server(context, "policy", "publish", policy)
    context.fact(f"published-{context.size}").touch(mode=0o600)


def change_policy(policy: Record) -> Record:
    """The same policy with one visible change, as an administrator would make one: a longer lease."""
    lease = {**policy["lease"], "offline_hours": int(policy["lease"]["offline_hours"]) + 1}
    return {**policy, "lease": lease}
