//! Lists the rule files, so that a new rule is one file and no line elsewhere.

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
    let mut out = String::from("pub const BUILT_IN: &[(&str, &str, &str)] = &[\n");
    for f in files {
        let name = f.file_stem().and_then(|s| s.to_str()).expect("a name in UTF-8");
        let group = f.parent().and_then(|p| p.file_name()).and_then(|s| s.to_str()).expect("a group in UTF-8");
        writeln!(out, "    ({group:?}, {name:?}, include_str!({:?})),", f.display().to_string()).expect("memory takes it");
    }
    out.push_str("];\n");
    let to = Path::new(&std::env::var("OUT_DIR").expect("cargo says where to write")).join("rules.rs");
    std::fs::write(to, out).expect("the list is written");
}
