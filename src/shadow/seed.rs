//! Rows for the tables that a proof needs: values by type, the server as the judge of what it takes.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::catalog::RelName;
use crate::quote::{ident, idents, literal};

use super::error::ShadowError;
use super::fitting::Fitting;
use super::multiply::multiply;
use super::session::{Session, SqlError};
use super::values::{Ty, Want};

/// How daring the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Edges of every type among ordinary values.
    Edges,
    /// What an application writes; NULL where it is allowed.
    Ordinary,
    /// Small positive numbers, also as text, and no NULL: survives nearly every migration.
    Careful,
}

#[derive(Debug, Clone)]
pub struct SeedOptions {
    pub rows: usize,
    pub seed: u64,
    pub profile: Profile,
    /// What the rows have to fit.
    pub fit: Fitting,
}

impl Default for SeedOptions {
    fn default() -> Self {
        SeedOptions { rows: 40, seed: 1, profile: Profile::Edges, fit: Fitting::default() }
    }
}

/// Which tables got rows, and why others did not.
#[derive(Debug, Clone, Default)]
pub struct Seeded {
    pub rows: BTreeMap<RelName, usize>,
    pub failed: BTreeMap<RelName, String>,
}

/// A column as the seeder and the probes see it.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Ty,
    pub not_null: bool,
    pub default: bool,
    /// GENERATED ALWAYS, as an expression or as identity: cannot be given.
    pub fixed: bool,
    /// The default draws from a sequence.
    pub serial: bool,
    pub unique: bool,
    /// Literals of check constraints that speak about the column: likely to be what they allow.
    pub hints: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: RelName,
    pub ref_columns: Vec<String>,
}

/// What a live table looks like.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: RelName,
    pub columns: Vec<Column>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Columns of the primary key, in order.
    pub primary_key: Vec<String>,
}

/// Fills `tables` and what their foreign keys need. Tables that hold rows already get more.
pub fn seed(session: &mut Session, tables: &BTreeSet<RelName>, options: &SeedOptions) -> Result<Seeded, ShadowError> {
    let mut out = Seeded::default();
    let mut order = Vec::new();
    let mut known = BTreeMap::new();
    let mut put_on = options.fit.put_on(session);
    for t in tables {
        visit(session, t, options, &mut known, &mut order, &mut Vec::new())?;
    }
    for name in order {
        let Some(Some(table)) = known.get_mut(&name) else { continue };
        for c in &mut table.columns {
            // They are what the column may hold: nothing else is tried.
            if let Some(hints) = options.fit.hints.get(&(name.clone(), c.name.clone())) {
                c.hints.clone_from(hints);
            }
        }
        let table = &*table;
        let asked = tables.contains(&name);
        let rows = if asked { options.rows } else { options.rows.min(20) };
        let mut filled = fill(session, table, rows, options);
        if !matches!(filled, Ok(n) if n > 0) && put_on.take_off(session, Some(&name))? {
            // Rows that the migration refuses are better than none.
            filled = fill(session, table, rows, options);
        }
        match filled {
            Ok(n) if n > 0 => {
                out.rows.insert(name.clone(), n);
            }
            Ok(_) => {
                out.failed.insert(name.clone(), "no row was accepted".into());
            }
            Err(e) => {
                out.failed.insert(name.clone(), e.to_string());
            }
        }
        // The planner should choose as on a table with rows; without the right to ask for it nothing is lost.
        let _ = session.run(&format!("ANALYZE {}", name.sql()));
    }
    put_on.take_off(session, None)?;
    Ok(out)
}

/// Referenced tables first. A circle is cut where it closes: its foreign key then takes NULL, or the table cannot be filled.
fn visit(
    session: &mut Session,
    name: &RelName,
    options: &SeedOptions,
    known: &mut BTreeMap<RelName, Option<Table>>,
    order: &mut Vec<RelName>,
    path: &mut Vec<RelName>,
) -> Result<(), ShadowError> {
    if known.contains_key(name) || path.contains(name) {
        return Ok(());
    }
    path.push(name.clone());
    let mut table = table(session, name)?;
    if let (Some(t), Some(more)) = (&mut table, options.fit.foreign_keys.get(name)) {
        t.foreign_keys.extend(more.iter().cloned());
    }
    for fk in table.iter().flat_map(|t| &t.foreign_keys) {
        visit(session, &fk.table.clone(), options, known, order, path)?;
    }
    path.pop();
    known.insert(name.clone(), table);
    order.push(name.clone());
    Ok(())
}

