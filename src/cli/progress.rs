//! What is being done, on one line of a terminal: for whoever waits longer than a second.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Writes to standard error, only when that is a terminal, and only once it has taken a second.
pub struct Progress {
    start: Instant,
    shown: AtomicBool,
    terminal: bool,
}

impl Progress {
    pub fn new() -> Self {
        Progress { start: Instant::now(), shown: AtomicBool::new(false), terminal: std::io::stderr().is_terminal() }
    }

    pub fn say(&self, words: &str) {
        if self.terminal && self.start.elapsed() >= Duration::from_secs(1) {
            let words: String = words.chars().take(90).collect();
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K{:4.0} s  {words}", self.start.elapsed().as_secs_f32());
            self.shown.store(true, Ordering::Relaxed);
        }
    }

    /// The line goes: what follows is the result.
    pub fn end(&self) {
        if self.shown.swap(false, Ordering::Relaxed) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
