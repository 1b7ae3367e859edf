//! The one table of what the entries of a data directory are for. `docs/dss.md` shows it; a test holds both together.
//!
//! Sources: `datadir` is DSS docs, operations/datadir; `backups` is DSS docs, operations/backups (the list of what may
//! be left out); `disk` is DSS docs, operations/disk-usage; `kit` are the scripts of DSS; `notes` are notes of
//! administrators, which nobody vouches for. Where sources differ the more careful one counts.

use crate::dss::datadir::classes::Class::{self, Data, Essential, Ignorable, Logs, Temp};
use crate::dss::datadir::node::NodeType;

/// Which nodes a row speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// Every node.
    Any,
    /// Design, automation and deployer.
    Projects,
    /// Design only.
    Design,
    /// Automation and deployer.
    Automation,
    /// API node.
    Api,
    /// Design, automation, deployer, API and Govern: nodes whose `run` is known.
    Run,
}

impl Nodes {
    /// Whether a node is one of them.
    pub fn includes(self, node: &NodeType) -> bool {
        match self {
            Self::Any => true,
            Self::Projects => node.has_project_layout(),
            Self::Design => *node == NodeType::Design,
            Self::Automation => matches!(node, NodeType::Automation | NodeType::Deployer),
            Self::Api => *node == NodeType::Api,
            Self::Run => node.has_project_layout() || matches!(node, NodeType::Api | NodeType::Govern),
        }
    }
}

/// An entry of a data directory, or something right below one.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name: `-` and `_` mean each other, `*` at either end is the rest. One slash at most.
    pub name: &'static str,
    /// On which nodes.
    pub nodes: Nodes,
    /// What it is for.
    pub class: Class,
    /// Whether it is configuration, or too small to be worth leaving out: kept by `--preset config-only`.
    pub is_config: bool,
    /// Who says so.
    pub source: &'static str,
    /// What a node restored without it lacks.
    pub lost: &'static str,
}

const fn row(name: &'static str, nodes: Nodes, class: Class, source: &'static str, lost: &'static str) -> Row {
    Row { name, nodes, class, is_config: false, source, lost }
}

const fn config(name: &'static str, nodes: Nodes, source: &'static str, lost: &'static str) -> Row {
    Row { name, nodes, class: Essential, is_config: true, source, lost }
}

