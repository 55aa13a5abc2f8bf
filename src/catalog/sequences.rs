//! Sequences, owned and free.

use crate::op::{Call, Expr, ExprKind, ObjectKind, Persistence, QName, SequenceOptions, TypeName};
use crate::source::Span;

use super::alter::merge_options;
use super::apply::{Applied, Res, fails};
use super::names::clip;
use super::{Catalog, Id, RelKind, Relation, Sequence};

impl Catalog {
    pub(super) fn create_sequence(
        &mut self,
        name: &QName,
        if_not_exists: bool,
        persistence: Persistence,
        options: &SequenceOptions,
    ) -> Res<Applied> {
        let Some((schema, name)) = self.new_relation_name(name, persistence, if_not_exists)? else {
            return Ok(Applied::skipped());
        };
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, RelKind::Sequence, self.now);
        rel.persistence = persistence;
        rel.owner = self.current_role();
        let data_type = options.ty.as_ref().map_or_else(|| "bigint".to_string(), |t| t.name.as_str().to_string());
        if !matches!(data_type.as_str(), "bigint" | "integer" | "smallint") {
            return Err(fails("22023", "sequence type must be smallint, integer, or bigint"));
        }
        rel.sequence = Some(Sequence { data_type, owned_by: None, identity: false, options: options.other.clone() });
        self.put(rel);
        self.default_grants(id, ObjectKind::Sequence);
        if let Some(owner) = &options.owned_by {
            self.set_owner_column(id, owner.as_ref())?;
        }
        Ok(Applied::created(id))
    }

    pub(super) fn alter_sequence(&mut self, name: &QName, if_exists: bool, options: &SequenceOptions) -> Res<Applied> {
        if if_exists && self.resolve(name).is_none() {
            return Ok(Applied::skipped());
        }
        let id = self.need_relation_of(name, RelKind::Sequence)?;
        let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
        if rel.kind != RelKind::Sequence && !rel.assumed {
            return Err(fails("42809", format!("\"{}\" is not a sequence", rel.name)));
        }
        if let Some(owner) = &options.owned_by {
            let identity = rel.sequence.as_ref().is_some_and(|s| s.identity);
            self.set_owner_column(id, owner.as_ref())?;
            if identity {
                return Err(fails("0A000", "cannot change ownership of identity sequence"));
            }
        }
        self.edit(id, |r| {
            let s = r.sequence.get_or_insert_with(|| Sequence {
                data_type: "bigint".to_string(),
                owned_by: None,
                identity: false,
                options: Vec::new(),
            });
            if let Some(ty) = &options.ty {
                s.data_type = ty.name.as_str().to_string();
            }
            merge_options(&mut s.options, &options.other);
        });
        Ok(Applied::default())
    }

    fn set_owner_column(&mut self, sequence: Id, owner: Option<&(QName, crate::op::Name)>) -> Res<()> {
        let owned_by = match owner {
            None => None,
            Some((table, column)) => {
                let table = self.need_relation(table)?;
                let (s, t) = (self.relation(sequence), self.relation(table));
                if let (Some(s), Some(t)) = (s, t)
                    && s.schema != t.schema
                    && !s.assumed
                    && !t.assumed
                {
                    return Err(fails("55000", "sequence must be in same schema as table it is linked to"));
                }
                let column = self.need_column(table, column)?;
                Some((table, column))
            }
        };
        self.edit(sequence, |r| {
            let s = r.sequence.get_or_insert_with(|| Sequence {
                data_type: "bigint".to_string(),
                owned_by: None,
                identity: false,
                options: Vec::new(),
            });
            s.owned_by = owned_by;
        });
        Ok(())
    }

    /// The sequence that a serial or identity column brings along.
    pub(super) fn owned_sequence(&mut self, table: &Relation, column: &str, ty: &str, identity: bool, options: &SequenceOptions) -> Id {
        let wanted = options.other.iter().find(|(k, _)| k == "SEQUENCE NAME").and_then(|(_, v)| v.as_deref());
        let named = wanted.and_then(super::exprs::parse_name);
        let name = match &named {
            Some(n) => clip(n.as_str()),
            None => self.choose_relation_name(&table.schema, &table.name, Some(column), "seq", false),
        };
        let schema = named.as_ref().and_then(|n| n.schema_str()).unwrap_or(&table.schema).to_string();
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, RelKind::Sequence, self.now);
        rel.persistence = table.persistence;
        rel.owner = table.owner.clone();
        rel.sequence = Some(Sequence {
            data_type: ty.to_string(),
            owned_by: Some((table.id, column.to_string())),
            identity,
            options: options.other.clone(),
        });
        self.put(rel);
        self.default_grants(id, ObjectKind::Sequence);
        id
    }

    /// The sequence of an identity column changes its type along with it; that of a serial column does not.
    pub(super) fn retype_identity_sequence(&mut self, table: Id, column: &str, ty: &super::ColumnType) {
        let sequence = self
            .sequences_of(table)
            .into_iter()
            .find(|(s, c)| *c == column && s.sequence.as_ref().is_some_and(|s| s.identity))
            .map(|(s, _)| s.id);
        if let Some(id) = sequence {
            self.edit(id, |r| {
                if let Some(s) = &mut r.sequence {
                    s.data_type = ty.name.clone();
                }
            });
        }
    }
}

/// `nextval('schema.name'::regclass)`.
pub(super) fn nextval(schema: &str, name: &str) -> Expr {
    let span = Span::default();
    let literal = crate::quote::qualified(schema, name);
    let ty = TypeName {
        name: QName::bare("regclass", span),
        modifiers: Vec::new(),
        array_dims: 0,
        setof: false,
        percent_type: false,
        span,
        text: "regclass".to_string(),
    };
    let text = format!("nextval({}::regclass)", crate::quote::literal(&literal));
    let string = Expr { text: crate::quote::literal(&literal), span, kind: ExprKind::String(literal.clone()) };
    let cast = Expr { text: format!("{}::regclass", string.text), span, kind: ExprKind::Cast { expr: Box::new(string), ty } };
    let call = Call { name: QName::bare("nextval", span), args: vec![cast], star: false, window: false };
    Expr { text, span, kind: ExprKind::Call(Box::new(call)) }
}
