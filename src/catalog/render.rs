//! The catalog as SQL that makes the same schema again.

use std::collections::HashSet;
use std::fmt::Write;

use crate::op::{Expr, IndexElement, ObjectKind, PartitionBound, Persistence, TriggerMode};
use crate::quote::{dollar, ident, idents, literal, qualified};

use super::names::simple_column;
use super::words::type_sql;
use super::{Catalog, Column, ConKind, Function, Id, Index, RelKind, Relation, Type, TypeKind};

impl Catalog {
    /// SQL for an empty database of the same version: objects in an order in which each finds what it needs.
    pub fn to_sql(&self) -> String {
        let mut out = String::from("SET check_function_bodies = false;\n");
        for s in self.schemas.values().filter(|s| s.name != "public") {
            let _ = writeln!(out, "CREATE SCHEMA {};", ident(&s.name));
        }
        for e in self.objects_of(ObjectKind::Extension) {
            let _ = writeln!(out, "CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {};", ident(&e.name), ident(&e.schema));
        }
        for id in self.creation_order() {
            if let Some(t) = self.types.get(&id) {
                self.write_type(&mut out, t);
            } else if let Some(f) = self.functions.get(&id) {
                write_function(&mut out, f);
            } else if let Some(r) = self.relation(id) {
                self.write_relation(&mut out, r);
            }
        }
        for r in self.relations.values() {
            self.write_index(&mut out, r);
        }
        for r in self.relations.values() {
            self.write_extras(&mut out, r);
        }
        self.write_privileges(&mut out);
        self.write_comments(&mut out);
        self.write_default_privileges(&mut out);
        out
    }

    /// Types, functions and relations, each after what it refers to; otherwise as they were made.
    fn creation_order(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self.types.keys().chain(self.functions.keys()).copied().collect();
        ids.extend(self.relations.values().filter(|r| !r.kind.is_index() && !self.is_made_with_column(r)).map(|r| r.id));
        ids.sort_unstable();
        let mut done = HashSet::new();
        let mut out = Vec::new();
        for id in ids {
            self.visit(id, &mut done, &mut out);
        }
        out
    }

    /// Identity sequences come with their column.
    fn is_made_with_column(&self, r: &Relation) -> bool {
        r.sequence.as_ref().is_some_and(|s| s.identity)
    }

    fn visit(&self, id: Id, done: &mut HashSet<Id>, out: &mut Vec<Id>) {
        if !done.insert(id) {
            return;
        }
        for needed in self.needed_by(id) {
            self.visit(needed, done, out);
        }
        let made = match self.relation(id) {
            Some(r) => !r.kind.is_index() && !self.is_made_with_column(r),
            None => true,
        };
        if made {
            out.push(id);
        }
    }

    fn needed_by(&self, id: Id) -> Vec<Id> {
        let Some(r) = self.relation(id) else {
            return self.references.get(&id).map(|r| r.to_vec()).unwrap_or_default();
        };
        let mut out = r.parents.clone();
        for c in &r.columns {
            out.extend(c.ty.id);
            out.extend(&c.uses);
        }
        out.extend(r.constraints.iter().flat_map(|c| &c.uses));
        if let Some(v) = &r.view {
            out.extend(v.depends.iter().map(|(id, _)| *id));
            out.extend(v.functions.iter().chain(&v.types));
        }
        out
    }

    fn write_type(&self, out: &mut String, t: &Type) {
        let name = qualified(&t.schema, &t.name);
        match &t.kind {
            TypeKind::Enum { labels } => {
                let labels: Vec<String> = labels.iter().map(|l| literal(&l.value)).collect();
                let _ = writeln!(out, "CREATE TYPE {name} AS ENUM ({});", labels.join(", "));
            }
            TypeKind::Domain { base, not_null, default, checks } => {
                let _ = write!(out, "CREATE DOMAIN {name} AS {}", type_sql(base));
                if let Some(d) = default {
                    let _ = write!(out, " DEFAULT {}", d.text);
                }
                if *not_null {
                    out.push_str(" NOT NULL");
                }
                for c in checks {
                    let _ = write!(out, " CONSTRAINT {} CHECK ({})", ident(&c.name), c.expr.text);
                }
                out.push_str(";\n");
            }
            // Range and base types: their definitions are not kept. Those of extensions come with the extension.
            TypeKind::Composite { .. } | TypeKind::Range | TypeKind::Other => {}
        }
    }

