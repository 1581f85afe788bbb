//! What the migrations leave behind: tables behind walls, and functions that bring no rights of their own.

use serde_json::{Value, json};

use crate::support::database::{Database, on_every_version};

/// The tables, refinery's own left out.
const TABLES: [&str; 6] = ["conversations", "messages", "quota_usage", "run_chunks", "runs", "users"];

on_every_version!(
    every_table_is_behind_row_level_security,
    everything_goes_with_its_user,
    the_functions_role_may_do_what_an_endpoint_needs,
    the_sweeps_role_is_nobodys,
    functions_have_their_callers_rights_and_a_fixed_search_path,
    waits_are_bounded_for_whoever_signs_in,
    ids_are_uuids_of_version_seven,
    a_merge_patch_is_that_of_rfc_7396
);

async fn every_table_is_behind_row_level_security(database: Database) {
    let tables = "
        select c.relname::text, c.relrowsecurity and c.relforcerowsecurity, c.relowner::regrole::text,
            array(select p.polname::text || case when p.polroles <> '{0}' then ' of ' || (p.polroles[1])::regrole else '' end
                from pg_policy p where p.polrelid = c.oid order by 1),
            exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'user_id' and a.attnotnull)
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and c.relname <> 'refinery_schema_history'
        order by 1";
    let tables = database.superuser().await.query(tables, &[]).await.unwrap();
    assert_eq!(tables.iter().map(|row| row.get(0)).collect::<Vec<&str>>(), TABLES);
    for row in &tables {
        let table: &str = row.get(0);
        assert!(row.get::<_, bool>(1), "{table} isn't behind forced row-level security");
        assert_eq!(row.get::<_, &str>(2), "colloquy_owner");
        let sweeping: &[&str] = match table {
            "messages" => &["sweep_locks of colloquy_sweep", "sweep_reads of colloquy_sweep"],
            "runs" | "run_chunks" | "quota_usage" => &["sweep of colloquy_sweep"],
            _ => &[],
        };
        assert_eq!(row.get::<_, Vec<&str>>(3), [&["own_rows"], sweeping].concat(), "{table}");
        assert!(row.get::<_, bool>(4) || table == "users", "{table} has a user");
    }
}

async fn everything_goes_with_its_user(database: Database) {
    let keys = "
        select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
        where contype = 'f' and confdeltype = 'c' order by 1, 2";
    let keys = database.superuser().await.query(keys, &[]).await.unwrap();
    let keys: Vec<(&str, &str)> = keys.iter().map(|row| (row.get(0), row.get(1))).collect();
    for table in TABLES.iter().filter(|table| **table != "users") {
        let mut reached = vec![*table];
        while let Some(from) = reached.pop() {
            if from == "users" {
                reached.push(from);
                break;
            }
            reached.extend(keys.iter().filter(|(child, _)| *child == from).map(|(_, parent)| *parent));
        }
        assert_eq!(reached.last(), Some(&"users"), "{table} outlives its user");
    }
    let others = "select count(*) from pg_constraint where contype = 'f' and confdeltype <> 'c'";
    let others = database.superuser().await.query_one(others, &[]).await.unwrap();
    assert_eq!(others.get::<_, i64>(0), 0);
}

async fn the_functions_role_may_do_what_an_endpoint_needs(database: Database) {
    let grants = "
        select coalesce(json_object_agg(grants.table, grants.rights order by grants.table), '{}') from (
            select table_name as table, json_agg(privilege_type::text order by privilege_type) as rights
            from information_schema.table_privileges where grantee in ('colloquy_app', 'PUBLIC')
                and table_schema = 'public'
            group by table_name) grants";
    let superuser = database.superuser().await;
    let grants: Value = superuser.query_one(grants, &[]).await.unwrap().get(0);
    assert_eq!(
        grants,
        json!({
            "users": ["INSERT", "SELECT"],
            "conversations": ["DELETE", "INSERT", "SELECT"],
            "messages": ["INSERT", "SELECT"],
            "quota_usage": ["INSERT", "SELECT"],
            "run_chunks": ["INSERT", "SELECT"],
            "runs": ["INSERT", "SELECT"],
        })
    );
    let columns = "
        select json_object_agg(changes.table, changes.columns) from (
            select table_name as table, json_agg(column_name::text order by column_name) as columns
            from information_schema.column_privileges
            where grantee = 'colloquy_app' and privilege_type = 'UPDATE' group by table_name) changes";
    let columns: Value = superuser.query_one(columns, &[]).await.unwrap().get(0);
    assert_eq!(
        columns,
        json!({
            "conversations": [
                "activity_at", "archived_at", "last_seq", "message_count", "metadata", "pinned_at", "title",
                "title_wanted", "updated_at", "version",
            ],
            // What an answer is made of; the trigger `messages_written_once` keeps it to answers that are being written.
            "messages": [
                "active", "content", "embeddings_size", "metadata", "model", "parts", "size", "source_embeddings",
                "sources", "status", "usage",
            ],
            "quota_usage": ["messages", "tokens"],
            "runs": ["ended_at", "idempotency_keys", "lease_until", "outcome", "parts_due", "stop_requested_at"],
        })
    );
    let role = "
        select rolcanlogin, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication,
            has_schema_privilege('colloquy_app', 'public', 'CREATE'),
            exists (select from pg_shdepend where refobjid = r.oid and deptype = 'o'),
            exists (select from pg_auth_members where member = r.oid)
        from pg_roles r where rolname = 'colloquy_app'";
    let role = superuser.query_one(role, &[]).await.unwrap();
    assert!(role.get::<_, bool>(0), "it can log in");
    for (column, power) in [(1, "a power of its own"), (2, "CREATE"), (3, "something it owns"), (4, "a group")] {
        assert!(!role.get::<_, bool>(column), "colloquy_app has {power}");
    }
}

