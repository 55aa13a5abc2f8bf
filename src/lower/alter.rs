//! ALTER of every kind. The subcommands of one ALTER TABLE become one operation each, with their own words.

use crate::op::{AlterAction, AlterTarget, Name, ObjectKind, ObjectRef, Op, OpKind, QName, ReplicaIdentity, TriggerMode, WhichTrigger};
use crate::sql::cursor::{Cursor, Read};

use super::expr::{expr, in_parens};
use super::objects::{kind_words, object, role};
use super::{grants, op, options, rest, tables, type_ddl, types};

pub fn alter(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("ALTER")?;
    if c.eat("DEFAULT PRIVILEGES") {
        return grants::default_privileges(c, start);
    }
    if c.eat("SYSTEM") {
        rest(c);
        return Ok(vec![op(c, start, OpKind::NoTransaction { detail: c.text_from(start) })]);
    }
    let Some((kind, _)) = kind_words(c) else { return c.fail("a kind of object") };
    match kind {
        ObjectKind::Table
        | ObjectKind::Index
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::ForeignTable
        | ObjectKind::Sequence => relation(c, start, kind),
        ObjectKind::Type => alter_type(c, start),
        ObjectKind::Domain => {
            let name = c.qname()?;
            if let Some(found) = common(c, start, &ObjectRef { kind, name: name.clone(), on: None, args: None })? {
                return Ok(vec![found]);
            }
            type_ddl::alter_domain(c, start, name)
        }
        ObjectKind::Policy => alter_policy(c, start),
        _ => other(c, start, kind),
    }
}

/// RENAME TO, SET SCHEMA, OWNER TO of objects that are no relations.
fn common(c: &mut Cursor<'_>, start: usize, object: &ObjectRef) -> Read<Option<Op>> {
    let object = object.clone();
    let kind = if c.eat("RENAME TO") {
        OpKind::Rename { object, to: c.name()? }
    } else if c.eat("SET SCHEMA") {
        OpKind::SetSchema { object, schema: c.name()? }
    } else if c.eat("OWNER TO") {
        OpKind::Owner { object, to: role(c)? }
    } else {
        return Ok(None);
    };
    Ok(Some(op(c, start, kind)))
}

fn other(c: &mut Cursor<'_>, start: usize, kind: ObjectKind) -> Read<Vec<Op>> {
    let object = match kind {
        ObjectKind::Extension => {
            let name = c.name()?;
            let o = ObjectRef { kind, name: QName { schema: None, name: name.clone() }, on: None, args: None };
            if let Some(found) = common(c, start, &o)? {
                return Ok(vec![found]);
            }
            let update = c.is("UPDATE");
            rest(c);
            return Ok(vec![op(c, start, OpKind::AlterExtension { name, update })]);
        }
        ObjectKind::Statistics | ObjectKind::EventTrigger => {
            c.if_exists();
            ObjectRef { kind, name: c.qname()?, on: None, args: None }
        }
        _ => object(c, kind)?,
    };
    if let Some(found) = common(c, start, &object)? {
        return Ok(vec![found]);
    }
    let kind = match object.kind {
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => {
            let options = super::functions::changes(c)?;
            OpKind::AlterFunction { object, options }
        }
        _ => OpKind::AlterObject { object, detail: rest(c) },
    };
    Ok(vec![op(c, start, kind)])
}

fn alter_policy(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let o = object(c, ObjectKind::Policy)?;
    if let Some(found) = common(c, start, &o)? {
        return Ok(vec![found]);
    }
    let roles = if c.eat("TO") { super::objects::roles(c)? } else { Vec::new() };
    let using = if c.eat("USING") { Some(in_parens(c)?) } else { None };
    let with_check = if c.eat("WITH CHECK") { Some(in_parens(c)?) } else { None };
    let Some(table) = o.on else { return c.fail("a table") };
    Ok(vec![op(c, start, OpKind::AlterPolicy { name: o.name.name, table, roles, using, with_check })])
}

