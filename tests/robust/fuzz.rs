//! A mutation fuzzer: `AIRLOCK_FUZZ_SECONDS` says how long (`scripts/fuzz SECONDS`), `AIRLOCK_FUZZ_SEED` runs the same inputs again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::drive::everything;
use super::mutate::{mutated, seeds};

/// Seconds that one input of at most 64 KB may take, in a debug build on a busy machine.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn no_text_makes_it_panic() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("AIRLOCK_FUZZ_SECONDS").unwrap_or(3);
    let seed = number("AIRLOCK_FUZZ_SEED").unwrap_or_else(|| Rng::new().u64(..1_000_000_000));
    let folder = std::env::temp_dir().join(format!("airlock-fuzz-{seed}"));
    std::fs::create_dir_all(&folder).expect("a folder for what is found");
    eprintln!("AIRLOCK_FUZZ_SEED={seed}; the input at work, should the process die: {}", folder.join("last.sql").display());
    let seeds = seeds();
    let mut rng = Rng::with_seed(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut tried = 0u64;
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    // The messages of caught panics would drown the report.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    while Instant::now() < until {
        let text = mutated(&mut rng, &seeds);
        std::fs::write(folder.join("last.sql"), &text).expect("it is written");
        tried += 1;
        if let Some(why) = failure(&text)
            && !found.iter().any(|(w, _)| *w == why)
        {
            let small = minimise(text, &why);
            let path = folder.join(format!("found-{}.sql", found.len() + 1));
            std::fs::write(&path, small).expect("it is written");
            found.push((why, path));
        }
    }
    std::panic::set_hook(hook);
    eprintln!("{tried} inputs in {seconds} s");
    if found.is_empty() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    let list: Vec<String> = found.iter().map(|(why, path)| format!("{why}\n  {}", path.display())).collect();
    assert!(found.is_empty(), "seed {seed}:\n{}", list.join("\n"));
}

/// Why the text is a finding: the panic's words, or that it takes too long.
fn failure(text: &str) -> Option<String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| everything(text)));
    match result {
        Ok(()) if start.elapsed() > SLOW => Some("slow".to_string()),
        Ok(()) => None,
        Err(cause) => {
            let words = cause.downcast_ref::<String>().cloned().or_else(|| cause.downcast_ref::<&str>().map(|s| s.to_string()));
            // Numbers differ from input to input of one kind.
            Some(words.unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).take(120).collect())
        }
    }
}

/// Takes away pieces, halves first, as long as the same thing goes wrong; not for longer than a minute.
fn minimise(mut text: String, why: &str) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    let mut size = text.chars().count() / 2;
    while size > 0 && Instant::now() < until {
        let mut at = 0;
        loop {
            let chars: Vec<char> = text.chars().collect();
            if at >= chars.len() || Instant::now() >= until {
                break;
            }
            let without: String = chars[..at].iter().chain(chars.get(at + size..).unwrap_or(&[])).collect();
            if failure(&without).as_deref() == Some(why) {
                text = without;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    text
}
