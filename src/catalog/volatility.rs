//! How volatile an expression is: what `contain_volatile_functions` and `contain_mutable_functions` would say.

use crate::op::{Call, Expr, ExprKind, Query, Volatility};

use super::Catalog;

impl Catalog {
    /// The most volatile function anywhere in the expression. Functions that nobody knows count as volatile.
    pub fn volatility(&self, e: &Expr) -> Volatility {
        self.volatility_if_known(e).unwrap_or(Volatility::Volatile)
    }

    /// `None` when it hangs on a function that is neither a common built-in nor one of the history.
    pub fn volatility_if_known(&self, e: &Expr) -> Option<Volatility> {
        let mut worst = Some(Volatility::Immutable);
        e.walk(&mut |e| {
            let here = match &e.kind {
                ExprKind::Call(c) => self.call_volatility(c),
                ExprKind::SqlValue(_) => Some(Volatility::Stable),
                // A cast runs the types' input and output functions, of which none is volatile. A subquery reads tables; nothing in
                // it but its calls is volatile.
                ExprKind::Subquery(_) => Some(Volatility::Stable),
                _ => Some(Volatility::Immutable),
            };
            worst = match (worst, here) {
                // Volatile is the end of it, whatever the unknown ones are.
                (Some(Volatility::Volatile), _) | (_, Some(Volatility::Volatile)) => Some(Volatility::Volatile),
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            };
        });
        worst
    }

    /// As `volatility_if_known`, once the planner has put the bodies of simple SQL functions in the place of their calls. An index may so call
    /// a function that was never declared IMMUTABLE.
    pub fn planned_volatility(&self, e: &Expr) -> Option<Volatility> {
        self.planned(e, 0)
    }

    fn planned(&self, e: &Expr, depth: u32) -> Option<Volatility> {
        let mut worst = self.volatility_if_known(e);
        if worst == Some(Volatility::Immutable) || depth > 4 {
            return worst;
        }
        let mut inlined = Some(Volatility::Immutable);
        let mut all = true;
        e.walk(&mut |e| {
            let here = match &e.kind {
                ExprKind::Call(c) => match self.candidates(c).as_slice() {
                    [id] => match self.functions.get(id).and_then(|f| simple_body(&f.def)) {
                        Some(body) => self.planned(body, depth + 1),
                        None => self.call_volatility(c),
                    },
                    _ => self.call_volatility(c),
                },
                ExprKind::SqlValue(_) | ExprKind::Subquery(_) => Some(Volatility::Stable),
                _ => Some(Volatility::Immutable),
            };
            all &= here.is_some();
            inlined = inlined.max(here);
        });
        worst = if all { inlined } else { None };
        worst
    }

    /// The volatility of a query's own calls.
    pub fn query_volatility(&self, q: &Query) -> Volatility {
        let mut worst = Volatility::Stable;
        q.walk_exprs(&mut |e| {
            if let ExprKind::Call(c) = &e.kind {
                worst = worst.max(self.call_volatility(c).unwrap_or(Volatility::Volatile));
            }
        });
        worst
    }

    fn call_volatility(&self, c: &Call) -> Option<Volatility> {
        let own = self.candidates(c);
        if !own.is_empty() {
            return own.iter().filter_map(|id| self.functions.get(id)).map(|f| f.def.volatility).max();
        }
        match c.name.schema_str() {
            None | Some("pg_catalog" | "public" | "extensions") => builtin_volatility(c.name.as_str(), c.args.len()),
            Some(_) => extension_volatility(c.name.as_str()),
        }
    }
}

/// The one expression of a SQL function that Postgres writes in the place of the call (`inline_function`). A strict one needs more than can be
/// told here, so it is left alone.
fn simple_body(f: &crate::op::CreateFunction) -> Option<&Expr> {
    let plain =
        f.language == "sql" && !f.strict && !f.security_definer && f.settings.is_empty() && f.returns.as_ref().is_some_and(|t| !t.setof);
    let [op] = f.body_ops.as_slice() else { return None };
    let crate::op::OpKind::Query(q) = &op.kind else { return None };
    let crate::op::QueryBody::Select(s) = &q.body else { return None };
    let alone = s.from.is_empty() && s.filter.is_none() && s.group_by.is_empty() && q.ctes.is_empty() && q.limit.is_none();
    match s.targets.as_slice() {
        [one] if plain && alone => Some(&one.expr),
        _ => None,
    }
}

/// `None`: not a function that this table knows.
pub(super) fn builtin_volatility(name: &str, args: usize) -> Option<Volatility> {
    // A few names are of one kind or the other by their arguments.
    match (name, args) {
        ("age", 1) | ("make_timestamptz", _) => return Some(Volatility::Stable),
        ("age", _) => return Some(Volatility::Immutable),
        // Without a configuration the text search functions read a setting.
        ("to_tsvector" | "to_tsquery" | "plainto_tsquery" | "phraseto_tsquery" | "websearch_to_tsquery" | "json_to_tsvector", 1) => {
            return Some(Volatility::Stable);
        }
        ("ts_headline", _) => return Some(if args >= 3 { Volatility::Immutable } else { Volatility::Stable }),
        _ => {}
    }
    let listed = |list: &str| list.split_ascii_whitespace().any(|n| n == name);
    if listed(VOLATILE) {
        Some(Volatility::Volatile)
    } else if listed(STABLE) {
        Some(Volatility::Stable)
    } else if listed(IMMUTABLE) {
        Some(Volatility::Immutable)
    } else {
        extension_volatility(name)
    }
}

