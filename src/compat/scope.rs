//! The range table: what columns an expression can see, and where they come from.

use crate::catalog::{ColumnType, Id, Relation};
use crate::op::Name;

use super::names::UNKNOWN;
use super::outcome::{Bound, Fail};

/// A column that can be named.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeColumn {
    pub name: String,
    pub ty: Option<ColumnType>,
    pub collation: Option<String>,
    /// The table's column that it is, through no expression.
    pub source: Option<(Id, String)>,
    /// Under which item of the range table it stands.
    pub item: usize,
}

/// One entry of FROM.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub alias: String,
    /// `schema.t.a` is allowed where the table has no alias.
    pub schema: Option<String>,
    pub relation: Option<Id>,
    pub columns: Vec<ScopeColumn>,
    /// Not all columns are known: a missing one is no error.
    pub open: bool,
    /// System columns (`ctid`, `xmin`) can be asked of a table.
    pub system_columns: bool,
    /// Reached by its qualified name only (`excluded`, the inner tables of a join with alias).
    pub qualified_only: bool,
    /// On whose behalf it is read; see `permissions::Need`.
    pub needs_select: bool,
}

/// One query level.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub items: Vec<Item>,
    /// What `*` expands to and what unqualified names find: items' columns, with merged columns of USING and NATURAL once.
    pub visible: Vec<ScopeColumn>,
    /// An item of FROM could not be read.
    pub open: bool,
}

/// Scopes from the outermost query to the innermost.
pub type Scopes<'s> = [&'s Scope];

impl Scope {
    pub fn push(&mut self, item: Item) {
        let i = self.items.len();
        let mut item = item;
        item.columns.iter_mut().for_each(|c| c.item = i);
        if !item.qualified_only {
            self.visible.extend(item.columns.iter().cloned());
        }
        self.open |= item.open;
        self.items.push(item);
    }

    /// Joins two sides of FROM.
    pub fn beside(mut self, right: Scope) -> Scope {
        let shift = self.items.len();
        let moved = |mut c: ScopeColumn| {
            c.item += shift;
            c
        };
        self.visible.extend(right.visible.into_iter().map(moved));
        self.items.extend(right.items.into_iter().map(|mut i| {
            i.columns = i.columns.into_iter().map(moved).collect();
            i
        }));
        self.open |= right.open;
        self
    }
}

impl Item {
    pub fn of_relation(rel: &Relation, alias: Option<&Name>, renamed: &[Name]) -> Item {
        let columns = rel
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| ScopeColumn {
                name: renamed.get(i).map_or_else(|| c.name.clone(), |n| n.value.clone()),
                ty: known(&c.ty),
                collation: c.collation.clone(),
                source: Some((rel.id, c.name.clone())),
                item: 0,
            })
            .collect();
        Item {
            alias: alias.map_or_else(|| rel.name.clone(), |a| a.value.clone()),
            schema: alias.is_none().then(|| rel.schema.clone()),
            relation: Some(rel.id),
            columns,
            open: rel.assumed,
            system_columns: !matches!(rel.kind, crate::catalog::RelKind::View),
            qualified_only: false,
            needs_select: true,
        }
    }
}

/// A column type that the catalog could tell.
pub fn known(ty: &ColumnType) -> Option<ColumnType> {
    (!ty.name.is_empty() && ty.name != "unknown" && ty.name != "?").then(|| ty.clone())
}

/// What a column reference turned out to be.
pub enum Found {
    Column(ScopeColumn),
    /// A whole row, or a system column of that item.
    Row(usize),
    /// Cannot be told.
    Open,
}

const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// Finds `a`, `t.a` or `s.t.a`, innermost scope first. The number is the depth at which it was found.
pub fn find(scopes: &Scopes<'_>, parts: &[Name]) -> Bound<(Found, usize)> {
    let any_open = scopes.iter().any(|s| s.open);
    match parts {
        [col] => {
            for (depth, s) in scopes.iter().enumerate().rev() {
                let hits: Vec<&ScopeColumn> = s.visible.iter().filter(|c| c.name == col.value).collect();
                match hits.as_slice() {
                    [] => {}
                    [one] => return Ok((Found::Column((*one).clone()), depth)),
                    _ => return Err(Fail::new("42702", col.value.clone())),
                }
                if SYSTEM_COLUMNS.contains(&col.as_str())
                    && let Some(i) = s.items.iter().position(|i| i.system_columns && !i.qualified_only)
                {
                    return Ok((Found::Row(i), depth));
                }
            }
            // A name that is no column may be a table's whole row.
            for (depth, s) in scopes.iter().enumerate().rev() {
                if let Some(i) = s.items.iter().position(|i| i.alias == col.value) {
                    return Ok((Found::Row(i), depth));
                }
            }
            missing(any_open, "42703", &col.value)
        }
        [rest @ .., col] => {
            let Some((depth, i)) = item(scopes, rest) else {
                return missing(any_open, "42P01", &rest.iter().map(Name::as_str).collect::<Vec<_>>().join("."));
            };
            let it = &scopes[depth].items[i];
            let hits: Vec<&ScopeColumn> = it.columns.iter().filter(|c| c.name == col.value).collect();
            match hits.as_slice() {
                [one] => Ok((Found::Column((*one).clone()), depth)),
                [] if it.system_columns && SYSTEM_COLUMNS.contains(&col.as_str()) => Ok((Found::Row(i), depth)),
                [] => missing(it.open, "42703", &col.value),
                _ => Err(Fail::new("42702", col.value.clone())),
            }
        }
        [] => Ok((Found::Open, 0)),
    }
}

/// The item that `t` or `s.t` names.
pub fn item(scopes: &Scopes<'_>, parts: &[Name]) -> Option<(usize, usize)> {
    let matches = |i: &Item| match parts {
        [t] => i.alias == t.value,
        [.., s, t] => i.alias == t.value && i.schema.as_deref() == Some(s.as_str()),
        [] => false,
    };
    scopes.iter().enumerate().rev().find_map(|(d, s)| s.items.iter().position(matches).map(|i| (d, i)))
}

fn missing(open: bool, state: &'static str, name: &str) -> Bound<(Found, usize)> {
    if open { Ok((Found::Open, 0)) } else { Err(Fail::new(if name.is_empty() { UNKNOWN } else { state }, name)) }
}
