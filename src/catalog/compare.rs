//! Two dumps held against each other, fact by fact. Expressions are compared by their presence: a server prints them in its own words.

use std::collections::BTreeMap;

use super::dump::*;

/// What one side says and the other does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `table`, `column`, `constraint`, `index`, …
    pub kind: &'static str,
    /// `schema.table.column`, unquoted.
    pub object: String,
    /// What the catalog says; `None`: there is no such thing.
    pub predicted: Option<String>,
    /// What the server says.
    pub observed: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |s: &Option<String>| s.clone().unwrap_or_else(|| "nothing".to_string());
        write!(f, "{} {}: predicted {}, the server has {}", self.kind, self.object, side(&self.predicted), side(&self.observed))
    }
}

impl Dump {
    /// Where this dump, which the catalog made, differs from what was read from a server.
    pub fn differences(&self, observed: &Dump) -> Vec<Difference> {
        let mut ours = Facts::default();
        ours.all(self);
        let mut theirs = Facts::default();
        theirs.all(observed);
        ours.without_owners(&theirs.owners);
        let owners = ours.owners.clone();
        theirs.without_owners(&owners);
        let mut out = Vec::new();
        let keys: std::collections::BTreeSet<_> = ours.facts.keys().chain(theirs.facts.keys()).cloned().collect();
        for key in keys {
            let (predicted, found) = (ours.facts.get(&key), theirs.facts.get(&key));
            // The type of an expression in a view is not always known here; that is said, and no claim.
            let open = key.0 == "view column type" && predicted.is_some_and(|p| p.starts_with("unknown")) && found.is_some();
            if predicted != found && !open {
                out.push(Difference { kind: key.0, object: key.1, predicted: predicted.cloned(), observed: found.cloned() });
            }
        }
        out
    }
}

#[derive(Default)]
struct Facts {
    facts: BTreeMap<(&'static str, String), String>,
    /// Object → its owner, whose own privileges are no grants.
    owners: BTreeMap<String, String>,
    grants: Vec<(String, Vec<DumpGrant>)>,
}

impl Facts {
    fn put(&mut self, kind: &'static str, object: impl Into<String>, text: impl Into<String>) {
        self.facts.insert((kind, object.into()), text.into());
    }

    fn comment(&mut self, object: String, comment: &Option<String>) {
        if let Some(c) = comment {
            self.put("comment", object, c.clone());
        }
    }

    fn rights(&mut self, object: String, owner: &Option<String>, grants: &[DumpGrant]) {
        if let Some(o) = owner {
            self.owners.insert(object.clone(), o.clone());
        }
        self.grants.push((object, grants.to_vec()));
    }

    fn without_owners(&mut self, others: &BTreeMap<String, String>) {
        for (object, grants) in std::mem::take(&mut self.grants) {
            let whole = object.split_once('#').map_or(object.as_str(), |(o, _)| o);
            for g in &grants {
                let owner = |m: &BTreeMap<String, String>| m.get(whole).is_some_and(|o| *o == g.grantee);
                if owner(&self.owners) || owner(others) || matches!(g.grantee.as_str(), "current_user" | "session_user" | "current_role") {
                    continue;
                }
                let grantable =
                    if g.grantable.is_empty() { String::new() } else { format!(" with grant option {}", g.grantable.join(", ")) };
                self.put(
                    "grant",
                    format!("{} to {}", object.replace('#', "."), g.grantee),
                    format!("{}{grantable}", g.privileges.join(", ")),
                );
            }
        }
    }

