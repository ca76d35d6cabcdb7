//! Progress bars on standard error, for a person who watches.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::domain::name::visible;
use crate::progress::Progress;

/// So long it takes until a rate means something.
const WARM: Duration = Duration::from_secs(2);

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
            Some(total) => ProgressBar::new(total)
                .with_style(style("{msg:24} {bar:30} {human_pos}/{human_len} {rate}{left}")),
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
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", rate).with_key("left", left)
}

/// How many are done in a second.
fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    // What cannot be shown is only progress.
    let _ = match state.per_sec() {
        few if few < 10.0 => write!(out, "{few:.1}/s"),
        many => write!(out, "{many:.0}/s"),
    };
}

/// How long the rest will take; the first moments say nothing of that.
fn left(state: &ProgressState, out: &mut dyn fmt::Write) {
    if state.elapsed() >= WARM && state.pos() > 0 {
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal of which the last line that was written is kept.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn contents(&self) -> String {
            self.0.lock().unwrap().trim_end().to_owned()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            if !text.trim().is_empty() {
                text.clone_into(&mut self.0.lock().unwrap());
            }
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

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

    #[test]
    fn a_bar_tells_what_is_done_of_what_how_fast_and_how_long_it_takes() {
        let screen = Screen::default();
        let bars = Bars::default();
        bars.all.set_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        bars.begin("writing objects", Some(12_005));
        let bar = bars.open().get("writing objects").cloned().unwrap();
        bar.disable_steady_tick();
        bars.reach("writing objects", 3_000);
        bar.force_draw();
        let shown = screen.contents();
        assert!(shown.starts_with("writing objects          █"), "{shown}");
        assert!(shown.contains(" 3,000/12,005 ") && shown.contains("/s"), "{shown}");
        assert!(!shown.contains("left"), "nothing is known of that yet: {shown}");
        std::thread::sleep(WARM);
        bars.reach("writing objects", 6_000);
        bar.force_draw();
        let shown = screen.contents();
        assert!(shown.contains(" 6,000/12,005 ") && shown.ends_with("s left"), "{shown}");
    }
}
