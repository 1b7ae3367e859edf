//! Old backups of a real node: made by the documented script, imported, and the node brought back from them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cli_fixture::Desk;
use crate::import_tar::{import, ok};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::tree_diff::differences;

fn churn(node: &Node) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/kit/churn");
    let done = Command::new(program).arg(node.data_dir()).arg("1").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_wrecked_node_comes_back_from_an_archive_of_the_documented_script() {
    if !node::is_possible() {
        let test = "import_node::a_wrecked_node_comes_back_from_an_archive_of_the_documented_script";
        return skip(test, "only root may run a node as its account");
    }
    let (node, desk) = (Node::new("design"), Desk::with_repository());
    node.fill();
    let mut archives = Vec::new();
    for day in 1..=3 {
        churn(&node);
        let archive = desk.text(&format!("backup-dss-data-2025-11-0{day}.tar.gz"));
        // As the script does, but for extended attributes and fractions of seconds, which are compared below.
        let pax = ["--format=pax", "--xattrs", "--xattrs-include=*", "--acls", "--sparse"];
        ok(node.folder(), "tar", &[&pax[..], &["-zcf", &archive, "data"]].concat());
        archives.push(archive);
    }
    let saved = node.folder().join("copy");
    ok(node.folder(), "cp", &["-a", "data", "copy"]);

    let done = import(&desk, &archives.iter().map(String::as_str).collect::<Vec<_>>()).expect_code(0);

    let added: Vec<u64> = done.json_lines().iter().map(|one| one["summary"]["data_added"].as_u64().unwrap()).collect();
    assert!(added[1] < added[0] / 2 && added[2] < added[0] / 2, "{added:?}");
    fs::remove_dir_all(node.data_dir().join("config/projects")).unwrap();
    desk.run(&["restore", "latest", "--start"]).expect_code(0);
    assert!(node.is_running());
    node.dss("stop");
    desk.run(&["restore", "latest", "--in-place"]).expect_code(0);
    let runs = |line: &String| [".sock", ".pid", "index.lock"].iter().any(|left| line.contains(left));
    let misses: Vec<String> = differences(&saved, &node.data_dir()).into_iter().filter(|line| !runs(line)).collect();
    assert!(misses.is_empty(), "{misses:#?}");
}

#[test]
fn an_archive_of_a_server_that_is_gone_becomes_a_node_elsewhere() {
    if !node::is_possible() {
        let test = "import_node::an_archive_of_a_server_that_is_gone_becomes_a_node_elsewhere";
        return skip(test, "only root may run a node as its account");
    }
    let (node, desk) = (Node::new("design"), Desk::with_repository());
    let dssadmin = node.data_dir().join("bin/dssadmin");
    let spark = ["install-spark-integration", "-sparkHome", "/opt/spark"];
    assert!(node.as_account(&dssadmin).args(spark).output().unwrap().status.success());
    let archive = desk.text("backup-dss-data-2025-11-01.tar.gz");
    ok(node.folder(), "tar", &["-zcf", &archive, "data"]);
    import(&desk, &[&archive]).expect_code(0);
    fs::remove_dir_all(node.data_dir()).unwrap();

    let (to, port) = (node.folder().join("elsewhere"), node::free_port().to_string());
    let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--port", &port];
    let planned = desk.run(&[&arguments[..], &["-n"]].concat()).expect_code(0).out;
    for expected in ["install the packages of the operating system", "pyenv.backup", "-sparkHome /opt/spark"] {
        assert!(planned.contains(expected), "{expected}: {planned}");
    }
    let done = desk.run(&[&arguments[..], &["--start"]].concat()).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
    assert!(
        fs::read_dir(desk.path("state/dssvault"))
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().starts_with("facts-") })
    );
}
