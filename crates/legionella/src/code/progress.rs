//! A spinner for generation that takes over a second, on a terminal only.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long generation may take before it shows.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the code that waits calls [`Progress::tick`].
pub const INTERVAL: Duration = Duration::from_millis(100);

/// The wait for one kernel's code. Dropping it clears the line.
pub struct Progress<'name> {
    kernel: &'name str,
    since: Instant,
    bar: Option<ProgressBar>,
}

impl<'name> Progress<'name> {
    /// The wait begins.
    pub fn of(kernel: &'name str) -> Self {
        Progress {
            kernel,
            since: Instant::now(),
            bar: None,
        }
    }

    /// The wait goes on.
    pub fn tick(&mut self) {
        if self.bar.is_none() && self.since.elapsed() >= PATIENCE {
            self.bar = Some(self.spinner());
        }
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    fn spinner(&self) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner().with_elapsed(self.since.elapsed());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(format!("generating code of kernel {}", self.kernel));
        bar
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
