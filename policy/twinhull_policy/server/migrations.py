"""How an older database becomes today's: numbered steps, forward only, each in the transaction that ends it.

The statements are written out and not derived from the tables, because a step must go on doing what it
did when it was released. tests/unit/test_server_migrations.py walks a database of every released version
to the newest and compares it with one made from nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.chain import link

_ACCOUNTS = """
ALTER TABLE policies ADD COLUMN published_by VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE devices ADD COLUMN label VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE devices ADD COLUMN ring INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE devices ADD COLUMN seq INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE devices ADD COLUMN applied_seq INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE devices ADD COLUMN applied_policy VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE devices ADD COLUMN reported_at FLOAT;
ALTER TABLE devices ADD COLUMN health VARCHAR DEFAULT 'new' NOT NULL;
ALTER TABLE devices ADD COLUMN problem VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE tokens ADD COLUMN created_by VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE tokens ADD COLUMN label VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE tokens ADD COLUMN bound_key VARCHAR DEFAULT '' NOT NULL;
ALTER TABLE audit ADD COLUMN sha256 VARCHAR DEFAULT '' NOT NULL;
CREATE INDEX ix_devices_key_sha256 ON devices (key_sha256);
CREATE INDEX ix_devices_last_seen ON devices (last_seen);
CREATE INDEX ix_devices_revoked_at ON devices (revoked_at);
CREATE INDEX ix_devices_label ON devices (lower(label));
CREATE INDEX ix_devices_health ON devices (health, device_id);
CREATE INDEX ix_devices_group_health ON devices ("group", health, device_id);
CREATE TABLE accounts (
    name VARCHAR NOT NULL, role VARCHAR NOT NULL, password VARCHAR NOT NULL, totp_secret BLOB NOT NULL,
    totp_used INTEGER NOT NULL, created_at FLOAT NOT NULL, disabled_at FLOAT, PRIMARY KEY (name));
CREATE TABLE sessions (
    token_sha256 VARCHAR NOT NULL, account VARCHAR NOT NULL, csrf VARCHAR NOT NULL, created_at FLOAT NOT NULL,
    used_at FLOAT NOT NULL, address VARCHAR NOT NULL, PRIMARY KEY (token_sha256),
    FOREIGN KEY(account) REFERENCES accounts (name));
CREATE INDEX ix_sessions_account ON sessions (account);
CREATE TABLE drafts (
    number INTEGER NOT NULL, "group" VARCHAR NOT NULL, base_sha256 VARCHAR NOT NULL, document TEXT NOT NULL,
    note VARCHAR NOT NULL, author VARCHAR NOT NULL, created_at FLOAT NOT NULL, state VARCHAR NOT NULL,
    PRIMARY KEY (number), FOREIGN KEY("group") REFERENCES groups (name));
CREATE TABLE rollouts (
    number INTEGER NOT NULL, "group" VARCHAR NOT NULL, policy_sha256 VARCHAR NOT NULL,
    base_sha256 VARCHAR NOT NULL, percent INTEGER NOT NULL, cutoff INTEGER NOT NULL, state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL, started_by VARCHAR NOT NULL, started_at FLOAT NOT NULL, ring_at FLOAT NOT NULL,
    PRIMARY KEY (number), FOREIGN KEY("group") REFERENCES groups (name),
    FOREIGN KEY(policy_sha256) REFERENCES policies (sha256));
CREATE INDEX ix_rollouts_group ON rollouts ("group");
CREATE TABLE grants (
    device_code_sha256 VARCHAR NOT NULL, user_code VARCHAR NOT NULL, key_sha256 VARCHAR NOT NULL,
    initiator VARCHAR NOT NULL, address VARCHAR NOT NULL, created_at FLOAT NOT NULL, expires_at FLOAT NOT
    NULL,
    polled_at FLOAT NOT NULL, interval INTEGER NOT NULL, state VARCHAR NOT NULL, "group" VARCHAR,
    decided_by VARCHAR DEFAULT '' NOT NULL, PRIMARY KEY (device_code_sha256), UNIQUE (user_code),
    FOREIGN KEY("group") REFERENCES groups (name));
CREATE TABLE approvals (
    number INTEGER NOT NULL, action VARCHAR NOT NULL, devices TEXT NOT NULL, reason VARCHAR NOT NULL,
    requested_by VARCHAR NOT NULL, requested_at FLOAT NOT NULL, expires_at FLOAT NOT NULL,
    approved_by VARCHAR DEFAULT '' NOT NULL, approved_at FLOAT, used_at FLOAT, PRIMARY KEY (number));
UPDATE devices SET
    ring = abs(random()) % 2147483648,
    seq = coalesce((SELECT max(seq) FROM statements WHERE statements.device_id = devices.device_id), 0),
    health = CASE WHEN revoked_at IS NULL THEN 'new' ELSE 'revoked' END
"""


def _to_2(connection: Connection) -> None:
    """Accounts, drafts, rollouts, device grants; what lists of devices need; the audit log becomes a
    chain."""
    _run(connection, _ACCOUNTS)
    before = ""
    for row in connection.execute(select(s.audit).order_by(s.audit.c.number)).all():
        before = link(before, row.number, row.at, row.actor, row.action, row.detail)
        connection.execute(update(s.audit).where(s.audit.c.number == row.number).values(sha256=before))
    seal(connection)


_COMMANDS = """
CREATE TABLE commands (
    number INTEGER NOT NULL, device_id VARCHAR NOT NULL, action VARCHAR NOT NULL, sha256 VARCHAR NOT NULL,
    envelope BLOB NOT NULL, issued_by VARCHAR NOT NULL, issued_at FLOAT NOT NULL, not_after FLOAT NOT NULL,
    approval INTEGER, state VARCHAR NOT NULL, delivered_at FLOAT, started_at FLOAT, ended_at FLOAT,
    withdrawn_at FLOAT, detail TEXT DEFAULT '' NOT NULL, receipt BLOB, PRIMARY KEY (number),
    FOREIGN KEY(device_id) REFERENCES devices (device_id),
    FOREIGN KEY(approval) REFERENCES approvals (number));
CREATE INDEX ix_commands_device_id ON commands (device_id);
CREATE INDEX ix_commands_state ON commands (state, not_after)
"""


def _to_3(connection: Connection) -> None:
    """Commands to laptops."""
    _run(connection, _COMMANDS)


def seal(connection: Connection) -> None:
    """Have the database itself refuse to change or drop lines of the audit log."""
    for verb in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


STEPS: tuple[Callable[[Connection], None], ...] = (_to_2, _to_3)
"""Step n leads from version n + 1 to n + 2; 0.1.0 had version 1."""

VERSION = 1 + len(STEPS)
"""Today's version of the schema."""


def migrate(connection: Connection, found: int) -> None:
    """Bring a database of version ``found`` up to :data:`VERSION`; all in the caller's writing
    transaction."""
    for step in STEPS[found - 1 :]:
        step(connection)
    s.set_schema_version(connection, VERSION)


def create(connection: Connection) -> None:
    """Make every table of an empty database. Its version stays 0 until :func:`storage.set_schema_version`."""
    s.metadata.create_all(connection)
    seal(connection)


def _run(connection: Connection, script: str) -> None:
    for statement in script.split(";"):
        connection.exec_driver_sql(statement.strip())
