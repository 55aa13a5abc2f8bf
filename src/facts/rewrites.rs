//! Facts about why a table is written anew.

use crate::effects::is_constrained_domain;
use crate::op::{AlterAction, ExprKind, Op, OpKind};

use super::Facts;
use super::collect::Place;

pub fn about(place: &Place<'_>, f: &mut Facts, op: &Op) {
    let before = &place.r.before;
    let OpKind::Alter { target, action } = &op.kind else { return };
    match action {
        AlterAction::AddColumn { column, .. } => {
            f.flag("type.domain_constrained", is_constrained_domain(before, &before.resolve_type(&column.ty)));
        }
        AlterAction::SetType { column, ty, using, .. } => {
            let new = before.resolve_type(ty);
            f.flag("type.domain_constrained", is_constrained_domain(before, &new));
            // USING the bare column is the same as none.
            let bare =
                using.as_ref().is_none_or(|e| matches!(&e.kind, ExprKind::Column(p) if p.last().is_some_and(|n| n.value == column.value)));
            f.flag("type.using", !bare);
            let old = place.relation(&target.name).and_then(|r| r.column(column.as_str())).map(|c| &c.ty);
            let zoned = |name: &str| name == "timestamp with time zone";
            let zoneless = |name: &str| name == "timestamp without time zone";
            let crosses = old.is_some_and(|o| {
                o.array_dims == 0 && new.array_dims == 0 && (zoned(&o.name) && zoneless(&new.name) || zoneless(&o.name) && zoned(&new.name))
            });
            f.flag("type.depends_on_zone", crosses && bare);
        }
        _ => {}
    }
}
