//! Domains with rules of their own. A new column of one would rewrite the table: it gets the domain's base type, and the rules as CHECKs of the table. A
//! new rule of a domain would be looked up in every table that uses it while nobody can write there: it binds new values, and a query shows that the
//! old ones are as it says.

use crate::catalog::{Catalog, Column, ColumnType, Id, RelKind, TypeKind};
use crate::effects::is_constrained_domain;
use crate::op::{DomainAction, DomainConstraintKind, Expr, QName, Volatility};
use crate::quote::{generated_name, ident, qualified};

use super::super::blocks::table;
use super::super::change::ColumnChange;
use super::super::draft::{Draft, precondition, slug};
use super::super::exprs;
use super::super::standing::{Standing, StandingStep};
use super::super::table::{Own, TableDraft};
use super::super::{Ctx, Deviation, PhaseKind, Precondition, Stop};

/// What a domain says of its values, with those that it is made over.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the file calls it.
    domain: String,
    checks: Vec<Expr>,
    not_null: bool,
}

/// A new column of a domain with rules, as one of the base type; `None`: it is no such column.
pub fn plain(catalog: &Catalog, column: &Column) -> Option<(Column, Held)> {
    if !is_constrained_domain(catalog, &column.ty) {
        return None;
    }
    let mut out = column.clone();
    let mut held = Held { domain: column.ty.to_string(), checks: Vec::new(), not_null: false };
    let mut of: ColumnType = column.ty.clone();
    while let Some(TypeKind::Domain { base, not_null, default, checks }) =
        of.id.filter(|_| !of.is_array()).and_then(|id| catalog.types.get(&id)).map(|t| &t.kind)
    {
        held.not_null |= not_null;
        held.checks.extend(checks.iter().map(|c| c.expr.clone()));
        if out.default.is_none() && default.is_some() {
            out.default.clone_from(default);
            // Whether it is the same for every row is not known: each row asks it.
            out.default_volatility = Some(Volatility::Volatile);
        }
        of = base.clone();
    }
    out.not_null |= held.not_null;
    out.ty = of;
    Some((out, held))
}

/// The rules bind the column when N-1, which does not know it, is gone.
pub fn hold(x: &Ctx<'_>, change: &ColumnChange, held: &Held, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let rel = t.rel.clone();
    let last = t.last_name.clone();
    let on = last.unwrap_or_else(|| table(&rel));
    let mut objects = vec![(x.last_name(&rel, &new.name), "type")];
    for (i, check) in held.checks.iter().enumerate() {
        let Some(said) = exprs::renamed(check, "value", &new.name) else {
            return x.refuse(
                change.span,
                format!("a rule of the domain `{}` cannot be put into other words", held.domain),
                "give the column the domain's base type, and add the rule as a CHECK of the table in a statement of its own",
            );
        };
        let suffix = if i == 0 { "check".to_string() } else { format!("check{i}") };
        let name = generated_name("", &[&rel.name, &new.name, &suffix]);
        let c = ident(&name);
        let add = format!("ALTER TABLE {on} ADD CONSTRAINT {c} CHECK ({}) NOT VALID", said.text);
        let drop = format!("ALTER TABLE {on} DROP CONSTRAINT {c}");
        let own = |id: &str, title: String, statement: String, undo: Vec<String>| Own {
            id: slug(&[id, &rel.name, &name]),
            title,
            statements: vec![statement],
            undo,
            transaction: true,
            preconditions: Vec::new(),
        };
        let mut bind =
            own("add", format!("`{}.{}` keeps to the rules of `{}`", rel.name, new.name, held.domain), add.clone(), vec![drop.clone()]);
        bind.preconditions.push(precondition(
            format!("every `{}` of `{}` keeps to them", new.name, rel.name),
            format!("SELECT * FROM {on} WHERE NOT ({}) LIMIT 5", said.text),
        ));
        t.after_swap.push(bind);
        let validate = format!("ALTER TABLE {on} VALIDATE CONSTRAINT {c}");
        t.after_swap.push(own("validate", format!("Prove it for the rows of `{}` that were there", rel.name), validate, vec![drop, add]));
        objects.push((x.last_name(&rel, &name), "constraint"));
    }
    if held.not_null {
        objects.push((x.last_name(&rel, &generated_name("", &[&rel.name, &new.name, "not_null"])), "constraint"));
    }
    let reason = format!(
        "a column of the base type of `{}`, with the domain's rules as CHECKs: a column of the domain itself would write the whole table anew under the \
         strongest lock",
        held.domain
    );
    draft.deviations.extend(objects.into_iter().map(|(object, kind)| Deviation { object, kind: kind.into(), reason: reason.clone() }));
    Ok(())
}

