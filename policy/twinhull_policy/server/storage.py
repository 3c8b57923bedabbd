"""The server's database: tables, migrations, and the two ways to open a transaction.

SQLAlchemy Core, so that PostgreSQL can serve the same queries later. SQLite runs in WAL mode with
synchronous=FULL: what the server has acknowledged survives a power cut.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.pool import NullPool

from twinhull_policy.server.errors import NotInitialised, StorageTooNew

VERSION = 1
"""Schema version, kept in SQLite's user_version."""
BUSY_SECONDS = 30
WRITE = "twinhull_write"

metadata = MetaData()

settings = Table(
    "settings", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False)
)

images = Table(
    "images",
    metadata,
    Column("target", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("partition", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("length", Integer, nullable=False),
    Column("added_at", Float, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("document", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("published_at", Float, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("name", String, primary_key=True),
    Column("policy_sha256", ForeignKey("policies.sha256")),
    Column("corporate_target", ForeignKey("images.target")),
    Column("personal_target", ForeignKey("images.target")),
    Column("created_at", Float, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("device_id", String, primary_key=True),
    Column("group", ForeignKey("groups.name"), nullable=False, index=True),
    Column("enrol_epoch", Integer, nullable=False),
    Column("key_sha256", String, nullable=False),
    Column("wireguard_public_key", String, nullable=False),
    Column("address", String, unique=True),
    Column("enrolled_at", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("revoked_at", Float),
)

tokens = Table(
    "tokens",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("group", ForeignKey("groups.name"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
    Column("used_key", String),
    Column("device_id", ForeignKey("devices.device_id")),
    Column("revoked_at", Float),
)

certificates = Table(
    "certificates",
    metadata,
    Column("fingerprint", String, primary_key=True),
    Column("device_id", ForeignKey("devices.device_id"), nullable=False, index=True),
    Column("pem", Text, nullable=False),
    Column("issued_at", Float, nullable=False),
    Column("not_after", Float, nullable=False),
)

statements = Table(
    "statements",
    metadata,
    Column("device_id", ForeignKey("devices.device_id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("desired_sha256", String, nullable=False),
    Column("issued_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("device_id", ForeignKey("devices.device_id"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("detail", Text, nullable=False),
)


class Storage:
    """The database of one server.

    Attributes:
        engine: opens a connection a transaction; SQLite connections are cheap and stay in one thread.
    """

    def __init__(self, path: Path) -> None:
        self.engine: Engine = create_engine(
            f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS}
        )
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; it never waits for a writer (WAL)."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. It takes the write lock at once, so what it reads cannot go stale."""
        with self.engine.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
            yield connection


def open_storage(path: Path) -> Storage:
    """Open an initialised server's database and bring it up to :data:`VERSION`.

    Raises:
        NotInitialised: there is none.
        StorageTooNew: a newer program wrote it.
    """
    if not path.exists():
        raise NotInitialised(directory=path.parent)
    storage = Storage(path)
    with storage.read() as connection:
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if found == 0:
        raise NotInitialised(directory=path.parent)
    if found > VERSION:
        raise StorageTooNew(found=found, known=VERSION)
    return storage


def setting(connection: Connection, key: str) -> str:
    """One of the values fixed by ``init``."""
    return str(connection.execute(select(settings.c.value).where(settings.c.key == key)).scalar_one())


def record(connection: Connection, actor: str, action: str, detail: str) -> None:
    """Append to the audit table, in the transaction that makes the change."""
    connection.execute(insert(audit).values(at=time.time(), actor=actor, action=action, detail=detail))


def _prepare(dbapi_connection: Any, _record: object) -> None:
    # The driver's own transaction handling opens them too late for BEGIN IMMEDIATE; _begin does it.
    dbapi_connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
