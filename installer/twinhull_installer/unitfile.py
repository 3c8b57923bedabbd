"""Read the systemd unit files, the one description of how each service runs.

With systemd as PID 1 it reads them itself. Without it, :mod:`twinhull_installer.supervisor` starts the same
services from the same files. What it applies is in APPLIED, what it cannot apply (systemd's mount, seccomp
and cgroup sandboxing) in SYSTEMD_ONLY; a directive in neither is an error, so none is dropped unnoticed.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinhull_installer.errors import BadUnit

APPLIED = frozenset(
    [
        "Type",
        "User",
        "Group",
        "SupplementaryGroups",
        "ExecStart",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "NoNewPrivileges",
        "UMask",
        "StateDirectory",
        "StateDirectoryMode",
        "RuntimeDirectory",
        "RuntimeDirectoryMode",
        "Restart",
        "RestartSec",
        "KillMode",
        "TimeoutStopSec",
        "Environment",
        "ListenSequentialPacket",
        "SocketUser",
        "SocketGroup",
        "SocketMode",
        "Service",
    ]
)
SYSTEMD_ONLY = frozenset(
    [
        "Description",
        "Documentation",
        "After",
        "Before",
        "Wants",
        "Requires",
        "PartOf",
        "BindsTo",
        "WantedBy",
        "Also",
        "BusName",
        "RemoveOnStop",
        "DirectoryMode",
        "StartLimitIntervalSec",
        "StartLimitBurst",
        "RuntimeDirectoryPreserve",
        "LogsDirectory",
        "NotifyAccess",
        "ProtectSystem",
        "ProtectHome",
        "ProtectProc",
        "ProcSubset",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateNetwork",
        "PrivateUsers",
        "PrivateIPC",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "SystemCallFilter",
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "IPAddressDeny",
        "IPAddressAllow",
        "DevicePolicy",
        "DeviceAllow",
        "RemoveIPC",
        "KeyringMode",
        "ReadWritePaths",
        "ReadOnlyPaths",
        "InaccessiblePaths",
        "BindPaths",
        "BindReadOnlyPaths",
        "TemporaryFileSystem",
        "LimitCORE",
        "LimitNOFILE",
        "TasksMax",
        "MemoryMax",
        "Slice",
        "OOMScoreAdjust",
        "Delegate",
        "MountFlags",
        "NoExecPaths",
        "ExecPaths",
        "RootDirectory",
        "UnsetEnvironment",
    ]
)
REPEATED = frozenset(
    {
        "SystemCallFilter",
        "Environment",
        "DeviceAllow",
        "SupplementaryGroups",
        "After",
        "Wants",
        "Requires",
    }
)
_TIME = re.compile(r"(\d+)(ms|s|min)?")
RestartMode = Literal["no", "on-failure", "always"]


@dataclass(frozen=True)
class Socket:
    """A listening socket the service is handed as descriptor 3."""

    path: Path
    user: str
    group: str
    mode: int


@dataclass(frozen=True)
class Service:
    """What the launcher applies of one ``.service`` (and ``.socket``) file."""

    name: str
    command: tuple[str, ...]
    user: str = "root"
    group: str = ""
    supplementary_groups: tuple[str, ...] = ()
    bounding: frozenset[str] | None = None
    """Capabilities it may ever hold, lower case without ``cap_``; None when the unit does not limit them."""
    ambient: frozenset[str] = frozenset()
    no_new_privileges: bool = False
    umask: int = 0o022
    state_directory: str = ""
    state_directory_mode: int = 0o755
    runtime_directory: str = ""
    runtime_directory_mode: int = 0o755
    restart: RestartMode = "no"
    restart_seconds: float = 0.1
    stop_seconds: float = 90.0
    kill_group: bool = True
    """KillMode=control-group: stopping ends its children too."""
    environment: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    socket: Socket | None = None


Sections = dict[str, dict[str, list[str]]]


def parse(text: str, path: Path) -> Sections:
    """Split a unit file into sections of directives; an empty value resets a list as in systemd.

    Raises:
        BadUnit: a line is not understood, or a directive is in neither APPLIED nor SYSTEMD_ONLY.
    """
    sections: Sections = {}
    current: dict[str, list[str]] | None = None
    joined = re.sub(r"\\\n\s*", " ", text)
    for number, raw in enumerate(joined.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or current is None:
            raise BadUnit(path=path, detail=f"line {number} is not understood")
        if key not in APPLIED and key not in SYSTEMD_ONLY:
            raise BadUnit(path=path, detail=f"line {number} has {key}, which the launcher does not know")
        values = current.setdefault(key, [])
        if value == "":
            values.clear()
            values.append("")
        elif key in REPEATED:
            values.append(value)
        else:
            values[:] = [value]
    return sections


def load(directory: Path, name: str) -> Service:
    """Read ``name.service``, and ``name.socket`` if there is one.

    Raises:
        BadUnit: the file is missing, or says something the launcher cannot do.
    """
    path = directory / f"{name}.service"
    sections = _read(path)
    service = sections.get("Service", {})
    unit = sections.get("Unit", {})
    command = tuple(shlex.split(_one(service, "ExecStart")))
    if not command or not command[0].startswith("/"):
        raise BadUnit(path=path, detail="ExecStart has to name a program by its full path")
    restart = _one(service, "Restart") or "no"
    if restart not in ("no", "on-failure", "always"):
        raise BadUnit(path=path, detail=f"Restart={restart}")
    user = _one(service, "User") or "root"
    bounding = service.get("CapabilityBoundingSet")
    return Service(
        name=name,
        command=command,
        user=user,
        group=_one(service, "Group"),
        supplementary_groups=tuple(" ".join(service.get("SupplementaryGroups", [])).split()),
        bounding=None if bounding is None else _capabilities(bounding, path),
        ambient=_capabilities(service.get("AmbientCapabilities", []), path),
        no_new_privileges=_one(service, "NoNewPrivileges") in ("yes", "true", "1"),
        umask=int(_one(service, "UMask") or "0022", 8),
        state_directory=_one(service, "StateDirectory"),
        state_directory_mode=int(_one(service, "StateDirectoryMode") or "0755", 8),
        runtime_directory=_one(service, "RuntimeDirectory"),
        runtime_directory_mode=int(_one(service, "RuntimeDirectoryMode") or "0755", 8),
        restart="on-failure" if restart == "on-failure" else "always" if restart == "always" else "no",
        restart_seconds=_seconds(_one(service, "RestartSec") or "100ms", path),
        stop_seconds=_seconds(_one(service, "TimeoutStopSec") or "90s", path),
        kill_group=(_one(service, "KillMode") or "control-group") == "control-group",
        environment=tuple(
            _pair(item, path) for line in service.get("Environment", []) for item in shlex.split(line)
        ),
        after=tuple(
            item.removesuffix(".service")
            for item in " ".join(unit.get("After", [])).split()
            if item.startswith("twinhull") and item.endswith(".service")
        ),
        socket=_socket(directory / f"{name}.socket"),
    )


def names(directory: Path) -> list[str]:
    """The services described in a directory, each after those it has to start after.

    A unit that runs nothing, and only takes its place in systemd's order of stopping, is none.
    """
    paths = sorted(directory.glob("twinhull*.service"))
    found = {path.stem for path in paths if "\nType=oneshot\n" not in path.read_text("utf-8")}
    wanted = {name: [item for item in load(directory, name).after if item in found] for name in sorted(found)}
    ordered: list[str] = []
    while wanted:
        ready = [name for name, needs in wanted.items() if all(need in ordered for need in needs)]
        if not ready:
            raise BadUnit(path=directory, detail="the services wait for one another")
        ordered.append(ready[0])
        del wanted[ready[0]]
    return ordered


def _socket(path: Path) -> Socket | None:
    if not path.exists():
        return None
    section = _read(path).get("Socket", {})
    listen = Path(_one(section, "ListenSequentialPacket"))
    if not listen.is_absolute():
        raise BadUnit(path=path, detail="ListenSequentialPacket has to be a full path")
    return Socket(
        path=listen,
        user=_one(section, "SocketUser") or "root",
        group=_one(section, "SocketGroup") or "root",
        mode=int(_one(section, "SocketMode") or "0666", 8),
    )


def _read(path: Path) -> Sections:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise BadUnit(path=path, detail=error.strerror or "unreadable") from error
    return parse(text, path)


def _one(section: dict[str, list[str]], key: str) -> str:
    values = section.get(key, [""])
    return values[-1]


def _capabilities(values: list[str], path: Path) -> frozenset[str]:
    words = " ".join(values).split()
    if any(not re.fullmatch(r"CAP_[A-Z_]+", word) for word in words):
        raise BadUnit(path=path, detail="capabilities have to be listed by name, without ~")
    return frozenset(word.removeprefix("CAP_").lower() for word in words)


def _seconds(text: str, path: Path) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadUnit(path=path, detail=f"'{text}' is not a time span")
    scale = {"ms": 0.001, "s": 1.0, None: 1.0, "min": 60.0}[match[2]]
    return int(match[1]) * scale


def _pair(item: str, path: Path) -> tuple[str, str]:
    key, equals, value = item.partition("=")
    if not equals:
        raise BadUnit(path=path, detail=f"Environment={item}")
    return key, value
