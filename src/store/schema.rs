//! The tables, as steps from one version of the file to the next. A step that was
//! released is never edited: what changes is a step of its own at the end.

use rusqlite::{Connection, TransactionBehavior};

use super::error::Fault;

/// "nbag": tells the store from any other SQLite file.
const APPLICATION: i64 = 0x6e62_6167;

/// The steps; the version of a file is how many of them it has taken.
const STEPS: &[&str] = &[RECORDS, INVENTORY];

/// Runs and what is remembered of them. Times are microseconds since 1970, UTC;
/// `sink` says in which NetBox (or local inventory) an id means something.
const RECORDS: &str = "
CREATE TABLE sinks (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    instance TEXT NOT NULL,
    sink INTEGER NOT NULL REFERENCES sinks,
    purpose TEXT NOT NULL,
    version TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    result TEXT,
    planned INTEGER NOT NULL DEFAULT 0,
    conflicts INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE run_sources (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    observations INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    millis INTEGER NOT NULL,
    message TEXT,
    PRIMARY KEY (run, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    place INTEGER NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    object INTEGER,
    made INTEGER NOT NULL DEFAULT 0,
    label TEXT NOT NULL,
    stamp TEXT,
    fields TEXT NOT NULL,
    unseat TEXT NOT NULL,
    reason TEXT NOT NULL,
    outcome TEXT,
    because TEXT NOT NULL DEFAULT '',
    settled TEXT NOT NULL DEFAULT '{}',
    stamp_after TEXT,
    PRIMARY KEY (run, place)
) STRICT;
CREATE INDEX changes_by_key ON changes (run, kind, key);
CREATE INDEX changes_by_outcome ON changes (run, outcome);

CREATE TABLE intents (
    run INTEGER NOT NULL,
    place INTEGER NOT NULL,
    fields TEXT NOT NULL,
    creates INTEGER NOT NULL,
    PRIMARY KEY (run, place, fields),
    FOREIGN KEY (run, place) REFERENCES changes ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE memory (
    sink INTEGER NOT NULL REFERENCES sinks,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    field TEXT NOT NULL,
    wanted TEXT NOT NULL,
    settled TEXT,
    why TEXT NOT NULL,
    run INTEGER,
    PRIMARY KEY (sink, kind, object, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE stamps (
    sink INTEGER NOT NULL REFERENCES sinks,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    stamp TEXT NOT NULL,
    PRIMARY KEY (sink, kind, object)
) STRICT, WITHOUT ROWID;

CREATE TABLE bindings (
    sink INTEGER NOT NULL REFERENCES sinks,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (sink, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_by_object ON bindings (sink, kind, object);

CREATE TABLE native_bindings (
    sink INTEGER NOT NULL REFERENCES sinks,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (sink, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX native_bindings_by_object ON native_bindings (sink, kind, object);

CREATE TABLE conflicts (
    sink INTEGER NOT NULL REFERENCES sinks,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    field TEXT NOT NULL,
    key TEXT NOT NULL,
    label TEXT NOT NULL,
    live TEXT NOT NULL,
    last TEXT,
    want TEXT NOT NULL,
    why TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sink, kind, object, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE reclaims (
    sink INTEGER NOT NULL REFERENCES sinks,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    field TEXT NOT NULL,
    requested INTEGER NOT NULL,
    PRIMARY KEY (sink, kind, object, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE sightings (
    sink INTEGER NOT NULL REFERENCES sinks,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    first_missed INTEGER,
    retired INTEGER,
    PRIMARY KEY (sink, kind, object)
) STRICT, WITHOUT ROWID;

CREATE TABLE witnesses (
    sink INTEGER NOT NULL,
    kind TEXT NOT NULL,
    object INTEGER NOT NULL,
    source TEXT NOT NULL,
    place TEXT NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (sink, kind, object, source, place),
    FOREIGN KEY (sink, kind, object) REFERENCES sightings ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE harvests (
    source TEXT PRIMARY KEY,
    kept INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE observations (
    source TEXT NOT NULL REFERENCES harvests ON DELETE CASCADE,
    place INTEGER NOT NULL,
    thing TEXT NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (source, place)
) STRICT;
";

/// The local inventory. `identity` is what must be unique within a kind, where
/// something must; `links` repeats the references within `fields`, so that what
/// refers to an object is found, and so that none can refer to nothing.
const INVENTORY: &str = "
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    fields TEXT NOT NULL,
    identity TEXT,
    stamp INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE UNIQUE INDEX inventory_identity ON inventory (kind, identity) WHERE identity IS NOT NULL;

CREATE TABLE links (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    field TEXT NOT NULL,
    to_kind TEXT NOT NULL,
    to_id INTEGER NOT NULL,
    PRIMARY KEY (to_kind, to_id, kind, id, field),
    FOREIGN KEY (kind, id) REFERENCES inventory DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (to_kind, to_id) REFERENCES inventory DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;
CREATE INDEX links_from ON links (kind, id);
";

/// The version that this agent writes.
pub(super) const fn latest() -> i64 {
    STEPS.len() as i64
}

/// Which version a file is of; an empty file is of version 0.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<Result<i64, Fault>> {
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = latest();
    Ok(if application == APPLICATION {
        if found > known { Err(Fault::Newer { found, known }) } else { Ok(found) }
    } else if application == 0 && found == 0 && tables == 0 {
        Ok(0)
    } else {
        Err(Fault::Foreign)
    })
}

/// Takes the steps that a file of this version lacks: all of them or none.
pub(super) fn migrate(connection: &mut Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (version, step) in (1..).zip(STEPS) {
        if version > from && version <= to {
            transaction.execute_batch(step)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}