/// Reads a table from the live catalog; `None` when there is no such table.
pub fn table(session: &mut Session, name: &RelName) -> Result<Option<Table>, ShadowError> {
    let err = |e| ShadowError::sql(format!("read table {name}"))(e);
    let oid = session
        .value(&format!(
            "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p', 'f')",
            literal(&name.schema),
            literal(&name.name)
        ))
        .map_err(err)?;
    let Some(oid) = oid else { return Ok(None) };
    let mut columns = Vec::new();
    let rows = session
        .rows(&format!(
            "SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, \
             coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false), \
             EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey)), \
             (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ') FROM pg_catalog.pg_constraint k \
              WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)) \
             FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ))
        .map_err(err)?;
    for r in rows {
        let get = |i: usize| r.get(i).cloned().flatten().unwrap_or_default();
        let is = |i: usize| get(i) == "t";
        let mut hints = literals(&get(9));
        let (ty, domain) = ty(session, &get(1), get(2).parse().unwrap_or(-1), 0).map_err(err)?;
        hints.extend(literals(&domain.checks));
        columns.push(Column {
            name: get(0),
            ty,
            not_null: is(3) || domain.not_null,
            default: is(4) || !get(5).is_empty(),
            fixed: get(5) == "a" || !get(6).is_empty(),
            serial: is(7) || get(5) == "d",
            unique: is(8),
            hints,
        });
    }
    let names = |which: &str, rel: &str| {
        format!(
            "(SELECT pg_catalog.jsonb_agg(a.attname ORDER BY u.o) FROM pg_catalog.unnest({which}) WITH ORDINALITY u(n, o) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = {rel} AND a.attnum = u.n)"
        )
    };
    let list = |v: &Option<String>| serde_json::from_str::<Vec<String>>(v.as_deref().unwrap_or("[]")).unwrap_or_default();
    let rows = session
        .rows(&format!(
            "SELECT {}, rn.nspname, rc.relname, {} FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class rc ON rc.oid = k.confrelid \
             JOIN pg_catalog.pg_namespace rn ON rn.oid = rc.relnamespace WHERE k.conrelid = {oid} AND k.contype = 'f' ORDER BY k.conname",
            names("k.conkey", "k.conrelid"),
            names("k.confkey", "k.confrelid")
        ))
        .map_err(err)?;
    let foreign_keys = rows
        .iter()
        .map(|r| ForeignKey {
            columns: list(&r[0]),
            table: RelName::new(r[1].clone().unwrap_or_default(), r[2].clone().unwrap_or_default()),
            ref_columns: list(&r[3]),
        })
        .collect();
    let key = session
        .value(&format!(
            "SELECT {} FROM pg_catalog.pg_constraint k WHERE k.conrelid = {oid} AND k.contype = 'p'",
            names("k.conkey", "k.conrelid")
        ))
        .map_err(err)?;
    Ok(Some(Table { name: name.clone(), columns, foreign_keys, primary_key: list(&key) }))
}

#[derive(Default)]
struct Domain {
    not_null: bool,
    checks: String,
}

fn ty(session: &mut Session, oid: &str, typmod: i32, depth: u8) -> Result<(Ty, Domain), SqlError> {
    let rows = session.rows(&format!(
        "SELECT t.typtype, pg_catalog.format_type(t.oid, NULL), pg_catalog.format_type(t.oid, {typmod}), t.typbasetype, t.typtypmod, \
         t.typnotnull, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, \
         (SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid), \
         (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid), \
         (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.atttypid::text, a.atttypmod) ORDER BY a.attnum) \
          FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), \
         (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ') FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid) \
         FROM pg_catalog.pg_type t WHERE t.oid = {oid}"
    ))?;
    let Some(r) = rows.first().filter(|_| depth < 8) else { return Ok((Ty::default(), Domain::default())) };
    let get = |i: usize| r.get(i).cloned().flatten().unwrap_or_default();
    let mut out = Ty { base: get(1), sql: get(2), typmod, ..Ty::default() };
    match get(0).as_str() {
        "d" => {
            let (base, mut domain) = ty(session, &get(3), get(4).parse().unwrap_or(-1), depth + 1)?;
            domain.not_null |= get(5) == "t";
            domain.checks.push_str(&get(10));
            return Ok((Ty { sql: get(2), ..base }, domain));
        }
        "e" => out.labels = serde_json::from_str(&get(7)).unwrap_or_default(),
        "r" | "m" => {
            let sub = ty(session, &get(8), -1, depth + 1)?.0;
            out.range = Some((Box::new(sub), get(0) == "m"));
        }
        "c" => {
            let attributes: Vec<(String, i32)> = serde_json::from_str(&get(9)).unwrap_or_default();
            for (oid, typmod) in attributes {
                out.attributes.push(ty(session, &oid, typmod, depth + 1)?.0);
            }
        }
        _ if get(6) != "0" => out.element = Some(Box::new(ty(session, &get(6), typmod, depth + 1)?.0)),
        _ => {}
    }
    Ok((out, Domain::default()))
}

/// String and number literals of a check constraint, and texts as long as the numbers say.
fn literals(check: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = check;
    while let Some(i) = rest.find(['\'', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        let before = rest[..i].chars().next_back();
        let tail = &rest[i..];
        if let Some(body) = tail.strip_prefix('\'') {
            let Some(end) = body.find('\'') else { break };
            out.push(body[..end].to_string());
            rest = &body[end + 1..];
        } else {
            let end = tail.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tail.len());
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                let number = &tail[..end];
                out.push(number.to_string());
                if let Ok(n) = number.parse::<i64>() {
                    out.push((n + 1).to_string());
                    out.push((n - 1).to_string());
                    if (1..=64).contains(&n) {
                        out.push("a".repeat(n as usize));
                        out.push("A".repeat(n as usize));
                        out.push("1".repeat(n as usize));
                    }
                }
            }
            rest = &tail[end..];
        }
    }
    out.sort();
    out.dedup();
    out
}

/// More rows are made by copying; one INSERT each would take minutes.
const MOST_BY_ONE: usize = 5_000;

/// Rows that are then copied.
const FIRST_BY_ONE: usize = 500;

/// One table that is being filled.
struct Filling<'f> {
    table: &'f Table,
    profile: Profile,
    rng: Rng,
    /// By foreign key: what it may refer to.
    keys: Vec<Vec<Vec<Option<String>>>>,
    number: u64,
    done: usize,
    refused: Option<SqlError>,
}

