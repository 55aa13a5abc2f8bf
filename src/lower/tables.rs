//! CREATE TABLE: columns, constraints, partitions.

use crate::op::{
    ColumnDef, ConstraintKind, CreateTable, CreateTableAs, FkAction, ForeignKey, Generated, Identity, LikeClause, Name, OnCommit, Op,
    OpKind, PartitionBound, PartitionBy, Persistence, QName, TableConstraint,
};
use crate::source::Span;
use crate::sql::cursor::{Cursor, Read};

use super::expr::{b_expr, expr, expr_list, in_parens};
use super::indexes::{include, index_element};
use super::{op, options, query, types};

/// Behind `CREATE [TEMP …]`, at TABLE; `foreign`: CREATE FOREIGN TABLE.
pub fn create(c: &mut Cursor<'_>, start: usize, persistence: Persistence, foreign: bool) -> Read<Vec<Op>> {
    c.expect("TABLE")?;
    let if_not_exists = c.if_not_exists();
    let name = c.qname()?;
    let mut t = CreateTable {
        name,
        if_not_exists,
        persistence,
        columns: Vec::new(),
        constraints: Vec::new(),
        likes: Vec::new(),
        inherits: Vec::new(),
        partition_by: None,
        partition_of: None,
        of_type: None,
        options: Vec::new(),
        access_method: None,
        tablespace: None,
        on_commit: OnCommit::PreserveRows,
        foreign_server: None,
    };
    // CREATE TABLE … AS, with or without column names.
    if is_as(c) {
        return create_as(c, start, t);
    }
    if c.eat("PARTITION OF") {
        let parent = c.qname()?;
        if c.is_punct(b'(') {
            elements(c, &mut t, true)?;
        }
        t.partition_of = Some((parent, bound(c)?));
    } else if c.eat("OF") {
        t.of_type = Some(c.qname()?);
        if c.is_punct(b'(') {
            elements(c, &mut t, true)?;
        }
    } else {
        elements(c, &mut t, false)?;
    }
    if c.eat("INHERITS") {
        t.inherits = c.parens(|c| c.qname_list())?;
    }
    if c.eat("PARTITION BY") {
        t.partition_by = Some(partition_by(c)?);
    }
    loop {
        if c.eat("USING") {
            t.access_method = Some(c.name()?.value);
        } else if c.eat("WITH") {
            t.options = options(c)?;
        } else if c.eat("WITHOUT OIDS") {
        } else if c.eat("ON COMMIT") {
            t.on_commit = on_commit(c)?;
        } else if c.eat("TABLESPACE") {
            t.tablespace = Some(c.name()?.value);
        } else if foreign && c.eat("SERVER") {
            t.foreign_server = Some(c.name()?.value);
        } else if foreign && c.eat("OPTIONS") {
            c.skip_parens();
        } else {
            break;
        }
    }
    Ok(vec![op(c, start, OpKind::CreateTable(Box::new(t)))])
}

fn is_as(c: &Cursor<'_>) -> bool {
    let mut look = c.clone();
    if look.is_punct(b'(') && look.name_list().is_err() {
        return false;
    }
    loop {
        if look.eat("WITH") {
            look.skip_parens();
        } else if look.eat("ON COMMIT") {
            let _ = look.eat("PRESERVE ROWS") || look.eat("DELETE ROWS") || look.eat("DROP");
        } else if look.eat("WITHOUT OIDS") {
        } else if look.eat("USING") || look.eat("TABLESPACE") {
            look.next();
        } else {
            return look.is("AS");
        }
    }
}

