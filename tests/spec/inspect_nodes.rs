//! `inspect` tells of every node type what it is, from its files alone.

use std::fs;
use std::os::unix::fs::symlink;

use crate::cli_fixture::{Desk, Done};
use crate::datadir::{Machine, Shape};

fn machine(desk: &Desk, shape: Shape) -> Machine {
    Machine::with(&desk.path("machine"), shape)
}

fn inspect(desk: &Desk, machine: &Machine, options: &[&str]) -> Done {
    let (root, path) = (machine.root().to_str().unwrap(), machine.path(""));
    let fixed = ["inspect", path.to_str().unwrap(), "--host-root", root];
    desk.run(&[&fixed, options].concat())
}

/// The text without what depends on who runs the test.
fn told(done: Done) -> String {
    let stays = |line: &&str| !line.starts_with("owner") && !line.trim_start().starts_with("ssh keys");
    done.expect_code(0).out.lines().filter(stays).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_fresh_design_node_is_told_on_a_page() {
    let desk = Desk::empty();
    let machine = machine(&desk, Shape::Design);
    insta::assert_snapshot!(told(inspect(&desk, &machine, &[])));
}

#[test]
fn a_busy_design_node_is_told_with_everything_that_belongs_to_it() {
    let desk = Desk::empty();
    let machine = machine(&desk, Shape::Design);
    furnish(&machine);
    insta::assert_snapshot!(told(inspect(&desk, &machine, &["--exclude-class", "logs,ignorable"])));
}

/// All that a production node gathers over the years.
fn furnish(machine: &Machine) {
    machine.host(
        "etc/dataiku/AbCdEfGhIjKlMnOpQrStUvWx/dataiku-boot.conf",
        "DSS_DATADIR=\"/data/dss\"\nDSS_USER=\"dataiku\"\n",
    );
    machine.host("etc/systemd/system/dataiku.service", "[Service]\nExecStart=/data/dss/bin/dss run\nUser=dataiku\n");
    machine.host("etc/ssl/dss.key", "");
    machine.host("big/managed/x", "far away");
    let ini = fs::read_to_string(machine.path("install.ini")).unwrap();
    machine.data(
        "install.ini",
        &format!(
            "{ini}[mus]\nexec_wrapper_location = /etc/x\n[tls]\n[DEFAULT]\nssl_certificate_key = /etc/ssl/dss.key\n"
        ),
    );
    machine.data(
        "config/general-settings.json",
        r#"{"graphicsExportsEnabled": true, "internalDatabase": {"connection": {"type": "PostgreSQL", "params":
            {"host": "db1.corp", "port": 5432, "db": "dssrt", "user": "dss", "password": "e:AES:hunter2"}},
            "tableNamePrefix": "prod_", "schema": "dss_runtime"}}"#,
    );
    machine.data(
        "config/connections.json",
        r#"{"connections": {"lake": {"params": {"root": "/mnt/lake"}}, "home": {"params": {"root": "${dip.home}/x"}}}}"#,
    );
    machine.data("bin/env-spark.sh", "export DKU_SPARK_HOME=\"/opt/spark\"\nexport DKU_SPARK_VERSION=\"3.4.1\"\n");
    let log = fs::read_to_string(machine.path("run/install.log")).unwrap();
    machine.data(
        "run/install.log",
        &format!("{log}Command line: ./bin/dssadmin install-spark-integration -sparkHome '/opt/spark'\n"),
    );
    fs::remove_dir(machine.path("managed_datasets")).unwrap();
    symlink("/big/managed", machine.path("managed_datasets")).unwrap();
    let weights =
        [("saved_models/P/m1/model.bin", 90_000), ("jobs/P/J1/output.log", 40_000), ("run/backend.log", 30_000)];
    for (path, bytes) in weights {
        machine.data(path, &"x".repeat(bytes));
    }
    machine.data("run/audit/audit.log", &"a".repeat(5_000));
    machine.data("tmp/scratch", &"t".repeat(2_000));
    machine.data("of-tomorrow/app/index.html", "<p>new in this version</p>");
    machine.data("_pre_migration_backup_20250102-030405/config/users.json", "{}");
}

#[test]
fn every_node_type_is_recognised() {
    let types = Shape::ALL.map(|shape| {
        let desk = Desk::empty();
        let machine = machine(&desk, shape);
        let report = inspect(&desk, &machine, &["--json"]).expect_code(0).json();
        let facts = &report["facts"];
        assert_eq!(facts["version"], "14.2.2", "{shape:?}");
        assert_eq!(facts["concerns"], serde_json::json!([]), "{shape:?}");
        assert_eq!(facts["gaps"], serde_json::json!([]), "{shape:?}");
        assert!(facts["kit"]["control_program_works"].as_bool().unwrap(), "{shape:?}");
        facts["node_type"].as_str().unwrap().to_owned()
    });
    assert_eq!(types, ["design", "automation", "deployer", "api", "govern", "fm"]);
}

