//! What `diff` says to those who work in DSS: objects of projects instead of files.

use std::fs;

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;

#[test]
fn objects_of_projects_are_counted_and_what_is_no_project_is_not() {
    if !node::is_possible() {
        return skip(
            "node_diff::objects_of_projects_are_counted_and_what_is_no_project_is_not",
            "only root may run a node as its account",
        );
    }
    let (node, desk) = (Node::new("design"), Desk::with_repository());
    node.fill();
    let write = |path: &str, content: &str| {
        let path = node.data_dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let project = "config/projects/CHURN";
    write(&format!("{project}/recipes/compute_old.json"), "{}");
    write(&format!("{project}/recipes/compute_old.py"), "pass");
    write(&format!("{project}/datasets/steady.json"), "{}");
    let back_up = || {
        let data_dir = node.data_dir();
        desk.run(&["backup", "-q", data_dir.to_str().unwrap(), "--database", "none"]).expect_code(0);
    };
    back_up();
    fs::remove_file(node.data_dir().join(project).join("recipes/compute_old.json")).unwrap();
    fs::remove_file(node.data_dir().join(project).join("recipes/compute_old.py")).unwrap();
    write(&format!("{project}/recipes/compute_new.json"), "{}");
    write(&format!("{project}/recipes/compute_new.py"), "pass");
    write(&format!("{project}/datasets/steady.json"), "{\"changed\": true}");
    write("config/ipython_notebooks/CHURN/look v1.2.ipynb", "{}");
    write("local/no project", "x");
    back_up();

    let done = desk.run(&["diff", "latest~1", "latest", "--json"]).expect_code(0);

    let statistics = done.json_lines().pop().unwrap();
    let objects = statistics["objects"].as_array().unwrap();
    let line = |kind: &str, added: u64, removed: u64, changed: u64| serde_json::json!({"project": "CHURN", "kind": kind, "added": added, "removed": removed, "changed": changed});
    assert_eq!(*objects, [line("dataset", 0, 0, 1), line("notebook", 1, 0, 0), line("recipe", 1, 1, 0)]);
    let text = desk.run(&["diff", "latest~1", "latest"]).expect_code(0).out;
    assert!(text.contains("CHURN    recipe        1        1        0\n"), "{text}");
    assert!(text.contains("+    /datadir/local/no project  (1 B)\n"), "{text}");
    let narrowed = format!("latest:/datadir/{project}/recipes");
    let narrow = desk.run(&["diff", &narrowed.replace("latest", "latest~1"), &narrowed, "--json"]).expect_code(0);
    assert_eq!(narrow.json_lines().pop().unwrap()["objects"], serde_json::json!([line("recipe", 1, 1, 0)]));
}