fn create_as(c: &mut Cursor<'_>, start: usize, t: CreateTable) -> Read<Vec<Op>> {
    let columns = if c.is_punct(b'(') { c.name_list()? } else { Vec::new() };
    let mut commit = OnCommit::PreserveRows;
    c.skip_until(|c| {
        let mut look = c.clone();
        if look.eat("ON COMMIT") {
            commit = on_commit(&mut look).unwrap_or_default();
        }
        c.is("AS")
    });
    c.expect("AS")?;
    let query = if c.is("EXECUTE") { query::prepared(c)? } else { query::query(c)? };
    let with_data = with_data(c);
    let kind = CreateTableAs {
        name: t.name,
        if_not_exists: t.if_not_exists,
        persistence: t.persistence,
        columns,
        query,
        with_data,
        on_commit: commit,
    };
    Ok(vec![op(c, start, OpKind::CreateTableAs(Box::new(kind)))])
}

/// Behind ON COMMIT.
fn on_commit(c: &mut Cursor<'_>) -> Read<OnCommit> {
    Ok(match c.eat_any(&["PRESERVE ROWS", "DELETE ROWS", "DROP"]) {
        Some("DROP") => OnCommit::Drop,
        Some("DELETE ROWS") => OnCommit::DeleteRows,
        Some(_) => OnCommit::PreserveRows,
        None => return c.fail("PRESERVE ROWS, DELETE ROWS or DROP"),
    })
}

/// WITH [NO] DATA.
pub fn with_data(c: &mut Cursor<'_>) -> bool {
    if c.eat("WITH NO DATA") {
        return false;
    }
    c.eat("WITH DATA");
    true
}

fn elements(c: &mut Cursor<'_>, t: &mut CreateTable, typed: bool) -> Read<()> {
    c.parens(|c| {
        if c.is_punct(b')') {
            return Ok(());
        }
        c.list(|c| {
            if c.is("LIKE") && !c.is_punct_at(1, b',') {
                c.eat("LIKE");
                let table = c.qname()?;
                let mut like = LikeClause { table, options: Vec::new() };
                while let Some(word) = c.eat_any(&["INCLUDING", "EXCLUDING"]) {
                    like.options.push((word == "INCLUDING", c.name()?.value.to_ascii_uppercase()));
                }
                t.likes.push(like);
            } else if at_constraint(c) {
                t.constraints.push(table_constraint(c)?);
            } else if typed {
                let start = c.pos();
                let name = c.name()?;
                c.eat("WITH OPTIONS");
                let ty = crate::op::TypeName {
                    name: QName::bare("", name.span),
                    modifiers: Vec::new(),
                    array_dims: 0,
                    setof: false,
                    percent_type: false,
                    span: name.span,
                    text: String::new(),
                };
                let mut column = empty_column(name, ty);
                column_constraints(c, &mut column)?;
                column.span = c.span_from(start);
                t.columns.push(column);
            } else {
                t.columns.push(column_def(c)?);
            }
            Ok(())
        })?;
        Ok(())
    })
}

/// Does a table constraint begin here? A column may be called `check` only in quotes.
pub fn at_constraint(c: &Cursor<'_>) -> bool {
    c.is("CONSTRAINT")
        || c.is_seq("PRIMARY KEY")
        || c.is_seq("FOREIGN KEY")
        || (c.is("UNIQUE") && (c.is_punct_at(1, b'(') || c.is_at(1, "USING") || c.is_at(1, "NULLS")))
        || (c.is("CHECK") && c.is_punct_at(1, b'('))
        || (c.is("EXCLUDE") && (c.is_punct_at(1, b'(') || c.is_at(1, "USING")))
        || c.is_seq("NOT NULL")
}

fn empty_column(name: Name, ty: crate::op::TypeName) -> ColumnDef {
    let span = name.span;
    ColumnDef {
        name,
        ty,
        collation: None,
        default: None,
        nullable: None,
        not_null_span: None,
        not_null_name: None,
        identity: None,
        generated: None,
        constraints: Vec::new(),
        storage: None,
        compression: None,
        options: Vec::new(),
        span,
    }
}

pub fn column_def(c: &mut Cursor<'_>) -> Read<ColumnDef> {
    let start = c.pos();
    let name = c.name()?;
    let ty = types::type_name(c)?;
    let mut column = empty_column(name, ty);
    column_constraints(c, &mut column)?;
    column.span = c.span_from(start);
    Ok(column)
}

