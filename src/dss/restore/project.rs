//! Parts of a node: what of a snapshot belongs to one project, or to some classes. They are only extracted; how they
//! come into a node again is for its administrator and Dataiku's support (DSS docs, app-notes/aws-ha-dr).

use crate::dss::backup::DATADIR;
use crate::dss::datadir::classes::{Class, Situation, same_name};
use crate::dss::datadir::exclusion::escaped;
use crate::dss::datadir::markers::MIGRATION;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::selection::{Selection, of_classes};
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::vault::browse::{self, Visit};
use crate::vault::{Context, VaultError};

/// Folders that have one of each project, and what is in it. Source: DSS docs, operations/datadir, and the table.
const PARTS: [(&str, &str); 16] = [
    (PROJECTS, "configuration, recipes, scenarios, and their history"),
    ("config/ipython_notebooks", "Jupyter notebooks"),
    ("managed_datasets", "datasets DSS stores itself"),
    ("managed_folders", "files in managed folders"),
    ("saved_models", "trained models"),
    ("model_evaluation_stores", "evaluations of models"),
    ("analysis-data", "models and train sets of visual analyses"),
    ("timelines", "the timeline"),
    ("uploads", "uploaded files"),
    ("notebook_results", "results of SQL notebooks"),
    ("wiki-attachments", "files attached to the wiki"),
    ("webappruns", "state of web applications"),
    ("jupyter-run/dku-workdirs", "files written from notebooks"),
    ("exports/jupyter-notebooks", "notebooks shown in dashboards"),
    ("bundles", "bundles"),
    ("prepared_bundles", "bundles"),
];
const PROJECTS: &str = "config/projects";
/// Deeper than this no part begins.
const DEPTH: usize = 3;

/// Something of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Below the data directory, and so below the target.
    pub path: String,
    /// What it is.
    pub what: &'static str,
}

/// What of a snapshot belongs to a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Project {
    /// Its key.
    pub key: String,
    /// What the snapshot has.
    pub found: Vec<Part>,
    /// What it has not, and other projects may have.
    pub absent: Vec<Part>,
    /// What whoever brings it into a node must know.
    pub notes: Vec<String>,
    /// What is to be restored.
    #[serde(skip)]
    pub selection: Selection,
}

/// Finds a project in a snapshot; the error names those there are.
pub fn project(
    repository: &Repository,
    manifest: &Manifest,
    key: &str,
    context: Context<'_>,
) -> Result<Project, VaultError> {
    let listed = folders(repository, manifest, context)?;
    let situation = situation(manifest, &listed)?;
    let mut projects: Vec<&str> = listed.iter().filter_map(|path| path.strip_prefix("config/projects/")).collect();
    projects.sort_unstable();
    if !projects.contains(&key) {
        let names = if projects.is_empty() { "none".to_owned() } else { projects.join(", ") };
        return Err(VaultError::Request {
            what: format!("the snapshot has no project `{key}`; it has: {names}"),
            hint: Some("name one of these, by its key; or look into another snapshot".to_owned()),
        });
    }
    let mut project = Project {
        key: key.to_owned(),
        found: Vec::new(),
        absent: Vec::new(),
        notes: notes(),
        selection: Selection::default(),
    };
    for (folder, what) in PARTS.into_iter().filter(|(folder, _)| is_worth(folder, &situation)) {
        let wanted = format!("{folder}/{key}");
        match listed.iter().find(|path| means(path, folder, key)) {
            Some(path) => {
                project.selection.include.push(format!("/{}", escaped(path)));
                project.found.push(Part { path: path.clone(), what });
            }
            None => project.absent.push(Part { path: wanted, what }),
        }
    }
    Ok(project)
}

/// The selection of some classes of a snapshot.
pub fn classes(
    repository: &Repository,
    manifest: &Manifest,
    wanted: &[Class],
    context: Context<'_>,
) -> Result<Selection, VaultError> {
    let listed = folders(repository, manifest, context)?;
    let situation = situation(manifest, &listed)?;
    let words: Vec<&str> = wanted.iter().map(|class| class.word()).collect();
    of_classes(wanted, &situation).ok_or_else(|| VaultError::Request {
        what: format!("a node of type {} has nothing of class {}", situation.node, words.join(", ")),
        hint: Some("`dssvault inspect DATA_DIR` shows what it has of each class".to_owned()),
    })
}