    fn write_relation(&self, out: &mut String, r: &Relation) {
        let name = qualified(&r.schema, &r.name);
        match r.kind {
            RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable => self.write_table(out, r, &name),
            RelKind::View | RelKind::MaterializedView => {
                let what = if r.kind == RelKind::View { "VIEW" } else { "MATERIALIZED VIEW" };
                let columns = if r.columns.is_empty() || r.assumed {
                    String::new()
                } else {
                    format!(" ({})", idents(r.columns.iter().map(|c| &c.name)))
                };
                let options = options_sql(&r.options);
                let Some(v) = &r.view else { return };
                let data = if r.kind == RelKind::MaterializedView && !v.populated { " WITH NO DATA" } else { "" };
                let _ = writeln!(out, "CREATE {what} {name}{columns}{options} AS {}{data};", v.query.text.trim_end_matches(';').trim_end());
            }
            RelKind::Sequence => {
                let Some(s) = &r.sequence else { return };
                let _ = writeln!(out, "CREATE SEQUENCE {name} AS {}{};", s.data_type, sequence_options(r));
            }
            RelKind::Composite => {
                let columns: Vec<String> = r.columns.iter().map(|c| format!("{} {}", ident(&c.name), type_sql(&c.ty))).collect();
                let _ = writeln!(out, "CREATE TYPE {name} AS ({});", columns.join(", "));
            }
            RelKind::Index | RelKind::PartitionedIndex => {}
        }
    }

    /// A check that is not valid, on a table whose children were made later and have it as a valid one.
    fn was_there_before_children(&self, r: &Relation, c: &super::Constraint) -> bool {
        let valid_below =
            |child: &Id| self.relation(*child).and_then(|r| r.constraint(&c.name)).is_some_and(|o| o.inherited && o.validated);
        matches!(c.kind, ConKind::Check { .. }) && !c.validated && self.children_of(r.id).iter().any(valid_below)
    }

    fn write_table(&self, out: &mut String, r: &Relation, name: &str) {
        let persistence = match r.persistence {
            Persistence::Permanent => "",
            Persistence::Temporary => "TEMPORARY ",
            Persistence::Unlogged => "UNLOGGED ",
        };
        let foreign = if r.kind == RelKind::ForeignTable { "FOREIGN " } else { "" };
        let inherited = |c: &Column| c.inherited && !r.is_partition();
        let mut parts: Vec<String> = r.columns.iter().filter(|c| !inherited(c)).map(|c| self.column_sql(r, c)).collect();
        for c in r.constraints.iter().filter(|c| !c.inherited) {
            let here = match &c.kind {
                ConKind::Check { .. } => c.validated,
                // Constraints on the partition that come from its partitioned table are made there.
                ConKind::PrimaryKey { .. } => true,
                ConKind::Unique { .. } => !repeats(r, c),
                _ => false,
            };
            if here {
                parts.push(format!("CONSTRAINT {} {}", ident(&c.name), self.constraint_sql(c)));
            }
        }
        let _ = write!(out, "CREATE {persistence}{foreign}TABLE {name} (");
        for (i, p) in parts.iter().enumerate() {
            let _ = write!(out, "{}\n    {p}", if i == 0 { "" } else { "," });
        }
        out.push_str(if parts.is_empty() { ")" } else { "\n)" });
        if !r.parents.is_empty() && !r.is_partition() {
            let parents: Vec<String> = r.parents.iter().filter_map(|p| self.relation(*p)).map(|p| qualified(&p.schema, &p.name)).collect();
            let _ = write!(out, " INHERITS ({})", parents.join(", "));
        }
        if let Some(by) = &r.partition_by {
            let keys: Vec<String> = by.keys.iter().map(key_sql).collect();
            let _ = write!(out, " PARTITION BY {} ({})", by.strategy.to_ascii_uppercase(), keys.join(", "));
        }
        if foreign.is_empty() {
            out.push_str(&options_sql(&r.options));
        } else if let Some((_, Some(server))) = r.options.iter().find(|(k, _)| k == "server") {
            let _ = write!(out, " SERVER {}", ident(server));
        }
        out.push_str(";\n");
        for c in r.constraints.iter().filter(|c| !c.inherited && self.was_there_before_children(r, c)) {
            let _ = writeln!(out, "ALTER TABLE {name} ADD CONSTRAINT {} {};", ident(&c.name), self.constraint_sql(c));
        }
        if let (Some(bound), Some(parent)) = (&r.partition_bound, r.parents.first().and_then(|p| self.relation(*p))) {
            let parent = qualified(&parent.schema, &parent.name);
            let _ = writeln!(out, "ALTER TABLE {parent} ATTACH PARTITION {name} {};", bound_sql(bound));
        }
    }

