//! Nodes with a database on a server: files and database are one restore point.

use std::fs;
use std::process::Command;

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, ACCOUNT, Node};
use crate::pg_dumps::{furnish, snapshots};
use crate::postgres::{PASSWORD, Server};
use crate::skip::skip;

macro_rules! or_skip {
    ($test:literal) => {
        if !node::is_possible() {
            return skip(concat!("pg_node::", $test), "only root may run a node as its account");
        }
    };
}

fn configure(node: &Node, file: &str, text: &str) {
    let path = node.data_dir().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    Command::new("chown").arg(format!("{ACCOUNT}:")).arg(&path).status().unwrap();
}

/// As `java.util.Properties` writes it.
fn property(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\");
    escaped
        .chars()
        .map(|sign| if sign.is_ascii() { sign.to_string() } else { format!("\\u{:04x}", u32::from(sign)) })
        .collect()
}

fn govern(server: &Server) -> Node {
    let node = Node::new("govern");
    let url = format!("jdbc:postgresql://127.0.0.1:{}/gov?currentSchema=dss", server.port);
    let text = format!("psql.jdbc.url={url}\npsql.jdbc.user=gov_owner\npsql.jdbc.password={}\n", property(PASSWORD));
    configure(&node, "config/dip.properties", &text);
    node
}

fn back_up(desk: &Desk, node: &Node, more: &[&str]) -> Done {
    desk.run(&[&["backup", node.data_dir().to_str().unwrap()], more].concat())
}

#[test]
fn govern_and_its_database_are_destroyed_and_come_back_together() {
    or_skip!("govern_and_its_database_are_destroyed_and_come_back_together");
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 200);
    let own = |server: &Server| server.content("gov", &["--table=dss.\"gov_\"*", "--blobs"]);
    let others = |server: &Server| server.content("gov", &["--exclude-table=dss.\"gov_\"*", "--no-blobs"]);
    let (before, neighbours) = (own(&server), others(&server));
    let node = govern(&server);
    node.start();
    // Its own configuration knows no prefix, and the neighbours' tables are not its to read.
    let refused = back_up(&desk, &node, &["--consistency", "stopped"]).expect_code(1);
    assert!(refused.err.contains("may not read dss.govx_items"), "{}", refused.err);
    assert!(node.is_running() && snapshots(&desk).is_empty());
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    let done = back_up(&desk, &node, &["--consistency", "stopped", "--database", &url]).expect_code(0);
    assert!(done.out.contains("database   gov on 127.0.0.1"), "{}", done.out);
    assert!(node.is_running());
    let snapshot = &snapshots(&desk)[0];
    let record = &snapshot["databases"][0];
    assert_eq!((record["kind"].as_str(), record["skew_ms"].as_i64()), (Some("govern"), None));
    assert!(record["bytes"].as_u64().unwrap() > 150 << 20, "{record}");

    server.sql("gov", "DROP TABLE dss.gov_items CASCADE; DROP TABLE dss.gov_links; DROP SEQUENCE dss.gov_numbers; SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata");
    fs::remove_dir_all(node.data_dir().join("config")).unwrap();
    let asks = desk.run(&["restore", "latest", "--stop", "--start"]).expect_code(2);
    assert!(asks.err.contains("--databases skip"), "{}", asks.err);
    let done = desk.run(&["restore", "latest", "--stop", "--start", "--databases", "restore"]).expect_code(0);
    assert!(done.out.contains("database gov.dss.gov_ is in gov on 127.0.0.1"), "{}", done.out);
    assert!(node.is_running() && node.text("config/dip.properties").contains("psql.jdbc.user=gov_owner"));
    assert_eq!(own(&server), before);
    assert_eq!(others(&server), neighbours);
}

#[test]
fn a_database_that_fails_leaves_the_node_as_it_was() {
    or_skip!("a_database_that_fails_leaves_the_node_as_it_was");
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let node = govern(&server);
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    back_up(&desk, &node, &["--database", &url]).expect_code(0);
    fs::write(node.data_dir().join("config/added"), "since").unwrap();
    server
        .sql("gov", "GRANT ALL ON dss.gov_items TO other; CREATE VIEW dss.other_view AS SELECT id FROM dss.gov_items");
    let before = server.content("gov", &[]);
    let arguments = ["restore", "latest", "--databases", "restore", "--clean-database"];
    let failed = desk.run(&arguments).expect_code(1);
    assert!(failed.err.contains("objects of others"), "{}", failed.err);
    assert_eq!(node.text("config/added"), "since");
    assert_eq!(server.content("gov", &[]), before);
    server.sql("gov", "DROP VIEW dss.other_view");
    desk.run(&arguments).expect_code(0);
    assert!(!node.data_dir().join("config/added").exists());
}

