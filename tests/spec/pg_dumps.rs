//! Databases in snapshots: what goes in comes out again, in the same place or another, and neighbours stay untouched.

use crate::cli_fixture::{Desk, Done};
use crate::postgres::Server;

/// Two installations in one schema, told apart by prefixes of which one holds the signs that patterns know.
pub fn furnish(server: &Server, megabytes: u32) {
    server.role("gov_owner");
    server.role("other");
    server.sql("postgres", "CREATE DATABASE gov");
    server.sql("gov", "CREATE SCHEMA dss; GRANT ALL ON SCHEMA dss TO gov_owner, other; CREATE SCHEMA second");
    let rows = megabytes * 1024 / 2;
    server.sql(
        "gov",
        &format!(
            "SET ROLE gov_owner; CREATE TABLE dss.gov_items(id bigserial PRIMARY KEY, body jsonb, \"Odd Näme\" text UNIQUE); \
             INSERT INTO dss.gov_items(body, \"Odd Näme\") SELECT jsonb_build_object('id', i, 'fields', (SELECT \
             jsonb_agg(md5((i * j)::text)) FROM generate_series(1, 50) j)), 'näme ' || i FROM generate_series(1, {rows}) i; \
             CREATE TABLE dss.gov_links(item bigint REFERENCES dss.gov_items, what text); \
             INSERT INTO dss.gov_links SELECT id, 'x' FROM dss.gov_items WHERE id % 7 = 0; \
             CREATE VIEW dss.gov_view AS SELECT id FROM dss.gov_items WHERE id < 100; \
             CREATE MATERIALIZED VIEW dss.gov_counts AS SELECT count(*) FROM dss.gov_view; \
             CREATE SEQUENCE dss.gov_numbers START 77; SELECT nextval('dss.gov_numbers'); \
             SELECT lo_from_bytea(0, convert_to(repeat('large ', 9999), 'UTF8')) FROM generate_series(1, 20); \
             COMMENT ON TABLE dss.gov_items IS 'what; it''s'; SET ROLE other; \
             CREATE TABLE dss.govx_items(id int PRIMARY KEY); INSERT INTO dss.govx_items VALUES (1), (2); \
             CREATE TABLE dss.other_items(id int PRIMARY KEY); INSERT INTO dss.other_items VALUES (3); RESET ROLE; \
             CREATE TABLE second.things(x int); INSERT INTO second.things VALUES (5)"
        ),
    );
}

/// The part of the first installation, and everything else.
fn own(server: &Server) -> Vec<String> {
    server.content("gov", &["--table=dss.\"gov_\"*", "--blobs"])
}

fn others(server: &Server) -> Vec<String> {
    server.content("gov", &["--exclude-table=dss.\"gov_\"*", "--no-blobs"])
}

fn gov(server: &Server) -> String {
    format!("{}&currentSchema=dss&tableNamePrefix=gov_", server.url("gov"))
}

fn back_up(desk: &Desk, url: &str) -> Done {
    desk.run(&["backup", "--database", url])
}

pub fn snapshots(desk: &Desk) -> Vec<serde_json::Value> {
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0);
    serde_json::from_str(&shown.out).unwrap()
}

#[test]
fn a_part_of_a_shared_schema_comes_back_and_its_neighbours_stay_as_they_are() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 4);
    let (before, neighbours) = (own(&server), others(&server));
    let done = back_up(&desk, &gov(&server)).expect_code(0);
    assert!(done.out.contains("schema dss gov_*"), "{}", done.out);
    let record = &snapshots(&desk)[0]["databases"][0];
    assert_eq!((&record["name"], &record["database"]), (&"gov.dss.gov_".into(), &"gov".into()));
    assert!(record["lsn"].as_str().unwrap().contains('/') && record["bytes"].as_u64().unwrap() > 1 << 20);
    let what_is_there = desk.run(&["restore", "latest"]).expect_code(21);
    assert!(what_is_there.err.contains("--clean-database"), "{}", what_is_there.err);

    // Some of it is lost, some changed, some new.
    server.sql("gov", "DROP MATERIALIZED VIEW dss.gov_counts; DELETE FROM dss.gov_links; UPDATE dss.gov_items SET body = '{}'; CREATE TABLE dss.gov_new(x int); SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata");
    assert_ne!(own(&server), before);
    desk.run(&["restore", "latest", "--clean-database", "--dry-run"]).expect_code(0);
    assert_ne!(own(&server), before, "a dry run does nothing");
    desk.run(&["restore", "latest", "--clean-database"]).expect_code(0);
    assert_eq!(own(&server), before);
    assert_eq!(others(&server), neighbours);
    assert_eq!(server.sql("gov", "SELECT nextval('dss.gov_numbers')"), "78");
}