    fn column_sql(&self, r: &Relation, c: &Column) -> String {
        let mut out = format!("{} {}", ident(&c.name), type_sql(&c.ty));
        if let Some(collation) = &c.collation {
            let parts: Vec<String> = collation.split('.').map(ident).collect();
            let _ = write!(out, " COLLATE {}", parts.join("."));
        }
        if let Some(g) = &c.generated {
            let _ = write!(out, " GENERATED ALWAYS AS ({}) {}", g.expr.text, if g.stored { "STORED" } else { "VIRTUAL" });
        } else if let Some(i) = &c.identity {
            let _ = write!(out, " GENERATED {} AS IDENTITY", if i.always { "ALWAYS" } else { "BY DEFAULT" });
            let made = self.sequences_of(r.id).into_iter().find(|(s, of)| *of == c.name && s.sequence.as_ref().is_some_and(|s| s.identity));
            if let Some((name, options)) = made.map(|(s, _)| (qualified(&s.schema, &s.name), sequence_options(s))) {
                let _ = write!(out, " (SEQUENCE NAME {name}{options})");
            }
        } else if let Some(d) = &c.default {
            let _ = write!(out, " DEFAULT {}", d.text);
        }
        if c.not_null {
            // Since 18 the constraint has a name, which a rename of table or column leaves as it was.
            let named = r
                .constraints
                .iter()
                .find(|k| self.pg.0 >= 18 && k.validated && matches!(&k.kind, ConKind::NotNull { column } if *column == c.name));
            match named {
                Some(k) => {
                    let _ = write!(out, " CONSTRAINT {} NOT NULL{}", ident(&k.name), if k.no_inherit { " NO INHERIT" } else { "" });
                }
                None => out.push_str(" NOT NULL"),
            }
        }
        out
    }

    fn write_index(&self, out: &mut String, r: &Relation) {
        let Some(i) = &r.index else { return };
        // What a constraint or a partitioned index makes comes with it.
        if i.constraint || i.parent.is_some() {
            return;
        }
        let Some(table) = self.relation(i.table) else { return };
        let unique = if i.unique { "UNIQUE " } else { "" };
        let _ = write!(
            out,
            "CREATE {unique}INDEX {} ON {} USING {} ({})",
            ident(&r.name),
            qualified(&table.schema, &table.name),
            ident(&i.method),
            elements_sql(i)
        );
        if !i.include.is_empty() {
            let _ = write!(out, " INCLUDE ({})", idents(&i.include));
        }
        if i.nulls_not_distinct {
            out.push_str(" NULLS NOT DISTINCT");
        }
        out.push_str(&options_sql(&r.options));
        if let Some(f) = &i.filter {
            let _ = write!(out, " WHERE {}", f.text);
        }
        out.push_str(";\n");
    }

