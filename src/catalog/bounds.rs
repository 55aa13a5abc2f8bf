//! Bounds of partitions: which ones overlap.

use crate::op::{Expr, PartitionBound};

use super::apply::{Res, fails};
use super::{Catalog, Id, Relation};

impl Catalog {
    /// `check_new_partition_bound`: the kind of bound and what other partitions hold already.
    pub(super) fn refuse_bound(&self, parent: Id, bound: &PartitionBound) -> Res<()> {
        let Some(rel) = self.relation(parent) else { return Ok(()) };
        refuse_bound_words(rel, bound)?;
        let others: Vec<(&str, &PartitionBound)> = self
            .children_of(parent)
            .into_iter()
            .filter_map(|id| self.relation(id))
            .filter_map(|r| Some((r.name.as_str(), r.partition_bound.as_ref()?)))
            .collect();
        if let PartitionBound::Range { from, to } = bound
            && let (Some(f), Some(t)) = (single(from), single(to))
            && f >= t
        {
            return Err(fails("42P17", "empty range bound specified for partition"));
        }
        match others.iter().find(|(_, other)| clash(bound, other)) {
            Some((name, PartitionBound::Default)) => {
                Err(fails("42P17", format!("partition conflicts with existing default partition \"{name}\"")))
            }
            Some((name, _)) => Err(fails("42P17", format!("partition would overlap partition \"{name}\""))),
            None => Ok(()),
        }
    }
}

/// What is told from the words of the bound alone, before anything else is looked at.
pub(super) fn refuse_bound_words(rel: &Relation, bound: &PartitionBound) -> Res<()> {
    let strategy = rel.partition_by.as_ref().map_or("", |p| p.strategy.as_str());
    let kind = match bound {
        PartitionBound::Default if strategy == "hash" => {
            return Err(fails("42P16", "a hash-partitioned table may not have a default partition"));
        }
        PartitionBound::Default => strategy,
        PartitionBound::List(_) => "list",
        PartitionBound::Range { .. } => "range",
        PartitionBound::Hash { .. } => "hash",
    };
    if kind != strategy && !strategy.is_empty() {
        return Err(fails("42P16", format!("invalid bound specification for a {strategy} partition")));
    }
    Ok(())
}

/// Two bounds that both take some row; only said of constants that are plainly numbers or the same words.
fn clash(a: &PartitionBound, b: &PartitionBound) -> bool {
    use PartitionBound::*;
    match (a, b) {
        (Default, Default) => true,
        (List(a), List(b)) => a.iter().any(|x| b.iter().any(|y| x.text.trim() == y.text.trim())),
        (Range { from: f, to: t }, Range { from: g, to: u }) => match (single(f), single(t), single(g), single(u)) {
            (Some(f), Some(t), Some(g), Some(u)) => f < u && g < t,
            _ => false,
        },
        (Hash { modulus: m, remainder: r }, Hash { modulus: n, remainder: s }) => {
            match (m.parse::<u32>(), r.parse::<u32>(), n.parse::<u32>(), s.parse::<u32>()) {
                (Ok(m), Ok(r), Ok(n), Ok(s)) if m > 0 && n > 0 => r % m.min(n) == s % m.min(n),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The one key of a range bound as a number.
pub(super) fn single(keys: &[Expr]) -> Option<i128> {
    let [e] = keys else { return None };
    match e.text.trim().to_ascii_uppercase().as_str() {
        "MINVALUE" => Some(i128::MIN),
        "MAXVALUE" => Some(i128::MAX),
        t => t.trim_matches('\'').parse::<i64>().ok().map(i128::from),
    }
}
