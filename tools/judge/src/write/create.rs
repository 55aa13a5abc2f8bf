//! CREATE, and GRANT.

use airlock::op::{
    ColumnDef, ConstraintKind, CreateFunction, CreateIndex, CreatePolicy, CreateTable, CreateTableAs, CreateTrigger, CreateView,
    DefaultPrivileges, Expr, FkAction, ForeignKey, FunctionArg, Generated, Grant, GrantOn, Identity, IndexElement, LikeClause, Name,
    ObjectKind, OnCommit, Options, PartitionBound, PartitionBy, QName, SequenceOptions, TableConstraint, TypeName, Volatility,
};
use airlock::quote::{ident, literal};

use super::parts::{list, object, object_words, persistence, plain_list, qn, role, ty};
use super::{Writer, Written};

impl Writer<'_> {
    pub fn create_table(&self, t: &CreateTable) -> Written {
        let CreateTable {
            name,
            if_not_exists,
            persistence: p,
            columns,
            constraints,
            likes,
            inherits,
            partition_by,
            partition_of,
            of_type,
            options,
            access_method,
            tablespace,
            on_commit,
            foreign_server,
        } = t;
        let typed = partition_of.is_some() || of_type.is_some();
        let mut elements = Vec::new();
        for c in columns {
            elements.push(self.column(c, typed)?);
        }
        for LikeClause { table, options } in likes {
            let words: String =
                options.iter().map(|(yes, what)| format!(" {} {what}", if *yes { "INCLUDING" } else { "EXCLUDING" })).collect();
            elements.push(format!("LIKE {}{words}", qn(table)));
        }
        for k in constraints {
            elements.push(self.constraint(k, false)?);
        }
        let mut out = format!(
            "CREATE {}{}TABLE {}{}",
            persistence(*p),
            if foreign_server.is_some() { "FOREIGN " } else { "" },
            if *if_not_exists { "IF NOT EXISTS " } else { "" },
            qn(name)
        );
        if let Some((parent, _)) = partition_of {
            out.push_str(&format!(" PARTITION OF {}", qn(parent)));
        }
        if let Some(t) = of_type {
            out.push_str(&format!(" OF {}", qn(t)));
        }
        if !typed || !elements.is_empty() {
            out.push_str(&format!(" ({})", elements.join(", ")));
        }
        if let Some((_, bound)) = partition_of {
            out.push_str(&format!(" {}", self.bound(bound)));
        }
        if !inherits.is_empty() {
            out.push_str(&format!(" INHERITS ({})", inherits.iter().map(qn).collect::<Vec<_>>().join(", ")));
        }
        if let Some(by) = partition_by {
            let PartitionBy { strategy, keys } = by;
            out.push_str(&format!(" PARTITION BY {strategy} ({})", keys.iter().map(key).collect::<Vec<_>>().join(", ")));
        }
        if let Some(m) = access_method {
            out.push_str(&format!(" USING {}", ident(m)));
        }
        if !options.is_empty() {
            out.push_str(&format!(" WITH {}", self.options(options)));
        }
        out.push_str(commit(*on_commit));
        if let Some(s) = tablespace {
            out.push_str(&format!(" TABLESPACE {}", ident(s)));
        }
        if let Some(s) = foreign_server {
            out.push_str(&format!(" SERVER {}", ident(s)));
        }
        Ok(out)
    }

    pub fn create_table_as(&self, t: &CreateTableAs) -> Written {
        let CreateTableAs { name, if_not_exists, persistence: p, columns, query, with_data, on_commit } = t;
        Ok(format!(
            "CREATE {}TABLE {}{}{}{} AS {}{}",
            persistence(*p),
            if *if_not_exists { "IF NOT EXISTS " } else { "" },
            qn(name),
            list(columns),
            commit(*on_commit),
            query.text,
            if *with_data { "" } else { " WITH NO DATA" }
        ))
    }

    /// `typed`: a column of a typed table or of a partition has no type of its own.
    pub fn column(&self, c: &ColumnDef, typed: bool) -> Written {
        let ColumnDef {
            name,
            ty: t,
            collation,
            default,
            nullable,
            not_null_span: _,
            not_null_name,
            identity,
            generated,
            constraints,
            storage,
            compression,
            options,
            span: _,
        } = c;
        let mut out = ident(name.as_str());
        if !(typed && t.text.is_empty()) {
            out.push_str(&format!(" {}", ty(t)));
        }
        if let Some(s) = storage {
            out.push_str(&format!(" STORAGE {s}"));
        }
        if let Some(m) = compression {
            out.push_str(&format!(" COMPRESSION {}", ident(m)));
        }
        if !options.is_empty() {
            out.push_str(&format!(
                " OPTIONS ({})",
                options.iter().map(|(k, v)| format!("{} {}", ident(k), v.clone().unwrap_or_default())).collect::<Vec<_>>().join(", ")
            ));
        }
        if let Some(c) = collation {
            out.push_str(&format!(" COLLATE {}", qn(c)));
        }
        if let Some(d) = default {
            out.push_str(&format!(" DEFAULT ({})", d.text));
        }
        if let Some(n) = not_null_name {
            out.push_str(&format!(" CONSTRAINT {}", ident(n.as_str())));
        }
        match nullable {
            Some(false) => out.push_str(" NOT NULL"),
            Some(true) => out.push_str(" NULL"),
            None => {}
        }
        if let Some(Identity { always, sequence_options }) = identity {
            let options = self.plain_sequence_options(sequence_options);
            let options = if options.is_empty() { options } else { format!(" ({options})") };
            out.push_str(&format!(" GENERATED {} AS IDENTITY{options}", if *always { "ALWAYS" } else { "BY DEFAULT" }));
        }
        if let Some(Generated { expr, stored, implicit: _ }) = generated {
            out.push_str(&format!(" GENERATED ALWAYS AS ({}) {}", expr.text, if *stored { "STORED" } else { "VIRTUAL" }));
        }
        for k in constraints {
            out.push_str(&format!(" {}", self.constraint(k, true)?));
        }
        Ok(out)
    }

    pub fn constraint(&self, k: &TableConstraint, inline: bool) -> Written {
        let TableConstraint { name, kind, not_valid, not_enforced, deferrable, initially_deferred, no_inherit, span: _ } = k;
        let mut out = name.as_ref().map(|n| format!("CONSTRAINT {} ", ident(n.as_str()))).unwrap_or_default();
        let columns_of = |columns: &[Name], overlaps: bool| {
            if inline { String::new() } else { format!(" ({}{})", plain_list(columns), if overlaps { " WITHOUT OVERLAPS" } else { "" }) }
        };
        let including = |include: &[Name]| if include.is_empty() { String::new() } else { format!(" INCLUDE ({})", plain_list(include)) };
        out.push_str(&match kind {
            ConstraintKind::Check { expr } => format!("CHECK ({})", expr.text),
            ConstraintKind::NotNull { column } => format!("NOT NULL {}", ident(column.as_str())),
            ConstraintKind::Unique { using_index: Some(i), .. } => format!("UNIQUE USING INDEX {}", ident(i.as_str())),
            ConstraintKind::PrimaryKey { using_index: Some(i), .. } => format!("PRIMARY KEY USING INDEX {}", ident(i.as_str())),
            ConstraintKind::Unique { columns, include, nulls_not_distinct, using_index: None, without_overlaps } => format!(
                "UNIQUE{}{}{}",
                if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" },
                columns_of(columns, *without_overlaps),
                including(include)
            ),
            ConstraintKind::PrimaryKey { columns, include, using_index: None, without_overlaps } => {
                format!("PRIMARY KEY{}{}", columns_of(columns, *without_overlaps), including(include))
            }
            ConstraintKind::ForeignKey(fk) => foreign_key(fk, inline),
            ConstraintKind::Exclude { method, elements, filter } => format!(
                "EXCLUDE {}({}){}",
                method.as_ref().map(|m| format!("USING {} ", ident(m))).unwrap_or_default(),
                elements.iter().map(|(e, op)| format!("{} WITH {op}", element(e))).collect::<Vec<_>>().join(", "),
                filter.as_ref().map(|f| format!(" WHERE ({})", f.text)).unwrap_or_default()
            ),
        });
        for (yes, words) in [
            (*deferrable, " DEFERRABLE"),
            (*initially_deferred, " INITIALLY DEFERRED"),
            (*not_valid, " NOT VALID"),
            (*not_enforced, " NOT ENFORCED"),
            (*no_inherit, " NO INHERIT"),
        ] {
            out.push_str(if yes { words } else { "" });
        }
        Ok(out)
    }

    pub fn bound(&self, b: &PartitionBound) -> String {
        let all = |v: &[Expr]| v.iter().map(|e| e.text.clone()).collect::<Vec<_>>().join(", ");
        match b {
            PartitionBound::Default => "DEFAULT".into(),
            PartitionBound::List(v) => format!("FOR VALUES IN ({})", all(v)),
            PartitionBound::Range { from, to } => format!("FOR VALUES FROM ({}) TO ({})", all(from), all(to)),
            PartitionBound::Hash { modulus, remainder } => format!("FOR VALUES WITH (MODULUS {modulus}, REMAINDER {remainder})"),
        }
    }

    pub fn options(&self, options: &Options) -> String {
        let all: Vec<String> = options
            .iter()
            .map(|(k, v)| {
                let key = k.split('.').map(ident).collect::<Vec<_>>().join(".");
                match v {
                    Some(v) => format!("{key} = {v}"),
                    None => key,
                }
            })
            .collect();
        format!("({})", all.join(", "))
    }

    pub fn create_index(&self, i: &CreateIndex) -> Written {
        let CreateIndex {
            name,
            if_not_exists,
            table,
            only,
            unique,
            concurrently,
            concurrently_span: _,
            index_span: _,
            method,
            elements,
            include,
            nulls_not_distinct,
            filter,
            options,
            tablespace,
        } = i;
        let mut out = format!(
            "CREATE {}INDEX {}{}{}ON {}{}",
            if *unique { "UNIQUE " } else { "" },
            if *concurrently { "CONCURRENTLY " } else { "" },
            if *if_not_exists { "IF NOT EXISTS " } else { "" },
            name.as_ref().map(|n| format!("{} ", qn(n))).unwrap_or_default(),
            if *only { "ONLY " } else { "" },
            qn(table)
        );
        if let Some(m) = method {
            out.push_str(&format!(" USING {}", ident(m)));
        }
        out.push_str(&format!(" ({})", elements.iter().map(element).collect::<Vec<_>>().join(", ")));
        if !include.is_empty() {
            out.push_str(&format!(" INCLUDE ({})", plain_list(include)));
        }
        out.push_str(if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" });
        if !options.is_empty() {
            out.push_str(&format!(" WITH {}", self.options(options)));
        }
        if let Some(s) = tablespace {
            out.push_str(&format!(" TABLESPACE {}", ident(s)));
        }
        if let Some(f) = filter {
            out.push_str(&format!(" WHERE ({})", f.text));
        }
        Ok(out)
    }

    pub fn create_view(&self, v: &CreateView) -> Written {
        let CreateView {
            name,
            or_replace,
            if_not_exists,
            temporary,
            recursive,
            materialized,
            columns,
            query,
            options,
            with_data,
            check_option,
        } = v;
        // WITH LOCAL CHECK OPTION stands among the options, too.
        let mut options = options.clone();
        let local = *check_option
            && options.last().is_some_and(|(k, v)| k == "check_option" && v.as_deref() == Some("local"))
            && options.pop().is_some();
        Ok(format!(
            "CREATE {}{}{}{}VIEW {}{}{}{} AS {}{}{}",
            if *or_replace { "OR REPLACE " } else { "" },
            if *temporary { "TEMPORARY " } else { "" },
            if *recursive { "RECURSIVE " } else { "" },
            if *materialized { "MATERIALIZED " } else { "" },
            if *if_not_exists { "IF NOT EXISTS " } else { "" },
            qn(name),
            list(columns),
            if options.is_empty() { String::new() } else { format!(" WITH {}", self.options(&options)) },
            query.text,
            if *with_data { "" } else { " WITH NO DATA" },
            match (*check_option, local) {
                (true, true) => " WITH LOCAL CHECK OPTION",
                (true, false) => " WITH CHECK OPTION",
                (false, _) => "",
            }
        ))
    }

    pub fn sequence_options(&self, o: &SequenceOptions) -> String {
        let SequenceOptions { ty: t, other, owned_by } = o;
        let mut out = t.as_ref().map(|t| format!(" AS {}", ty(t))).unwrap_or_default();
        let plain = self.plain_sequence_options(other);
        if !plain.is_empty() {
            out.push_str(&format!(" {plain}"));
        }
        match owned_by {
            Some(Some((table, column))) => out.push_str(&format!(" OWNED BY {}.{}", qn(table), ident(column.as_str()))),
            Some(None) => out.push_str(" OWNED BY NONE"),
            None => {}
        }
        out
    }

    pub fn plain_sequence_options(&self, o: &[(String, Option<String>)]) -> String {
        let one = |(key, value): &(String, Option<String>)| match (key.as_str(), value.as_deref()) {
            ("MINVALUE" | "MAXVALUE", None) => format!("NO {key}"),
            ("CYCLE", Some("false")) => "NO CYCLE".into(),
            (k, None) => k.to_string(),
            ("INCREMENT", Some(v)) => format!("INCREMENT BY {v}"),
            (k, Some(v)) => format!("{k} {v}"),
        };
        o.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    pub fn create_domain(
        &self,
        name: &QName,
        t: &TypeName,
        collation: Option<&QName>,
        default: Option<&Expr>,
        not_null: bool,
        checks: &[(Option<Name>, Expr)],
    ) -> String {
        let mut out = format!("CREATE DOMAIN {} AS {}", qn(name), ty(t));
        if let Some(c) = collation {
            out.push_str(&format!(" COLLATE {}", qn(c)));
        }
        if let Some(d) = default {
            out.push_str(&format!(" DEFAULT ({})", d.text));
        }
        out.push_str(if not_null { " NOT NULL" } else { "" });
        for (name, check) in checks {
            let name = name.as_ref().map(|n| format!(" CONSTRAINT {}", ident(n.as_str()))).unwrap_or_default();
            out.push_str(&format!("{name} CHECK ({})", check.text));
        }
        out
    }

    pub fn create_function(&self, f: &CreateFunction) -> Written {
        let CreateFunction {
            name,
            procedure,
            or_replace,
            args,
            returns,
            returns_table,
            language,
            volatility,
            strict,
            security_definer,
            leakproof,
            other,
            settings,
            body,
            symbol,
            body_span,
            body_ops: _,
            dynamic_sql: _,
            concatenated_sql: _,
        } = f;
        let mut out = format!(
            "CREATE {}{} {}({})",
            if *or_replace { "OR REPLACE " } else { "" },
            if *procedure { "PROCEDURE" } else { "FUNCTION" },
            qn(name),
            args.iter().map(arg).collect::<Vec<_>>().join(", ")
        );
        if !returns_table.is_empty() {
            let columns: Vec<String> = returns_table.iter().map(|(n, t)| format!("{} {}", ident(n.as_str()), ty(t))).collect();
            out.push_str(&format!(" RETURNS TABLE ({})", columns.join(", ")));
        } else if let Some(r) = returns {
            out.push_str(&format!(" RETURNS {}", ty(r)));
        }
        // A body that is SQL, not a string: `AS '…'` begins with a quote or a dollar in the file.
        let words = body_span.map(|s| self.source.slice(s)).unwrap_or("");
        let sql_body = !words.is_empty()
            && !words.starts_with(['\'', '$'])
            && !words.to_ascii_lowercase().starts_with("e'")
            && !words.to_ascii_lowercase().starts_with("u&'");
        if !language.is_empty() {
            out.push_str(&format!(" LANGUAGE {}", ident(language)));
        }
        match volatility {
            Volatility::Immutable => out.push_str(" IMMUTABLE"),
            Volatility::Stable => out.push_str(" STABLE"),
            Volatility::Volatile => {}
        }
        out.push_str(if *strict { " STRICT" } else { "" });
        out.push_str(if *security_definer { " SECURITY DEFINER" } else { "" });
        out.push_str(if *leakproof { " LEAKPROOF" } else { "" });
        for words in other {
            out.push_str(&format!(" {words}"));
        }
        for (key, value) in settings {
            if value == "FROM CURRENT" {
                out.push_str(&format!(" SET {} FROM CURRENT", ident(key)));
                continue;
            }
            let key = key.split('.').map(ident).collect::<Vec<_>>().join(".");
            out.push_str(&format!(" SET {key} TO {value}"));
        }
        if sql_body {
            let atomic = words.to_ascii_lowercase().starts_with("begin");
            out.push_str(&if atomic { format!(" {body}") } else { format!(" RETURN {}", body.trim_start_matches("SELECT ")) });
        } else if body_span.is_some() {
            out.push_str(&format!(" AS {}{}", literal(body), symbol.as_ref().map(|s| format!(", {}", literal(s))).unwrap_or_default()));
        }
        Ok(out)
    }

    pub fn create_trigger(&self, t: &CreateTrigger) -> String {
        let CreateTrigger {
            name,
            table,
            or_replace,
            constraint,
            timing,
            events,
            update_of,
            for_each_row,
            when,
            function,
            args,
            references,
            deferrable,
            initially_deferred,
            transition_tables,
        } = t;
        let events: Vec<String> = events
            .iter()
            .map(|e| if e == "UPDATE" && !update_of.is_empty() { format!("UPDATE OF {}", plain_list(update_of)) } else { e.clone() })
            .collect();
        format!(
            "CREATE {}{}TRIGGER {} {timing} {} ON {}{}{}{} FOR EACH {}{} EXECUTE FUNCTION {}({})",
            if *or_replace { "OR REPLACE " } else { "" },
            if *constraint { "CONSTRAINT " } else { "" },
            ident(name.as_str()),
            events.join(" OR "),
            qn(table),
            references.as_ref().map(|r| format!(" FROM {}", qn(r))).unwrap_or_default(),
            match (deferrable, initially_deferred) {
                (_, true) => " DEFERRABLE INITIALLY DEFERRED",
                (true, false) => " DEFERRABLE",
                (false, false) => "",
            },
            if transition_tables.is_empty() {
                String::new()
            } else {
                let all: String = transition_tables
                    .iter()
                    .map(|(new, n)| format!(" {} TABLE AS {}", if *new { "NEW" } else { "OLD" }, ident(n.as_str())))
                    .collect();
                format!(" REFERENCING{all}")
            },
            if *for_each_row { "ROW" } else { "STATEMENT" },
            when.as_ref().map(|w| format!(" WHEN ({})", w.text)).unwrap_or_default(),
            qn(function),
            args.iter().map(|a| literal(a)).collect::<Vec<_>>().join(", ")
        )
    }

    pub fn create_policy(&self, p: &CreatePolicy) -> String {
        let CreatePolicy { name, table, permissive, command, roles, using, with_check } = p;
        let mut out = format!(
            "CREATE POLICY {} ON {} AS {} FOR {command}",
            ident(name.as_str()),
            qn(table),
            if *permissive { "PERMISSIVE" } else { "RESTRICTIVE" }
        );
        policy_rest(&mut out, roles, using.as_ref(), with_check.as_ref());
        out
    }

    pub fn alter_policy(&self, name: &Name, table: &QName, roles: &[String], using: Option<&Expr>, with_check: Option<&Expr>) -> String {
        let mut out = format!("ALTER POLICY {} ON {}", ident(name.as_str()), qn(table));
        policy_rest(&mut out, roles, using, with_check);
        out
    }

    pub fn grant(&self, g: &Grant) -> Written {
        let Grant { revoke, privileges, on, grantees, grant_option, cascade, default_for } = g;
        let mut out = String::new();
        if let Some(DefaultPrivileges { schemas, roles }) = default_for {
            out.push_str("ALTER DEFAULT PRIVILEGES ");
            if !roles.is_empty() {
                out.push_str(&format!("FOR ROLE {} ", roles.iter().map(|r| role(r)).collect::<Vec<_>>().join(", ")));
            }
            if !schemas.is_empty() {
                out.push_str(&format!("IN SCHEMA {} ", plain_list(schemas)));
            }
        }
        let to_roles = matches!(on, GrantOn::Roles);
        out.push_str(if *revoke { "REVOKE " } else { "GRANT " });
        if *revoke && *grant_option {
            out.push_str(if to_roles { "ADMIN OPTION FOR " } else { "GRANT OPTION FOR " });
        }
        let what: Vec<String> =
            privileges.iter().map(|(p, columns)| format!("{}{}", if to_roles { ident(p) } else { p.clone() }, list(columns))).collect();
        out.push_str(&what.join(", "));
        match on {
            GrantOn::Roles => {}
            GrantOn::Objects(objects) => {
                let kind = objects.first().ok_or("a grant on nothing")?.kind;
                let names: Result<Vec<String>, String> = objects.iter().map(object).collect();
                let words = match kind {
                    ObjectKind::Server => "FOREIGN SERVER".to_string(),
                    ObjectKind::Parameter => "PARAMETER".to_string(),
                    k => object_words(k)?,
                };
                out.push_str(&format!(" ON {words} {}", names?.join(", ")));
            }
            GrantOn::AllIn { kind, schemas } => {
                out.push_str(&format!(" ON ALL {}S IN SCHEMA {}", object_words(*kind)?, plain_list(schemas)))
            }
            GrantOn::Future(kind) => out.push_str(&format!(" ON {}S", object_words(*kind)?)),
        }
        out.push_str(if *revoke { " FROM " } else { " TO " });
        out.push_str(&grantees.iter().map(|r| role(r)).collect::<Vec<_>>().join(", "));
        if *grant_option && !*revoke {
            out.push_str(if to_roles { " WITH ADMIN OPTION" } else { " WITH GRANT OPTION" });
        }
        out.push_str(if *cascade { " CASCADE" } else { "" });
        Ok(out)
    }
}

fn policy_rest(out: &mut String, roles: &[String], using: Option<&Expr>, with_check: Option<&Expr>) {
    if !roles.is_empty() {
        out.push_str(&format!(" TO {}", roles.iter().map(|r| role(r)).collect::<Vec<_>>().join(", ")));
    }
    if let Some(u) = using {
        out.push_str(&format!(" USING ({})", u.text));
    }
    if let Some(w) = with_check {
        out.push_str(&format!(" WITH CHECK ({})", w.text));
    }
}

fn foreign_key(fk: &ForeignKey, inline: bool) -> String {
    let ForeignKey { columns, table, ref_columns, on_delete, on_update, on_delete_columns, match_full, period } = fk;
    let with_period = |names: &[Name]| {
        let mut all: Vec<String> = names.iter().map(|n| ident(n.as_str())).collect();
        if let (true, Some(last)) = (*period, all.last_mut()) {
            *last = format!("PERIOD {last}");
        }
        all.join(", ")
    };
    let action = |a: &FkAction| a.to_string();
    let mut out = if inline { String::new() } else { format!("FOREIGN KEY ({}) ", with_period(columns)) };
    out.push_str(&format!("REFERENCES {}", qn(table)));
    if !ref_columns.is_empty() {
        out.push_str(&format!(" ({})", with_period(ref_columns)));
    }
    out.push_str(if *match_full { " MATCH FULL" } else { "" });
    out.push_str(&format!(" ON DELETE {}{}", action(on_delete), list(on_delete_columns)));
    out.push_str(&format!(" ON UPDATE {}", action(on_update)));
    out
}

fn commit(on_commit: OnCommit) -> &'static str {
    match on_commit {
        OnCommit::PreserveRows => "",
        OnCommit::DeleteRows => " ON COMMIT DELETE ROWS",
        OnCommit::Drop => " ON COMMIT DROP",
    }
}