fn alter_type(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let name = c.qname()?;
    if let Some(found) = type_ddl::alter_enum(c, start, &name)? {
        return Ok(vec![found]);
    }
    let object = ObjectRef { kind: ObjectKind::Type, name: name.clone(), on: None, args: None };
    if let Some(found) = common(c, start, &object)? {
        return Ok(vec![found]);
    }
    if c.eat("SET") {
        let detail = rest(c);
        return Ok(vec![op(c, start, OpKind::AlterObject { object, detail })]);
    }
    let target = AlterTarget { kind: ObjectKind::Type, name, if_exists: false, only: false };
    if c.eat("RENAME") {
        let from = type_ddl::attribute(c)?;
        c.expect("TO")?;
        let to = c.name()?;
        let cascade = c.cascade();
        return Ok(vec![op(c, start, OpKind::Alter { target, action: AlterAction::RenameColumn { from, to, cascade } })]);
    }
    actions(c, &target)
}

/// Relations: TABLE, INDEX, VIEW, MATERIALIZED VIEW, FOREIGN TABLE, SEQUENCE.
fn relation(c: &mut Cursor<'_>, start: usize, kind: ObjectKind) -> Read<Vec<Op>> {
    if c.is_seq("ALL IN TABLESPACE") {
        let detail = rest(c);
        let object = super::objects::named(kind, &detail, c.span_from(start));
        return Ok(vec![op(c, start, OpKind::AlterObject { object, detail })]);
    }
    let if_exists = c.if_exists();
    let only = c.is("ONLY") && c.eat("ONLY");
    let name = c.qname()?;
    let _ = c.op("*");
    let target = AlterTarget { kind, name, if_exists, only };
    if c.is("RENAME") || c.is_seq("SET SCHEMA") {
        let from = c.pos();
        let action = rename(c)?;
        return Ok(vec![op(c, from, OpKind::Alter { target, action })]);
    }
    let sequence_action = kind == ObjectKind::Sequence && !c.is("OWNER") && !c.is_seq("SET LOGGED") && !c.is_seq("SET UNLOGGED");
    if sequence_action {
        let options = super::create::sequence_options(c)?;
        return Ok(vec![op(c, start, OpKind::AlterSequence { name: target.name, if_exists, options })]);
    }
    actions(c, &target)
}

fn rename(c: &mut Cursor<'_>) -> Read<AlterAction> {
    if c.eat("SET SCHEMA") {
        return Ok(AlterAction::SetSchema { schema: c.name()? });
    }
    c.expect("RENAME")?;
    if c.eat("TO") {
        return Ok(AlterAction::RenameTo { to: c.name()? });
    }
    if c.is("CONSTRAINT") && !c.is_at(1, "TO") {
        c.next();
        let from = c.name()?;
        c.expect("TO")?;
        return Ok(AlterAction::RenameConstraint { from, to: c.name()? });
    }
    if c.is("COLUMN") && !c.is_at(1, "TO") {
        c.next();
    }
    let from = c.name()?;
    c.expect("TO")?;
    Ok(AlterAction::RenameColumn { from, to: c.name()?, cascade: false })
}

fn actions(c: &mut Cursor<'_>, target: &AlterTarget) -> Read<Vec<Op>> {
    c.list(|c| {
        let start = c.pos();
        let action = action(c, target.kind)?;
        Ok(op(c, start, OpKind::Alter { target: target.clone(), action }))
    })
}

