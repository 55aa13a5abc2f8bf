//! Statements that change rows, and queries piece by piece.

use airlock::op::{
    Assignment, ConflictTarget, Cte, Dml, DmlKind, Expr, FromItem, InsertSource, OnConflict, OpKindQuery, Query, QueryBody, RowLock,
    Select, Target,
};
use airlock::quote::ident;

use super::parts::{list, plain_list, qn};
use super::{Writer, Written};

fn texts(list: &[Expr]) -> String {
    list.iter().map(|e| e.text.clone()).collect::<Vec<_>>().join(", ")
}

impl Writer<'_> {
    pub fn dml(&self, d: &Dml) -> Written {
        let Dml { span: _, ctes, kind, table, only, alias, from, filter, returning } = d;
        let mut out = self.with(ctes)?;
        let only = if *only { "ONLY " } else { "" };
        let called = |word: &str| alias.as_ref().map(|a| format!(" {word} {}", ident(a.as_str()))).unwrap_or_default();
        match kind {
            DmlKind::Insert { .. } => {
                out.push_str(&format!("INSERT INTO {}{}{}", qn(table), called("AS"), self.insert(kind)?));
            }
            DmlKind::Update { set } => {
                out.push_str(&format!("UPDATE {only}{}{} SET {}", qn(table), called("AS"), assignments(set)));
                if !from.is_empty() {
                    out.push_str(&format!(" FROM {}", self.items(from)?));
                }
            }
            DmlKind::Delete => {
                out.push_str(&format!("DELETE FROM {only}{}{}", qn(table), called("AS")));
                if !from.is_empty() {
                    out.push_str(&format!(" USING {}", self.items(from)?));
                }
            }
            DmlKind::Merge { on, actions, conditions: _ } => {
                let on = on.as_ref().ok_or("MERGE without ON")?;
                out.push_str(&format!("MERGE INTO {only}{}{} USING {} ON ({})", qn(table), called("AS"), self.items(from)?, on.text));
                for a in actions {
                    let then = match a {
                        DmlKind::Insert { .. } => format!("INSERT{}", self.insert(a)?),
                        DmlKind::Update { set } => format!("UPDATE SET {}", assignments(set)),
                        DmlKind::Delete => "DELETE".into(),
                        DmlKind::Merge { .. } => return Err("MERGE in MERGE".into()),
                    };
                    let when = if matches!(a, DmlKind::Insert { .. }) { "NOT MATCHED" } else { "MATCHED" };
                    out.push_str(&format!(" WHEN {when} THEN {then}"));
                }
                if actions.is_empty() {
                    out.push_str(" WHEN MATCHED THEN DO NOTHING");
                }
            }
        }
        if let Some(f) = filter {
            out.push_str(&format!(" WHERE {}", f.text));
        }
        if !returning.is_empty() {
            out.push_str(&format!(" RETURNING {}", targets(returning)));
        }
        Ok(out)
    }

    fn insert(&self, kind: &DmlKind) -> Written {
        let DmlKind::Insert { columns, source, overriding, on_conflict } = kind else { return Err("no INSERT".into()) };
        let mut out = columns.as_ref().map(|c| list(c)).unwrap_or_default();
        out.push_str(if *overriding { " OVERRIDING SYSTEM VALUE" } else { "" });
        out.push_str(&match source {
            InsertSource::Default => " DEFAULT VALUES".to_string(),
            InsertSource::Query(q) => format!(" {}", q.text),
        });
        if let Some(OnConflict { target, set, filter }) = on_conflict {
            out.push_str(" ON CONFLICT");
            match target {
                ConflictTarget::Any => {}
                ConflictTarget::Columns(keys, predicate) => {
                    let keys: Vec<String> = keys
                        .iter()
                        .map(|k| if matches!(k.kind, airlock::op::ExprKind::Column(_)) { k.text.clone() } else { format!("({})", k.text) })
                        .collect();
                    out.push_str(&format!(" ({})", keys.join(", ")));
                    if let Some(p) = predicate {
                        out.push_str(&format!(" WHERE ({})", p.text));
                    }
                }
                ConflictTarget::Constraint(name) => out.push_str(&format!(" ON CONSTRAINT {}", ident(name.as_str()))),
            }
            if set.is_empty() {
                out.push_str(" DO NOTHING");
            } else {
                out.push_str(&format!(" DO UPDATE SET {}", assignments(set)));
                if let Some(f) = filter {
                    out.push_str(&format!(" WHERE ({})", f.text));
                }
            }
        }
        Ok(out)
    }

    fn with(&self, ctes: &[Cte]) -> Written {
        if ctes.is_empty() {
            return Ok(String::new());
        }
        let mut all = Vec::new();
        for Cte { name, columns, recursive: _, body } in ctes {
            let body = match &**body {
                OpKindQuery::Query(q) if !self.pieces => q.text.clone(),
                OpKindQuery::Query(q) => self.query(q)?,
                OpKindQuery::Dml(d) => self.dml(d)?,
            };
            all.push(format!("{}{} AS ({body})", ident(name.as_str()), list(columns)));
        }
        Ok(format!("WITH {}{} ", if ctes.iter().any(|c| c.recursive) { "RECURSIVE " } else { "" }, all.join(", ")))
    }

    /// A query from its parts.
    pub fn query(&self, q: &Query) -> Written {
        let Query { text: _, span: _, ctes, body, order_by, limit, offset, locking } = q;
        let mut out = self.with(ctes)?;
        match body {
            QueryBody::Select(s) => out.push_str(&self.select(s)?),
            QueryBody::Values(rows) => {
                out.push_str(&format!("VALUES {}", rows.iter().map(|r| format!("({})", texts(r))).collect::<Vec<_>>().join(", ")));
            }
            QueryBody::SetOp(l, r) => out.push_str(&format!("({}) UNION ({})", self.query(l)?, self.query(r)?)),
            QueryBody::Table(t) => out.push_str(&format!("TABLE {}", qn(t))),
            QueryBody::Dml(d) => out.push_str(&self.dml(d)?),
            QueryBody::Other => return Err("a query that was not read".into()),
        }
        if !order_by.is_empty() {
            out.push_str(&format!(" ORDER BY {}", texts(order_by)));
        }
        if let Some(l) = limit {
            out.push_str(&format!(" LIMIT ({})", l.text));
        }
        if let Some(o) = offset {
            out.push_str(&format!(" OFFSET ({})", o.text));
        }
        match locking {
            Some(RowLock::Update) => out.push_str(" FOR UPDATE"),
            Some(RowLock::NoKeyUpdate) => out.push_str(" FOR NO KEY UPDATE"),
            Some(RowLock::Share) => out.push_str(" FOR SHARE"),
            Some(RowLock::KeyShare) => out.push_str(" FOR KEY SHARE"),
            None => {}
        }
        Ok(out)
    }

    fn select(&self, s: &Select) -> Written {
        let Select { distinct, distinct_on, targets: list, from, filter, group_by, having, windows: _, into } = s;
        let mut out = format!("SELECT {}", if *distinct { "DISTINCT " } else { "" });
        if !distinct_on.is_empty() {
            out.push_str(&format!("ON ({}) ", texts(distinct_on)));
        }
        out.push_str(&targets(list));
        if let Some(i) = into {
            out.push_str(&format!(" INTO {}", qn(i)));
        }
        if !from.is_empty() {
            out.push_str(&format!(" FROM {}", self.items(from)?));
        }
        if let Some(f) = filter {
            out.push_str(&format!(" WHERE ({})", f.text));
        }
        if !group_by.is_empty() {
            out.push_str(&format!(" GROUP BY {}", texts(group_by)));
        }
        if let Some(h) = having {
            out.push_str(&format!(" HAVING ({})", h.text));
        }
        Ok(out)
    }

    fn items(&self, items: &[FromItem]) -> Written {
        let all: Result<Vec<String>, String> = items.iter().map(|i| self.item(i)).collect();
        Ok(all?.join(", "))
    }

    fn item(&self, item: &FromItem) -> Written {
        let called = |alias: &Option<airlock::op::Name>, columns: &[airlock::op::Name]| match alias {
            Some(a) => format!(" AS {}{}", ident(a.as_str()), list(columns)),
            None => String::new(),
        };
        Ok(match item {
            FromItem::Table { name, only, alias, columns, sample: _ } => {
                format!("{}{}{}", if *only { "ONLY " } else { "" }, qn(name), called(alias, columns))
            }
            // A join with a name of its own is such a query to us; its words begin with the join.
            FromItem::Query { query, alias, columns, lateral } if !self.pieces && !query.text.starts_with("((") => {
                let words = query.text.trim();
                let words = if words.starts_with('(') { words.to_string() } else { format!("({words})") };
                format!("{}{words}{}", if *lateral { "LATERAL " } else { "" }, called(alias, columns))
            }
            FromItem::Query { query, alias, columns, lateral } => {
                format!("{}({}){}", if *lateral { "LATERAL " } else { "" }, self.query(query)?, called(alias, columns))
            }
            FromItem::Function { call, alias, columns } => format!("{}{}", call.text, called(alias, columns)),
            FromItem::Join { left, right, natural, using, on } => {
                let (l, r) = (self.item(left)?, self.item(right)?);
                match (natural, on) {
                    (true, _) => format!("({l} NATURAL JOIN {r})"),
                    (false, Some(on)) => format!("({l} JOIN {r} ON {})", on.text),
                    (false, None) if !using.is_empty() => format!("({l} JOIN {r} USING ({}))", plain_list(using)),
                    _ => format!("({l} CROSS JOIN {r})"),
                }
            }
            FromItem::Other => return Err("a FROM item that was not read".into()),
        })
    }
}

fn targets(list: &[Target]) -> String {
    let one = |Target { expr, alias }: &Target| match alias {
        Some(a) => format!("{} AS {}", expr.text, ident(a.as_str())),
        None => expr.text.clone(),
    };
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn assignments(set: &[Assignment]) -> String {
    let one = |Assignment { columns, value }: &Assignment| match columns.as_slice() {
        [c] => format!("{} = {}", ident(c.as_str()), value.text),
        many => format!("({}) = {}", plain_list(many), value.text),
    };
    set.iter().map(one).collect::<Vec<_>>().join(", ")
}
