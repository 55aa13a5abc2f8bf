//! Views and materialized views.

use crate::op::{CreateView, Op, OpKind, Persistence};
use crate::sql::cursor::{Cursor, Read};

use super::tables::with_data;
use super::{op, options, query};

pub fn create(c: &mut Cursor<'_>, start: usize, or_replace: bool, persistence: Persistence) -> Read<Vec<Op>> {
    let materialized = c.eat("MATERIALIZED");
    let recursive = c.eat("RECURSIVE");
    c.expect("VIEW")?;
    let if_not_exists = c.if_not_exists();
    let name = c.qname()?;
    let columns = if c.is_punct(b'(') { c.name_list()? } else { Vec::new() };
    let mut settings = Vec::new();
    loop {
        if c.eat("USING") || c.eat("TABLESPACE") {
            c.name()?;
        } else if c.eat("WITH") {
            settings = options(c)?;
        } else {
            break;
        }
    }
    c.expect("AS")?;
    let query = query::query(c)?;
    let with_data = !materialized || with_data(c);
    let local = c.eat("WITH LOCAL CHECK OPTION");
    if local {
        settings.push(("check_option".into(), Some("local".into())));
    }
    let check_option = local || c.eat("WITH CHECK OPTION") || c.eat("WITH CASCADED CHECK OPTION");
    let temporary = persistence == Persistence::Temporary;
    let view = CreateView {
        name,
        or_replace,
        if_not_exists,
        temporary,
        recursive,
        materialized,
        columns,
        query,
        options: settings,
        with_data,
        check_option,
    };
    Ok(vec![op(c, start, OpKind::CreateView(Box::new(view)))])
}

pub fn refresh(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("REFRESH MATERIALIZED VIEW")?;
    let concurrently = c.eat("CONCURRENTLY");
    let name = c.qname()?;
    let with_data = with_data(c);
    Ok(vec![op(c, start, OpKind::RefreshView { name, concurrently, with_data })])
}
