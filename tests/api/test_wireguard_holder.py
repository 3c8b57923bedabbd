"""Whose the tunnel is, read from /proc while its holder opens and closes files as at every ``wg show``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from twinhull_hypervisor.network.plan import TUNNEL
from twinhull_hypervisor.network.wireguard import PROGRAM, daemons

LOOKS = 300
HOLDER = """
import ctypes, fcntl, os, struct, sys
ctypes.CDLL(None, use_errno=True).unshare(0x40000000)  # CLONE_NEWNET
restless = os.open("/dev/null", os.O_RDONLY)
tun = os.open("/dev/net/tun", os.O_RDWR)
# TUNSETIFF with IFF_TUN and IFF_NO_PI (linux/if_tun.h)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", sys.argv[1].encode(), 0x1001))
print("up", flush=True)
while True:
    os.close(restless)
    restless = os.open("/dev/null", os.O_RDONLY)
"""


@pytest.fixture
def holder() -> Iterator[int]:
    """The pid of a process that is called as wireguard-go is, and has a tun of the tunnel's name open."""
    argv = [PROGRAM, "-c", HOLDER, TUNNEL]
    with subprocess.Popen(argv, executable="/usr/bin/python3", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process.pid
        process.kill()


def test_it_is_found_at_every_look(holder: int) -> None:
    missed = sum(holder not in daemons() for _ in range(LOOKS))
    assert missed == 0
    assert holder in daemons()
