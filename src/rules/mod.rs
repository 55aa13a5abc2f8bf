//! Loads rule files, matches facts, makes diagnostics, applies suppressions and severities.
