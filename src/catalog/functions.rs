//! Functions and procedures, and what happens when a migration calls one.

use std::sync::Arc;

use crate::op::{CreateFunction, Expr, ObjectKind, ObjectRef, Op, QName, Volatility};

use super::apply::{Applied, Res, fails};
use super::names::clip;
use super::{Catalog, Function, Id};

impl Catalog {
    pub(super) fn create_function(&mut self, f: &CreateFunction) -> Res<Applied> {
        let schema = self.creation_schema(&f.name, false)?;
        let name = clip(f.name.as_str());
        let mut arg_types = Vec::new();
        let mut types = Vec::new();
        let mut defaults = 0;
        let mut variadic = false;
        for a in &f.args {
            let ty = self.need_type(&a.ty)?;
            types.extend(ty.id);
            if a.mode == "OUT" || a.mode == "TABLE" {
                continue;
            }
            arg_types.push(bare(&ty));
            defaults += usize::from(a.default.is_some());
            variadic |= a.mode == "VARIADIC";
        }
        let returns = match &f.returns {
            Some(r) => {
                let ty = self.need_type(r)?;
                types.extend(ty.id);
                bare(&ty)
            }
            // One column, in TABLE (…) or by OUT, is returned as it is; several are a record.
            None if f.returns_table.len() == 1 => bare(&self.need_type(&f.returns_table[0].1)?),
            None if !f.returns_table.is_empty() => "record".to_string(),
            None => {
                let mut out = f.args.iter().filter(|a| matches!(a.mode.as_str(), "OUT" | "INOUT"));
                match (out.next(), out.next()) {
                    (None, _) => "void".to_string(),
                    (Some(one), None) if !f.procedure => bare(&self.need_type(&one.ty)?),
                    _ => "record".to_string(),
                }
            }
        };
        for (_, t) in &f.returns_table {
            types.extend(self.need_type(t)?.id);
        }
        self.check_sql_body(f)?;
        let same = self
            .function_names
            .get(&(schema.as_str(), name.as_str()))
            .into_iter()
            .flatten()
            .filter_map(|id| self.functions.get(id))
            .find(|o| o.arg_types == arg_types)
            .cloned();
        let kind = if f.procedure { ObjectKind::Procedure } else { ObjectKind::Function };
        let mut function = Function {
            id: Id(0),
            schema,
            name,
            kind,
            def: Arc::new(f.clone()),
            arg_types,
            defaults,
            variadic,
            types,
            returns,
            origin: self.now,
            comment: None,
            owner: self.current_role(),
            grants: Vec::new(),
        };
        if let Some(old) = same {
            if !f.or_replace {
                let what = format!("function \"{}\" already exists with same argument types", old.name);
                return Err(fails("42723", what));
            }
            if old.kind != kind {
                return Err(fails("42809", "cannot change routine kind"));
            }
            let outs = |d: &CreateFunction| -> Vec<String> {
                let out = d.args.iter().filter(|a| matches!(a.mode.as_str(), "OUT" | "INOUT")).map(|a| &a.ty);
                out.chain(d.returns_table.iter().map(|(_, t)| t)).map(|t| bare(&self.resolve_type(t))).collect()
            };
            let setof = |d: &CreateFunction| !d.returns_table.is_empty() || d.returns.as_ref().is_some_and(|r| r.setof);
            if old.returns != function.returns || setof(&old.def) != setof(f) || outs(&old.def) != outs(f) {
                return Err(fails("42P13", "cannot change return type of existing function"));
            }
            for (o, n) in old.def.args.iter().zip(&f.args) {
                if let (Some(a), Some(b)) = (&o.name, &n.name)
                    && a.as_str() != b.as_str()
                    && o.mode != "OUT"
                    && n.mode != "OUT"
                {
                    return Err(fails("42P13", format!("cannot change name of input parameter \"{}\"", a.as_str())));
                }
            }
            if old.defaults > defaults {
                return Err(fails("42P13", "cannot remove parameter defaults from existing function"));
            }
            function.id = old.id;
            function.origin = old.origin;
            function.owner.clone_from(&old.owner);
            function.grants.clone_from(&old.grants);
            function.comment.clone_from(&old.comment);
            self.put_function(function);
            return Ok(Applied::default());
        }
        function.id = self.fresh();
        function.grants = self.initial_grants(ObjectKind::Function, &function.schema);
        let id = function.id;
        self.put_function(function);
        Ok(Applied::created(id))
    }

