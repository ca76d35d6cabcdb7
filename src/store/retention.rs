//! How long history is kept. Memory and bindings are not history: they are kept
//! for as long as the objects stand.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, time_to_sql};

/// Which runs are kept. What is not bounded is kept for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Runs that began longer ago than so many days go.
    pub days: Option<u32>,
    /// Of more runs than this the oldest go.
    pub runs: Option<u32>,
}

impl Store {
    /// Drops runs beyond what is to be kept, with their changes, and gives their
    /// space back. A run with changes in doubt stays until they are settled, and
    /// so does one that has not ended. Tells how many went.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn prune(&self, keep: &Retention, now: Timestamp) -> Result<usize, StoreError> {
        let oldest = keep.days.map(|days| {
            let age = SignedDuration::from_hours(i64::from(days) * 24);
            now.checked_sub(age).unwrap_or(Timestamp::MIN)
        });
        let dropped = self.writing(|transaction| {
            let surplus: Option<i64> = match keep.runs {
                None => None,
                Some(runs) => transaction
                    .query_row(
                        "SELECT id FROM runs ORDER BY id DESC LIMIT 1 OFFSET ?1",
                        [runs],
                        |row| row.get(0),
                    )
                    .optional()?,
            };
            transaction.execute(
                "DELETE FROM runs WHERE result IS NOT NULL \
                 AND id NOT IN (SELECT run FROM intents) AND (started < ?1 OR id <= ?2)",
                params![oldest.map(time_to_sql), surplus],
            )
        })?;
        if dropped > 0 {
            let connection = self.connection();
            // Only space: what is not given back now is given back the next time.
            let _ = connection.execute_batch("PRAGMA incremental_vacuum");
        }
        Ok(dropped)
    }
}