fn action(c: &mut Cursor<'_>, kind: ObjectKind) -> Read<AlterAction> {
    use AlterAction as A;
    if c.eat("ADD") {
        if tables::at_constraint(c) {
            return Ok(A::AddConstraint(Box::new(tables::table_constraint(c)?)));
        }
        let _ = c.eat("COLUMN") || kind == ObjectKind::Type && c.eat("ATTRIBUTE");
        let if_not_exists = c.if_not_exists();
        let column = Box::new(tables::column_def(c)?);
        let cascade = c.cascade();
        return Ok(A::AddColumn { column, if_not_exists, cascade });
    }
    if c.eat("DROP CONSTRAINT") {
        let if_exists = c.if_exists();
        return Ok(A::DropConstraint { name: c.name()?, if_exists, cascade: c.cascade() });
    }
    if c.eat("DROP") {
        let _ = c.eat("COLUMN") || kind == ObjectKind::Type && c.eat("ATTRIBUTE");
        let if_exists = c.if_exists();
        return Ok(A::DropColumn { column: c.name()?, if_exists, cascade: c.cascade() });
    }
    if c.eat("ALTER CONSTRAINT") {
        return alter_constraint(c);
    }
    if c.eat("ALTER") {
        let _ = c.eat("COLUMN") || kind == ObjectKind::Type && c.eat("ATTRIBUTE");
        return alter_column(c);
    }
    if c.eat("VALIDATE CONSTRAINT") {
        return Ok(A::ValidateConstraint { name: c.name()? });
    }
    if c.eat("ENABLE ROW LEVEL SECURITY") {
        return Ok(A::EnableRowSecurity);
    }
    if c.eat("DISABLE ROW LEVEL SECURITY") {
        return Ok(A::DisableRowSecurity);
    }
    if c.eat("NO FORCE ROW LEVEL SECURITY") {
        return Ok(A::NoForceRowSecurity);
    }
    if c.eat("FORCE ROW LEVEL SECURITY") {
        return Ok(A::ForceRowSecurity);
    }
    for (words, mode) in [
        ("ENABLE ALWAYS", TriggerMode::EnableAlways),
        ("ENABLE REPLICA", TriggerMode::EnableReplica),
        ("ENABLE", TriggerMode::Enable),
        ("DISABLE", TriggerMode::Disable),
    ] {
        if c.is_seq(words) {
            c.eat(words);
            if c.eat("RULE") {
                return Ok(A::Rule { name: c.name()?, mode });
            }
            c.expect("TRIGGER")?;
            let which = if c.eat("ALL") {
                WhichTrigger::All
            } else if c.eat("USER") {
                WhichTrigger::User
            } else {
                WhichTrigger::Named(c.name()?)
            };
            return Ok(A::Trigger { which, mode });
        }
    }
    if c.eat("ATTACH PARTITION") {
        let partition = c.qname()?;
        if kind == ObjectKind::Index {
            return Ok(A::AttachIndex { index: partition });
        }
        return Ok(A::AttachPartition { partition, bound: tables::bound(c)? });
    }
    if c.eat("DETACH PARTITION") {
        let partition = c.qname()?;
        let concurrently = c.eat("CONCURRENTLY");
        return Ok(A::DetachPartition { partition, concurrently, finalize: c.eat("FINALIZE") });
    }
    if c.eat("NO INHERIT") {
        return Ok(A::NoInherit { parent: c.qname()? });
    }
    if c.eat("INHERIT") {
        return Ok(A::Inherit { parent: c.qname()? });
    }
    if c.eat("NOT OF") {
        return Ok(A::NotOf);
    }
    if c.eat("OF") {
        return Ok(A::OfType { ty: c.qname()? });
    }
    if c.eat("OWNER TO") {
        return Ok(A::Owner { to: role(c)? });
    }
    if c.eat("CLUSTER ON") {
        return Ok(A::ClusterOn { index: c.name()? });
    }
    if c.eat("REPLICA IDENTITY") {
        let identity = if c.eat("DEFAULT") {
            ReplicaIdentity::Default
        } else if c.eat("FULL") {
            ReplicaIdentity::Full
        } else if c.eat("NOTHING") {
            ReplicaIdentity::Nothing
        } else {
            c.expect("USING INDEX")?;
            ReplicaIdentity::Index(c.name()?)
        };
        return Ok(A::ReplicaIdentity { identity });
    }
    if c.eat("SET WITHOUT CLUSTER") {
        return Ok(A::SetWithoutCluster);
    }
    if c.eat("SET WITHOUT OIDS") {
        return Ok(A::SetWithoutOids);
    }
    if c.eat("SET LOGGED") {
        return Ok(A::SetLogged { logged: true });
    }
    if c.eat("SET UNLOGGED") {
        return Ok(A::SetLogged { logged: false });
    }
    if c.eat("SET ACCESS METHOD") {
        return Ok(A::SetAccessMethod { method: c.name()?.value });
    }
    if c.eat("SET TABLESPACE") {
        let tablespace = c.name()?.value;
        c.eat("NOWAIT");
        return Ok(A::SetTablespace { tablespace });
    }
    if c.eat("SET") {
        return Ok(A::SetOptions { options: options(c)? });
    }
    if c.eat("RESET") {
        return Ok(A::ResetOptions { options: options(c)?.into_iter().map(|(k, _)| k).collect() });
    }
    if c.is("OPTIONS") || c.is("DEPENDS") || c.is_seq("NO DEPENDS") {
        return Ok(A::Other { detail: rest(c) });
    }
    c.fail("what to alter")
}

