//! Lists the rule files, so that a new rule is one file and no line elsewhere, and writes each in JSON too, which loads faster than TOML.

use std::fmt::Write;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=rules");
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let mut files = Vec::new();
    for group in std::fs::read_dir(Path::new(&root).join("rules")).expect("the folder of rules").flatten() {
        if group.path().is_dir() {
            println!("cargo:rerun-if-changed={}", group.path().display());
            files.extend(std::fs::read_dir(group.path()).expect("a readable folder").flatten().map(|f| f.path()));
        }
    }
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort_by_key(|f| f.file_stem().map(|s| s.to_os_string()));
    let mut out = String::from("/// Group, name and text of every rule file.\npub const BUILT_IN: &[(&str, &str, &str)] = &[\n");
    let mut compact = String::from("/// The same files in JSON, in the same order.\nconst COMPACT: &[&str] = &[\n");
    for f in files {
        let name = f.file_stem().and_then(|s| s.to_str()).expect("a name in UTF-8");
        let group = f.parent().and_then(|p| p.file_name()).and_then(|s| s.to_str()).expect("a group in UTF-8");
        writeln!(out, "    ({group:?}, {name:?}, include_str!({:?})),", f.display().to_string()).expect("memory takes it");
        let text = std::fs::read_to_string(&f).unwrap_or_else(|e| panic!("{}: {e}", f.display()));
        let table: toml::Table = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", f.display()));
        let json = serde_json::to_string(&table).unwrap_or_else(|e| panic!("{}: {e}", f.display()));
        writeln!(compact, "    {json:?},").expect("memory takes it");
    }
    out.push_str("];\n");
    compact.push_str("];\n");
    out.push_str(&compact);
    let to = Path::new(&std::env::var("OUT_DIR").expect("cargo says where to write")).join("rules.rs");
    std::fs::write(to, out).expect("the list is written");
}