fn fill(session: &mut Session, table: &Table, rows: usize, options: &SeedOptions) -> Result<usize, SqlError> {
    let rng =
        Rng::with_seed(options.seed ^ table.name.to_string().bytes().fold(7, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)));
    let mut keys = Vec::new();
    for fk in &table.foreign_keys {
        let sql = format!("SELECT {} FROM {} LIMIT 200", idents(&fk.ref_columns), fk.table.sql());
        keys.push(session.rows(&sql).unwrap_or_default());
    }
    // Triggers of the application may have filled it already.
    let existing: usize = session.value(&format!("SELECT count(*) FROM {}", table.name.sql()))?.and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut f = Filling { table, profile: options.profile, rng, keys, number: existing as u64, done: 0, refused: None };
    if rows <= MOST_BY_ONE {
        f.one_by_one(session, 0..rows)?;
    } else {
        f.one_by_one(session, 0..FIRST_BY_ONE)?;
        let there = f.done + existing;
        let more = if f.done > 0 { multiply(session, table, there, rows + existing)? - there } else { 0 };
        f.done += more;
        // Where they cannot be copied, there are fewer.
        if more == 0 && f.done > 0 {
            f.one_by_one(session, FIRST_BY_ONE..MOST_BY_ONE)?;
        }
    }
    match f.refused {
        Some(e) if f.done == 0 && existing == 0 => Err(e),
        _ => Ok(f.done + existing),
    }
}

impl Filling<'_> {
    fn one_by_one(&mut self, session: &mut Session, rows: std::ops::Range<usize>) -> Result<(), SqlError> {
        for i in rows {
            for attempt in 0..25 {
                self.number += 1;
                let Some(values) = row(self.table, i, attempt, self.number, self.profile, &self.keys, &mut self.rng) else { continue };
                match session.run(&insert(&self.table.name, &values)) {
                    Ok(_) => {
                        self.done += 1;
                        break;
                    }
                    // A trigger without end is tried once.
                    Err(e) if e.is_connection() || e.is_stopped() => return Err(e),
                    Err(e) => self.refused = Some(e),
                }
            }
            // A table that took nothing after so many different rows takes nothing at all.
            if self.done == 0 && i >= 7 {
                break;
            }
        }
        Ok(())
    }
}

