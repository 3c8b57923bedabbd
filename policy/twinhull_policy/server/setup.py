"""``twinhull-server init``: everything a new server needs, made once."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import time
from dataclasses import dataclass
from pathlib import Path

from twinhull_policy.names import is_name
from twinhull_policy.server import migrations
from twinhull_policy.server import storage as s
from twinhull_policy.server.errors import AlreadyInitialised, BadName, BadSetting, NotInitialised
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import make_authorities
from twinhull_policy.server.repository import create_repository
from twinhull_policy.server.store import audit, groups, settings

DEFAULT_GROUP = "default"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Settings:
    """What ``init`` fixes. ``host`` and ``port`` are where laptops reach the server."""

    tenant: str
    host: str
    port: int
    tunnel_subnet: str

    def check(self) -> None:
        """Raise BadName or BadSetting."""
        if not is_name(self.tenant):
            raise BadName(name=self.tenant)
        if _HOST.fullmatch(self.host) is None:
            raise BadSetting(option="--host", value=self.host)
        if not 1 <= self.port <= 65535:
            raise BadSetting(option="--port", value=self.port)
        try:
            subnet = ipaddress.ip_network(self.tunnel_subnet)
        except ValueError as error:
            raise BadSetting(option="--tunnel-subnet", value=self.tunnel_subnet) from error
        if not 4 <= subnet.num_addresses <= 1 << 24:
            raise BadSetting(option="--tunnel-subnet", value=self.tunnel_subnet)


def is_initialised(layout: Layout) -> bool:
    """Whether ``init`` has finished here; one cut short starts over."""
    try:
        s.open_storage(layout.database).close()
    except NotInitialised:
        return False
    return True


def initialise(layout: Layout, server: Settings, owner: str = "") -> None:
    """Make a server in ``layout.directory``.

    The database's version comes last, so an interrupted run leaves no half server behind. With ``owner``
    (needs root) everything the serving process uses is given to that user; ``offline/`` and ``authority/``
    are not.

    Raises AlreadyInitialised, BadName, BadSetting.
    """
    server.check()
    if is_initialised(layout):
        raise AlreadyInitialised(directory=layout.directory)
    for path in (layout.directory, layout.offline, layout.authority, layout.online):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (layout.metadata, layout.targets / "images"):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    for leftover in [*layout.metadata.iterdir(), *layout.directory.glob("server.sqlite*")]:
        leftover.unlink()
    with layout.repository_lock():
        make_authorities(layout, server.host, server.tenant)
        create_repository(layout)
    storage = s.Storage(layout.database)
    try:
        with storage.write() as tx:
            migrations.create(tx)
            settings.add(
                tx,
                {
                    "tenant": server.tenant,
                    "url": _url(server.host, server.port),
                    "tunnel_subnet": server.tunnel_subnet,
                },
            )
            groups.add(tx, DEFAULT_GROUP, time.time())
            audit.append(tx, "admin", "init", f"tenant {server.tenant}")
        layout.database.chmod(0o600)
        if owner:
            _give(layout, owner)
        # This makes it an initialised server, so everything else has to be right by now.
        with storage.write() as tx:
            s.set_schema_version(tx, migrations.VERSION)
    finally:
        storage.close()


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _give(layout: Layout, owner: str) -> None:
    try:
        user = pwd.getpwnam(owner)
    except KeyError as error:
        raise BadSetting(option="--owner", value=owner) from error
    given: list[Path] = [layout.directory, *layout.directory.glob("server.sqlite*")]
    for top in (layout.online, layout.directory / "repository"):
        given += [top, *top.rglob("*")]
    for path in given:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