#[test]
fn nothing_of_others_goes_even_if_it_hangs_on_what_is_replaced() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    back_up(&desk, &gov(&server)).expect_code(0);
    server
        .sql("gov", "GRANT ALL ON dss.gov_items TO other; CREATE VIEW dss.other_view AS SELECT id FROM dss.gov_items");
    let before = server.content("gov", &[]);
    let done = desk.run(&["restore", "latest", "--clean-database"]).expect_code(1);
    assert!(done.err.contains("objects of others depend on"), "{}", done.err);
    assert_eq!(server.content("gov", &[]), before, "all of it or nothing");
}

#[test]
fn a_dump_goes_to_another_database_another_schema_and_another_server() {
    let (server, elsewhere, desk) = (Server::start(), Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let before = own(&server);
    back_up(&desk, &format!("{}&currentSchema=dss&tableNamePrefix=gov_", server.url("gov"))).expect_code(0);
    // Another database of the same server.
    desk.run(&["restore", "latest", "--database-map", "gov=copy of gov", "--create-database"]).expect_code(0);
    assert_eq!(server.content("copy of gov", &["--table=dss.\"gov_\"*", "--blobs"]), before);
    // Another schema of it, beside the first, where large objects cannot be twice.
    let odd = "gov=?currentSchema=\"New \"\"Schema\"\"\"";
    let again = ["restore", "latest", "--database-map"];
    let refused = desk.run(&[&again[..], &[odd]].concat()).expect_code(21);
    assert!(refused.err.contains("large objects"), "{}", refused.err);
    server.sql("gov", "SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata");
    back_up(&desk, &gov(&server)).expect_code(0);
    desk.run(&[&again[..], &[odd]].concat()).expect_code(0);
    let count = |table: &str| server.sql("gov", &format!("SELECT count(*) FROM {table}"));
    assert_eq!(count("\"New \"\"Schema\"\"\".gov_items"), count("dss.gov_items"));
    assert_eq!((count("dss.other_items").as_str(), count("\"New \"\"Schema\"\"\".gov_view").as_str()), ("1", "99"));
    // Another server, which does not know the roles.
    let there = format!("gov.dss.gov_={}", elsewhere.url("gov"));
    let refused = desk.run(&["restore", "latest", "--database-map", &there, "--create-database"]).expect_code(21);
    assert!(refused.err.contains("the roles gov_owner") && refused.err.contains("globals.sql"), "{}", refused.err);
    let made = ["restore", "latest", "--database-map", &there, "--create-database", "--no-database-owner"];
    let told = desk.run(&[&made[..], &["--dry-run"]].concat()).expect_code(0);
    assert!(told.out.contains(", which is made"), "{}", told.out);
    assert!(!databases(&elsewhere).contains("gov"), "neither a refusal nor a dry run makes it");
    desk.run(&["restore", "latest", "--database-map", &there, "--create-database", "--no-database-owner"])
        .expect_code(0);
    assert_eq!(elsewhere.sql("gov", "SELECT count(*) FROM dss.gov_items"), count("dss.gov_items"));
}

/// The names of all databases of a server.
fn databases(server: &Server) -> String {
    server.sql("postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database")
}

#[test]
fn a_database_that_was_made_for_a_dump_that_fails_is_taken_away_again() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    back_up(&desk, &gov(&server)).expect_code(0);
    let path = crate::cli_repair::largest(&desk, "vault/packs");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let map = ["restore", "latest", "--database-map", "gov=copy", "--create-database"];
    let told = desk.run(&[&map[..], &["--dry-run"]].concat()).expect_code(0);
    assert!(told.out.contains(", which is made"), "what is damaged is met only by the restore: {}", told.out);
    desk.run(&map).expect_code(1);
    assert!(!databases(&server).contains("copy"), "{}", databases(&server));
}