fn column_constraints(c: &mut Cursor<'_>, column: &mut ColumnDef) -> Read<()> {
    loop {
        let start = c.pos();
        let name = if c.eat("CONSTRAINT") { Some(c.name()?) } else { None };
        if c.eat("NOT NULL") {
            column.nullable = Some(false);
            column.not_null_span = Some(c.span_from(start));
            column.not_null_name = name;
            let mut k = plain_constraint(None, ConstraintKind::NotNull { column: column.name.clone() });
            attributes(c, &mut k);
        } else if c.eat("NULL") {
            column.nullable = Some(true);
        } else if c.eat("DEFAULT") {
            column.default = Some(b_expr(c)?);
        } else if c.eat("COLLATE") {
            column.collation = Some(c.qname()?);
        } else if c.eat("GENERATED ALWAYS AS IDENTITY") {
            column.identity = Some(Identity { always: true, sequence_options: identity_options(c)? });
        } else if c.eat("GENERATED BY DEFAULT AS IDENTITY") {
            column.identity = Some(Identity { always: false, sequence_options: identity_options(c)? });
        } else if c.eat("GENERATED ALWAYS AS") {
            let expr = in_parens(c)?;
            let stored = c.eat("STORED");
            let implicit = !stored && !c.eat("VIRTUAL");
            column.generated = Some(Generated { expr, stored, implicit });
        } else if c.eat("STORAGE") {
            column.storage = Some(c.name()?.value);
        } else if c.eat("COMPRESSION") {
            column.compression = Some(c.name()?.value);
        } else if c.is("OPTIONS") && c.is_punct_at(1, b'(') {
            c.next();
            c.skip_parens();
        } else if let Some(kind) = inline_kind(c, &column.name)? {
            let mut k = plain_constraint(name, kind);
            attributes(c, &mut k);
            k.span = c.span_from(start);
            column.constraints.push(k);
        } else if name.is_some() {
            return c.fail("a column constraint");
        } else {
            // What may follow a constraint, as attributes of the one before.
            let mut last = column.constraints.pop();
            let mut k = last.take().unwrap_or_else(|| plain_constraint(None, ConstraintKind::NotNull { column: column.name.clone() }));
            let any = attributes(c, &mut k);
            if !matches!(k.kind, ConstraintKind::NotNull { .. }) {
                column.constraints.push(k);
            }
            if !any {
                return Ok(());
            }
        }
    }
}

fn inline_kind(c: &mut Cursor<'_>, column: &Name) -> Read<Option<ConstraintKind>> {
    Ok(Some(if c.eat("PRIMARY KEY") {
        index_parameters(c)?;
        ConstraintKind::PrimaryKey { columns: vec![column.clone()], include: Vec::new(), using_index: None, without_overlaps: false }
    } else if c.eat("UNIQUE") {
        let nulls_not_distinct = nulls_not_distinct(c);
        index_parameters(c)?;
        ConstraintKind::Unique {
            columns: vec![column.clone()],
            include: Vec::new(),
            nulls_not_distinct,
            using_index: None,
            without_overlaps: false,
        }
    } else if c.eat("CHECK") {
        ConstraintKind::Check { expr: in_parens(c)? }
    } else if c.eat("REFERENCES") {
        ConstraintKind::ForeignKey(Box::new(references(c, vec![column.clone()])?))
    } else {
        return Ok(None);
    }))
}

fn plain_constraint(name: Option<Name>, kind: ConstraintKind) -> TableConstraint {
    TableConstraint {
        name,
        kind,
        not_valid: false,
        not_enforced: false,
        deferrable: false,
        initially_deferred: false,
        no_inherit: false,
        span: Span::default(),
    }
}

pub fn nulls_not_distinct(c: &mut Cursor<'_>) -> bool {
    if c.eat("NULLS NOT DISTINCT") {
        return true;
    }
    c.eat("NULLS DISTINCT");
    false
}