    /// What is said by ALTER once all relations are there.
    fn write_extras(&self, out: &mut String, r: &Relation) {
        let name = qualified(&r.schema, &r.name);
        if let Some((table, column)) = r.sequence.as_ref().filter(|s| !s.identity).and_then(|s| s.owned_by.as_ref())
            && let Some(t) = self.relation(*table)
        {
            let _ = writeln!(out, "ALTER SEQUENCE {name} OWNED BY {}.{};", qualified(&t.schema, &t.name), ident(column));
        }
        for c in r.constraints.iter().filter(|c| !c.inherited) {
            let later = match &c.kind {
                ConKind::ForeignKey { .. } | ConKind::Exclude { .. } => true,
                ConKind::Unique { .. } => repeats(r, c),
                ConKind::Check { .. } => !c.validated && !self.was_there_before_children(r, c),
                _ => false,
            };
            if later {
                let _ = writeln!(out, "ALTER TABLE {name} ADD CONSTRAINT {} {};", ident(&c.name), self.constraint_sql(c));
            }
        }
        for t in r.triggers.iter().filter(|t| !t.inherited) {
            let constraint = if t.constraint { "CONSTRAINT " } else { "" };
            let mut events: Vec<String> = t.events.clone();
            if !t.update_of.is_empty() {
                events.iter_mut().filter(|e| *e == "UPDATE").for_each(|e| *e = format!("UPDATE OF {}", idents(&t.update_of)));
            }
            let each = if t.for_each_row { "ROW" } else { "STATEMENT" };
            let when = t.when.as_ref().map(|w| format!(" WHEN ({})", w.text)).unwrap_or_default();
            let function = match (t.function_id.and_then(|id| self.functions.get(&id)), t.function.split_once('.')) {
                (Some(f), _) => qualified(&f.schema, &f.name),
                (None, Some((s, n))) => qualified(s, n),
                (None, None) => ident(&t.function),
            };
            let deferred = match (t.deferrable, t.initially_deferred) {
                (_, true) => " DEFERRABLE INITIALLY DEFERRED",
                (true, false) => " DEFERRABLE",
                (false, false) => "",
            };
            let tables: String =
                t.transition_tables.iter().map(|(new, n)| format!(" {} TABLE AS {}", if *new { "NEW" } else { "OLD" }, ident(n))).collect();
            let tables = if tables.is_empty() { tables } else { format!(" REFERENCING{tables}") };
            let args = t.args.iter().map(|a| literal(a)).collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                out,
                "CREATE {constraint}TRIGGER {} {} {} ON {name}{deferred}{tables} FOR EACH {each}{when} EXECUTE FUNCTION {function}({args});",
                ident(&t.name),
                t.timing,
                events.join(" OR ")
            );
            if t.mode != TriggerMode::Enable {
                let _ = writeln!(out, "ALTER TABLE {name} {} TRIGGER {};", t.mode.sql(), ident(&t.name));
            }
        }
        self.write_settings(out, r, &name);
        if r.row_security {
            let _ = writeln!(out, "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;");
        }
        if r.force_row_security {
            let _ = writeln!(out, "ALTER TABLE {name} FORCE ROW LEVEL SECURITY;");
        }
        for p in &r.policies {
            let kind = if p.permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
            let roles: Vec<String> = p
                .roles
                .iter()
                .map(|r| match r.to_ascii_lowercase().as_str() {
                    "public" | "current_user" | "session_user" | "current_role" => r.to_ascii_uppercase(),
                    _ => ident(r),
                })
                .collect();
            let to = if roles.is_empty() { String::new() } else { format!(" TO {}", roles.join(", ")) };
            let using = p.using.as_ref().map(|e| format!(" USING ({})", e.text)).unwrap_or_default();
            let check = p.with_check.as_ref().map(|e| format!(" WITH CHECK ({})", e.text)).unwrap_or_default();
            let _ = writeln!(out, "CREATE POLICY {} ON {name} AS {kind} FOR {}{to}{using}{check};", ident(&p.name), p.command);
        }
    }
}