#[test]
fn a_whole_database_of_any_name_comes_back_into_nothing_and_over_itself() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    let name = "my \"b\u{e4}se\" = it's";
    server.sql("postgres", "CREATE DATABASE \"my \"\"b\u{e4}se\"\" = it's\"");
    server.sql(name, "CREATE SCHEMA \"S\"; CREATE TYPE \"S\".mood AS ENUM ('good', 'bad'); CREATE TABLE \"S\".t(m \"S\".mood); INSERT INTO \"S\".t VALUES ('good'); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE public.u(x int DEFAULT f())");
    let before = server.content(name, &[]);
    back_up(&desk, &server.url(name)).expect_code(0);
    server.sql(name, "DROP TABLE \"S\".t; CREATE TABLE public.more(x int); CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 2'");
    desk.run(&["restore", "latest", "--clean-database"]).expect_code(0);
    assert_eq!(server.content(name, &[]), before);
    server.sql("postgres", "DROP DATABASE \"my \"\"b\u{e4}se\"\" = it's\"");
    desk.run(&["restore", "latest"]).expect_code(1);
    desk.run(&["restore", "latest", "--create-database"]).expect_code(0);
    assert_eq!(server.content(name, &[]), before);
}

#[test]
fn the_plain_stream_is_what_pg_restore_reads() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    back_up(&desk, &gov(&server)).expect_code(0);
    let dumped = desk.command(&["dump", "latest:/postgresql/gov.dss.gov_/dump"]).output().unwrap();
    let path = desk.write("dump", &dumped.stdout);
    let listed = server.client("pg_restore", "gov").arg("-l").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(text.contains("TABLE DATA dss gov_items gov_owner") && !text.contains("govx_items"), "{text}");
    let globals = desk.run(&["dump", "latest:/postgresql/gov.dss.gov_/globals.sql"]).expect_code(0);
    assert!(globals.out.contains("CREATE ROLE gov_owner") && !globals.out.contains("SCRAM-SHA-256"), "{}", globals.out);
    desk.run(&["backup", "--database", &gov(&server), "--role-passwords"]).expect_code(0);
    let globals = desk.run(&["dump", "latest:/postgresql/gov.dss.gov_/globals.sql"]).expect_code(0);
    assert!(globals.out.contains("SCRAM-SHA-256"), "asked for, they are there");
}

#[test]
fn a_compressed_dump_among_files_is_warned_about_and_a_plain_one_is_not() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    for (name, level) in [("bad.dump", "6"), ("good.dump", "0")] {
        let dump = server.client("pg_dump", "gov").args(["-Fc", "-Z", level]).output().unwrap();
        desk.write(&format!("src/{name}"), &dump.stdout);
    }
    let done = desk.run(&["backup", &desk.text("src")]).expect_code(0);
    assert!(done.err.contains("bad.dump") && done.err.contains("pg_dump --compress=0"), "{}", done.err);
    assert!(!done.err.contains("good.dump"), "{}", done.err);
}

#[test]
fn several_databases_are_held_at_their_moments_before_the_first_is_dumped() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    for name in ["a", "b"] {
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
        server.sql(name, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i");
    }
    desk.run(&["backup", "--database", &server.url("a"), "--database", &server.url("b")]).expect_code(0);
    let log = server.log();
    assert!(!log.contains("unexpected EOF") && !log.contains("Connection reset"), "whoever asked took leave: {log}");
    let at = |text: &str, nth: usize| log.match_indices(text).nth(nth).map(|(at, _)| at).unwrap();
    assert!(at("pg_export_snapshot", 1) < at("COPY public.t", 0), "the second is held before the first is read");
    let databases = snapshots(&desk)[0]["databases"].clone();
    let spread: Vec<u64> = databases.as_array().unwrap().iter().map(|one| one["spread_ms"].as_u64().unwrap()).collect();
    assert!(spread[0] == spread[1] && spread[0] < 60_000, "{spread:?}");
}

#[test]
fn an_unchanged_database_costs_next_to_nothing_the_second_time() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 8);
    back_up(&desk, &gov(&server)).expect_code(0);
    back_up(&desk, &gov(&server)).expect_code(0);
    let summary = &snapshots(&desk)[1]["summary"];
    let (added, all) = (summary["data_added"].as_u64().unwrap(), summary["total_bytes_processed"].as_u64().unwrap());
    assert!(added * 20 < all, "{added} of {all}");
    desk.run(&["check", "--read-data"]).expect_code(0);
}
