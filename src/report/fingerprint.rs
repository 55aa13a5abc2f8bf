//! A name for a finding that stays when lines move: rule, statement and object, never the line.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;

/// One fingerprint for each diagnostic, in their order. Each is 32 hexadecimal digits and unique in the list: the second finding
/// with the same words is told from the first by its number.
pub fn fingerprints(diagnostics: &[Diagnostic]) -> Vec<String> {
    let mut seen: BTreeMap<[u8; 32], u32> = BTreeMap::new();
    diagnostics
        .iter()
        .map(|d| {
            let n = seen.entry(digest(d, 0)).or_insert(0);
            let unique = digest(d, *n);
            *n += 1;
            unique.iter().take(16).map(|b| format!("{b:02x}")).collect()
        })
        .collect()
}

fn digest(d: &Diagnostic, n: u32) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(d.fingerprint());
    if n > 0 {
        h.update(n.to_le_bytes());
    }
    h.finalize().into()
}
