"""Programs that start at once: a process that has read their modules already makes a copy of itself for each.

What a test would wait for most, where it runs a command line dozens of times, is Python reading modules.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

LONGEST = 1 << 20
"""Bytes of a request: arguments, environment and directory."""
CLIENT = """\
#!{python} -IS
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
line.connect({place!r})
asked = {{"argv": [*{words!r}, *sys.argv[1:]], "environment": dict(os.environ), "directory": os.getcwd()}}
socket.send_fds(line, [json.dumps(asked).encode()], [0, 1, 2])
sys.exit(int(line.recv(16)))
"""


@contextmanager
def preloaded(place: Path, module: str, path: str) -> Iterator[None]:
    """Serve a module's ``main`` at a socket, to the programs that :func:`program` makes.

    Args:
        place: of the socket.
        module: which has ``main``, a program's entry without arguments.
        path: PYTHONPATH.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(place))
        listening.listen(16)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, __file__, module, str(listening.fileno())],
            {**os.environ, "PYTHONPATH": path},
            file_actions=[(os.POSIX_SPAWN_DUP2, listening.fileno(), listening.fileno())],
        )
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def program(path: Path, place: Path, words: list[str]) -> None:
    """A program that runs what is served at ``place``, with ``words`` before its own arguments."""
    path.write_text(CLIENT.format(python=sys.executable, place=str(place), words=words))
    path.chmod(0o755)


def _serve(module: str, listening: socket.socket) -> None:
    """Run each request in a copy of this process, until a signal ends it."""
    main = import_module(module).main
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        line, _ = listening.accept()
        if os.fork():
            line.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raw, streams, _, _ = socket.recv_fds(line, LONGEST, 3)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        status = _run(main, json.loads(raw))
        sys.stdout.flush()
        sys.stderr.flush()
        line.send(str(status).encode())
        os._exit(0)


def _run(main: object, asked: Mapping[str, object]) -> int:
    """The exit status of ``main`` as a process of its own would have it."""
    argv, environment, directory = asked["argv"], asked["environment"], asked["directory"]
    assert isinstance(argv, list) and isinstance(environment, dict) and callable(main)
    sys.argv = argv
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(directory))
    try:
        main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
