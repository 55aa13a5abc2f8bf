//! CASCADE that takes nothing along.

use crate::catalog::Catalog;
use crate::op::{AlterAction, Op, OpKind};

use super::Facts;
use super::here::Here;

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    let Some(kind) = without(&h.op.kind) else { return };
    let before = &h.r.before;
    let alone = before.complete && Catalog::clone(before).apply(&Op { kind, ..h.op.clone() }).is_ok();
    f.flag("cascade.idle", alone);
}

/// The operation as it would be if CASCADE had not been said.
fn without(kind: &OpKind) -> Option<OpKind> {
    let mut kind = kind.clone();
    let cascade = match &mut kind {
        OpKind::Drop { cascade, .. } => cascade,
        OpKind::Alter { action: AlterAction::DropColumn { cascade, .. } | AlterAction::DropConstraint { cascade, .. }, .. } => cascade,
        _ => return None,
    };
    std::mem::take(cascade).then_some(kind)
}