/// A key of the same columns as an earlier one: CREATE TABLE would make one of the two.
fn repeats(r: &Relation, c: &super::Constraint) -> bool {
    r.constraints
        .iter()
        .take_while(|o| o.name != c.name)
        .chain(r.primary_key())
        .any(|o| o.kind.index().is_some() && o.name != c.name && o.kind.columns() == c.kind.columns())
}

/// Options of a sequence as they stand behind its type, and in brackets behind an identity.
pub fn sequence_options(sequence: &Relation) -> String {
    let mut out = String::new();
    for (k, v) in sequence.sequence.iter().flat_map(|s| &s.options).filter(|(k, _)| k != "SEQUENCE NAME" && k != "RESTART") {
        let _ = match (k.as_str(), v) {
            ("CYCLE", Some(_)) => write!(out, " NO CYCLE"),
            ("MINVALUE" | "MAXVALUE", None) => write!(out, " NO {k}"),
            (_, None) => write!(out, " {k}"),
            ("INCREMENT", Some(v)) => write!(out, " INCREMENT BY {v}"),
            ("START", Some(v)) => write!(out, " START WITH {v}"),
            (_, Some(v)) => write!(out, " {k} {v}"),
        };
    }
    out
}

fn write_function(out: &mut String, f: &Function) {
    if f.kind == ObjectKind::Aggregate {
        return;
    }
    let what = if f.kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
    let d = &f.def;
    let args: Vec<String> = d
        .args
        .iter()
        .map(|a| {
            let name = a.name.as_ref().map(|n| format!("{} ", ident(n.as_str()))).unwrap_or_default();
            let default = a.default.as_ref().map(|e| format!(" DEFAULT {}", e.text)).unwrap_or_default();
            format!("{} {name}{}{default}", a.mode, a.ty.text)
        })
        .collect();
    let _ = write!(out, "CREATE OR REPLACE {what} {}({})", qualified(&f.schema, &f.name), args.join(", "));
    if !d.returns_table.is_empty() {
        let columns: Vec<String> = d.returns_table.iter().map(|(n, t)| format!("{} {}", ident(n.as_str()), t.text)).collect();
        let _ = write!(out, " RETURNS TABLE ({})", columns.join(", "));
    } else if let Some(r) = &d.returns {
        let setof = if r.setof && !r.text.to_ascii_lowercase().starts_with("setof") { "SETOF " } else { "" };
        let _ = write!(out, " RETURNS {setof}{}", r.text);
    }
    let _ = write!(out, " LANGUAGE {}", ident(&d.language.to_ascii_lowercase()));
    if f.kind == ObjectKind::Function {
        let _ = write!(out, " {}", d.volatility.to_string().to_ascii_uppercase());
        if d.strict {
            out.push_str(" STRICT");
        }
    }
    if d.security_definer {
        out.push_str(" SECURITY DEFINER");
    }
    if d.leakproof {
        out.push_str(" LEAKPROOF");
    }
    for words in &d.other {
        let _ = write!(out, " {words}");
    }
    for (name, value) in &d.settings {
        if value == "FROM CURRENT" {
            let _ = write!(out, " SET {name} FROM CURRENT");
            continue;
        }
        let parts: Vec<String> = super::session::split_list(value).iter().map(|p| literal(p)).collect();
        let value = if parts.is_empty() { "''".to_string() } else { parts.join(", ") };
        let _ = write!(out, " SET {name} TO {value}");
    }
    let body = d.body.trim_start();
    let head = body.get(..6).unwrap_or_default().to_ascii_lowercase();
    if d.language.eq_ignore_ascii_case("sql") && (head == "return" || body.to_ascii_lowercase().starts_with("begin atomic")) {
        let _ = writeln!(out, " {};", d.body);
    } else {
        let symbol = d.symbol.as_ref().map(|s| format!(", {}", literal(s))).unwrap_or_default();
        let _ = writeln!(out, " AS {}{symbol};", dollar(&d.body));
    }
}

