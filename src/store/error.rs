//! Why the store did not do what it was asked, in the words of what a person can
//! do about it. Nothing here knows a table.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// The store could not be opened, read or written. Nothing is half-written:
/// whatever failed was undone as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {attempt} the store {}: {fault}", path.display())]
pub struct StoreError {
    /// What was attempted.
    pub attempt: Attempt,
    /// The store's file.
    pub path: PathBuf,
    /// What stood in the way.
    pub fault: Fault,
}

/// What was attempted when the store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// To open the file, or to make it.
    Open,
    /// To read from it.
    Read,
    /// To write into it.
    Write,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attempt::Open => "open",
            Attempt::Read => "read",
            Attempt::Write => "write",
        })
    }
}

/// What stood in the way, told apart by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no store yet. For a verb that only reads, the same as an empty one.
    #[error("it does not exist yet; the first `sync` makes it")]
    Missing,
    /// Another process writes it.
    #[error(
        "another netbox-agent{} is writing it; wait until it has ended, or stop it",
        .process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// The other process, where it said so.
        process: Option<u32>,
    },
    /// A later version of the agent wrote it.
    #[error(
        "its schema is version {found}, and this netbox-agent knows versions up to {known}; use the newer netbox-agent that wrote it"
    )]
    Newer {
        /// The version of the file.
        found: i64,
        /// The latest version that is known here.
        known: i64,
    },
    /// It is a database of something else.
    #[error(
        "it is a SQLite file of another program; name another folder as `state_dir` of [agent]"
    )]
    Foreign,
    /// The file is not what it was when it was written.
    #[error(
        "it is damaged ({reason}); move it away, and the next run begins with a new one: what it wrote into NetBox it learns from its change log, a local inventory it fills anew from the sources"
    )]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// No space is left.
    #[error("the disk is full; free some space and run again")]
    Full,
    /// The file or its folder cannot be written.
    #[error(
        "{reason}; make the folder and its files writable for this user, or name another folder as `state_dir` of [agent]"
    )]
    Denied {
        /// What the system said.
        reason: String,
    },
    /// Something that names no remedy of its own.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    pub(super) fn new(attempt: Attempt, path: &Path, fault: Fault) -> Self {
        StoreError { attempt, path: path.to_path_buf(), fault }
    }

    pub(super) fn sql(attempt: Attempt, path: &Path, error: &rusqlite::Error) -> Self {
        StoreError::new(attempt, path, Fault::of_sql(error))
    }

    pub(super) fn io(attempt: Attempt, path: &Path, error: &std::io::Error) -> Self {
        StoreError::new(attempt, path, Fault::of_io(error))
    }
}

impl Fault {
    fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Full,
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotADirectory => Fault::Denied { reason: error.to_string() },
            _ => Fault::Other(error.to_string()),
        }
    }

    fn of_sql(error: &rusqlite::Error) -> Self {
        let reason = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => Fault::Full,
                // The shared memory beside the file could not grow: the same full disk.
                ErrorCode::SystemIoFailure
                    if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE =>
                {
                    Fault::Full
                }
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Fault::InUse { process: None }
                }
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Fault::Damaged { reason },
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    Fault::Denied { reason }
                }
                _ => Fault::Other(reason),
            },
            // A text in a column that the codec does not know: nobody but this room writes them.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Fault::Damaged { reason },
            _ => Fault::Other(reason),
        }
    }
}
