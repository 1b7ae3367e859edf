//! The whole round, for every type of node and every way of reading it: installed, running, looked at, backed up,
//! wrecked, brought back, started, and equal in all that was in scope.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;
use crate::tree_diff::differences;
use crate::volume::Volume;

/// A node that changes nothing while it runs, so that a copy of it made at any time is what a backup must hold.
struct Cycle {
    node: Node,
    desk: Desk,
    node_type: &'static str,
    // Dropped after the node that lies on it.
    _volume: Option<Volume>,
}

impl Cycle {
    fn begin(node_type: &'static str, mode: &str) -> Result<Self, String> {
        if !node::is_possible() {
            return Err("only root may run a node as its account".to_owned());
        }
        let volume = if mode == "frozen" { Some(Volume::btrfs(512, &[])?) } else { None };
        let folder = match &volume {
            Some(volume) => tempfile::tempdir_in(volume.top()).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let node = Node::at(node_type, folder);
        node.fill();
        node.switch("FAKE_TICK=0");
        node.start();
        Ok(Self { node, desk: Desk::with_repository(), node_type, _volume: volume })
    }

    fn data_dir(&self) -> PathBuf {
        self.node.data_dir()
    }

    fn is_looked_at(&self) {
        let data_dir = self.data_dir();
        let report = self.desk.run(&["inspect", data_dir.to_str().unwrap(), "--json"]).expect_code(0).json();
        assert_eq!(report["facts"]["node_type"], self.node_type);
        assert_eq!(report["facts"]["version"], "14.2.2");
        assert_eq!(report["running"]["state"], "running", "{}", report["running"]);
    }

    /// Backs it up and says how the snapshot tells that.
    fn is_backed_up(&self, mode: &str) {
        let data_dir = self.data_dir();
        let arguments = ["backup", data_dir.to_str().unwrap(), "--consistency", mode];
        let has_server = self.node_type == "govern";
        if has_server {
            // Nobody listens where its configuration says.
            self.desk.run(&arguments).expect_code(1);
        }
        let more: &[&str] = if has_server { &["--database", "none"] } else { &[] };
        self.desk.run(&[&arguments, more].concat()).expect_code(0);
        assert!(self.node.is_running());

        let shown = self.desk.run(&["snapshots", "--json"]).expect_code(0).json();
        let manifest = shown.as_array().unwrap().last().unwrap();
        assert_eq!(manifest["consistency"], mode);
        assert_eq!(manifest["dss"]["node_type"], self.node_type);
        assert_eq!(manifest["dss"]["downtime_ms"].is_u64(), mode == "stopped");
        assert_eq!(manifest["dss"]["frozen"].is_string(), mode == "frozen");
        let caveats = manifest["dss"]["caveats"].to_string();
        assert_eq!(
            caveats.contains("database of config/dip.properties is not in the snapshot"),
            has_server,
            "{caveats}"
        );
        let has_h2 = data_dir.join("databases").exists();
        assert_eq!(caveats.contains("H2"), has_h2 && mode != "stopped", "{caveats}");
    }

    /// Damages a node that runs, so that it can still be stopped.
    fn is_wrecked_while_it_runs(&self) {
        let data_dir = self.data_dir();
        for folder in ["config/projects", "managed_datasets", "services", "resources/templates"] {
            let _ = fs::remove_dir_all(data_dir.join(folder));
        }
        fs::write(data_dir.join("config/dip.properties"), "wrecked").unwrap();
        fs::write(data_dir.join("config/added"), "by mistake").unwrap();
        fs::write(data_dir.join("added"), "by mistake").unwrap();
    }

    fn is_gone(&self) {
        self.node.dss("stop");
        fs::remove_dir_all(self.data_dir()).unwrap();
    }

    fn comes_back_well(&self, options: &[&str]) {
        let report = self.desk.run(&[&["restore", "latest", "--json"], options].concat()).expect_code(0);
        let summary = report.json_lines().pop().unwrap();
        assert_eq!(summary["healthy"], true, "{summary}");
        assert!(self.node.is_running());
    }

    /// A copy made while it runs and changes nothing.
    fn copy(&self) -> PathBuf {
        let copy = self.node.folder().join("copy");
        let done = Command::new("cp").arg("-a").arg(self.data_dir()).arg(&copy).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        copy
    }

    /// What differs from the copy although the backup was to bring it back.
    fn misses(&self, copy: &Path) -> Vec<String> {
        differences(copy, &self.data_dir()).into_iter().filter(|line| self.is_in_scope(line)).collect()
    }

    /// Left out by the standard preset are temporary files; a stop and a start write logs and other files of the
    /// moment; locks that git left behind are not brought back.
    fn is_in_scope(&self, line: &str) -> bool {
        let path = line.split_once('"').map_or("", |(_, rest)| rest.trim_end_matches('"'));
        let first = path.split('/').next().unwrap_or_default();
        let temporary = match self.node_type {
            "govern" => false,
            "api" => first == "tmp",
            _ => ["tmp", "caches", "data-catalog"].contains(&first),
        };
        let of_the_moment =
            first == "run" && !["run/audit", "run/api-queries"].iter().any(|kept| path.starts_with(kept));
        // Opening a database touches it.
        let opened = line.starts_with("mtime \"databases/");
        let stale = path.ends_with(".git/index.lock") || (path.ends_with(".git") && line.starts_with("mtime"));
        !(temporary || of_the_moment || opened || stale)
    }
}

fn goes_round(node_type: &'static str, mode: &'static str) {
    let cycle = match Cycle::begin(node_type, mode) {
        Ok(cycle) => cycle,
        Err(reason) => return skip(&format!("node_cycle::{node_type}_{mode}"), &reason),
    };
    cycle.is_looked_at();
    let copy = cycle.copy();
    cycle.is_backed_up(mode);
    if mode == "stopped" {
        cycle.is_gone();
        cycle.comes_back_well(&["--start"]);
    } else {
        cycle.is_wrecked_while_it_runs();
        cycle.comes_back_well(&["--stop", "--start"]);
    }
    assert_eq!(cycle.misses(&copy), Vec::<String>::new());
}

macro_rules! rounds {
    ($($name:ident: $node_type:literal, $mode:literal;)*) => {
        $(
            #[test]
            fn $name() {
                goes_round($node_type, $mode);
            }
        )*
    };
}

rounds! {
    design_stopped: "design", "stopped";
    design_frozen: "design", "frozen";
    design_live: "design", "live";
    automation_stopped: "automation", "stopped";
    automation_frozen: "automation", "frozen";
    automation_live: "automation", "live";
    deployer_stopped: "deployer", "stopped";
    deployer_frozen: "deployer", "frozen";
    deployer_live: "deployer", "live";
    api_stopped: "api", "stopped";
    api_frozen: "api", "frozen";
    api_live: "api", "live";
    govern_stopped: "govern", "stopped";
    govern_frozen: "govern", "frozen";
    govern_live: "govern", "live";
}
