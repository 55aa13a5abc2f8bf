//! Which tables a publication sends: whether UPDATE and DELETE need a replica identity depends on it.

use crate::op::{Name, QName};

use super::apply::{Res, fails};
use super::{Catalog, Id, Object, RelKind};

impl Catalog {
    /// Reads the words behind the name of CREATE or ALTER PUBLICATION: `FOR TABLE a, b (x) WHERE (…), TABLES IN SCHEMA s`,
    /// `ADD TABLE c`, `SET TABLE d`, `DROP TABLE e`.
    ///
    /// With a table go those that inherit from it; partitions are sent through their partitioned table.
    pub(super) fn follow_publication(&self, object: &mut Object, words: &str) -> Res<()> {
        let tokens = split(words);
        let mut at = 0;
        let word = |i: usize| tokens.get(i).map_or(String::new(), |t| t.to_ascii_lowercase());
        let mut drop = false;
        let mut set = false;
        let mut only = false;
        let mut reading = None;
        while at < tokens.len() {
            match word(at).as_str() {
                "drop" => drop = true,
                "set" if word(at + 1) == "table" || word(at + 1) == "tables" => {
                    object.relations.clear();
                    object.columns.clear();
                    set = true;
                }
                "table" => reading = Some(false),
                "schema" if word(at.wrapping_sub(1)) == "in" => reading = Some(true),
                "with" | "where" | "all" => reading = None,
                "only" => only = true,
                "tables" | "for" | "add" | "in" | "," | "*" => {}
                t if t.starts_with('(') => {}
                _ => match reading {
                    Some(true) => object.columns.push(unquote(tokens.get(at).map_or("", String::as_str))),
                    Some(false) => {
                        let written = tokens.get(at).map_or("", String::as_str);
                        for id in self.published(written, std::mem::take(&mut only), drop)? {
                            self.send(object, id, drop, set)?;
                        }
                    }
                    None => {}
                },
            }
            if word(at) == "," && reading.is_none() {
                // The filter of a table ends at the comma; more tables follow.
                reading = Some(false);
            }
            at += 1;
        }
        Ok(())
    }

    /// A publication sends this event (`update`, `delete`) of the table, and the table has no replica identity.
    pub fn cannot_be_told_apart(&self, rel: &super::Relation, event: &str) -> bool {
        use super::ConKind;
        use crate::op::{ObjectKind, ReplicaIdentity};
        if rel.kind != RelKind::Table || rel.persistence != crate::op::Persistence::Permanent {
            return false;
        }
        let published = self.objects.values().filter(|o| o.kind == ObjectKind::Publication).any(|o| {
            let detail = o.detail.to_ascii_lowercase();
            let sends = match detail.split_once("publish") {
                Some((_, list)) if list.contains('\'') => list.split('\'').nth(1).is_some_and(|l| l.contains(event)),
                _ => true,
            };
            let all = detail.contains("for all tables") || (detail.contains("tables in schema") && o.columns.contains(&rel.schema));
            // Partitions are sent with the tables above them.
            let mut at = Some(rel);
            let member = std::iter::from_fn(|| {
                let r = at?;
                at = r.parents.first().filter(|_| r.is_partition()).and_then(|p| self.relation(*p));
                Some(r.id)
            });
            sends && (all || { member }.any(|id| o.relations.contains(&id)))
        });
        published
            && match &rel.replica_identity {
                None | Some(ReplicaIdentity::Default) => {
                    !rel.constraints.iter().any(|c| matches!(c.kind, ConKind::PrimaryKey { .. }) && !c.deferrable)
                }
                Some(ReplicaIdentity::Full) => false,
                Some(ReplicaIdentity::Nothing) => true,
                Some(ReplicaIdentity::Index(name)) => {
                    !self.indexes_of(rel.id).iter().any(|r| r.name == name.value && r.index.as_ref().is_some_and(|i| i.unique && i.valid))
                }
            }
    }

    fn send(&self, object: &mut Object, id: Id, drop: bool, set: bool) -> Res<()> {
        let name = self.relation(id).map_or("", |r| r.name.as_str());
        let member = object.relations.contains(&id);
        if drop {
            if !member {
                return Err(fails("42704", format!("relation \"{name}\" is not part of the publication")));
            }
            object.relations.retain(|r| *r != id);
        } else if !member {
            object.relations.push(id);
        } else if !set {
            return Err(fails("42710", format!("relation \"{name}\" is already member of publication \"{}\"", object.name)));
        }
        Ok(())
    }

    /// The table and those that inherit from it. Nothing where the table may be one that the history does not know.
    fn published(&self, written: &str, only: bool, drop: bool) -> Res<Vec<Id>> {
        let mut parts: Vec<Name> = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let end = if rest.starts_with('"') {
                rest[1..].find('"').map_or(rest.len(), |i| i + 2)
            } else {
                rest.find('.').unwrap_or(rest.len())
            };
            parts.push(Name::new(unquote(&rest[..end]), crate::source::Span::default()));
            rest = rest[end..].trim_start_matches('.');
        }
        let Some(name) = parts.pop() else { return Ok(Vec::new()) };
        let name = QName { schema: parts.pop(), name };
        let Some(rel) = self.resolve(&name).and_then(|id| self.relation(id)) else {
            return if self.complete { Err(self.no_relation_or_schema(&name)) } else { Ok(Vec::new()) };
        };
        if !rel.assumed && (rel.kind.is_index() || rel.kind == RelKind::Composite) {
            return Err(fails("42809", format!("cannot open relation \"{}\"", rel.name)));
        }
        if !drop && !rel.assumed && (!rel.kind.is_table() || rel.persistence != crate::op::Persistence::Permanent) {
            return Err(fails("22023", format!("cannot add relation \"{}\" to publication", rel.name)));
        }
        let mut out = vec![rel.id];
        if !only && rel.kind != RelKind::PartitionedTable {
            out.extend(self.descendants_of(rel.id));
        }
        Ok(out)
    }
}

fn unquote(s: &str) -> String {
    match s.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => s.to_lowercase(),
    }
}

/// Words, commas, and what stands in parentheses as one piece.
fn split(words: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut depth = 0usize;
    let mut quoted = false;
    for c in words.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                current.push(c);
            }
            '(' if !quoted => {
                if depth == 0 && !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                depth += 1;
                current.push(c);
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                current.push(c);
            }
            ',' if !quoted && depth == 0 => {
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                out.push(",".into());
            }
            c if c.is_whitespace() && !quoted && depth == 0 => {
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
            }
            c => current.push(c),
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}
