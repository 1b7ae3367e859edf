//! Parts of a node, extracted beneath a target: one project, or some classes.

use std::fs;
use std::path::Path;

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;
use crate::tree_diff::differences;

fn saved(node_type: &str) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let (node, desk) = (Node::new(node_type), Desk::with_repository());
        node.fill();
        desk.run(&["backup", node.data_dir().to_str().unwrap(), "--preset", "full", "--database", "none"])
            .expect_code(0);
        (node, desk)
    })
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_parts::", $test), "only root may run a node as its account"),
        }
    };
}

/// Files below a folder, by paths from there.
fn files(root: &Path) -> Vec<String> {
    let mut left = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => left.push(entry.path()),
                false => found.push(entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned()),
            }
        }
    }
    found
}

#[test]
fn a_project_comes_with_all_its_folders_and_nothing_of_any_other() {
    let (node, desk) = or_skip!(saved("design"), "a_project_comes_with_all_its_folders_and_nothing_of_any_other");
    let back = desk.path("back");
    let done =
        desk.run(&["restore", "latest", "--project", "CHURN", "--target", back.to_str().unwrap()]).expect_code(0);
    let folders = [
        "config/projects/CHURN",
        "config/ipython_notebooks/CHURN",
        "managed_datasets/CHURN",
        "managed_folders/CHURN",
        "saved_models/CHURN",
        "analysis-data/CHURN",
        "timelines/CHURN",
        "uploads/CHURN",
        "notebook_results/CHURN",
    ];
    for folder in folders {
        assert_eq!(differences(&node.data_dir().join(folder), &back.join(folder)), Vec::<String>::new(), "{folder}");
        assert!(done.out.contains(&format!("  {folder} ")), "{}", done.out);
    }
    let others: Vec<String> = files(&back).into_iter().filter(|path| !path.contains("/CHURN/")).collect();
    assert_eq!(others, Vec::<String>::new());
    assert!(!back.join("jobs").exists() && !back.join("bundles").exists());
    for warning in ["config/configkey.json", "plugins", "job history", "support"] {
        assert!(done.out.contains(warning), "{warning}: {}", done.out);
    }

    // A project that has less says what there is not.
    let target = desk.text("less");
    let done = desk.run(&["restore", "latest", "--project", "REVENUE", "--target", &target, "--json"]).expect_code(0);
    let project = done.json_lines().pop().unwrap()["project"].clone();
    let has = |list: &str, path: &str| project[list].as_array().unwrap().iter().any(|part| part["path"] == path);
    assert!(has("found", "config/projects/REVENUE") && has("absent", "uploads/REVENUE"), "{project}");
}

#[test]
fn a_project_that_is_not_there_is_answered_with_those_that_are() {
    let (_node, desk) = or_skip!(saved("design"), "a_project_that_is_not_there_is_answered_with_those_that_are");
    let target = desk.text("back");
    for wrong in ["churn", "CHURN/datasets", "*", ""] {
        let done = desk.run(&["restore", "latest", "--project", wrong, "--target", &target]).expect_code(2);
        assert!(done.err.contains("CHURN, FORECAST, REVENUE"), "{}", done.err);
    }
    desk.run(&["restore", "latest", "--project", "CHURN"]).expect_code(2);
    desk.run(&["restore", "latest:/datadir", "--project", "CHURN", "--target", &target]).expect_code(2);
    assert!(!desk.path("back").exists());
}

#[test]
fn classes_come_back_alone() {
    let (_node, desk) = or_skip!(saved("design"), "classes_come_back_alone");
    let back = |class: &str| {
        let target = desk.path(class);
        desk.run(&["restore", "latest", "--class", class, "--target", target.to_str().unwrap()]).expect_code(0);
        target
    };
    let essential = back("essential");
    for there in ["config/users.json", "site-extras/notes.txt", "run/audit/audit.log.1", "exports/jupyter-notebooks"] {
        assert!(essential.join(there).exists(), "{there}");
    }
    for absent in ["saved_models/CHURN", "jobs/CHURN", "tmp/work0", "run/backend.log.1", "bundles/CHURN"] {
        assert!(!essential.join(absent).exists(), "{absent}");
    }
    let two = back("data,logs");
    for there in ["saved_models/CHURN", "jobs/CHURN", "run/backend.log.1", "code-envs/logs"] {
        assert!(two.join(there).exists(), "{there}");
    }
    for absent in ["config", "site-extras", "run/audit", "tmp"] {
        assert!(!two.join(absent).exists(), "{absent}");
    }
    desk.run(&["restore", "latest", "--class", "useless", "--target", &desk.text("x")]).expect_code(2);
}

#[test]
fn what_a_node_or_a_snapshot_does_not_have_cannot_be_asked_for() {
    let (_node, desk) = or_skip!(saved("govern"), "what_a_node_or_a_snapshot_does_not_have_cannot_be_asked_for");
    let target = desk.text("back");
    let done = desk.run(&["restore", "latest", "--class", "data", "--target", &target]).expect_code(2);
    assert!(done.err.contains("a node of type govern has nothing of class data"), "{}", done.err);
    desk.run(&["restore", "latest", "--project", "CHURN", "--target", &target]).expect_code(2);
    let plain = Desk::with_snapshot();
    let done = plain.run(&["restore", "latest", "--project", "A", "--target", &plain.text("back")]).expect_code(2);
    assert!(done.err.contains("not of a DSS node"), "{}", done.err);
}
