"""A private machine for network tests: its own network, mount and process namespaces.

Whatever runs in it (netd, wireguard-go, dnsmasq, the demonstration company) sees a host of its own, with its
own ``/run``; the real one is not touched, and when the lab's first process ends the kernel ends the rest.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar, cast

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
CLONE_NEWNET = 0x4000_0000
ETH_P_ALL = 3
NETD_CAPABILITIES = "-all,+net_admin,+sys_admin"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": ":".join(str(ROOT / part) for part in ("policy", "hypervisor", "installer")),
}

# The first process of the lab: makes /run private, then collects orphans as an init does.
INIT = """
import os, signal, subprocess
subprocess.run(["mount", "-t", "tmpfs", "lab", "/run"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
os.write(1, b"ready\\n")
while True:
    signal.sigwait({signal.SIGCHLD})
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """The first line a process prints, or a failure."""
    output = cast(IO[bytes], process.stdout)
    if not select.select([output], [], [], SECONDS)[0]:
        raise AssertionError("the process printed nothing")
    return output.readline().decode().strip()


def only_child(pid: int) -> int:
    """The one child of a process."""
    (child,) = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    return int(child)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask until it is so; fail after SECONDS."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.05)


class Running:
    """A program in the lab: the wrapper we started and the process itself."""

    def __init__(self, wrapper: subprocess.Popen[bytes]) -> None:
        self._wrapper = wrapper
        self.first_line = first_line(wrapper)
        self.pid = only_child(wrapper.pid)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._wrapper.poll() is None

    def kill(self) -> None:
        """kill -9 and wait."""
        if self._wrapper.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """Stop it as SIGSTOP does; nsenter, which waits for it, stops itself along with it."""
        os.kill(self.pid, signal.SIGSTOP)
        stat = Path("/proc") / str(self._wrapper.pid) / "stat"
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the wrapper stopped, too")

    def resume(self) -> None:
        """Let it go on; nsenter continues it once it goes on itself."""
        os.kill(self._wrapper.pid, signal.SIGCONT)

    def wait(self) -> None:
        """Wait until it has ended."""
        self._wrapper.wait(SECONDS)
        cast(IO[bytes], self._wrapper.stdout).close()


class Lab:
    """The private machine."""

    def __init__(self) -> None:
        argv = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        self._init = Running(
            subprocess.Popen([*argv, "/usr/bin/python3", "-c", INIT], stdout=subprocess.PIPE, env=ENVIRONMENT)
        )
        self.running: list[Running] = []

    def close(self) -> None:
        """End it and everything in it."""
        for program in reversed(self.running):
            program.kill()
        self._init.kill()

    def argv(self, words: Sequence[str], namespace: str = "") -> list[str]:
        """A command line that runs in the lab, in one of its named network namespaces if given."""
        enter = ["nsenter", "-t", str(self._init.pid), "--net", "--mount", "--pid", "--"]
        return [*enter, *(["ip", "netns", "exec", namespace] if namespace else []), *words]

    def run(self, *words: str, namespace: str = "", check: bool = True, input: str = "") -> str:
        """Run a program in the lab and return what it printed."""
        done = subprocess.run(
            self.argv(words, namespace),
            capture_output=True,
            text=True,
            input=input,
            timeout=SECONDS,
            env=ENVIRONMENT,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *words: str, namespace: str = "") -> Running:
        """Leave a program running; returns once it has printed a line."""
        wrapper = subprocess.Popen(self.argv(words, namespace), stdout=subprocess.PIPE, env=ENVIRONMENT)
        program = Running(wrapper)
        self.running.append(program)
        return program

    def python(self, code: str, *arguments: str, namespace: str = "", check: bool = True) -> str:
        """Run a few lines of Python in the lab."""
        return self.run(sys.executable, "-c", code, *arguments, namespace=namespace, check=check)

    def inside(self, namespace: str, function: Callable[[], T]) -> T:
        """Run a function of this process on a thread in one of the lab's network namespaces."""
        place = Path("/proc") / str(self._init.pid)
        path = place / "root/run/netns" / namespace if namespace else place / "ns/net"
        results: list[T] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with path.open("rb") as file:
                    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(function())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return results[0]

    def demo(self, *words: str) -> str:
        """The demonstration company's command line."""
        return self.run("/usr/bin/python3", str(ROOT / "installer/corporate_side"), *words).strip()

    def links(self, namespace: str = "") -> dict[str, bool]:
        """Interfaces of a namespace and whether each is up; none if there is no such namespace."""
        if namespace and namespace not in self.run("ip", "netns", "list"):
            return {}
        found = json.loads(self.run("ip", "-j", "link", "show", namespace=namespace))
        return {link["ifname"]: "UP" in link["flags"] for link in found}


@dataclass(frozen=True)
class Packet:
    """What the tests look at of a captured frame."""

    ethertype: int
    protocol: int = 0
    source: str = ""
    target: str = ""
    source_port: int = 0
    target_port: int = 0
    payload: bytes = b""

    @classmethod
    def parse(cls, frame: bytes) -> Packet:
        """Ethernet, IP, and the ports of TCP and UDP."""
        (ethertype,) = struct.unpack_from("!H", frame, 12)
        if ethertype == 0x86DD:
            source, target = (socket.inet_ntop(socket.AF_INET6, frame[at : at + 16]) for at in (22, 38))
            if frame[20] not in (6, 17):
                return cls(ethertype, frame[20], source, target, payload=frame[54:])
            near, far = struct.unpack_from("!HH", frame, 54)
            return cls(ethertype, frame[20], source, target, near, far, frame[62:])
        if ethertype != 0x0800:
            return cls(ethertype)
        ip = frame[14:]
        header = (ip[0] & 15) * 4
        source, target = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        if ip[9] not in (6, 17):
            return cls(ethertype, ip[9], source, target, payload=ip[header:])
        near, far = struct.unpack_from("!HH", ip, header)
        return cls(ethertype, ip[9], source, target, near, far, ip[header + 8 :])


class Capture:
    """Every frame that left by one interface since it began; shown to work before it is believed."""

    def __init__(self, lab: Lab, namespace: str, interface: str) -> None:
        self._lab = lab
        self._namespace = namespace

        def open_socket() -> socket.socket:
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            sniffer.bind((interface, ETH_P_ALL))
            sniffer.settimeout(SECONDS)
            return sniffer

        self._socket = lab.inside(namespace, open_socket)

    def close(self) -> None:
        """Stop."""
        self._socket.close()

    def until_planted(self, target: str) -> list[Packet]:
        """Send an unprotected packet on purpose; all that left before the capture caught it."""
        token = os.urandom(24)

        def plant() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(token, (target, 9))

        self._lab.inside(self._namespace, plant)
        packets: list[Packet] = []
        while True:
            try:
                frame, (_, _, kind, *_) = self._socket.recvfrom(65536)
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    continue  # the interface was down for a while; said once
                raise
            if kind != socket.PACKET_OUTGOING:
                continue
            packet = Packet.parse(frame)
            if packet.payload == token:
                return packets
            packets.append(packet)


@contextmanager
def capture(lab: Lab, namespace: str, interface: str, target: str = "198.51.100.1") -> Iterator[Capture]:
    """A capture that has caught a packet, planted towards a target, before anything else is captured."""
    running = Capture(lab, namespace, interface)
    try:
        running.until_planted(target)
        yield running
    finally:
        running.close()
