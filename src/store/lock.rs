//! One writer at a time: an advisory lock on a file beside the store.
//!
//! Not on the store itself, whose file belongs to SQLite: closing any descriptor
//! of it would drop SQLite's own locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use std::time::Duration;

use super::beside;
use super::error::Fault;

/// How long a writer waits, once, for one who only asks whether there is a writer.
const GLANCE: Duration = Duration::from_millis(50);

/// The lock, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Takes the lock, or tells who has it.
    pub(super) fn take(store: &Path) -> Result<Self, Fault> {
        let denied = |error: std::io::Error| Fault::Denied {
            reason: format!(
                "its lock {} cannot be made: {error}",
                beside(store, ".lock").display()
            ),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(store, ".lock"))
            .map_err(denied)?;
        let taken = file.try_lock().or_else(|_| {
            std::thread::sleep(GLANCE);
            file.try_lock()
        });
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = Read::take(&mut file, 20).read_to_string(&mut text);
                return Err(Fault::InUse { process: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(denied(error)),
        }
        // Who has it is only told for a person's sake: a full disk must not stop a reader's migration.
        let note = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        let _ = note(&mut file);
        Ok(WriteLock { _file: file })
    }
}

/// Whether it is certain that no process has the store open for writing.
pub(super) fn is_free(store: &Path) -> bool {
    match File::open(beside(store, ".lock")) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