/// Functions of the extensions that most databases have.
fn extension_volatility(name: &str) -> Option<Volatility> {
    match name {
        "uuid_generate_v1" | "uuid_generate_v1mc" | "uuid_generate_v4" | "gen_random_bytes" | "gen_salt" | "gen_random_uuid" | "nanoid"
        | "gen_ulid" | "generate_ulid" | "uuid_generate_v7" | "ulid_generate" | "dblink" | "dblink_exec" | "http_get" | "http_post" => {
            Some(Volatility::Volatile)
        }
        "unaccent" | "similarity_dist" | "show_limit" => Some(Volatility::Stable),
        "uuid_generate_v3"
        | "uuid_generate_v5"
        | "uuid_nil"
        | "uuid_ns_dns"
        | "uuid_ns_url"
        | "uuid_ns_oid"
        | "uuid_ns_x500"
        | "crypt"
        | "digest"
        | "hmac"
        | "similarity"
        | "word_similarity"
        | "strict_word_similarity"
        | "show_trgm"
        | "st_makepoint"
        | "st_setsrid"
        | "st_point"
        | "st_geomfromtext"
        | "st_x"
        | "st_y"
        | "st_transform"
        | "st_geohash"
        | "hstore"
        | "akeys"
        | "avals"
        | "immutable_unaccent" => Some(Volatility::Immutable),
        _ => None,
    }
}

const VOLATILE: &str = "random random_normal setseed clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 nextval setval currval lastval \
    set_config pg_sleep pg_sleep_for pg_sleep_until pg_notify pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock \
    pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock \
    pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_terminate_backend pg_cancel_backend \
    pg_reload_conf pg_rotate_logfile pg_switch_wal pg_create_restore_point pg_logical_emit_message pg_stat_reset pg_stat_reset_shared \
    pg_export_snapshot pg_xact_commit_timestamp pg_last_committed_xact txid_status pg_xact_status pg_is_in_recovery pg_current_wal_lsn \
    pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_current_logfile pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file \
    pg_database_size pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size pg_tablespace_size pg_stat_clear_snapshot \
    pg_replication_origin_create pg_create_logical_replication_slot pg_create_physical_replication_slot pg_drop_replication_slot lo_creat \
    lo_create lo_unlink lo_open lo_close lo_import lo_export lo_put lo_get lo_from_bytea loread lowrite lo_lseek lo_tell lo_truncate \
    query_to_xml cursor_to_xml table_to_xml pg_promote pg_import_system_collations pg_extension_config_dump pg_blocking_pids \
    pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked gin_clean_pending_list brin_summarize_new_values \
    brin_summarize_range pg_notification_queue_usage";

const STABLE: &str = "now transaction_timestamp statement_timestamp current_date current_time current_timestamp localtime localtimestamp \
    current_user session_user user current_role current_catalog current_schema current_schemas current_database current_setting version \
    current_query inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid pg_postmaster_start_time \
    pg_conf_load_time pg_my_temp_schema txid_current txid_current_if_assigned txid_current_snapshot pg_current_xact_id \
    pg_current_xact_id_if_assigned pg_current_snapshot to_char to_date to_timestamp to_number concat concat_ws format \
    to_json to_jsonb row_to_json array_to_json json_build_object json_build_array jsonb_build_object jsonb_build_array \
    json_agg jsonb_agg json_object_agg jsonb_object_agg json_populate_record jsonb_populate_record json_populate_recordset \
    jsonb_populate_recordset json_to_record jsonb_to_record json_to_recordset jsonb_to_recordset array_to_string \
    to_regclass to_regtype to_regproc to_regprocedure to_regnamespace to_regrole to_regoper to_regoperator to_regcollation \
    pg_get_viewdef pg_get_indexdef pg_get_constraintdef pg_get_functiondef pg_get_triggerdef pg_get_expr pg_get_userbyid \
    pg_get_serial_sequence pg_get_ruledef pg_get_keywords pg_get_function_arguments pg_get_function_identity_arguments \
    pg_get_function_result pg_get_statisticsobjdef format_type obj_description col_description shobj_description \
    has_table_privilege has_schema_privilege has_column_privilege has_any_column_privilege has_database_privilege has_function_privilege \
    has_language_privilege has_sequence_privilege has_server_privilege has_tablespace_privilege has_type_privilege pg_has_role \
    row_security_active pg_table_is_visible pg_type_is_visible pg_function_is_visible pg_is_other_temp_schema \
    get_current_ts_config jsonb_path_query_tz jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz \
    pg_sequence_parameters pg_sequence_last_value pg_get_partkeydef pg_relation_filenode \
    pg_relation_filepath pg_options_to_table pg_timezone_names pg_timezone_abbrevs pg_lock_status pg_show_all_settings xmlvalidate \
    ts_debug date_add date_subtract pg_partition_tree pg_partition_root pg_partition_ancestors \
    pg_column_is_updatable pg_relation_is_updatable pg_input_is_valid pg_input_error_info pg_collation_for \
    pg_describe_object pg_identify_object pg_column_size pg_column_compression pg_collation_actual_version";

