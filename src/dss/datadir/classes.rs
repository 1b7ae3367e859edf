//! Classes of entries, presets of what a backup keeps, and the way from a name to its row of the table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::ours;
use crate::dss::datadir::table::{Row, TABLE};

/// What an entry of a data directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Without it the node is not the same; cannot be left out.
    Essential,
    /// Can be computed again, at a price.
    Data,
    /// Logs of work done.
    Logs,
    /// Can be made again, or is left over.
    Ignorable,
    /// Temporary files and caches.
    Temp,
}

impl Class {
    /// All, most important first.
    pub const ALL: [Self; 5] = [Self::Essential, Self::Data, Self::Logs, Self::Ignorable, Self::Temp];

    /// Those that can be left out.
    pub const DROPPABLE: [Self; 4] = [Self::Temp, Self::Logs, Self::Ignorable, Self::Data];

    /// Its word on the command line and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Data => "data",
            Self::Logs => "logs",
            Self::Ignorable => "ignorable",
            Self::Temp => "temp",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is no class that can be left out, or no preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {choices}")]
pub struct UnknownWord {
    word: String,
    choices: &'static str,
}

impl FromStr for Class {
    type Err = UnknownWord;

    /// A class that can be left out.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::DROPPABLE.into_iter().find(|class| class.word() == word);
        found.ok_or_else(|| UnknownWord { word: word.to_owned(), choices: "temp, logs, ignorable, data" })
    }
}

/// What a backup keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Everything.
    Full,
    /// Everything but temporary files.
    #[default]
    Standard,
    /// What describes the node: configuration, projects, own code; no data, no logs, no built environments.
    ConfigOnly,
}

impl Preset {
    /// Its word on the command line and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Standard => "standard",
            Self::ConfigOnly => "config-only",
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = [Self::Full, Self::Standard, Self::ConfigOnly].into_iter().find(|preset| preset.word() == word);
        found.ok_or_else(|| UnknownWord { word: word.to_owned(), choices: "full, standard, config-only" })
    }
}

/// What of a directory decides how its entries are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// What it is for.
    pub node: NodeType,
    /// Whether an upgrade died half way: then what the installer kept is essential.
    pub migration_unfinished: bool,
}

impl Situation {
    /// The rows that speak of this node.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + '_ {
        TABLE.iter().filter(|row| row.nodes.includes(&self.node))
    }

    /// The row of an entry, or of something right below one (`run/audit`).
    pub fn row_of(&self, path: &str) -> Option<&'static Row> {
        self.rows().find(|row| fits(row.name, path)).or_else(|| ours::row_of(path))
    }

    /// Whether the table has rows of things right below an entry.
    pub fn has_parts(&self, row: &Row) -> bool {
        self.rows().any(|part| part.name.split_once('/').is_some_and(|(above, _)| above == row.name))
    }

    /// The class of a row.
    pub fn class_of(&self, row: &Row) -> Class {
        let kept_by_installer = row.name.ends_with("_migration_backup_*");
        if kept_by_installer && self.migration_unfinished { Class::Essential } else { row.class }
    }
}

/// Whether a name of the table means this name.
fn fits(pattern: &str, name: &str) -> bool {
    if let Some(head) = pattern.strip_suffix('*') {
        return name.starts_with(head) && !name.contains('/');
    }
    if let Some(tail) = pattern.strip_prefix('*') {
        return name.ends_with(tail) && !name.contains('/');
    }
    same_name(pattern, name)
}

/// Whether two names are the same where `-` and `_` mean each other.
pub fn same_name(one: &str, other: &str) -> bool {
    let alike = |byte: u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len() && one.bytes().map(alike).eq(other.bytes().map(alike))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(node: NodeType) -> Situation {
        Situation { node, migration_unfinished: false }
    }

    fn class(situation: &Situation, path: &str) -> Option<Class> {
        situation.row_of(path).map(|row| situation.class_of(row))
    }

    #[test]
    fn dashes_and_underscores_mean_each_other() {
        let design = on(NodeType::Design);
        for name in ["analysis-data", "analysis_data", "managed-datasets", "saved_models", "saved-models"] {
            assert_eq!(class(&design, name), Some(Class::Data), "{name}");
        }
        for name in ["code-envs", "code_envs", "acode-envs"] {
            assert_eq!(class(&design, name), Some(Class::Essential), "{name}");
        }
        assert_eq!(class(&design, "data_catalog"), Some(Class::Temp));
    }

    #[test]
    fn unknown_entries_have_no_row_and_so_are_kept() {
        let design = on(NodeType::Design);
        for name in ["of-tomorrow", "tmp2", "Tmp", "runs", "x/tmp", ""] {
            assert_eq!(class(&design, name), None, "{name}");
        }
    }

    #[test]
    fn bundles_are_the_way_back_on_an_automation_node_only() {
        for name in ["bundles", "prepared_bundles"] {
            assert_eq!(class(&on(NodeType::Design), name), Some(Class::Ignorable));
            assert_eq!(class(&on(NodeType::Automation), name), Some(Class::Essential));
            assert_eq!(class(&on(NodeType::Deployer), name), Some(Class::Essential));
        }
    }

    #[test]
    fn what_the_installer_kept_is_essential_while_an_upgrade_is_unfinished() {
        let mut design = on(NodeType::Design);
        assert_eq!(class(&design, "_pre_migration_backup_20260102-030405"), Some(Class::Ignorable));
        design.migration_unfinished = true;
        assert_eq!(class(&design, "_pre_migration_backup_20260102-030405"), Some(Class::Essential));
        assert_eq!(class(&design, "R.lib.BAK"), Some(Class::Ignorable));
    }

    #[test]
    fn of_nodes_whose_layout_nobody_documents_nothing_can_be_left_out() {
        for node in [NodeType::FleetManager, NodeType::Other("quantum".into())] {
            let situation = on(node);
            assert!(situation.rows().all(|row| situation.class_of(row) == Class::Essential));
        }
        let droppable: Vec<&str> =
            on(NodeType::Govern).rows().filter(|row| row.class != Class::Essential).map(|row| row.name).collect();
        assert_eq!(droppable, ["run"]);
    }

    #[test]
    fn words_are_read_and_essential_is_not_one_of_them() {
        assert_eq!("logs".parse(), Ok(Class::Logs));
        assert_eq!("config-only".parse(), Ok(Preset::ConfigOnly));
        assert!("essential".parse::<Class>().unwrap_err().to_string().contains("temp, logs, ignorable, data"));
        assert!("".parse::<Preset>().is_err());
    }
}