/// WITH (…) and USING INDEX TABLESPACE of a constraint's index.
fn index_parameters(c: &mut Cursor<'_>) -> Read<()> {
    if c.eat("WITH") {
        options(c)?;
    }
    if c.eat("USING INDEX TABLESPACE") {
        c.name()?;
    }
    Ok(())
}

/// DEFERRABLE, NOT VALID and so on, in any order. Says whether there was any.
fn attributes(c: &mut Cursor<'_>, k: &mut TableConstraint) -> bool {
    let mut any = false;
    loop {
        if c.eat("NOT DEFERRABLE") {
        } else if c.eat("DEFERRABLE") {
            k.deferrable = true;
        } else if c.eat("INITIALLY DEFERRED") {
            k.deferrable = true;
            k.initially_deferred = true;
        } else if c.eat("INITIALLY IMMEDIATE") {
        } else if c.eat("NOT VALID") {
            k.not_valid = true;
        } else if c.eat("NOT ENFORCED") {
            k.not_enforced = true;
        } else if c.eat("ENFORCED") {
        } else if c.eat("NO INHERIT") {
            k.no_inherit = true;
        } else {
            return any;
        }
        any = true;
    }
}

pub fn table_constraint(c: &mut Cursor<'_>) -> Read<TableConstraint> {
    let start = c.pos();
    let name = if c.eat("CONSTRAINT") { Some(c.name()?) } else { None };
    let kind = if c.eat("CHECK") {
        ConstraintKind::Check { expr: in_parens(c)? }
    } else if c.eat("NOT NULL") {
        ConstraintKind::NotNull { column: c.name()? }
    } else if c.eat("UNIQUE") {
        if c.eat("USING INDEX") {
            let using_index = Some(c.name()?);
            ConstraintKind::Unique {
                columns: Vec::new(),
                include: Vec::new(),
                nulls_not_distinct: false,
                using_index,
                without_overlaps: false,
            }
        } else {
            let nulls_not_distinct = nulls_not_distinct(c);
            let (columns, without_overlaps) = key_columns(c)?;
            let include = include(c)?;
            index_parameters(c)?;
            ConstraintKind::Unique { columns, include, nulls_not_distinct, using_index: None, without_overlaps }
        }
    } else if c.eat("PRIMARY KEY") {
        if c.eat("USING INDEX") {
            let using_index = Some(c.name()?);
            ConstraintKind::PrimaryKey { columns: Vec::new(), include: Vec::new(), using_index, without_overlaps: false }
        } else {
            let (columns, without_overlaps) = key_columns(c)?;
            let include = include(c)?;
            index_parameters(c)?;
            ConstraintKind::PrimaryKey { columns, include, using_index: None, without_overlaps }
        }
    } else if c.eat("FOREIGN KEY") {
        let mut period = false;
        let columns = c.parens(|c| {
            c.list(|c| {
                period |= c.is("PERIOD") && !c.is_punct_at(1, b',') && !c.is_punct_at(1, b')') && c.eat("PERIOD");
                c.name()
            })
        })?;
        c.expect("REFERENCES")?;
        let mut fk = references(c, columns)?;
        fk.period |= period;
        ConstraintKind::ForeignKey(Box::new(fk))
    } else if c.eat("EXCLUDE") {
        let method = if c.eat("USING") { Some(c.name()?.value) } else { None };
        let elements = c.parens(|c| {
            c.list(|c| {
                let e = index_element(c)?;
                c.expect("WITH")?;
                let start = c.pos();
                if c.eat("OPERATOR") {
                    c.skip_parens();
                } else {
                    while c.is_name() && c.is_punct_at(1, b'.') {
                        c.next();
                        c.next();
                    }
                    c.next();
                }
                Ok((e, c.text_from(start)))
            })
        })?;
        include(c)?;
        index_parameters(c)?;
        let filter = if c.eat("WHERE") { Some(in_parens(c)?) } else { None };
        ConstraintKind::Exclude { method, elements, filter }
    } else {
        return c.fail("a constraint");
    };
    let mut k = plain_constraint(name, kind);
    attributes(c, &mut k);
    k.span = c.span_from(start);
    Ok(k)
}