/// A key of an index, with its order.
fn element(e: &IndexElement) -> String {
    let IndexElement { expr, collation, opclass, opclass_options, descending, nulls_first } = e;
    let mut out = key(expr);
    if let Some(c) = collation {
        out.push_str(&format!(" COLLATE {}", qn(c)));
    }
    if let Some(o) = opclass {
        out.push_str(&format!(" {}", qn(o)));
    }
    if !opclass_options.is_empty() {
        let all: Vec<String> = opclass_options.iter().map(|(k, v)| format!("{} = {}", ident(k), v.clone().unwrap_or_default())).collect();
        out.push_str(&format!(" ({})", all.join(", ")));
    }
    out.push_str(if *descending { " DESC" } else { "" });
    out.push_str(match nulls_first {
        Some(true) => " NULLS FIRST",
        Some(false) => " NULLS LAST",
        None => "",
    });
    out
}

/// A column by its name, anything else in parentheses.
fn key(e: &Expr) -> String {
    match &e.kind {
        airlock::op::ExprKind::Column(parts) if parts.len() == 1 => ident(parts[0].as_str()),
        airlock::op::ExprKind::Collate { expr, collation } => format!("({}) COLLATE {}", expr.text, qn(collation)),
        _ => format!("({})", e.text),
    }
}

fn arg(a: &FunctionArg) -> String {
    let FunctionArg { mode, name, ty: t, default } = a;
    let name = name.as_ref().map(|n| format!("{} ", ident(n.as_str()))).unwrap_or_default();
    let default = default.as_ref().map(|d| format!(" DEFAULT ({})", d.text)).unwrap_or_default();
    format!("{mode} {name}{}{default}", ty(t))
}
