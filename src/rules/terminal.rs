//! A rule's page for a terminal: what its Markdown means, without its marks.

/// `width` in columns. Colour is bold, dim and cyan only, so that it can be read on any background.
pub fn draw(page: &str, width: usize, color: bool) -> String {
    let paint = |code: &str, s: &str| if color && !s.is_empty() { format!("\u{1b}[{code}m{s}\u{1b}[0m") } else { s.to_string() };
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut in_code = false;
    let flush = |paragraph: &mut String, out: &mut String| {
        if !paragraph.is_empty() {
            let indent = if paragraph.starts_with("- ") { "  " } else { "" };
            for line in wrap(paragraph, width, indent) {
                out.push_str(&inline(&line, color));
                out.push('\n');
            }
            paragraph.clear();
        }
    };
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            flush(&mut paragraph, &mut out);
            in_code = !in_code;
        } else if in_code {
            // Code is not wrapped: it is there to be copied.
            out.push_str(&if line.is_empty() { String::new() } else { format!("    {}", paint("36", line)) });
            out.push('\n');
        } else if let Some(title) = line.strip_prefix('#') {
            flush(&mut paragraph, &mut out);
            out.push_str(&paint("1", title.trim_start_matches('#').trim()));
            out.push('\n');
        } else if line.trim().is_empty() {
            flush(&mut paragraph, &mut out);
            if !out.ends_with("\n\n") {
                out.push('\n');
            }
        } else {
            if line.starts_with("- ") {
                flush(&mut paragraph, &mut out);
            } else if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    flush(&mut paragraph, &mut out);
    out
}

/// Words into lines. What stands between backticks stays together.
pub(super) fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for w in text.split_whitespace() {
        match words.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(' ');
                last.push_str(w);
            }
            None => words.push(w.to_string()),
        }
        open ^= w.matches('`').count() % 2 == 1;
    }
    let shown = |w: &str| w.replace("**", "").chars().filter(|c| *c != '`').count();
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for w in words {
        if !line.trim().is_empty() && used + 1 + shown(&w) > width {
            lines.push(std::mem::replace(&mut line, indent.to_string()));
            used = indent.len();
        } else if !line.trim().is_empty() {
            line.push(' ');
            used += 1;
        }
        used += shown(&w);
        line.push_str(&w);
    }
    lines.push(line);
    lines
}

/// `code` loses its backticks, **bold** its stars.
fn inline(line: &str, color: bool) -> String {
    let mut out = String::new();
    for (i, part) in line.split('`').enumerate() {
        if i % 2 == 1 {
            out.push_str(&if color { format!("\u{1b}[36m{part}\u{1b}[0m") } else { part.to_string() });
        } else {
            for (j, bold) in part.split("**").enumerate() {
                out.push_str(&if j % 2 == 1 && color { format!("\u{1b}[1m{bold}\u{1b}[0m") } else { bold.to_string() });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_lines_fit() {
        let page = "# a-rule\n\nIt **hurts** when `a b` is\nwritten twice.\n\n- one two three four\n- x\n\n```sql\nSELECT   1;\n```\n";
        assert_eq!(
            draw(page, 20, false),
            "a-rule\n\nIt hurts when a b is\nwritten twice.\n\n- one two three four\n- x\n\n    SELECT   1;\n"
        );
        assert!(draw(page, 20, true).contains("\u{1b}[1ma-rule\u{1b}[0m"));
    }

    #[test]
    fn every_page_fits_and_shows_no_marks() {
        for rule in super::super::RuleSet::built_in().iter() {
            let page = super::super::page(rule);
            let text = draw(&page, 60, false);
            // Code stays in one piece, however long it is.
            let long: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|c| c.len() > 40).collect();
            for line in text.lines().filter(|l| !l.starts_with("    ")) {
                assert!(!line.contains("```") && !line.starts_with('#') && !line.contains('`'), "{}: {line}", rule.name);
                assert!(
                    line.chars().count() <= 60 || !line.contains(' ') || long.iter().any(|c| line.contains(c)),
                    "{}: {line}",
                    rule.name
                );
            }
        }
    }
}
