//! What outlives a run: one SQLite file with the runs and their changes, what the
//! agent last wrote into each field, which object is which, what was last seen,
//! and (with no NetBox) the inventory itself.
//!
//! It judges nothing, talks to no network, and holds no secret: the name of a
//! sink is stripped of credentials before it gets here. Every id belongs to a
//! [`SinkId`], so that one store serves several NetBoxes.
//!
//! # What a kill cannot do
//!
//! Each call is one transaction. What a run is about to send is on the disk
//! before it is sent ([`RunRecorder`] syncs there); what came of it survives the
//! end of the process at once and the end of the machine by the next intent. So
//! after a kill an intent without an outcome tells where to look
//! ([`Store::pending_intents`]), and an outcome that was recorded is true.
//!
//! # Who may have it open
//!
//! One process writes, guarded by an advisory lock on a file beside the store;
//! a second one is told so at once. Readers are never kept waiting. A process
//! that serves for long opens it for each run, so that `reclaim` gets its turn.

mod binding;
mod cache;
mod codec;
mod conflict;
mod error;
mod history;
mod intent;
mod inventory;
mod lock;
mod memory;
mod recorder;
mod retention;
mod schema;
mod sighting;
mod sink;

use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

pub use binding::Bindings;
pub use cache::{Kept, KeptObservation};
pub use conflict::{OpenConflict, Reclaim};
pub use error::{Attempt, Fault, StoreError};
pub use history::{Counts, RecordedChange, Run, RunEnd, RunStart, SourceReport};
pub use intent::{Landed, PendingIntent, PendingStep, Recovered};
pub use inventory::Local;
pub use memory::{Last, Memory, Remembered};
pub use recorder::RunRecorder;
pub use retention::Retention;
pub use sink::SinkId;

use lock::WriteLock;

/// How long one connection waits for another in the few moments when they meet.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store, open.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// Held for as long as the store is open for writing.
    lock: Option<WriteLock>,
}

impl Store {
    /// Opens the store for writing, made first where there is none: the file for
    /// its owner alone, and so the folders that are missing on the way to it.
    /// Brings a file of an earlier version up to date.
    ///
    /// # Errors
    /// When another process writes it, or the file cannot be made, written or understood.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |fault| StoreError::new(Attempt::Open, path, fault);
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| StoreError::io(Attempt::Open, folder, &error))?;
        }
        let lock = WriteLock::take(path).map_err(failed)?;
        let made = make_file(path)?;
        let opened =
            Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|mut connection| {
                let found = check(path, &connection)?;
                prepare(&mut connection, found)
                    .map_err(|error| StoreError::sql(Attempt::Open, path, &error))?;
                Ok(connection)
            });
        if opened.is_err() && made {
            remove_empty(path);
        }
        let store =
            Store { path: path.to_path_buf(), connection: Mutex::new(opened?), lock: Some(lock) };
        store.close_killed_runs()?;
        Ok(store)
    }

    /// Opens the store for reading, which a run that writes at the same time does not hinder.
    ///
    /// # Errors
    /// When there is none ([`Fault::Missing`]), or the file cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::new(Attempt::Open, path, Fault::Missing));
        }
        let (mut connection, found) = Store::connect_to_read(path)?;
        if found < schema::latest() {
            // Written by an earlier version and not opened since: only a writer can mend that.
            drop(connection);
            drop(Store::open(path)?);
            (connection, _) = Store::connect_to_read(path)?;
        }
        Ok(Store { path: path.to_path_buf(), connection: Mutex::new(connection), lock: None })
    }

    /// An empty store that lives as long as this value: for looking at what would be,
    /// where nothing was kept yet and nothing shall be.
    ///
    /// # Errors
    /// When SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let opened = Connection::open_in_memory().and_then(|mut connection| {
            connection.pragma_update(None, "foreign_keys", true)?;
            schema::migrate(&mut connection, 0, schema::latest())?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| StoreError::sql(Attempt::Open, path, &error))?;
        Ok(Store { path: path.to_path_buf(), connection: Mutex::new(connection), lock: None })
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was opened for writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.lock.is_some()
    }

    fn connect_to_read(path: &Path) -> Result<(Connection, i64), StoreError> {
        let checked = |connection: Connection| {
            let found = check(path, &connection)?;
            Ok((connection, found))
        };
        let opened = Store::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(checked);
        let unwritable = |error: &StoreError| matches!(error.fault, Fault::Denied { .. });
        if opened.as_ref().is_err_and(unwritable) && !beside(path, "-wal").exists() {
            // A reader too notes down that it reads, and cannot on a medium that is
            // read-only. What nobody can write is safe to read without.
            let address =
                std::path::absolute(path).ok().and_then(|path| url::Url::from_file_path(path).ok());
            if let Some(mut address) = address {
                address.set_query(Some("immutable=1"));
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                return Store::connect(Path::new(address.as_str()), flags)
                    .and_then(checked)
                    .map_err(|error| StoreError { path: path.to_path_buf(), ..error });
            }
        }
        opened
    }

    fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection =
                Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        open().map_err(|error| StoreError::sql(Attempt::Open, path, &error))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked in a transaction has undone it on its way out.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        // One transaction, so that several queries see one moment.
        let outcome = connection.transaction().and_then(|transaction| {
            let found = read(&transaction)?;
            transaction.finish()?;
            Ok(found)
        });
        outcome.map_err(|error| StoreError::sql(Attempt::Read, &self.path, &error))
    }

    /// One transaction that survives a kill of the process when this returns.
    fn writing<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(Durability::Process, write)
    }

    /// One transaction that survives a fall of the machine when this returns.
    fn writing_durably<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(Durability::Machine, write)
    }

    fn transact<T>(
        &self,
        durability: Durability,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let outcome = transact(&mut connection, durability, write);
        outcome.map_err(|error| StoreError::sql(Attempt::Write, &self.path, &error))
    }
}