    fn all(&mut self, d: &Dump) {
        for s in d.schemas.iter() {
            self.put("schema", &s.name, "");
            self.comment(format!("schema {}", s.name), &s.comment);
            self.rights(format!("schema {}", s.name), &s.owner, &s.grants);
        }
        for e in &d.extensions {
            self.put("extension", &e.name, format!("in {}", e.schema));
        }
        for e in &d.enums {
            let name = format!("{}.{}", e.schema, e.name);
            self.put("enum", &name, e.labels.join(", "));
            self.comment(format!("type {name}"), &e.comment);
            self.rights(format!("type {name}"), &e.owner, &e.grants);
        }
        for t in &d.domains {
            let name = format!("{}.{}", t.schema, t.name);
            let checks: Vec<String> =
                t.checks.iter().map(|c| format!("{}{}", c.name, if c.validated { "" } else { " not valid" })).collect();
            self.put(
                "domain",
                &name,
                format!("{}{}{} {}", t.ty, flag(t.not_null, "not null"), flag(t.default.is_some(), "default"), sorted(&checks)),
            );
            for c in &t.checks {
                self.comment(format!("constraint {name}.{}", c.name), &c.comment);
            }
            self.comment(format!("type {name}"), &t.comment);
            self.rights(format!("type {name}"), &t.owner, &t.grants);
        }
        for t in &d.types {
            let name = format!("{}.{}", t.schema, t.name);
            let columns: Vec<String> = t.columns.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
            self.put("type", &name, format!("{} {}", t.kind, columns.join(", ")));
            self.comment(format!("type {name}"), &t.comment);
            self.rights(format!("type {name}"), &t.owner, &t.grants);
        }
        for t in d.tables.iter().chain(&d.views) {
            self.table(t, d.postgres);
        }
        for s in &d.sequences {
            let name = format!("{}.{}", s.schema, s.name);
            let owned = s.owned_by.as_deref().unwrap_or("nothing");
            self.put("sequence", &name, format!("{} owned by {owned}{}", s.data_type, flag(s.identity, "identity")));
            self.comment(format!("relation {name}"), &s.comment);
            self.rights(format!("relation {name}"), &s.owner, &s.grants);
        }
        for f in &d.functions {
            let name = format!("{}.{}({})", f.schema, f.name, f.arguments.join(", "));
            let more = if f.kind == "aggregate" {
                String::new()
            } else {
                format!(" returns {} {} {}{}", f.returns, f.volatility, f.language, flag(f.security_definer, "security definer"))
            };
            self.put("function", &name, format!("{}{more}", f.kind));
            self.comment(format!("function {name}"), &f.comment);
            self.rights(format!("function {name}"), &f.owner, &f.grants);
        }
    }

