//! Lines that stay within the terminal. What goes into a pipe or a file is not broken: it is there for programs such as `grep`.

use std::io::{self, IsTerminal};

use crate::report::wrapped;

/// Columns of the terminal that standard output is; `None` where it is none.
pub fn width() -> Option<usize> {
    io::stdout().is_terminal().then(|| said().or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)))).flatten()
}

/// `COLUMNS`; a shell rarely exports it.
pub fn said() -> Option<usize> {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok())
}

/// The line for standard output; further lines are indented by `hang` columns.
pub fn fit(hang: usize, line: &str) -> String {
    width().map_or_else(|| line.to_string(), |w| fold(hang, line, w))
}

fn fold(hang: usize, line: &str, width: usize) -> String {
    let at = line.char_indices().nth(hang).map_or(line.len(), |(i, _)| i);
    let (head, rest) = line.split_at(at);
    let room = width.saturating_sub(hang);
    // A column of single words would be worse than a line that the terminal breaks.
    if room < 24 || line.chars().count() <= width {
        return line.to_string();
    }
    head.to_string() + &wrapped(rest, room).join(&format!("\n{:hang$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_words_and_hang() {
        let line = "  pass     effects orders: locks and rewrites are as they were predicted";
        assert_eq!(fold(11, line, 40), "  pass     effects orders: locks and\n           rewrites are as they were\n           predicted");
        assert_eq!(fold(11, line, 80), line);
        assert_eq!(fold(11, line, 30), line, "too narrow");
        assert_eq!(fold(11, "  ä", 40), "  ä");
    }
}
