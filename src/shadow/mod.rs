//! Scratch databases: where they come from, observing, probing, proving.
