//! Progress bars on standard error, for a person who watches.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::domain::name::visible;
use crate::progress::Progress;

/// One bar for each task that has begun and not yet ended.
#[derive(Debug, Default)]
pub(super) struct Bars {
    all: MultiProgress,
    open: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    /// Does something with the terminal while no bar stands there.
    pub(super) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.all.suspend(work)
    }

    /// A panic elsewhere leaves the map whole: each entry is inserted or taken out at once.
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, task: &str, total: Option<u64>) {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{msg:24} {bar:30} {human_pos}/{human_len} {per_sec} {eta} left",
            )),
            None => ProgressBar::new_spinner()
                .with_style(style("{msg:24} {spinner} {human_pos} {elapsed}")),
        };
        let bar = self.all.add(bar).with_message(visible(task, 24));
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(before) = self.open().insert(task.to_owned(), bar) {
            before.finish_and_clear();
        }
    }

    fn reach(&self, task: &str, done: u64) {
        if let Some(bar) = self.open().get(task) {
            bar.set_position(done);
        }
    }

    fn end(&self, task: &str) {
        if let Some(bar) = self.open().remove(task) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_ends_with_its_task() {
        let bars = Bars::default();
        bars.begin("sweep", Some(10));
        bars.begin("sweep", Some(20));
        bars.begin("proxmox", None);
        bars.reach("sweep", 7);
        assert_eq!(bars.open().len(), 2);
        assert_eq!(bars.open().get("sweep").map(ProgressBar::position), Some(7));
        bars.end("sweep");
        bars.end("never begun");
        assert_eq!(bars.open().len(), 1);
    }
}