/// ALTER DOMAIN … ADD CONSTRAINT, where a table uses it.
pub fn constrained(s: &Standing<'_>, name: &QName, action: &DomainAction) -> Option<Result<Vec<StandingStep>, String>> {
    let domain = s.before.type_by(name)?;
    let users = users(s, domain.id);
    if users.is_empty() {
        return None;
    }
    let reads = format!("every row of {} would be read while nobody can write there", listed(&users));
    match action {
        DomainAction::AddConstraint { kind: DomainConstraintKind::Check(check), not_valid: false, .. } => {
            let TypeKind::Domain { checks: before, .. } = &domain.kind else { return None };
            let TypeKind::Domain { checks: after, .. } = &s.after.types.get(&domain.id)?.kind else { return None };
            let made = after.iter().find(|c| !before.iter().any(|b| b.name == c.name))?;
            let d = qualified(&domain.schema, &domain.name);
            Some(Ok(vec![StandingStep {
                phase: Some(PhaseKind::ContractSoft),
                id: slug(&["bind", &domain.name, &made.name]),
                title: format!("`{}` of the domain `{}` binds new values from now on", made.name, domain.name),
                statements: vec![format!("ALTER DOMAIN {d} ADD CONSTRAINT {} CHECK ({}) NOT VALID", ident(&made.name), check.text)],
                undo: vec![format!("ALTER DOMAIN {d} DROP CONSTRAINT {}", ident(&made.name))],
                preconditions: users.iter().filter_map(|u| offenders(u, check)).collect(),
                checklist: vec![format!("Release N writes no `{}` that breaks `{}`.", domain.name, made.name)],
                deviations: vec![Deviation {
                    object: format!("{}.{}", domain.schema, domain.name),
                    kind: "constraint".into(),
                    reason: format!(
                        "`{}` stays NOT VALID: to validate it, {reads}. It binds every new value, and the precondition shows that the old ones keep to it. Where that wait is \
                         bearable: ALTER DOMAIN {d} VALIDATE CONSTRAINT {}",
                        made.name,
                        ident(&made.name)
                    ),
                }],
                ..StandingStep::default()
            }]))
        }
        DomainAction::SetNotNull => Some(Err(format!(
            "{reads}, and Postgres has no NOT VALID for it: ADD CONSTRAINT … CHECK (VALUE IS NOT NULL) says the same and is planned"
        ))),
        DomainAction::ValidateConstraint { .. } => Some(Err(format!(
            "{reads}, and nothing avoids that: run it by hand when writes can wait, or leave the constraint NOT VALID, which binds new values"
        ))),
        _ => None,
    }
}

/// A column of a table.
struct User {
    on: String,
    name: String,
    column: String,
}

/// Tables that were there, with the columns that are of the domain or of one over it.
fn users(s: &Standing<'_>, domain: Id) -> Vec<User> {
    let types = s.before.domains_over(domain);
    let columns = types.iter().flat_map(|t| s.before.columns_of_type(*t));
    let holds = |r: &crate::catalog::Relation| {
        matches!(r.kind, RelKind::Table | RelKind::MaterializedView) && s.script.before.relation(r.id).is_some()
    };
    columns.filter(|(r, _)| holds(r)).map(|(r, c)| User { on: table(r), name: format!("{}.{c}", r.name), column: c.to_string() }).collect()
}

fn listed(users: &[User]) -> String {
    users.iter().map(|u| format!("`{}`", u.name)).collect::<Vec<_>>().join(", ")
}

fn offenders(user: &User, check: &Expr) -> Option<Precondition> {
    let said = exprs::renamed(check, "value", &user.column)?;
    let (column, on) = (ident(&user.column), &user.on);
    Some(precondition(format!("every `{}` keeps to it", user.name), format!("SELECT {column} FROM {on} WHERE NOT ({}) LIMIT 5", said.text)))
}
