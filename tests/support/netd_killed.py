"""netd that is killed before a chosen transition of one of its verbs.

A transition is what changes the kernel or a file: a program that is run, a netlink request that is no
question, a file that is opened for writing, gets another name or goes. Those of other threads, which watch
and keep meanwhile, are counted along, so the number of one may differ by a few from run to run.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.netd_lab import NetdLab

DOOMED = """
import os, signal, sys
from pathlib import Path
from pyroute2.iproute.linux import RTNL_API

STEPS = {{"subprocess.Popen", "fcntl.ioctl", "os.rename", "os.remove", "os.mkdir", "open"}}
QUESTIONS = {{"get", "dump", "show"}}
left, begun = {number}, False

def step(what):
    global left, begun
    if not begun:
        return
    if left == 0:
        begun = False
        Path({told!r}).write_text(what)
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

def audited(event, arguments):
    if event not in STEPS or not begun:
        return
    if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        return
    what = arguments[1] if event == "subprocess.Popen" else arguments[:1]
    if what != (os.devnull,):
        step(event + " " + " ".join(map(str, what)))

def counted(kind, ask):
    def request(self, command, *rest, **more):
        if command not in QUESTIONS:
            step("netlink " + kind + " " + command)
        return ask(self, command, *rest, **more)
    return request

def flushing(kind, flush):
    def request(self, *arguments, **more):
        step("netlink " + kind)
        return flush(self, *arguments, **more)
    return request

for kind in ("link", "addr", "route", "rule", "neigh"):
    setattr(RTNL_API, kind, counted(kind, getattr(RTNL_API, kind)))
for kind in ("flush_addr", "flush_rules", "flush_routes"):
    setattr(RTNL_API, kind, flushing(kind, getattr(RTNL_API, kind)))

def verbs(self, handlers=netd.Netd.handlers):
    found = handlers(self)
    work = found[{verb!r}]
    def doomed(*arguments):
        global begun
        begun = True
        try:
            return work(*arguments)
        finally:
            begun = False
    return {{**found, {verb!r}: doomed}}

netd.Netd.handlers = verbs
sys.addaudithook(audited)
"""


def doom(net: NetdLab, verb: str, number: int) -> Path:
    """Replace the lab's netd by one that dies before a verb's ``number``-th transition, counted from 0.

    Returns:
        Where it says, just before it dies, what it was about to do.
    """
    told = net.directory / "killed-before"
    told.unlink(missing_ok=True)
    net.netd.kill()
    net.socket.unlink(missing_ok=True)
    net.start_netd(DOOMED.format(number=number, verb=verb, told=str(told)))
    return told


def revive(net: NetdLab) -> None:
    """A netd as ever in the place of the one that died, or should have."""
    net.netd.kill()
    net.socket.unlink(missing_ok=True)
    net.start_netd()
