//! Flattens operations, catalog, effects and compat, with transaction and session context, into named facts: the vocabulary of rules.