/// The runtime database of a design node in its own schema, beside that of another with a longer prefix.
fn runtime(server: &Server) {
    server.role("dssrt");
    server.sql("postgres", "CREATE DATABASE runtime");
    server.sql("runtime", "CREATE SCHEMA dss_runtime AUTHORIZATION dssrt; SET ROLE dssrt; CREATE TABLE dss_runtime.prod_jobs AS SELECT i, md5(i::text) FROM generate_series(1, 5000) i; CREATE TABLE dss_runtime.prod2_jobs(x int); INSERT INTO dss_runtime.prod2_jobs VALUES (7)");
}

#[test]
fn a_runtime_database_is_found_by_fields_and_by_address() {
    or_skip!("a_runtime_database_is_found_by_fields_and_by_address");
    let server = Server::start();
    runtime(&server);
    let own = || server.content("runtime", &["--table=dss_runtime.\"prod_\"*"]);
    let before = own();
    let port = server.port;
    let fields =
        format!(r#""host": "127.0.0.1", "port": {port}, "db": "runtime", "user": "dssrt", "password": "e:AES:AAAA""#);
    let address = format!(
        r#""useURL": true, "url": "jdbc:postgresql://127.0.0.1:{port}/runtime?ApplicationName=dss", "user": "dssrt", "password": "e:AES:AAAA""#
    );
    for params in [fields, address] {
        let (node, desk) = (Node::new("design"), Desk::with_repository());
        configure(
            &node,
            "config/general-settings.json",
            &format!(
                r#"{{"internalDatabase": {{"connection": {{"type": "PostgreSQL", "params": {{{params}}}}}, "tableNamePrefix": "prod_", "schema": "dss_runtime"}}}}"#
            ),
        );
        let encrypted = back_up(&desk, &node, &[]).expect_code(21);
        assert!(encrypted.err.contains("encrypted by DSS in config/general-settings.json"), "{}", encrypted.err);
        assert!(encrypted.err.contains("--database-password-file"), "{}", encrypted.err);
        desk.write("password", PASSWORD.as_bytes());
        let file = desk.text("password");
        back_up(&desk, &node, &["--database-password-file", &file]).expect_code(0);
        assert_eq!(snapshots(&desk)[0]["databases"][0]["kind"], "runtime");
        server.sql("runtime", "UPDATE dss_runtime.prod_jobs SET md5 = ''; UPDATE dss_runtime.prod2_jobs SET x = x + 1");
        let seven = server.sql("runtime", "SELECT x FROM dss_runtime.prod2_jobs");
        let arguments =
            ["restore", "latest", "--databases", "only", "--clean-database", "--database-password-file", &file];
        desk.run(&arguments).expect_code(0);
        assert_eq!(own(), before);
        assert_eq!(server.sql("runtime", "SELECT x FROM dss_runtime.prod2_jobs"), seven, "the neighbour is as it is");
        // Without it, and the snapshot says so.
        back_up(&desk, &node, &["--database", "none"]).expect_code(0);
        let caveats = snapshots(&desk)[1]["dss"]["caveats"].to_string();
        assert!(caveats.contains("the database of config/general-settings.json is not in the snapshot"), "{caveats}");
    }
}

#[test]
fn a_node_that_runs_on_tells_how_far_its_database_is_from_its_files() {
    or_skip!("a_node_that_runs_on_tells_how_far_its_database_is_from_its_files");
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let node = govern(&server);
    node.start();
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    back_up(&desk, &node, &["--consistency", "live", "--database", &url]).expect_code(0);
    let skew = snapshots(&desk)[0]["databases"][0]["skew_ms"].as_i64().unwrap();
    assert!((-60_000..=0).contains(&skew), "{skew}");
    // Nothing of it is stored or stopped if it cannot be had.
    let pid = node.text("run/supervisord.pid");
    server.down();
    back_up(&desk, &node, &["--consistency", "stopped", "--database", &url]).expect_code(1);
    assert!(node.is_running() && node.text("run/supervisord.pid") == pid);
    assert_eq!(snapshots(&desk).len(), 1);
}

#[test]
fn a_node_moves_to_another_server_and_its_configuration_with_it() {
    or_skip!("a_node_moves_to_another_server_and_its_configuration_with_it");
    let (server, elsewhere, desk) = (Server::start(), Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let node = govern(&server);
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    back_up(&desk, &node, &["--database", &url]).expect_code(0);
    elsewhere.role("gov_owner");
    elsewhere.sql("postgres", "CREATE DATABASE moved OWNER gov_owner");
    server.down();
    let map = format!("gov={}", elsewhere.far_url("gov_owner", "moved"));
    desk.run(&["restore", "latest", "--databases", "restore", "--database-map", &map]).expect_code(0);
    assert_eq!(elsewhere.sql("moved", "SELECT count(*) FROM dss.gov_items"), "512");
    let now = node.text("config/dip.properties");
    assert!(now.contains(&format!("jdbc:postgresql://127.0.0.1:{}/moved?currentSchema=dss", elsewhere.port)), "{now}");
    assert!(now.contains("psql.jdbc.password="), "{now}");
}

#[test]
fn a_drill_of_a_node_with_its_database_never_speaks_to_production() {
    or_skip!("a_drill_of_a_node_with_its_database_never_speaks_to_production");
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let node = govern(&server);
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    back_up(&desk, &node, &["--database", &url]).expect_code(0);
    let (log, copy) = (server.log(), node.folder().join("drill"));
    let done = desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap()]).expect_code(0);
    assert!(done.out.contains("gov.dss.gov_"), "{}", done.out);
    assert_eq!(server.log(), log, "no connection, no statement");
    let now = fs::read_to_string(copy.join("config/dip.properties")).unwrap();
    assert!(!now.contains(&format!(":{}/gov", server.port)) && now.contains("/dssvault_drill_"), "{now}");
    assert!(
        fs::read_dir(node.folder())
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().contains("dssvault-drill-"))
    );
    // A snapshot without the database cannot be tried without production.
    back_up(&desk, &node, &["--database", "none"]).expect_code(0);
    fs::remove_dir_all(&copy).unwrap();
    let refused = desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap()]).expect_code(21);
    assert!(refused.err.contains("its copy would use the same one"), "{}", refused.err);
}

