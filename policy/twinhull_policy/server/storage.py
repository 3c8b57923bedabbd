"""The server's database: its tables, and the two ways to open a transaction.

SQLAlchemy Core, and only here, in ``migrations`` and in ``store``: everybody else calls the typed
functions of ``store`` with a transaction (:data:`Tx`), so that PostgreSQL can serve the same calls later.
SQLite runs in WAL mode with synchronous=FULL: what the server has acknowledged survives a power cut.
"""

from __future__ import annotations

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
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from twinhull_policy.server.errors import NotInitialised, StorageTooNew

BUSY_SECONDS = 30
POOL = 8
"""Connections kept open; worker threads of the serving process share them."""
WRITE = "twinhull_write"

DatabaseError = DBAPIError
"""What the database itself fails with: a full disk, a broken file."""

Unavailable = OperationalError
"""The part of it that may pass: a full disk, a lock that is held for too long."""

Tx = Connection
"""An open transaction, as :meth:`Storage.read` and :meth:`Storage.write` hand it out."""

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
    Column("published_by", String, nullable=False, server_default=""),
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

# Of ``seq``, ``health`` and ``problem`` the truth is in statements and reports; here they are for lists
# and counts.
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
    Column("label", String, nullable=False, server_default=""),
    Column("ring", Integer, nullable=False, server_default="0"),
    Column("seq", Integer, nullable=False, server_default="0"),
    Column("applied_seq", Integer, nullable=False, server_default="0"),
    Column("applied_policy", String, nullable=False, server_default=""),
    Column("reported_at", Float),
    Column("health", String, nullable=False, server_default="new"),
    Column("problem", String, nullable=False, server_default=""),
)
Index("ix_devices_key_sha256", devices.c.key_sha256)
Index("ix_devices_last_seen", devices.c.last_seen)
Index("ix_devices_revoked_at", devices.c.revoked_at)
Index("ix_devices_label", func.lower(devices.c.label))
Index("ix_devices_health", devices.c.health, devices.c.device_id)
Index("ix_devices_group_health", devices.c.group, devices.c.health, devices.c.device_id)

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
    Column("created_by", String, nullable=False, server_default=""),
    Column("label", String, nullable=False, server_default=""),
    Column("bound_key", String, nullable=False, server_default=""),
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
    Column("sha256", String, nullable=False, server_default=""),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("password", String, nullable=False),
    Column("totp_secret", LargeBinary, nullable=False),
    Column("totp_used", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String, primary_key=True),
    Column("account", ForeignKey("accounts.name"), nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("address", String, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("group", ForeignKey("groups.name"), nullable=False),
    Column("base_sha256", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("note", String, nullable=False),
    Column("author", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", String, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("group", ForeignKey("groups.name"), nullable=False, index=True),
    Column("policy_sha256", ForeignKey("policies.sha256"), nullable=False),
    Column("base_sha256", String, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("cutoff", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("started_by", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ring_at", Float, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("device_code_sha256", String, primary_key=True),
    Column("user_code", String, nullable=False, unique=True),
    Column("key_sha256", String, nullable=False),
    Column("initiator", String, nullable=False),
    Column("address", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("polled_at", Float, nullable=False),
    Column("interval", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("group", ForeignKey("groups.name")),
    Column("decided_by", String, nullable=False, server_default=""),
)

approvals = Table(
    "approvals",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("action", String, nullable=False),
    Column("devices", Text, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("approved_by", String, nullable=False, server_default=""),
    Column("approved_at", Float),
    Column("used_at", Float),
)

commands = Table(
    "commands",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("device_id", ForeignKey("devices.device_id"), nullable=False, index=True),
    Column("action", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("issued_by", String, nullable=False),
    Column("issued_at", Float, nullable=False),
    Column("not_after", Float, nullable=False),
    Column("approval", ForeignKey("approvals.number")),
    Column("state", String, nullable=False),
    Column("delivered_at", Float),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("withdrawn_at", Float),
    Column("detail", Text, nullable=False, server_default=""),
    Column("receipt", LargeBinary),
)
Index("ix_commands_state", commands.c.state, commands.c.not_after)


class Storage:
    """The database of one server.

    Attributes:
        engine: a small pool of connections; each is used by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.engine: Engine = create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=POOL,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that only reads; it never waits for a writer (WAL)."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A transaction that writes. It takes the write lock at once, so what it reads cannot go stale."""
        with self.engine.connect().execution_options(**{WRITE: True}) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.engine.dispose()


def open_storage(path: Path) -> Storage:
    """Open an initialised server's database and bring it up to ``migrations.VERSION``.

    Raises:
        NotInitialised: there is none.
        StorageTooNew: a newer program wrote it.
    """
    # Here and not above: migrations are written against the tables.
    from twinhull_policy.server.migrations import VERSION, migrate

    if not path.exists():
        raise NotInitialised(directory=path.parent)
    storage = Storage(path)
    try:
        with storage.read() as connection:
            found = schema_version(connection)
        if found == 0:
            raise NotInitialised(directory=path.parent)
        if found > VERSION:
            raise StorageTooNew(found=found, known=VERSION)
        if found < VERSION:
            with storage.write() as connection:
                migrate(connection, schema_version(connection))
    except BaseException:
        storage.close()
        raise
    return storage


def schema_version(connection: Tx) -> int:
    """The version of the schema, 0 for a database that ``init`` has not finished."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def set_schema_version(connection: Tx, version: int) -> None:
    """Note the version of the schema, in the transaction that makes it."""
    connection.exec_driver_sql(f"PRAGMA user_version = {version:d}")


def _prepare(dbapi_connection: Any, _record: object) -> None:
    # The driver's own transaction handling opens them too late for BEGIN IMMEDIATE; _begin does it.
    dbapi_connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
