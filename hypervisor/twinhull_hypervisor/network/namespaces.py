"""Named network namespaces: make them, tell one from another, do something inside one.

A function runs inside a namespace on a thread made for it: setns(2) with CLONE_NEWNET changes the calling
thread alone, and that thread is never used for anything else again.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..run import run
from .errors import NetworkChangeFailed

DIRECTORY = Path("/run/netns")
"""Where ip-netns(8) keeps them."""
CLONE_NEWNET = 0x4000_0000
SO_NETNS_COOKIE = 71  # asm-generic/socket.h, Linux 5.14; the socket module does not name it
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Random, made anew at each start of the kernel (random(4))."""
COMMAND_SECONDS = 20.0
FALLBACK_TUNNELS = Path("/proc/sys/net/core/fb_tunnels_only_for_init_net")
"""Only the first network namespace has this file (Documentation/admin-guide/sysctl/net.rst)."""

T = TypeVar("T")
logger = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


def path(namespace: str) -> Path:
    """The file of a namespace; of this process's own for the empty name."""
    return DIRECTORY / namespace if namespace else Path("/proc/self/ns/net")


def exists(namespace: str) -> bool:
    """Whether it is there; a leftover file that is no namespace does not count."""
    if not namespace:
        return True
    try:
        # nsfs files report their kind in readlink of /proc/self/fd only; their device differs from the tmpfs.
        return path(namespace).stat().st_dev != DIRECTORY.stat().st_dev
    except FileNotFoundError:
        return False


def create(namespace: str) -> None:
    """Make it unless it is there."""
    refuse_fallback_tunnels()
    if exists(namespace):
        return
    path(namespace).unlink(missing_ok=True)
    run(["ip", "netns", "add", namespace], timeout=COMMAND_SECONDS)


def refuse_fallback_tunnels() -> None:
    """Have the kernel put no tunnel into namespaces by itself.

    It else gives each namespace, new or there already when the module comes, a ``sit0``, ``tunl0``,
    ``gre0`` and so on: ways out that nobody asked for, and whose arrival would cut the guest off.
    """
    try:
        if FALLBACK_TUNNELS.read_text().strip() == "0":
            FALLBACK_TUNNELS.write_text("1")  # "only in the first namespace"
    except FileNotFoundError:
        return  # what a container is in
    except OSError as error:
        # Whatever then comes into the namespace keeps the guest's link down, as anything else there would.
        logger.warning("%s could not be set: %s", FALLBACK_TUNNELS, error.strerror)


def identity(namespace: str) -> str:
    """A word for this very namespace, which no other ever has, be it of the same name or of another boot.

    The kernel gives no cookie twice, where inode numbers come again.
    """

    def cookie() -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inhabitant:
            (number,) = struct.unpack("=Q", inhabitant.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))
            return int(number)

    return f"{BOOT_ID.read_text().strip()}/{inside(namespace, cookie)}"


def enter(namespace: str) -> None:
    """Move the calling thread into a namespace for good. Raises NetworkChangeFailed when it is not there."""
    try:
        fd = os.open(path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError) as error:
        # While "ip netns add" has not mounted it yet, its name is a file that nobody may read.
        raise NetworkChangeFailed(reason=f"there is no network namespace {namespace}") from error
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise NetworkChangeFailed(reason=os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def inside(namespace: str, function: Callable[[], T]) -> T:
    """Run a function in a namespace and give back its result or raise its exception."""
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            if namespace:
                enter(namespace)
            results.append(function())
        except BaseException as error:  # handed to the caller whole, whatever it is
            failures.append(error)

    thread = threading.Thread(target=work, name=f"in {namespace or 'own namespace'}")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def command(namespace: str) -> list[str]:
    """Words to put before a command line so that it runs in the namespace."""
    return ["nsenter", f"--net={path(namespace)}", "--"] if namespace else []


def sysctl(namespace: str, settings: dict[str, int]) -> None:
    """Write settings below ``/proc/sys/net`` of a namespace, e.g. ``{"ipv4/ip_forward": 1}``."""

    def write() -> None:
        for name, value in settings.items():
            # /proc/sys/net shows the namespace of the thread that opens it.
            (Path("/proc/sys/net") / name).write_text(f"{value}\n")

    try:
        inside(namespace, write)
    except OSError as error:
        raise NetworkChangeFailed(reason=f"{error.filename}: {error.strerror}") from error


def read_sysctl(namespace: str, name: str, *, missing: int | None = None) -> int:
    """Read one setting below ``/proc/sys/net``; ``missing`` is what one that is not there counts as."""

    def read() -> int:
        try:
            return int((Path("/proc/sys/net") / name).read_text())
        except FileNotFoundError:
            if missing is None:
                raise
            return missing

    return inside(namespace, read)
