//! Questions that other rooms ask of the catalog. Each costs what its answer is long.

use super::{Catalog, ConKind, Constraint, Function, Id, RelKind, Relation, Trigger, TypeKind};

impl Catalog {
    fn referring(&self, id: Id) -> impl Iterator<Item = &Relation> {
        self.referrers(id).filter_map(|r| self.relation(r))
    }

    /// Every index of the table, in the order of creation.
    pub fn indexes_of(&self, table: Id) -> Vec<&Relation> {
        self.referring(table).filter(|r| r.index.as_ref().is_some_and(|i| i.table == table)).collect()
    }

    /// Foreign keys that point at the table, with the table that has them (which may be the same one).
    pub fn foreign_keys_to(&self, table: Id) -> Vec<(&Relation, &Constraint)> {
        self.referring(table)
            .flat_map(|r| r.constraints.iter().map(move |c| (r, c)))
            .filter(|(_, c)| matches!(&c.kind, ConKind::ForeignKey { table: t, .. } if *t == table))
            .collect()
    }

    /// Foreign keys to the table, and to those whose partition it is: they guard its rows too.
    pub fn foreign_keys_reaching(&self, table: Id) -> Vec<(&Relation, &Constraint)> {
        let mut all = self.foreign_keys_to(table);
        let mut at = self.relation(table).filter(|r| r.is_partition());
        while let Some(above) = at.and_then(|r| r.parents.first()) {
            all.extend(self.foreign_keys_to(*above));
            at = self.relation(*above).filter(|r| r.is_partition());
        }
        all
    }

    /// Direct inheritance children and partitions.
    pub fn children_of(&self, table: Id) -> Vec<Id> {
        self.referring(table).filter(|r| r.parents.contains(&table)).map(|r| r.id).collect()
    }

    /// Children, their children and so on, parents first.
    pub fn descendants_of(&self, table: Id) -> Vec<Id> {
        let mut out = self.children_of(table);
        let mut seen: std::collections::HashSet<Id> = out.iter().copied().collect();
        let mut next = 0;
        while let Some(id) = out.get(next).copied() {
            next += 1;
            out.extend(self.children_of(id).into_iter().filter(|child| seen.insert(*child)));
        }
        out
    }

    /// Partitions of a partitioned table, all levels.
    pub fn partitions_of(&self, table: Id) -> Vec<Id> {
        let mut out = self.descendants_of(table);
        out.retain(|id| self.relation(*id).is_some_and(Relation::is_partition));
        out
    }

    /// Views and materialized views that read the relation (or this column of it), through other views too.
    pub fn views_on(&self, relation: Id, column: Option<&str>) -> Vec<Id> {
        let reads = |r: &Relation, of: Id, column: Option<&str>| {
            r.view
                .as_ref()
                .is_some_and(|v| v.depends.iter().any(|(id, columns)| *id == of && column.is_none_or(|c| columns.iter().any(|x| x == c))))
        };
        let mut out: Vec<Id> = self.referring(relation).filter(|r| reads(r, relation, column)).map(|r| r.id).collect();
        let mut next = 0;
        while let Some(id) = out.get(next).copied() {
            next += 1;
            for r in self.referring(id) {
                if reads(r, id, None) && !out.contains(&r.id) {
                    out.push(r.id);
                }
            }
        }
        out
    }

    /// Views that read the relation themselves.
    pub fn direct_views_on(&self, relation: Id, column: Option<&str>) -> Vec<Id> {
        self.referring(relation)
            .filter(|r| {
                r.view.as_ref().is_some_and(|v| {
                    v.depends.iter().any(|(id, columns)| *id == relation && column.is_none_or(|c| columns.iter().any(|x| x == c)))
                })
            })
            .map(|r| r.id)
            .collect()
    }

    /// Sequences owned by columns of the table, with the column.
    pub fn sequences_of(&self, table: Id) -> Vec<(&Relation, &str)> {
        self.referring(table)
            .filter_map(|r| {
                let (owner, column) = r.sequence.as_ref()?.owned_by.as_ref()?;
                (*owner == table).then_some((r, column.as_str()))
            })
            .collect()
    }

    /// The sequence behind a serial or identity column.
    pub fn sequence_of_column(&self, table: Id, column: &str) -> Option<&Relation> {
        self.sequences_of(table).into_iter().find(|(_, c)| *c == column).map(|(s, _)| s)
    }

    /// Triggers of a relation, in the order in which they were made.
    pub fn triggers(&self, relation: Id) -> &[Trigger] {
        self.relation(relation).map_or(&[], |r| &r.triggers)
    }

    /// Triggers anywhere that call the function.
    pub fn triggers_calling(&self, function: Id) -> Vec<(&Relation, &Trigger)> {
        self.referring(function)
            .flat_map(|r| r.triggers.iter().map(move |t| (r, t)))
            .filter(|(_, t)| t.function_id == Some(function))
            .collect()
    }

    /// Relations with a column of the type, with the column.
    pub fn columns_of_type(&self, ty: Id) -> Vec<(&Relation, &str)> {
        self.referring(ty).flat_map(|r| r.columns.iter().filter(move |c| c.ty.id == Some(ty)).map(move |c| (r, c.name.as_str()))).collect()
    }

    /// A domain, and the domains over it.
    pub fn domains_over(&self, domain: Id) -> Vec<Id> {
        let mut out = vec![domain];
        let mut next = 0;
        while let Some(below) = out.get(next).copied() {
            next += 1;
            for t in self.types.values().filter(|t| !out.contains(&t.id)).collect::<Vec<_>>() {
                if matches!(&t.kind, TypeKind::Domain { base, .. } if base.id == Some(below) && !base.is_array()) {
                    out.push(t.id);
                }
            }
        }
        out
    }

    /// A column that holds rows and has values of this type inside its own: in an array, or in a composite type.
    pub fn column_around(&self, ty: Id) -> Option<(&Relation, &str)> {
        let mut around = vec![ty];
        let mut next = 0;
        while let Some(inner) = around.get(next).copied() {
            for (r, c) in self.columns_of_type(inner) {
                if r.kind == RelKind::Composite && !around.contains(&r.id) {
                    around.push(r.id);
                } else if (r.kind.is_table() || r.kind == RelKind::MaterializedView)
                    && (next > 0 || r.column(c).is_some_and(|c| c.ty.is_array()))
                {
                    return Some((r, c));
                }
            }
            next += 1;
        }
        None
    }

    /// Tables that were made `OF` the composite type.
    pub fn tables_of_type(&self, composite: Id) -> Vec<Id> {
        self.referring(composite).filter(|r| r.of_type == Some(composite)).map(|r| r.id).collect()
    }

    /// A function of this name, in whatever schema.
    pub fn has_function_named(&self, name: &str) -> bool {
        let schemas = self.schemas.keys().map(String::as_str).chain([super::resolve::TEMP]);
        schemas.into_iter().any(|s| self.function_names.contains_key(&(s, name)))
    }

    /// Every function of this name in the schema.
    pub fn overloads(&self, schema: &str, name: &str) -> impl Iterator<Item = &Function> {
        let ids = self.function_names.get(&(schema, name));
        ids.into_iter().flatten().filter_map(|id| self.functions.get(id)).map(AsRef::as_ref)
    }

    /// The object (relation, type or function) was there in the other catalog already.
    pub fn existed_in(&self, id: Id, before: &Catalog) -> bool {
        before.relations.contains_key(&id) || before.types.contains_key(&id) || before.functions.contains_key(&id)
    }
}