fn alter_constraint(c: &mut Cursor<'_>) -> Read<AlterAction> {
    let name = c.name()?;
    let (mut deferrable, mut initially_deferred, mut enforced, mut inherit) = (None, None, None, None);
    loop {
        if c.eat("NOT DEFERRABLE") {
            deferrable = Some(false);
        } else if c.eat("DEFERRABLE") {
            deferrable = Some(true);
        } else if c.eat("INITIALLY DEFERRED") {
            initially_deferred = Some(true);
        } else if c.eat("INITIALLY IMMEDIATE") {
            initially_deferred = Some(false);
        } else if c.eat("NOT ENFORCED") {
            enforced = Some(false);
        } else if c.eat("ENFORCED") {
            enforced = Some(true);
        } else if c.eat("NO INHERIT") {
            inherit = Some(false);
        } else if c.eat("INHERIT") || c.eat("SET INHERIT") {
            inherit = Some(true);
        } else {
            break;
        }
    }
    Ok(AlterAction::AlterConstraint { name, deferrable, initially_deferred, enforced, inherit })
}

fn alter_column(c: &mut Cursor<'_>) -> Read<AlterAction> {
    use AlterAction as A;
    // ALTER INDEX i ALTER COLUMN 1 SET STATISTICS n: the column is a number.
    let column = match c.name() {
        Ok(n) => n,
        Err(_) => {
            let at = c.here();
            Name::new(c.number()?, at)
        }
    };
    if c.eat("SET DEFAULT") {
        return Ok(A::SetDefault { column, expr: expr(c)? });
    }
    if c.eat("DROP DEFAULT") {
        return Ok(A::DropDefault { column });
    }
    if c.eat("SET NOT NULL") {
        return Ok(A::SetNotNull { column });
    }
    if c.eat("DROP NOT NULL") {
        return Ok(A::DropNotNull { column });
    }
    if c.eat("SET DATA TYPE") || c.eat("TYPE") {
        let ty = types::type_name(c)?;
        let collation = if c.eat("COLLATE") { Some(c.qname()?) } else { None };
        let using = if c.eat("USING") { Some(expr(c)?) } else { None };
        let cascade = c.cascade();
        return Ok(A::SetType { column, ty, collation, using, cascade });
    }
    if c.eat("SET EXPRESSION AS") {
        return Ok(A::SetExpression { column, expr: in_parens(c)? });
    }
    if c.eat("DROP EXPRESSION") {
        return Ok(A::DropExpression { column, if_exists: c.if_exists() });
    }
    for (words, always) in [("ADD GENERATED ALWAYS AS IDENTITY", true), ("ADD GENERATED BY DEFAULT AS IDENTITY", false)] {
        if c.eat(words) {
            let sequence_options = tables::identity_options(c)?;
            return Ok(A::AddIdentity { column, identity: crate::op::Identity { always, sequence_options } });
        }
    }
    if c.eat("DROP IDENTITY") {
        return Ok(A::DropIdentity { column, if_exists: c.if_exists() });
    }
    if c.eat("SET STATISTICS") {
        let value = if c.eat("DEFAULT") { "-1".to_string() } else { c.number()? };
        return Ok(A::SetStatistics { column: column.value, value });
    }
    if c.eat("SET STORAGE") {
        return Ok(A::SetStorage { column, storage: c.name()?.value });
    }
    if c.eat("SET COMPRESSION") {
        return Ok(A::SetCompression { column, method: c.name()?.value });
    }
    if c.is("SET") && c.is_punct_at(1, b'(') {
        c.next();
        return Ok(A::SetColumnOptions { column, options: options(c)? });
    }
    if c.is("RESET") && c.is_punct_at(1, b'(') {
        c.next();
        return Ok(A::SetColumnOptions { column, options: options(c)?.into_iter().map(|(k, _)| (k, None)).collect() });
    }
    if c.is("OPTIONS") {
        return Ok(A::Other { detail: format!("ALTER COLUMN {} {}", crate::quote::ident(column.as_str()), rest(c)) });
    }
    // SET GENERATED …, SET <sequence option>, RESTART: several, without commas between them.
    let (mut always, mut options) = (None, Vec::new());
    loop {
        if c.eat("SET GENERATED ALWAYS") {
            always = Some(true);
        } else if c.eat("SET GENERATED BY DEFAULT") {
            always = Some(false);
        } else if c.is("SET") || c.is("RESTART") {
            c.eat("SET");
            let found = super::create::sequence_options(c)?.other;
            if found.is_empty() {
                return c.fail("what to alter");
            }
            options.extend(found);
        } else {
            break;
        }
    }
    if always.is_none() && options.is_empty() {
        return c.fail("what to alter");
    }
    Ok(A::SetIdentity { column, always, options })
}
