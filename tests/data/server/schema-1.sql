-- The schema of version 0.1.0 as its databases have it, and one row of everything. Never change it.
CREATE TABLE settings (
    "key" VARCHAR NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
);
CREATE TABLE images (
    target VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    partition VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    length INTEGER NOT NULL,
    added_at FLOAT NOT NULL,
    PRIMARY KEY (target)
);
CREATE TABLE policies (
    sha256 VARCHAR NOT NULL,
    document TEXT NOT NULL,
    envelope BLOB NOT NULL,
    published_at FLOAT NOT NULL,
    PRIMARY KEY (sha256)
);
CREATE TABLE audit (
    number INTEGER NOT NULL,
    at FLOAT NOT NULL,
    actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE groups (
    name VARCHAR NOT NULL,
    policy_sha256 VARCHAR,
    corporate_target VARCHAR,
    personal_target VARCHAR,
    created_at FLOAT NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(policy_sha256) REFERENCES policies (sha256),
    FOREIGN KEY(corporate_target) REFERENCES images (target),
    FOREIGN KEY(personal_target) REFERENCES images (target)
);
CREATE TABLE devices (
    device_id VARCHAR NOT NULL,
    "group" VARCHAR NOT NULL,
    enrol_epoch INTEGER NOT NULL,
    key_sha256 VARCHAR NOT NULL,
    wireguard_public_key VARCHAR NOT NULL,
    address VARCHAR,
    enrolled_at FLOAT NOT NULL,
    last_seen FLOAT NOT NULL,
    revoked_at FLOAT,
    PRIMARY KEY (device_id),
    FOREIGN KEY("group") REFERENCES groups (name),
    UNIQUE (address)
);
CREATE INDEX ix_devices_group ON devices ("group");
CREATE TABLE tokens (
    number INTEGER NOT NULL,
    hash VARCHAR NOT NULL,
    "group" VARCHAR NOT NULL,
    created_at FLOAT NOT NULL,
    expires_at FLOAT NOT NULL,
    used_at FLOAT,
    used_key VARCHAR,
    device_id VARCHAR,
    revoked_at FLOAT,
    PRIMARY KEY (number),
    UNIQUE (hash),
    FOREIGN KEY("group") REFERENCES groups (name),
    FOREIGN KEY(device_id) REFERENCES devices (device_id)
);
CREATE TABLE certificates (
    fingerprint VARCHAR NOT NULL,
    device_id VARCHAR NOT NULL,
    pem TEXT NOT NULL,
    issued_at FLOAT NOT NULL,
    not_after FLOAT NOT NULL,
    PRIMARY KEY (fingerprint),
    FOREIGN KEY(device_id) REFERENCES devices (device_id)
);
CREATE INDEX ix_certificates_device_id ON certificates (device_id);
CREATE TABLE statements (
    device_id VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    envelope BLOB NOT NULL,
    desired_sha256 VARCHAR NOT NULL,
    issued_at FLOAT NOT NULL,
    expires_at FLOAT NOT NULL,
    PRIMARY KEY (device_id, seq),
    FOREIGN KEY(device_id) REFERENCES devices (device_id)
);
CREATE TABLE reports (
    number INTEGER NOT NULL,
    device_id VARCHAR NOT NULL,
    at FLOAT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (number),
    FOREIGN KEY(device_id) REFERENCES devices (device_id)
);
CREATE INDEX ix_reports_device_id ON reports (device_id);
INSERT INTO settings VALUES ('tenant', 'example'), ('url', 'https://localhost:8443'), ('tunnel_subnet', '10.77.1.0/24');
INSERT INTO images VALUES ('images/corporate-0000000000000000.qcow2', 'corporate', 'corporate', '00', 5, 1700000000.0);
INSERT INTO policies VALUES ('aa', '{}', x'7b7d', 1700000000.0);
INSERT INTO groups VALUES ('default', 'aa', 'images/corporate-0000000000000000.qcow2', NULL, 1700000000.0);
INSERT INTO devices VALUES ('d-1', 'default', 1, 'k1', 'w1', '10.77.1.2/32', 1700000001.0, 1700000009.0, NULL);
INSERT INTO devices VALUES ('d-2', 'default', 1, 'k2', 'w2', NULL, 1700000002.0, 1700000003.0, 1700000004.5);
INSERT INTO tokens VALUES (1, 'h1', 'default', 1700000000.0, 1700086400.0, 1700000001.0, 'k1', 'd-1', NULL);
INSERT INTO certificates VALUES ('f1', 'd-1', 'pem', 1700000001.0, 1700604801.0);
INSERT INTO statements VALUES ('d-1', 1, 's1', x'7b7d', 'want1', 1700000001.0, 1700604801.0);
INSERT INTO statements VALUES ('d-1', 2, 's2', x'7b7d', 'want2', 1700000005.0, 1700604805.0);
INSERT INTO statements VALUES ('d-2', 1, 's3', x'7b7d', 'want1', 1700000002.0, 1700604802.0);
INSERT INTO reports VALUES (1, 'd-1', 1700000008.0, '{"seq":2,"policy":"aa","applied_at":1700000007}');
INSERT INTO audit VALUES (1, 1700000000.123456, 'admin', 'init', 'tenant example');
INSERT INTO audit VALUES (2, 1700000001.5, 'd-1', 'enrol', 'token 1, group default, key k1');
PRAGMA user_version = 1;
