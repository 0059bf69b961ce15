//! The tables in SQLite. Every body is one JSON text with its own checksum beside it.

use rusqlite_migration::{M, Migrations};

/// Marks the file as ours: `LKST`.
pub(crate) const APPLICATION_ID: i64 = 0x4c4b_5354;

const STEPS: &[M<'static>] = &[
    M::up(
        "
        CREATE TABLE journal (
            seq  INTEGER PRIMARY KEY,
            body TEXT NOT NULL,
            hash TEXT NOT NULL
        ) STRICT;
        CREATE TABLE head (
            id   INTEGER PRIMARY KEY CHECK (id = 1),
            seq  INTEGER NOT NULL,
            hash TEXT NOT NULL
        ) STRICT;
        CREATE TABLE lease (
            id   INTEGER PRIMARY KEY CHECK (id = 1),
            body TEXT NOT NULL,
            sum  TEXT NOT NULL
        ) STRICT;
        CREATE TABLE run (
            run  TEXT PRIMARY KEY,
            seq  INTEGER NOT NULL UNIQUE,
            body TEXT NOT NULL,
            sum  TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE action (
            seq     INTEGER PRIMARY KEY,
            action  TEXT NOT NULL UNIQUE,
            run     TEXT NOT NULL,
            target  TEXT NOT NULL,
            subject TEXT NOT NULL,
            at      INTEGER NOT NULL,
            settled INTEGER NOT NULL,
            reduced INTEGER NOT NULL,
            body    TEXT NOT NULL,
            sum     TEXT NOT NULL
        ) STRICT;
        CREATE INDEX action_run ON action (run, seq);
        CREATE INDEX action_open ON action (seq) WHERE settled = 0;
        CREATE INDEX action_reduced ON action (target, at) WHERE reduced = 1;
        CREATE TABLE link (
            target     TEXT NOT NULL,
            person     TEXT NOT NULL,
            cardholder TEXT NOT NULL,
            body       TEXT NOT NULL,
            sum        TEXT NOT NULL,
            PRIMARY KEY (target, person),
            UNIQUE (target, cardholder)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE hold (
            seq    INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            body   TEXT NOT NULL,
            sum    TEXT NOT NULL UNIQUE
        ) STRICT;
        CREATE TABLE observation (
            seq      INTEGER PRIMARY KEY,
            target   TEXT NOT NULL,
            disputed INTEGER NOT NULL,
            body     TEXT NOT NULL,
            sum      TEXT NOT NULL
        ) STRICT;
        CREATE INDEX observation_target ON observation (target, seq);
        CREATE TABLE named (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            body TEXT NOT NULL,
            sum  TEXT NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID;
        ",
    ),
    M::up(
        "
        CREATE TABLE lift (
            seq  INTEGER PRIMARY KEY,
            hold TEXT NOT NULL UNIQUE,
            body TEXT NOT NULL,
            sum  TEXT NOT NULL
        ) STRICT;
        CREATE INDEX action_subject ON action (target, subject, seq);
        ",
    ),
];

/// The newest format that this program knows.
pub(crate) const NEWEST: u64 = STEPS.len() as u64;

/// The steps from an empty file to the newest format.
pub(crate) const fn migrations() -> Migrations<'static> {
    Migrations::from_slice(STEPS)
}