/// A key as it may stand in an index or a partition key.
fn key_sql(e: &Expr) -> String {
    match simple_column(e) {
        Some(c) => ident(c),
        None => format!("({})", e.text),
    }
}

fn elements_sql(i: &Index) -> String {
    let element = |e: &IndexElement| {
        let mut out = key_sql(&e.expr);
        for (word, name) in [(" COLLATE", &e.collation), ("", &e.opclass)] {
            if let Some(n) = name {
                let n = n.schema_str().map_or_else(|| ident(n.as_str()), |s| qualified(s, n.as_str()));
                let _ = write!(out, "{word} {n}");
            }
        }
        if !e.opclass_options.is_empty() {
            let all: Vec<String> =
                e.opclass_options.iter().map(|(k, v)| format!("{} = {}", ident(k), v.as_deref().unwrap_or("true"))).collect();
            let _ = write!(out, " ({})", all.join(", "));
        }
        if e.descending {
            out.push_str(" DESC");
        }
        match e.nulls_first {
            Some(true) => out.push_str(" NULLS FIRST"),
            Some(false) => out.push_str(" NULLS LAST"),
            None => {}
        }
        out
    };
    i.elements.iter().map(element).collect::<Vec<_>>().join(", ")
}

fn options_sql(options: &crate::op::Options) -> String {
    if options.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = options
        .iter()
        .map(|(k, v)| {
            let name: Vec<String> = k.split('.').map(ident).collect();
            match v {
                Some(v) => format!("{} = {}", name.join("."), literal(v.trim_matches('\''))),
                None => name.join("."),
            }
        })
        .collect();
    format!(" WITH ({})", parts.join(", "))
}

/// A bound as it stands behind ATTACH PARTITION.
pub fn bound_sql(bound: &PartitionBound) -> String {
    let list = |v: &[Expr]| v.iter().map(|e| e.text.as_str()).collect::<Vec<_>>().join(", ");
    match bound {
        PartitionBound::Default => "DEFAULT".to_string(),
        PartitionBound::List(v) => format!("FOR VALUES IN ({})", list(v)),
        PartitionBound::Range { from, to } => format!("FOR VALUES FROM ({}) TO ({})", list(from), list(to)),
        PartitionBound::Hash { modulus, remainder } => format!("FOR VALUES WITH (MODULUS {modulus}, REMAINDER {remainder})"),
    }
}

/// Single objects as SQL, for whoever has to bring one back.
impl Catalog {
    /// A table, view, sequence, composite type or index, without what ALTER adds to it.
    pub fn relation_sql(&self, r: &Relation) -> String {
        let mut out = String::new();
        self.write_relation(&mut out, r);
        self.write_index(&mut out, r);
        statement(out)
    }

    /// A view, materialized view or index with all that stands on it: indexes, triggers, privileges, comments.
    pub fn whole_sql(&self, r: &Relation) -> Vec<String> {
        let mut out = self.relation_sql(r) + ";\n";
        // A catalog with nothing else in it says the rest.
        let mut only = self.clone();
        only.schemas.clear();
        only.types.clear();
        only.functions.clear();
        only.default_acls.clear();
        let mine = |x: &Relation| x.id == r.id || x.index.as_ref().is_some_and(|i| i.table == r.id);
        only.relations = self.relations.iter().filter(|(_, x)| mine(x)).map(|(id, x)| (*id, x.clone())).collect();
        for i in self.indexes_of(r.id) {
            self.write_index(&mut out, i);
        }
        self.write_extras(&mut out, r);
        only.write_privileges(&mut out);
        only.write_comments(&mut out);
        crate::lower::lower_text(&out).iter().map(|s| out[s.span.range()].to_string()).collect()
    }

