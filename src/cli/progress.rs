//! What is being done, on one line of a terminal: for whoever waits longer than a second.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Writes to standard error, only when that is a terminal, and only once it has taken a second.
pub struct Progress {
    line: Arc<Line>,
    /// Shows the words also while nothing new is said.
    clock: Mutex<Option<JoinHandle<()>>>,
}

struct Line {
    state: Mutex<State>,
    ended: Condvar,
    start: Instant,
}

struct State {
    words: String,
    shown: bool,
    ended: bool,
    out: Box<dyn Write + Send>,
}

/// From then on it is shown, and so often anew.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);

impl Progress {
    pub fn new() -> Self {
        match std::io::stderr().is_terminal() {
            true => Progress::on(Box::new(std::io::stderr())),
            false => Progress::with(Box::new(std::io::sink())),
        }
    }

    fn with(out: Box<dyn Write + Send>) -> Self {
        let state = State { words: String::new(), shown: false, ended: false, out };
        let line = Line { state: Mutex::new(state), ended: Condvar::new(), start: Instant::now() };
        Progress { line: Arc::new(line), clock: Mutex::new(None) }
    }

    fn on(out: Box<dyn Write + Send>) -> Self {
        let progress = Progress::with(out);
        let line = progress.line.clone();
        let clock = std::thread::spawn(move || {
            let mut state = line.lock();
            while !state.ended {
                state = line.ended.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
                line.show(&mut state);
            }
        });
        *progress.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        progress
    }

    pub fn say(&self, words: &str) {
        self.line.lock().words = words.chars().take(90).collect();
    }

    /// The line goes: what follows is the result.
    pub fn end(&self) {
        self.line.lock().ended = true;
        self.line.ended.notify_all();
        if let Some(clock) = self.clock.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = clock.join();
        }
        let mut state = self.line.lock();
        if std::mem::take(&mut state.shown) {
            let _ = write!(state.out, "\r\u{1b}[2K").and_then(|()| state.out.flush());
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &mut State) {
        let took = self.start.elapsed();
        if state.ended || took < PATIENCE || state.words.is_empty() {
            return;
        }
        let line = format!("\r\u{1b}[2K{:4.0} s  {}", took.as_secs_f32(), state.words);
        let _ = state.out.write_all(line.as_bytes()).and_then(|()| state.out.flush());
        state.shown = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a screen").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("a screen").clone()).expect("UTF-8")
        }
    }

    #[test]
    fn one_long_piece_of_work_is_shown_and_a_short_one_is_not() {
        let screen = Screen::default();
        let progress = Progress::on(Box::new(screen.clone()));
        progress.say("loading the schema");
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(screen.text(), "", "a second has not gone by");
        let start = Instant::now();
        while !screen.text().contains("   1 s  loading the schema") {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", screen.text());
            std::thread::sleep(Duration::from_millis(20));
        }
        progress.end();
        assert!(screen.text().ends_with("\r\u{1b}[2K"), "the line goes");
        let quick = Screen::default();
        Progress::on(Box::new(quick.clone())).say("starting the server");
        assert_eq!(quick.text(), "");
    }
}
