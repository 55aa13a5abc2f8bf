//! What a plan says, for people, of operations that stand by themselves.

use crate::catalog::Catalog;
use crate::op::{AlterAction, ConstraintKind, ObjectRef, Op, OpKind};

use super::standing::Verdict;

/// What the code of release N has to know of an operation that stands by itself.
pub fn of_code(op: &Op, catalog: &Catalog, verdict: Verdict) -> Vec<String> {
    let soft = verdict == Verdict::Tightening;
    let renamed = |from: &str, to: &str| {
        format!("`{from}` gets the name `{to}` in the soft contract, not before: until then release N says `{from}`, and behind it `{to}`.")
    };
    let said = match &op.kind {
        OpKind::Rename { object, to } if soft => renamed(object.name.as_str(), to.as_str()),
        OpKind::Alter { target, action } if soft => match action {
            AlterAction::RenameTo { to } => renamed(target.name.as_str(), to.as_str()),
            AlterAction::SetSchema { schema } => {
                renamed(&target.name.to_string(), &format!("{}.{}", schema.as_str(), target.name.as_str()))
            }
            AlterAction::DropDefault { column } => {
                format!("Release N gives `{}.{}` a value in every INSERT.", target.name.as_str(), column.as_str())
            }
            AlterAction::DropConstraint { name, .. } => match catalog.relation_by(&target.name).and_then(|r| r.constraint(name.as_str())) {
                Some(c) if c.kind.index().is_some() => format!("Release N says `{}` in no ON CONFLICT.", name.as_str()),
                _ => return Vec::new(),
            },
            AlterAction::EnableRowSecurity => {
                format!(
                    "From the soft contract on, every role but the owner of `{}` sees only the rows that a policy shows it.",
                    target.name
                )
            }
            _ => return Vec::new(),
        },
        OpKind::AddEnumValue { name, value, .. } => {
            format!("Release N writes `{value}` of `{name}` only where N-1 can read it, or when N-1 is gone.")
        }
        OpKind::RenameEnumValue { from, to, .. } if soft => renamed(from, to),
        OpKind::Drop { objects, .. } if soft => {
            let arguments = |o: &ObjectRef| match &o.args {
                Some(types) => format!("({})", types.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(", ")),
                None => String::new(),
            };
            let names: Vec<String> = objects.iter().map(|o| format!("`{}{}`", o.name, arguments(o))).collect();
            format!("Release N does without {}.", names.join(", "))
        }
        _ => return Vec::new(),
    };
    vec![said]
}

/// Why it cannot be run as it is, and nothing else is known to do instead.
pub fn slow(op: &Op) -> &'static str {
    match &op.kind {
        OpKind::Alter { action: AlterAction::AddConstraint(c), .. } if matches!(c.kind, ConstraintKind::Exclude { .. }) => {
            "an exclusion constraint is built while writes wait, and Postgres takes no index for it that was built before"
        }
        OpKind::CreateTable(t) if t.partition_of.is_some() => {
            "the default partition is read in full, while nobody can use it, for rows that belong into the new one"
        }
        OpKind::Alter { action: AlterAction::AttachPartition { .. }, .. } => {
            "a table is read in full, under a lock, to see that its rows lie within the bounds of the partition"
        }
        _ => "it reads or writes a whole table under a strong lock, and no recipe avoids that yet",
    }
}