    /// A partition as the table above it makes it: `CREATE TABLE … PARTITION OF`, then what only the partition has.
    pub fn partition_sql(&self, r: &Relation) -> Vec<String> {
        let parent = r.parents.first().and_then(|p| self.relation(*p));
        let (Some(parent), Some(bound)) = (parent, &r.partition_bound) else { return self.whole_sql(r) };
        let mut own: Vec<String> = Vec::new();
        for c in &r.columns {
            let above = parent.column(&c.name);
            let default = c.default.as_ref().filter(|d| above.and_then(|a| a.default.as_ref()).is_none_or(|a| a.text != d.text));
            let not_null = c.not_null && above.is_some_and(|a| !a.not_null);
            if c.generated.is_none() && (default.is_some() || not_null) {
                let default = default.map(|d| format!(" DEFAULT {}", d.text)).unwrap_or_default();
                own.push(format!("{}{default}{}", ident(&c.name), if not_null { " NOT NULL" } else { "" }));
            }
        }
        let here = |c: &&super::Constraint| match c.kind {
            ConKind::Check { .. } => c.validated,
            ConKind::PrimaryKey { .. } => true,
            ConKind::Unique { .. } => !repeats(r, c),
            _ => false,
        };
        let constraints = r.constraints.iter().filter(|c| !c.inherited).filter(here);
        own.extend(constraints.map(|c| format!("CONSTRAINT {} {}", ident(&c.name), self.constraint_sql(c))));
        let own = if own.is_empty() { String::new() } else { format!(" ({})", own.join(", ")) };
        let by = r.partition_by.as_ref().map_or_else(String::new, |by| {
            let keys: Vec<String> = by.keys.iter().map(key_sql).collect();
            format!(" PARTITION BY {} ({})", by.strategy.to_ascii_uppercase(), keys.join(", "))
        });
        let (name, above) = (qualified(&r.schema, &r.name), qualified(&parent.schema, &parent.name));
        let create = format!("CREATE TABLE {name} PARTITION OF {above}{own} {}{by}{}", bound_sql(bound), options_sql(&r.options));
        let made = |sql: &String| {
            use crate::op::{AlterAction, OpKind};
            let read = crate::lower::lower_text(sql);
            read.iter()
                .flat_map(|s| &s.ops)
                .any(|o| matches!(&o.kind, OpKind::CreateTable(_) | OpKind::Alter { action: AlterAction::AttachPartition { .. }, .. }))
        };
        std::iter::once(create).chain(self.whole_sql(r).into_iter().filter(|s| !made(s))).collect()
    }

    pub fn function_sql(&self, f: &Function) -> String {
        let mut out = String::new();
        write_function(&mut out, f);
        statement(out)
    }

    /// The statement that makes an index; `None` where a constraint or a partitioned index does.
    pub fn index_sql(&self, r: &Relation) -> Option<String> {
        let mut out = String::new();
        self.write_index(&mut out, r);
        (!out.is_empty()).then(|| statement(out))
    }

    /// `CONSTRAINT name …` of a table, as ADD takes it; `not_valid` where the rows are not to be read.
    pub fn constraint_definition(&self, c: &super::Constraint, not_valid: bool) -> String {
        let words = self.constraint_sql(c);
        let not_valid = if not_valid && !words.ends_with("NOT VALID") { " NOT VALID" } else { "" };
        format!("CONSTRAINT {} {words}{not_valid}", ident(&c.name))
    }

    /// The statements that make one trigger or policy of a table.
    pub fn attachment_sql(&self, r: &Relation, name: &str) -> Vec<String> {
        let mut only = Relation::empty(r.id, &r.schema, &r.name, r.kind, r.origin);
        only.triggers = r.triggers.iter().filter(|t| t.name == name).cloned().collect();
        only.policies = r.policies.iter().filter(|p| p.name == name).cloned().collect();
        let mut out = String::new();
        self.write_extras(&mut out, &only);
        crate::lower::lower_text(&out).iter().map(|s| out[s.span.range()].to_string()).collect()
    }
}

fn statement(text: String) -> String {
    text.trim_end().trim_end_matches(';').to_string()
}