fn key_columns(c: &mut Cursor<'_>) -> Read<(Vec<Name>, bool)> {
    let mut overlaps = false;
    let columns = c.parens(|c| {
        c.list(|c| {
            let n = c.name()?;
            overlaps |= c.eat("WITHOUT OVERLAPS");
            Ok(n)
        })
    })?;
    Ok((columns, overlaps))
}

/// Behind REFERENCES.
fn references(c: &mut Cursor<'_>, columns: Vec<Name>) -> Read<ForeignKey> {
    let table = c.qname()?;
    let mut period = false;
    let ref_columns = if c.is_punct(b'(') {
        c.parens(|c| {
            c.list(|c| {
                period |= c.is("PERIOD") && !c.is_punct_at(1, b',') && !c.is_punct_at(1, b')') && c.eat("PERIOD");
                c.name()
            })
        })?
    } else {
        Vec::new()
    };
    let mut fk = ForeignKey {
        columns,
        table,
        ref_columns,
        on_delete: FkAction::NoAction,
        on_update: FkAction::NoAction,
        on_delete_columns: Vec::new(),
        match_full: false,
        period,
    };
    loop {
        if c.eat("MATCH FULL") {
            fk.match_full = true;
        } else if c.eat("MATCH SIMPLE") || c.eat("MATCH PARTIAL") {
        } else if c.eat("ON DELETE") {
            fk.on_delete = action(c)?;
            if c.is_punct(b'(') {
                fk.on_delete_columns = c.name_list()?;
            }
        } else if c.eat("ON UPDATE") {
            fk.on_update = action(c)?;
        } else {
            return Ok(fk);
        }
    }
}

fn action(c: &mut Cursor<'_>) -> Read<FkAction> {
    Ok(match c.eat_any(&["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]) {
        Some("NO ACTION") => FkAction::NoAction,
        Some("RESTRICT") => FkAction::Restrict,
        Some("CASCADE") => FkAction::Cascade,
        Some("SET NULL") => FkAction::SetNull,
        Some(_) => FkAction::SetDefault,
        None => return c.fail("an action"),
    })
}

/// `(START WITH 1 …)` behind IDENTITY.
pub fn identity_options(c: &mut Cursor<'_>) -> Read<crate::op::Options> {
    if !c.is_punct(b'(') {
        return Ok(Vec::new());
    }
    c.parens(|c| Ok(super::create::sequence_options(c)?.other))
}

pub fn partition_by(c: &mut Cursor<'_>) -> Read<PartitionBy> {
    let strategy = c.name()?.value;
    let keys = c.parens(|c| {
        c.list(|c| {
            let e = expr(c)?;
            // An operator class.
            if c.is_name() {
                c.qname()?;
            }
            Ok(e)
        })
    })?;
    Ok(PartitionBy { strategy, keys })
}

/// FOR VALUES …, DEFAULT.
pub fn bound(c: &mut Cursor<'_>) -> Read<PartitionBound> {
    if c.eat("DEFAULT") {
        return Ok(PartitionBound::Default);
    }
    c.expect("FOR VALUES")?;
    if c.eat("IN") {
        return Ok(PartitionBound::List(c.parens(expr_list)?));
    }
    if c.eat("FROM") {
        let from = c.parens(expr_list)?;
        c.expect("TO")?;
        return Ok(PartitionBound::Range { from, to: c.parens(expr_list)? });
    }
    c.expect("WITH")?;
    let values = options(c)?;
    let value = |key: &str| values.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.clone()).unwrap_or_default();
    Ok(PartitionBound::Hash { modulus: value("modulus"), remainder: value("remainder") })
}