/// The table. Rows of things below an entry stand behind the row of that entry.
pub const TABLE: &[Row] = &[
    // Every node.
    config("config", Nodes::Any, "datadir", "everything: projects, users, connections, keys, licence"),
    config("dss-version.json", Nodes::Any, "kit", "the directory is no data directory any more"),
    config("install.ini", Nodes::Any, "kit", "identity, port, node type, memory settings"),
    config("install-support", Nodes::Any, "kit", "DSS does not start until `installer.sh -u` has run"),
    config("bin", Nodes::Any, "kit", "DSS cannot be started; own settings in bin/env-site.sh"),
    config(
        "resources",
        Nodes::Any,
        "DSS docs, operations/logging",
        "own log settings; on a fleet manager, lists of images",
    ),
    config("instance-id.txt", Nodes::Any, "notes", "identity of the instance"),
    config("shared-secret.txt", Nodes::Any, "kit", "a secret its own processes share"),
    row(
        "pyenv",
        Nodes::Any,
        Essential,
        "datadir",
        "DSS's own Python; made again by `installer.sh -u`, packages added to it are gone",
    ),
    row(
        "condaenv",
        Nodes::Any,
        Essential,
        "datadir",
        "DSS's own Python; made again by `installer.sh -u`, packages added to it are gone",
    ),
    config("lib", Nodes::Any, "datadir", "own libraries and JDBC drivers"),
    config("java", Nodes::Any, "DSS docs, app-notes", "jars of own extensions"),
    // Where projects live.
    config("local", Nodes::Projects, "datadir", "own static files"),
    config("plugins", Nodes::Projects, "datadir", "plugins, also those developed here"),
    config("databases", Nodes::Projects, "datadir", "job history, discussions, user notifications, flow state"),
    config("timelines", Nodes::Projects, "datadir", "the timeline of each project"),
    row(
        "code-envs",
        Nodes::Projects,
        Essential,
        "datadir",
        "every code environment has to be built again, if its packages can still be had",
    ),
    config("code-envs/desc", Nodes::Projects, "notes", "what each code environment consists of"),
    row("code-envs/logs", Nodes::Projects, Logs, "notes", "logs of builds of code environments"),
    row(
        "acode-envs",
        Nodes::Projects,
        Essential,
        "datadir",
        "every code environment has to be built again, if its packages can still be had",
    ),
    config("acode-envs/desc", Nodes::Projects, "notes", "what each code environment consists of"),
    row("acode-envs/logs", Nodes::Projects, Logs, "notes", "logs of builds of code environments"),
    row("uploads", Nodes::Projects, Essential, "datadir", "files users uploaded; nobody else has them"),
    row("managed_folders", Nodes::Projects, Essential, "datadir", "files in managed folders"),
    row("notebook_results", Nodes::Projects, Essential, "datadir", "results of SQL notebooks"),
    row("R.lib", Nodes::Projects, Essential, "datadir", "R packages installed here"),
    row("jupyter-run", Nodes::Projects, Essential, "datadir", "files users wrote from notebooks"),
    row("privtmp", Nodes::Projects, Essential, "datadir", "Kerberos tickets of the moment"),
    config("security", Nodes::Projects, "kit", "user isolation of the old, internal form"),
    config("clusters", Nodes::Projects, "DSS docs, developer guide", "state and credentials of clusters DSS manages"),
    row("model_evaluation_stores", Nodes::Projects, Essential, "kit", "evaluations of models"),
    row("wiki-attachments", Nodes::Projects, Essential, "notes", "files attached to wikis"),
    row(
        "saved_models",
        Nodes::Projects,
        Data,
        "backups",
        "trained models: scoring fails until each is trained again, and never gives the same model",
    ),
    row(
        "analysis-data",
        Nodes::Projects,
        Data,
        "backups",
        "models and train sets of visual analyses; each has to be trained again",
    ),
    row(
        "managed_datasets",
        Nodes::Projects,
        Data,
        "backups",
        "datasets DSS stores itself; each has to be built again, in order",
    ),
    row(
        "prepared_bundles",
        Nodes::Design,
        Ignorable,
        "backups",
        "bundles made for deployment; each can be made again, from a later state",
    ),
    row(
        "bundles",
        Nodes::Design,
        Ignorable,
        "notes",
        "bundles made for deployment; each can be made again, from a later state",
    ),
    row(
        "prepared_bundles",
        Nodes::Automation,
        Essential,
        "backups, more careful",
        "imported bundles: the only way back to an earlier one",
    ),
    row(
        "bundles",
        Nodes::Automation,
        Essential,
        "notes, more careful",
        "imported bundles: the only way back to an earlier one",
    ),
    row("apinode-packages", Nodes::Projects, Ignorable, "backups", "packages of API services; each can be made again"),
    row("exports", Nodes::Projects, Ignorable, "backups", "files users exported and may download again"),
    config("exports/jupyter-notebooks", Nodes::Projects, "kit", "notebooks shown in dashboards"),
    row("jobs", Nodes::Projects, Logs, "backups, disk", "logs of jobs"),
    row("scenarios", Nodes::Projects, Logs, "backups, disk", "logs and reports of scenario runs"),
    row("diagnosis", Nodes::Projects, Logs, "backups", "diagnoses made for support"),
    row("tmp", Nodes::Projects, Temp, "backups, datadir", "nothing"),
    row("caches", Nodes::Projects, Temp, "backups, datadir", "nothing; computed again when needed"),
    row("data-catalog", Nodes::Projects, Temp, "backups", "the index of the data catalog; made again when DSS indexes"),
    row(
        "_pre_migration_backup_*",
        Nodes::Projects,
        Ignorable,
        "kit, disk",
        "what the installer kept of the state before an upgrade",
    ),
    row("_broken_migration_backup_*", Nodes::Projects, Ignorable, "kit", "what the installer kept of a failed upgrade"),
    row(
        "pyenv.backup",
        Nodes::Projects,
        Ignorable,
        "DSS docs, installation/custom/migrations",
        "a Python environment put aside",
    ),
    row("*.BAK", Nodes::Projects, Ignorable, "DSS docs, R", "something put aside"),
    // Of DSS 14, documented by nobody: essential until somebody proves otherwise.
    config("ai-assistants", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("agent-tools", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("cost-limiting", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("docportal", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("html-apps", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("most-used-datasets", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("project-standards", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("thumbnails", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("unified-monitoring", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("webappruns", Nodes::Projects, "notes", "not documented, so it is kept"),
    config("workload-folders", Nodes::Projects, "notes", "not documented, so it is kept"),
    // API node.
    config(
        "services",
        Nodes::Api,
        "kit",
        "unpacked API services: the node serves nothing until each is deployed again",
    ),
    config(
        "loaded-data-mapping.json",
        Nodes::Api,
        "kit",
        "which bundled data lies in which table of an external database",
    ),
    row("tmp", Nodes::Api, Temp, "kit", "nothing"),
    row(
        "_pre_migration_backup_*",
        Nodes::Api,
        Ignorable,
        "kit",
        "what the installer kept of the state before an upgrade",
    ),
    row("_broken_migration_backup_*", Nodes::Api, Ignorable, "kit", "what the installer kept of a failed upgrade"),
    // Where `run` is known. Of Govern and fleet manager nothing else is documented: all of it is kept.
    row("run", Nodes::Run, Logs, "backups", "logs of DSS itself; pid files and sockets of the moment"),
    config("run/audit", Nodes::Run, "DSS docs, operations/audit-trail", "the audit trail: who did what"),
    config("run/api-queries", Nodes::Run, "DSS docs, operations/audit-trail", "which queries an API node answered"),
    config("run/install.log", Nodes::Run, "kit", "with which arguments DSS and its integrations were installed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_shows_every_row_as_it_is() {
        let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dss.md")).unwrap();
        for row in TABLE {
            let nodes = match row.nodes {
                Nodes::Any => "all",
                Nodes::Projects => "design, automation, deployer",
                Nodes::Design => "design",
                Nodes::Automation => "automation, deployer",
                Nodes::Api => "API",
                Nodes::Run => "all but fleet manager",
            };
            let line = format!("| `{}` | {nodes} | {} | {} | {} |", row.name, row.class.word(), row.lost, row.source);
            assert!(guide.lines().any(|shown| shown == line), "docs/dss.md lacks:\n{line}");
        }
    }

    #[test]
    fn things_below_an_entry_stand_behind_it_and_speak_of_the_same_nodes() {
        for (at, row) in TABLE.iter().enumerate() {
            if let Some((entry, _)) = row.name.split_once('/') {
                let above = TABLE[..at].iter().any(|other| other.name == entry && other.nodes == row.nodes);
                assert!(above, "{}", row.name);
            }
        }
    }
}
