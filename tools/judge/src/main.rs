//! Holds Airlock's SQL front end (`airlock::sql`, `airlock::lower`) against Postgres's own parser.
//!
//! Every statement of our own test data, and of `../shared/corpus` where it lies beside the checkout, is read by both. What our operations say is written back
//! into SQL and read by Postgres's parser again: the two trees must be the same, but for what `left_out` names. `--regress FOLDER` reads other SQL files.

mod code;
mod exprs;
mod judge;
mod left_out;
mod report;
mod tree;
mod units;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: airlock-judge [--update] [--examples N] [--only KIND] [--regress FOLDER]
  --update          write the snapshot anew
  --examples N      show N examples of each finding (3)
  --only KIND       show findings of this kind of statement only
  --regress FOLDER  read the .sql files of a folder and report, without a snapshot";

fn main() -> ExitCode {
    // Trees nest as deeply as the SQL does.
    let work = std::thread::Builder::new().stack_size(2 << 30).spawn(run);
    match work.map(|t| t.join()) {
        Ok(Ok(Ok(true))) => ExitCode::SUCCESS,
        Ok(Ok(Ok(false))) => ExitCode::FAILURE,
        Ok(Ok(Err(e))) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
        Ok(Err(_)) => ExitCode::from(101),
        Err(e) => {
            eprintln!("no thread: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut update, mut examples, mut only, mut regress) = (false, 3usize, None::<String>, None::<PathBuf>);
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut value = || args.next().ok_or_else(|| USAGE.to_string());
        match a.as_str() {
            "--update" => update = true,
            "--examples" => examples = value()?.parse().map_err(|_| USAGE.to_string())?,
            "--only" => only = Some(value()?),
            "--regress" => regress = Some(value()?.into()),
            _ => return Err(USAGE.to_string()),
        }
    }
    if let Some(folder) = regress {
        let all = judge::judge(&units::plain_files(&folder)?);
        print!("{}", all.findings(examples, only.as_deref()));
        print!("{}", all.table());
        return Ok(true);
    }
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshot.txt");
    let mut sections = Vec::new();
    for (name, folder) in [("own", root.join("testdata")), ("corpus", root.join("../shared/corpus"))] {
        if !folder.is_dir() {
            println!("{name}: {} is not there; this part is skipped", folder.display());
            continue;
        }
        let all = judge::judge(&units::histories(&folder)?);
        println!("{}", all.findings(examples, only.as_deref()));
        sections.push((name.to_string(), all.table()));
    }
    report::hold(&snapshot, &sections, update)
}
