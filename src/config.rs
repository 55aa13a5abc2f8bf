//! `airlock.toml` as typed settings.