#[test]
fn databases_on_servers_are_told_and_their_passwords_are_not() {
    for (shape, place) in [
        (
            Shape::Govern,
            "Govern           PostgreSQL db1.corp:5432/govern, schema gov, user gov, password stored in clear",
        ),
        (Shape::FleetManager, "fleet manager    PostgreSQL db2.corp:5432/fmdb, user fm, password stored in clear"),
    ] {
        let desk = Desk::empty();
        let machine = machine(&desk, shape);
        let text = inspect(&desk, &machine, &[]).expect_code(0).out;
        assert!(text.contains(place), "{text}");
        for options in [&["--json"][..], &["-v"]] {
            let done = inspect(&desk, &machine, options).expect_code(0);
            assert!(!done.out.contains("hunter2") && !done.err.contains("hunter2"), "{shape:?} {options:?}");
        }
    }
}

#[test]
fn the_json_keeps_its_names() {
    let desk = Desk::empty();
    let machine = machine(&desk, Shape::Design);
    furnish(&machine);
    let report = inspect(&desk, &machine, &["--json"]).expect_code(0).json();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&report),
        ["facts", "running", "jobs", "jobs_note", "exclusion", "inventory"].map(str::to_owned).as_slice().sorted()
    );
    let database = report["facts"]["databases"][1].clone();
    assert_eq!(database["server"]["hosts"][0], serde_json::json!({"host": "db1.corp", "port": 5432}));
    assert_eq!(
        (&database["server"]["password"], &database["server"]["table_prefix"]),
        (&"encrypted".into(), &"prod_".into())
    );
    assert_eq!(report["facts"]["service"]["units"], serde_json::json!(["dataiku.service"]));
    assert_eq!(report["facts"]["integrations"][0]["arguments"], serde_json::json!(["-sparkHome", "/opt/spark"]));
    let largest = &report["inventory"]["entries"][0];
    assert_eq!((&largest["path"], &largest["class"]), (&"saved_models".into(), &"data".into()));
    assert_eq!(report["running"], serde_json::Value::Null);
}

trait Sorted {
    fn sorted(&self) -> Vec<String>;
}

impl Sorted for [String] {
    fn sorted(&self) -> Vec<String> {
        let mut sorted = self.to_vec();
        sorted.sort();
        sorted
    }
}

#[test]
fn without_a_host_root_this_machine_is_looked_at() {
    let desk = Desk::empty();
    let machine = machine(&desk, Shape::Design);
    let kit = machine.root().canonicalize().unwrap().join("opt/dataiku-dss-14.2.2");
    let path = machine.path("").canonicalize().unwrap();
    machine.data("bin/env-default.sh", &format!("export DKUINSTALLDIR=\"{}\"\n", kit.display()));
    machine.data("install-support/expected-dip-home.txt", &format!("{}\n", path.display()));
    machine.data("pyenv/pyvenv.cfg", "version = 3.10.12\n");
    fs::remove_file(machine.path("bin/dss")).unwrap();
    symlink(kit.join("scripts/linked/dss"), machine.path("bin/dss")).unwrap();
    let report = desk.run(&["inspect", path.to_str().unwrap(), "--json"]).expect_code(0).json();
    let facts = &report["facts"];
    assert_eq!((&facts["path"], &facts["given_path"]), (&path.to_str().unwrap().into(), &serde_json::Value::Null));
    assert_eq!(facts["owner"]["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(facts["kit"]["path"], kit.to_str().unwrap());
    assert!(facts["kit"]["exists"].as_bool().unwrap() && facts["kit"]["control_program_works"].as_bool().unwrap());
    // Links of programs the test did not move lead out; nothing else is wrong.
    assert_eq!(facts["concerns"], serde_json::json!([]));
}

#[test]
fn without_sizes_nothing_is_walked() {
    let desk = Desk::empty();
    let machine = machine(&desk, Shape::Api);
    let done = inspect(&desk, &machine, &["--no-sizes"]).expect_code(0);
    assert!(!done.out.contains("lost without it"), "{}", done.out);
    let report = inspect(&desk, &machine, &["--no-sizes", "--json"]).expect_code(0).json();
    assert_eq!(report["inventory"], serde_json::Value::Null);
}
