//! How far a run has come, told by whoever works and shown by the command line alone.

/// Takes reports of progress. Called often and from many tasks: it must not block.
pub trait Progress: Send + Sync {
    /// A task has begun; `total` is in the task's own unit, where it is known.
    fn begin(&self, task: &str, total: Option<u64>);
    /// The task has come this far in all.
    fn reach(&self, task: &str, done: u64);
    /// The task has ended.
    fn end(&self, task: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _task: &str, _total: Option<u64>) {}
    fn reach(&self, _task: &str, _done: u64) {}
    fn end(&self, _task: &str) {}
}