const IMMUTABLE: &str = "abs ceil ceiling floor round trunc sign sqrt cbrt exp ln log log10 power pow mod div gcd lcm factorial degrees radians \
    pi sin cos tan cot asin acos atan atan2 sinh cosh tanh asinh acosh atanh sind cosd tand cotd asind acosd atand atan2d width_bucket scale \
    min_scale trim_scale erf erfc gamma lgamma greatest least coalesce nullif lower upper initcap length char_length character_length \
    octet_length bit_length bit_count left right substr substring substring_similar overlay position strpos btrim ltrim rtrim trim lpad rpad \
    repeat replace reverse translate split_part starts_with ascii chr to_hex to_bin to_oct md5 sha224 sha256 sha384 sha512 crc32 crc32c encode \
    decode convert convert_from convert_to get_bit get_byte set_bit set_byte quote_ident quote_literal quote_nullable regexp_match \
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_count regexp_instr regexp_like regexp_substr \
    string_to_array string_to_table parse_ident normalize is_normalized unistr casefold collation_for array_append array_cat array_dims array_fill \
    array_length array_lower array_ndims array_position array_positions array_prepend array_remove array_replace array_upper cardinality \
    trim_array unnest array_sort array_reverse array_agg generate_series generate_subscripts date_part date_bin date_trunc extract make_date \
    make_time make_timestamp make_interval justify_days justify_hours justify_interval isfinite timezone \
    json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_array_length jsonb_array_length json_typeof \
    jsonb_typeof json_object_keys jsonb_object_keys json_each json_each_text jsonb_each jsonb_each_text json_array_elements \
    json_array_elements_text jsonb_array_elements jsonb_array_elements_text json_object jsonb_object json_strip_nulls jsonb_strip_nulls \
    jsonb_set jsonb_set_lax jsonb_insert jsonb_pretty jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array \
    jsonb_path_query_first jsonb_concat jsonb_delete jsonb_delete_path jsonb_contains jsonb_exists json_scalar json_array json_query json_value \
    json_exists count sum avg min max bool_and bool_or every string_agg bit_and bit_or bit_xor stddev stddev_pop stddev_samp variance var_pop \
    var_samp corr covar_pop covar_samp regr_slope percentile_cont percentile_disc mode rank dense_rank row_number ntile lag lead first_value \
    last_value nth_value cume_dist percent_rank grouping any_value range_agg range_intersect_agg lower_inc upper_inc lower_inf upper_inf isempty \
    range_merge range_contains int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange tsmultirange \
    tstzmultirange datemultirange multirange to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery jsonb_to_tsvector \
    json_to_tsvector setweight strip ts_rank ts_rank_cd ts_delete ts_filter ts_rewrite tsvector_to_array array_to_tsvector numnode querytree \
    tsquery_phrase tsvector_concat host network netmask hostmask masklen family broadcast abbrev inet_same_family inet_merge set_masklen \
    macaddr8_set7bit area box circle center diameter height width isclosed isopen npoints pclose popen radius point polygon path lseg line \
    diagonal bound_box slope xmlcomment xmlconcat xmlelement xmlforest xpath xpath_exists xml_is_well_formed hashtext hashtextextended hash_array \
    hash_record enum_first enum_last enum_range num_nonnulls num_nulls row pg_typeof pg_size_bytes int4 int8 int2 float4 \
    float8 numeric text varchar bpchar bool textcat texteq int4eq textlike textregexeq like notlike btarraycmp uuid_extract_version \
    uuid_extract_timestamp pg_encoding_to_char pg_char_to_encoding to_ascii pg_size_pretty cash_words bit numeric_inc abstime hashint4 hashint8 \
    hashfloat8 hashchar hashname uuid_hash starts_with bit_and char name ts_lexize overlaps oidvectortypes array_larger tsmatch";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_functions_are_known() {
        use Volatility::*;
        for (name, args, v) in [
            ("random", 0, Volatile),
            ("gen_random_uuid", 0, Volatile),
            ("nextval", 1, Volatile),
            ("uuid_generate_v4", 0, Volatile),
            ("now", 0, Stable),
            ("to_tsvector", 1, Stable),
            ("to_tsvector", 2, Immutable),
            ("lower", 1, Immutable),
        ] {
            assert_eq!(builtin_volatility(name, args), Some(v), "{name}");
        }
        assert_eq!(builtin_volatility("my_own", 0), None);
    }
}