/// What a transaction has to survive. In a write-ahead log both survive a kill of
/// the process; to survive the machine costs a sync of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Process,
    Machine,
}

fn transact<T>(
    connection: &mut Connection,
    durability: Durability,
    write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let synchronous = match durability {
        Durability::Process => "NORMAL",
        Durability::Machine => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = write(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Makes an empty file that only its owner may read; tells whether there was none.
/// SQLite gives its log and shared memory the same mode.
fn make_file(path: &Path) -> Result<bool, StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::io(Attempt::Open, path, &error)),
    }
}

/// Takes away what an opening that failed has made. What cannot be removed does
/// no harm: an empty file is as good as none.
fn remove_empty(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(path, ending));
    }
}

/// The name of a file that stands beside the store.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The version of a file that is a store of a version that can be used.
fn check(path: &Path, connection: &Connection) -> Result<i64, StoreError> {
    match schema::version(connection) {
        Ok(version) => version.map_err(|fault| StoreError::new(Attempt::Open, path, fault)),
        Err(error) => Err(StoreError::sql(Attempt::Open, path, &error)),
    }
}

/// Brings a file up to date.
fn prepare(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    if found == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error {
                code: ErrorCode::CannotOpen,
                extended_code: rusqlite::ffi::SQLITE_CANTOPEN,
            },
            Some(format!("its file system cannot keep a write-ahead log (journal mode `{mode}`)")),
        ));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    if found < schema::latest() {
        schema::migrate(connection, found, schema::latest())?;
    }
    Ok(())
}

/// A time as SQLite keeps it.
fn time_to_sql(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Reads a column that holds a time.
fn time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let number: i64 = row.get(column)?;
    Timestamp::from_microsecond(number)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Reads a column that holds a time or nothing.
fn time_or_none(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let number: Option<i64> = row.get(column)?;
    number
        .map(|number| {
            Timestamp::from_microsecond(number)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
        })
        .transpose()
}

#[cfg(test)]
mod tests;