#[test]
fn a_node_that_moves_says_what_becomes_of_its_database() {
    or_skip!("a_node_that_moves_says_what_becomes_of_its_database");
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    let node = govern(&server);
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    back_up(&desk, &node, &["--database", &url]).expect_code(0);
    let (there, port) = (node.folder().join("moved"), node::free_port().to_string());
    let arguments = ["restore", "latest", "--data-dir", there.to_str().unwrap(), "--port", &port, "--start"];
    desk.run(&arguments).expect_code(2);
    desk.run(&[&arguments[..], &["--databases", "skip", "--dry-run"]].concat()).expect_code(0);
    server.sql("postgres", "CREATE DATABASE moved OWNER gov_owner");
    let map = format!("gov={}", server.far_url("gov_owner", "moved"));
    let more = ["--databases", "restore", "--database-map", &map];
    // Something fails after the database was put back: the same command goes on, and does not stumble over it.
    let installer = node.kit("14.2.2").join("installer.sh");
    let whole = fs::read(&installer).unwrap();
    fs::write(&installer, "#!/bin/sh\nexit 1\n").unwrap();
    desk.run(&[&arguments[..], &more].concat()).expect_code(1);
    assert_eq!(server.sql("moved", "SELECT count(*) FROM dss.gov_items"), "512");
    fs::write(&installer, whole).unwrap();
    desk.run(&[&arguments[..], &more].concat()).expect_code(0);
    assert_eq!(server.sql("moved", "SELECT count(*) FROM dss.gov_items"), "512");
    let now = fs::read_to_string(there.join("config/dip.properties")).unwrap();
    assert!(now.contains("/moved?currentSchema=dss"), "{now}");
    Command::new("runuser").args(["-u", ACCOUNT, "--"]).arg(there.join("bin/dss")).arg("stop").output().unwrap();
}