    fn table(&mut self, t: &DumpTable, major: u8) {
        let name = format!("{}.{}", t.schema, t.name);
        let view = t.kind.ends_with("view");
        let partition = t.partition_by.as_ref().map(|p| format!(" partition by {p}")).unwrap_or_default();
        let parents = if t.parents.is_empty() { String::new() } else { format!(" below {}", t.parents.join(", ")) };
        self.put(
            if view { "view" } else { "table" },
            &name,
            format!(
                "{} {}{}{}{}{partition}{parents}",
                t.persistence,
                t.kind,
                flag(t.row_security, "row security"),
                flag(t.force_row_security, "forced"),
                flag(t.partition, "partition"),
            ),
        );
        let order: Vec<&str> = t.columns.iter().map(|c| c.name.as_str()).collect();
        self.put("column order", &name, order.join(", "));
        for c in &t.columns {
            let column = format!("{name}.{}", c.name);
            if view {
                self.put("view column type", &column, &c.ty);
                self.put("view column", &column, flag(c.default.is_some(), "default"));
            } else {
                self.put(
                    "column",
                    &column,
                    format!(
                        "{}{}{}{}{}{}{}",
                        c.ty,
                        flag(c.not_null, "not null"),
                        flag(c.default.is_some(), "default"),
                        option("identity", &c.identity),
                        option("generated", &c.generated_kind),
                        option("collate", &c.collation),
                        flag(c.inherited, "inherited"),
                    ),
                );
            }
            self.comment(format!("column {column}"), &c.comment);
            self.rights(format!("relation {name}#{}", c.name), &None, &c.grants);
        }
        for c in &t.constraints {
            // NOT NULLs are objects since 18.
            if c.kind == "not null" && major < 18 {
                continue;
            }
            let to = c.references.as_ref().map(|r| {
                let actions = [("delete", &c.on_delete), ("update", &c.on_update)];
                let actions: String = actions.iter().map(|(e, a)| format!(" on {e} {}", a.as_deref().unwrap_or("no action"))).collect();
                format!(" references {r} ({}){actions}", c.referenced_columns.join(", "))
            });
            let columns = if c.kind == "check" { sorted(&c.columns) } else { c.columns.join(", ") };
            self.put(
                "constraint",
                format!("{name}.{}", c.name),
                format!(
                    "{} ({columns}){}{}{}{}{}{}{}",
                    c.kind,
                    to.unwrap_or_default(),
                    flag(!c.validated, "not valid"),
                    flag(!c.enforced, "not enforced"),
                    flag(c.deferrable, "deferrable"),
                    flag(c.initially_deferred, "initially deferred"),
                    flag(c.no_inherit, "no inherit"),
                    flag(c.inherited, "inherited"),
                ),
            );
            self.comment(format!("constraint {name}.{}", c.name), &c.comment);
        }
        for i in &t.indexes {
            let index = format!("{}.{}", t.schema, i.name);
            let columns: Vec<&str> = i.columns.iter().map(|c| c.as_deref().unwrap_or("(expression)")).collect();
            self.put(
                "index",
                &index,
                format!(
                    "on {name} {} ({}) include ({}){}{}{}{}{}{}{}",
                    i.method,
                    columns.join(", "),
                    i.include.join(", "),
                    flag(i.unique, "unique"),
                    flag(i.primary, "primary"),
                    flag(!i.valid, "invalid"),
                    flag(i.nulls_not_distinct, "nulls not distinct"),
                    flag(i.constraint, "constraint"),
                    flag(i.predicate.is_some(), "partial"),
                    option("part of", &i.parent),
                ),
            );
            self.comment(format!("relation {index}"), &i.comment);
        }
        for g in &t.triggers {
            self.put(
                "trigger",
                format!("{name}.{}", g.name),
                format!(
                    "{} {} of ({}) for each {} {} {}{}{}{}",
                    g.timing,
                    g.events.join(" or "),
                    g.update_of.join(", "),
                    if g.for_each_row { "row" } else { "statement" },
                    g.function,
                    g.enabled,
                    flag(g.constraint, "constraint"),
                    flag(g.condition.is_some(), "when"),
                    flag(g.inherited, "inherited"),
                ),
            );
            self.comment(format!("trigger {name}.{}", g.name), &g.comment);
        }
        for p in &t.policies {
            let kind = if p.permissive { "permissive" } else { "restrictive" };
            let text = format!(
                "{kind} for {} to {}{}{}",
                p.command,
                p.roles.join(", "),
                flag(p.using.is_some(), "using"),
                flag(p.with_check.is_some(), "with check")
            );
            self.put("policy", format!("{name}.{}", p.name), text);
            self.comment(format!("policy {name}.{}", p.name), &p.comment);
        }
        for r in &t.rules {
            self.put("rule", format!("{name}.{}", r.name), format!("on {}{} {}", r.event, flag(r.instead, "instead"), r.enabled));
            self.comment(format!("rule {name}.{}", r.name), &r.comment);
        }
        self.comment(format!("relation {name}"), &t.comment);
        self.rights(format!("relation {name}"), &t.owner, &t.grants);
    }
}

fn flag(set: bool, word: &str) -> String {
    if set { format!(" {word}") } else { String::new() }
}

fn option(word: &str, value: &Option<String>) -> String {
    value.as_ref().map(|v| format!(" {word} {v}")).unwrap_or_default()
}

fn sorted(list: &[String]) -> String {
    let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
    list.sort_unstable();
    list.dedup();
    list.join(", ")
}