/// Nobody signs in as the sweep's role, nobody is a member of it (its policies would be theirs, too), and it owns two functions.
async fn the_sweeps_role_is_nobodys(database: Database) {
    let role = "
        select rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication,
            has_schema_privilege(r.oid, 'public', 'CREATE'),
            exists (select from pg_auth_members where member = r.oid),
            pg_has_role('colloquy_owner', r.oid, 'USAGE') or pg_has_role('colloquy_app', r.oid, 'MEMBER'),
            array(select p.proname::text from pg_proc p where p.proowner = r.oid order by 1),
            array(select c.relname::text from pg_class c where c.relowner = r.oid)
        from pg_roles r where rolname = 'colloquy_sweep'";
    let role = database.superuser().await.query_one(role, &[]).await.unwrap();
    for (column, power) in [(0, "a power of its own"), (1, "CREATE"), (2, "a group"), (3, "a member")] {
        assert!(!role.get::<_, bool>(column), "colloquy_sweep has {power}");
    }
    assert_eq!(role.get::<_, Vec<&str>>(4), ["prune", "sweep"]);
    assert_eq!(role.get::<_, Vec<&str>>(5), [""; 0]);
}

async fn functions_have_their_callers_rights_and_a_fixed_search_path(database: Database) {
    let functions = "
        select p.proname::text, p.prosecdef, coalesce(p.proconfig, '{}')::text[],
            has_function_privilege('public', p.oid, 'EXECUTE')
        from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1";
    let functions = database.superuser().await.query(functions, &[]).await.unwrap();
    assert!(functions.len() >= 10);
    for row in &functions {
        let function: &str = row.get(0);
        assert_eq!(row.get::<_, bool>(1), ["prune", "sweep"].contains(&function), "{function}: whose rights has it?");
        let settings: Vec<&str> = row.get(2);
        assert!(settings.iter().any(|setting| setting.starts_with("search_path=")), "{function}: {settings:?}");
        assert!(!row.get::<_, bool>(3) || function == "uuidv7", "everybody may call {function}");
    }
}

async fn waits_are_bounded_for_whoever_signs_in(database: Database) {
    let app = database.app().await;
    for (setting, value) in
        [("statement_timeout", "5s"), ("lock_timeout", "2s"), ("idle_in_transaction_session_timeout", "10s")]
    {
        let shown = app.query_one(&format!("show {setting}"), &[]).await.unwrap();
        assert_eq!(shown.get::<_, &str>(0), value, "{setting}");
    }
}

async fn ids_are_uuids_of_version_seven(database: Database) {
    let app = database.app().await;
    let ids = "select uuidv7(), (extract(epoch from clock_timestamp()) * 1000)::bigint from generate_series(1, 1000)";
    let ids = app.query(ids, &[]).await.unwrap();
    let mut seen = std::collections::HashSet::new();
    for row in &ids {
        let id: uuid::Uuid = row.get(0);
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let millis = i64::try_from(id.as_u128() >> 80).unwrap();
        assert!((row.get::<_, i64>(1) - millis).abs() < 60_000, "its first 48 bits are the time");
        assert!(seen.insert(id));
    }
}

async fn a_merge_patch_is_that_of_rfc_7396(database: Database) {
    let app = database.app().await;
    // The examples of its appendix A.
    for (target, patch, result) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let [target, patch, result]: [Value; 3] =
            [target, patch, result].map(|text| serde_json::from_str(text).unwrap());
        let merged = app.query_one("select json_merge_patch($1, $2)", &[&target, &patch]).await.unwrap();
        assert_eq!(merged.get::<_, Value>(0), result, "{target} patched by {patch}");
    }
}
