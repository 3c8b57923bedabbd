"""What the kernel says has changed in a network namespace: a socket to wait on, and never to read from.

The messages are thrown away unread. They only say that it is time to look, and looking is what counts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket

from . import namespaces

# rtnetlink(7), linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR,
# _IPV6_ROUTE, and the groups 19 (IPv6 rules), 24 and 25 (settings: forwarding, rp_filter and the like).
ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18 | 1 << 23 | 1 << 24
NETLINK_NETFILTER = 12
FILTER_GROUPS = 1 << 6
"""NFNLGRP_NFTABLES, linux/netfilter/nfnetlink.h: every change of a rule set."""
IN_DELETE = 0x200
IN_ONLYDIR = 0x0100_0000
IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
BUFFER = 65536
_libc = ctypes.CDLL(None, use_errno=True)


def of_routes() -> socket.socket:
    """Links, addresses, routes, rules and settings of the calling thread's namespace."""
    return _subscribed(socket.NETLINK_ROUTE, ROUTE_GROUPS)


def of_filters() -> socket.socket:
    """Packet filters of the calling thread's namespace; needs CAP_NET_ADMIN there."""
    return _subscribed(NETLINK_NETFILTER, FILTER_GROUPS)


def of_names() -> int:
    """A descriptor that becomes readable when a named namespace is removed (inotify(7))."""
    fd = int(_libc.inotify_init1(IN_NONBLOCK_CLOEXEC))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    if _libc.inotify_add_watch(fd, os.fsencode(namespaces.DIRECTORY), IN_DELETE | IN_ONLYDIR) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, "inotify_add_watch")
    return fd


def discard(fd: int) -> None:
    """Throw away everything that waits there."""
    while True:
        try:
            if not os.read(fd, BUFFER):
                return
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # some were lost, but they are not read anyway
                raise


def _subscribed(protocol: int, groups: int) -> socket.socket:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    events.bind((0, groups))
    return events