    /// The body of an SQL function is read when it is made, unless `check_function_bodies` is off: relations must be there. Bodies that
    /// make relations themselves are not followed.
    fn check_sql_body(&self, f: &CreateFunction) -> Res<()> {
        let off = self.settings.get("check_function_bodies").is_some_and(|s| {
            let value = s.value.trim_matches('\'').to_ascii_lowercase();
            matches!(value.as_str(), "off" | "false" | "no" | "0")
        });
        if off || f.language != "sql" || !self.complete {
            return Ok(());
        }
        use crate::op::OpKind;
        if !f.body_ops.iter().all(|o| matches!(o.kind, OpKind::Query(_) | OpKind::Dml(_))) {
            return Ok(());
        }
        for op in &f.body_ops {
            let mut named: Vec<&QName> = Vec::new();
            match &op.kind {
                OpKind::Query(q) => named.extend(q.relations()),
                OpKind::Dml(d) => {
                    named.push(&d.table);
                    named.extend(d.reads());
                }
                _ => {}
            }
            for n in named {
                if let Some(rel) = self.known(n) {
                    super::query::rows_are_read_of(rel)?;
                }
                let e = self.no_relation(n);
                if self.resolve(n).is_none() && e.certain {
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// The function that DROP, ALTER or GRANT names. `Ok(None)`: unknown, and the catalog may not know all.
    pub(super) fn find_function(&self, o: &ObjectRef) -> Res<Option<Id>> {
        let mut named = self.functions_named(&o.name);
        // All overloads count, in whatever schema of the path they are first found.
        named.retain(|id| {
            self.functions.get(id).is_some_and(|f| match o.kind {
                ObjectKind::Procedure => f.kind == ObjectKind::Procedure,
                ObjectKind::Aggregate => f.kind == ObjectKind::Aggregate,
                ObjectKind::Function => f.kind != ObjectKind::Procedure,
                _ => true,
            })
        });
        if let Some(args) = &o.args {
            let wanted: Vec<String> = args.iter().map(|a| bare(&self.resolve_type(a))).collect();
            let exact = named.iter().copied().find(|id| self.functions.get(id).is_some_and(|f| f.arg_types == wanted));
            if exact.is_some() {
                return Ok(exact);
            }
            if let ([only], true) = (
                named.as_slice(),
                args.iter().any(|a| self.resolve_type(a).id.is_none() && !super::resolve::is_builtin_type(a.name.as_str())),
            ) {
                // A type that nobody knows: the only candidate is the one.
                return Ok(Some(*only));
            }
            if self.complete {
                let message = format!("function {}({}) does not exist", o.name, wanted.join(", "));
                return Err(fails("42883", message).unless(self.unknown_extension()));
            }
            return Ok(None);
        }
        match named.as_slice() {
            [] if self.complete => Err(self.no_object(o)),
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(fails("42725", format!("function name \"{}\" is not unique", o.name))),
        }
    }

    pub(super) fn alter_function(&mut self, o: &ObjectRef, options: &[String]) -> Res<Applied> {
        let Some(id) = self.find_function(o)? else { return Ok(Applied::default()) };
        let volatility = options.iter().find_map(|w| match w.to_ascii_uppercase().as_str() {
            "IMMUTABLE" => Some(Volatility::Immutable),
            "STABLE" => Some(Volatility::Stable),
            "VOLATILE" => Some(Volatility::Volatile),
            _ => None,
        });
        self.edit_function(id, |f| {
            let def = Arc::make_mut(&mut f.def);
            for o in options {
                let (word, rest) = o.split_once(' ').unwrap_or((o, ""));
                match word.to_ascii_uppercase().as_str() {
                    "SECURITY" => def.security_definer = rest == "DEFINER",
                    "STRICT" | "RETURNS" => def.strict = true,
                    "CALLED" => def.strict = false,
                    "LEAKPROOF" => def.leakproof = true,
                    "NOT" => def.leakproof = false,
                    "SET" => {
                        let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                        let name = name.to_ascii_lowercase();
                        def.settings.retain(|(n, _)| *n != name);
                        def.settings.push((name, value.strip_prefix("TO ").unwrap_or(value).to_string()));
                    }
                    "RESET" if rest == "ALL" => def.settings.clear(),
                    "RESET" => def.settings.retain(|(n, _)| !n.eq_ignore_ascii_case(rest)),
                    "COST" | "ROWS" | "PARALLEL" | "SUPPORT" => {
                        def.other.retain(|w| !w.split_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case(word)));
                        def.other.push(o.clone());
                    }
                    _ => {}
                }
            }
            if let Some(v) = volatility {
                def.volatility = v;
            }
        });
        Ok(Applied::default())
    }

    pub(super) fn call(&mut self, name: &QName, args: &[Expr], depth: u32) -> Res<Applied> {
        let call = crate::op::Call { name: name.clone(), args: args.to_vec(), star: false, window: false };
        let found = self.candidates(&call).first().copied();
        match found {
            Some(id) => self.run(id, args, depth),
            None => {
                if self.complete
                    && self.functions_named(name).is_empty()
                    && !self.unknown_extension()
                    && name.schema_str() != Some("pg_catalog")
                {
                    return Err(fails("42883", format!("procedure {name}() does not exist")).maybe());
                }
            }
        }
        Ok(Applied::default())
    }

    /// What a call of the function does, with its arguments put in where they are literals, and whether something of it stays unknown.
    pub fn body_called(&self, id: Id, args: &[Expr]) -> (Vec<Op>, bool) {
        let Some(f) = self.functions.get(&id) else { return (Vec::new(), false) };
        match crate::lower::called(&f.def, args) {
            Some(body) => (body.ops, body.dynamic),
            None => (f.def.body_ops.clone(), f.def.dynamic_sql),
        }
    }

    pub(super) fn run(&mut self, id: Id, args: &[Expr], depth: u32) {
        if !Catalog::may_call(depth) {
            return;
        }
        let Some(f) = self.functions.get(&id).cloned() else { return };
        let (ops, dynamic) = self.body_called(id, args);
        if dynamic {
            // What it puts together is not known; it may make or drop anything.
            self.complete = false;
        }
        if ops.is_empty() {
            return;
        }
        let path = self.search_path.clone();
        if let Some((_, value)) = f.def.settings.iter().find(|(n, v)| n == "search_path" && v != "FROM CURRENT") {
            self.search_path = super::session::split_list(value);
        }
        for op in &ops {
            // A body that cannot be followed in full is followed as far as it goes.
            let _ = self.apply_nested(op, depth + 1);
        }
        if f.def.settings.iter().any(|(n, _)| n == "search_path") {
            self.search_path = path;
        }
    }
}

/// The type's identity in a signature: modifiers do not count.
fn bare(ty: &super::ColumnType) -> String {
    super::ColumnType { modifiers: Vec::new(), ..ty.clone() }.to_string()
}