pub fn insert(table: &RelName, values: &[(String, String)]) -> String {
    if values.is_empty() {
        return format!("INSERT INTO {} DEFAULT VALUES", table.sql());
    }
    let columns: Vec<String> = values.iter().map(|(c, _)| ident(c)).collect();
    let exprs: Vec<&str> = values.iter().map(|(_, v)| v.as_str()).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.sql(), columns.join(", "), exprs.join(", "))
}

/// From this attempt on, texts have a usual form.
const FORMS_FROM: usize = 8;

/// Values for one row; `None` where foreign keys leave no choice now. The first rows are the edges, one kind a row.
pub fn row(
    table: &Table,
    i: usize,
    attempt: usize,
    number: u64,
    profile: Profile,
    keys: &[Vec<Vec<Option<String>>>],
    rng: &mut Rng,
) -> Option<Vec<(String, String)>> {
    let edges = [Want::Least, Want::Greatest, Want::Empty, Want::Odd];
    let mut out: BTreeMap<&str, String> = BTreeMap::new();
    for (fk, keys) in table.foreign_keys.iter().zip(keys) {
        let nullable = fk.columns.iter().any(|c| table.columns.iter().any(|k| k.name == *c && !k.not_null));
        let given = |out: &BTreeMap<&str, String>, key: &[Option<String>]| {
            fk.columns
                .iter()
                .zip(key)
                .all(|(c, v)| out.get(c.as_str()).is_none_or(|o| Some(o.as_str()) == v.as_deref().map(literal).as_deref()))
        };
        let fitting: Vec<&Vec<Option<String>>> = keys.iter().filter(|k| given(&out, k)).collect();
        let null = nullable && (fitting.is_empty() || (profile != Profile::Careful && rng.u8(..5) == 0));
        if null {
            for c in &fk.columns {
                if table.columns.iter().any(|k| k.name == *c && !k.not_null) {
                    out.insert(c, "NULL".into());
                }
            }
            continue;
        }
        if fitting.is_empty() {
            return None;
        }
        // What only one row may refer to is referred to by each in turn, so that none is left without where there are enough rows.
        let once = fk.columns.iter().any(|c| table.columns.iter().any(|k| k.name == *c && k.unique));
        let key = fitting[if once && profile == Profile::Careful { (i + attempt) % fitting.len() } else { rng.usize(..fitting.len()) }];
        for (c, v) in fk.columns.iter().zip(key) {
            out.insert(c, v.as_deref().map_or("NULL".into(), literal));
        }
    }
    for c in &table.columns {
        if c.fixed || c.serial || out.contains_key(c.name.as_str()) {
            continue;
        }
        // Now and then the default, as applications do.
        if c.default && (i % 3 == 2 || attempt > 12) {
            continue;
        }
        let ordinary = if profile == Profile::Careful { Want::Careful } else { Want::Ordinary };
        let mut want = ordinary;
        // The first rows are made of edges as far as the server takes them; later ones have an edge here and there.
        let edge_row = i < edges.len() && attempt < 8 && c.hints.is_empty() && (attempt < 4 || rng.bool());
        if profile == Profile::Edges && edge_row {
            want = edges[i];
        } else if profile == Profile::Edges && attempt < 3 && rng.u8(..8) == 0 && !c.unique {
            want = edges[rng.usize(..edges.len())];
        }
        let null_row = profile != Profile::Careful && i == edges.len() && attempt == 0;
        let null = !c.not_null && profile != Profile::Careful && (null_row || (want == ordinary && rng.u8(..6) == 0));
        let value = if null {
            "NULL".to_string()
        } else if !c.hints.is_empty()
            && want == ordinary
            && (profile == Profile::Careful && !c.unique || rng.u8(..4) > (if c.unique { 2 } else { 0 }))
        {
            c.ty.cast(&c.hints[rng.usize(..c.hints.len())])
        } else {
            // A retry looks further away, so that narrow types and unique keys find free values.
            let n = if attempt < 6 { number } else { rng.u64(..1000) };
            // What refuses any other text may take one of a usual form: the same in every column, since it is one of them that refuses.
            let formed = (want == ordinary && attempt >= FORMS_FROM).then(|| c.ty.form(attempt - FORMS_FROM, n)).flatten();
            formed.unwrap_or_else(|| c.ty.value(want, n, rng))
        };
        out.insert(&c.name, value);
    }
    Some(table.columns.iter().filter_map(|c| Some((c.name.clone(), out.remove(c.name.as_str())?))).collect())
}