/// Leftovers and logs of a project are not worth bringing back by themselves.
fn is_worth(folder: &str, situation: &Situation) -> bool {
    let top = folder.split('/').next().unwrap_or(folder);
    let row = situation.row_of(folder).or_else(|| situation.row_of(top));
    row.is_none_or(|row| matches!(situation.class_of(row), Class::Essential | Class::Data))
}

/// Whether a path is this project's folder in one of the parts; `-` and `_` mean each other but in the key.
fn means(path: &str, folder: &str, key: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(above, name)| name == key && same_name(above, folder))
}

fn situation(manifest: &Manifest, listed: &[String]) -> Result<Situation, VaultError> {
    let record = manifest.dss.as_deref().ok_or_else(|| VaultError::Request {
        what: "the snapshot is not of a DSS node: it has neither projects nor classes".to_owned(),
        hint: Some("name a path in it with SNAPSHOT:PATH, or patterns with `--include`".to_owned()),
    })?;
    let migration_unfinished = listed.iter().any(|path| path == MIGRATION);
    Ok(Situation { node: NodeType::from(record.node_type.as_str()), migration_unfinished })
}

/// What lies in the data directory and in the folders parts lie in, by paths below it.
fn folders(repository: &Repository, manifest: &Manifest, context: Context<'_>) -> Result<Vec<String>, VaultError> {
    if manifest.dss.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut visit = |path: &[u8], _: &crate::repo::tree::Entry| {
        // What is not UTF-8 is no part.
        let Ok(path) = std::str::from_utf8(path) else { return Ok(false) };
        let Some(below) = path.strip_prefix(DATADIR).map(|rest| rest.trim_start_matches('/')) else { return Ok(false) };
        let enter = PARTS.iter().any(|(folder, _)| is_above(below, folder));
        if below.split('/').count() <= DEPTH {
            found.push(below.to_owned());
        }
        Ok(enter)
    };
    let visit: &mut Visit<'_> = &mut visit;
    browse::walk(repository, manifest, DATADIR.as_bytes(), context, visit)?;
    Ok(found)
}

/// Whether one path is the other or leads to it.
fn is_above(path: &str, folder: &str) -> bool {
    let mut names = folder.split('/');
    path.split('/').all(|name| names.next().is_some_and(|wanted| same_name(name, wanted)))
}

fn notes() -> Vec<String> {
    [
        "values DSS encrypted (passwords) can only be read with config/configkey.json of the node they come from",
        "it may use connections, code environments, plugins, users and groups that are not part of it",
        "discussions, job history and other entries of databases/ stay behind",
        "putting it into a node by hand can damage that node: ask Dataiku support, or export the project from a drill",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_either_spelling_and_by_its_very_key() {
        assert!(means("analysis_data/MY_KEY", "analysis-data", "MY_KEY"));
        assert!(!means("analysis-data/MY-KEY", "analysis-data", "MY_KEY"));
        assert!(!means("config/projects/A/MY_KEY", "config/projects", "MY_KEY"));
    }

    #[test]
    fn only_folders_on_the_way_to_a_part_are_entered() {
        assert!(is_above("config", "config/projects") && is_above("config/projects", "config/projects"));
        assert!(!is_above("config/projects/A", "config/projects") && !is_above("configs", "config/projects"));
        assert!(is_above("jupyter_run", "jupyter-run/dku-workdirs"));
    }

    #[test]
    fn bundles_are_worth_it_where_they_are_the_only_way_back() {
        let on = |node| Situation { node, migration_unfinished: false };
        assert!(is_worth("bundles", &on(NodeType::Automation)) && !is_worth("bundles", &on(NodeType::Design)));
        assert!(is_worth("exports/jupyter-notebooks", &on(NodeType::Design)));
        assert!(is_worth("managed_datasets", &on(NodeType::Design)));
    }
}
