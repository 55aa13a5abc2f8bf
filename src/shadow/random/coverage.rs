//! How often each kind of operation was drawn, and how often the server took it.

use std::collections::BTreeMap;
use std::fmt;

use strum::IntoEnumIterator;

use crate::op::{AlterTag, OpKind, OpTag, Statement};

/// Drawn and accepted, by the name of the operation; subcommands of ALTER by theirs.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<&'static str, (usize, usize)>);

impl Coverage {
    pub fn note(&mut self, statement: &Statement, accepted: bool) {
        for op in statement.ops.iter().filter(|o| !o.nested) {
            let entry = self.0.entry(name(&op.kind)).or_default();
            entry.0 += 1;
            entry.1 += usize::from(accepted);
        }
    }

    /// Drawn and accepted, for every kind that there is.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, usize, usize)> {
        let kinds = OpTag::iter().filter(|t| *t != OpTag::Alter).map(<&'static str>::from);
        kinds.chain(AlterTag::iter().map(subcommand)).map(|name| {
            let (drawn, accepted) = self.0.get(name).copied().unwrap_or_default();
            (name, drawn, accepted)
        })
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().try_for_each(|(name, drawn, accepted)| {
            let share = (accepted * 100).checked_div(drawn).unwrap_or_default();
            writeln!(f, "  {name:<28} {drawn:>6} drawn, {accepted:>6} accepted ({share} %)")
        })
    }
}

fn name(kind: &OpKind) -> &'static str {
    match kind {
        OpKind::Alter { action, .. } => subcommand(AlterTag::from(action)),
        kind => OpTag::from(kind).into(),
    }
}

/// Some subcommands are called as an operation of their own is.
fn subcommand(tag: AlterTag) -> &'static str {
    match tag {
        AlterTag::SetSchema => "alter: set-schema",
        AlterTag::Owner => "alter: owner",
        tag => tag.into(),
    }
}

/// Not drawn, or never accepted, and why. Words of the transaction are sent around what is drawn.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("opaque", "of what is not understood nothing is predicted"),
    ("no-transaction", "who runs the statements may not change the server"),
];
