//! The kinds of DSS nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an installation of DSS is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NodeType {
    /// Where projects are built.
    Design,
    /// Where bundles of projects run.
    Automation,
    /// Where bundles and API services are published from.
    Deployer,
    /// Serves API services.
    Api,
    /// Holds governance workflows; nearly all of its state is in a database.
    Govern,
    /// Manages cloud instances; its state is in a database.
    FleetManager,
    /// A word this version does not know. Nothing of such a node is ever left out.
    Other(String),
}

impl NodeType {
    /// The node type `install.ini` tells: `[general] nodetype` (design if absent), and `[modules] projects`, which
    /// is off on a deployer whose node type is `automation`. Source: kit, install_config.py.
    pub fn from_install(nodetype: Option<&str>, has_projects: bool) -> Self {
        match nodetype.map_or(Self::Design, Self::from) {
            Self::Automation if !has_projects => Self::Deployer,
            other => other,
        }
    }

    /// Whether projects live here: the layout of a design node.
    pub fn has_project_layout(&self) -> bool {
        matches!(self, Self::Design | Self::Automation | Self::Deployer)
    }

    /// The program that starts and stops it, below the data directory.
    pub fn control_program(&self) -> &'static str {
        match self {
            Self::FleetManager => "bin/fm",
            _ => "bin/dss",
        }
    }

    /// The word in `install.ini` and in JSON.
    pub fn word(&self) -> &str {
        match self {
            Self::Design => "design",
            Self::Automation => "automation",
            Self::Deployer => "deployer",
            Self::Api => "api",
            Self::Govern => "govern",
            Self::FleetManager => "fm",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for NodeType {
    fn from(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "design" | "" => Self::Design,
            "automation" => Self::Automation,
            "deployer" | "apideployer" => Self::Deployer,
            "api" => Self::Api,
            "govern" | "gh" => Self::Govern,
            "fm" => Self::FleetManager,
            other => Self::Other(other.chars().take(64).collect()),
        }
    }
}

impl From<String> for NodeType {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<NodeType> for String {
    fn from(node: NodeType) -> Self {
        node.word().to_owned()
    }
}

impl fmt::Display for NodeType {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Api => "API",
            Self::FleetManager => "fleet manager",
            other => other.word(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_seen_in_a_kit_is_understood() {
        let words = [
            ("design", NodeType::Design),
            ("gh", NodeType::Govern),
            ("govern", NodeType::Govern),
            ("API", NodeType::Api),
        ];
        for (word, node) in words {
            assert_eq!(NodeType::from_install(Some(word), true), node, "{word}");
        }
        assert_eq!(NodeType::from_install(Some("fm"), true), NodeType::FleetManager);
        assert_eq!(NodeType::from_install(None, true), NodeType::Design);
    }

    #[test]
    fn a_deployer_is_an_automation_node_without_projects_or_says_so_itself() {
        assert_eq!(NodeType::from_install(Some("automation"), true), NodeType::Automation);
        assert_eq!(NodeType::from_install(Some("automation"), false), NodeType::Deployer);
        assert_eq!(NodeType::from_install(Some("deployer"), true), NodeType::Deployer);
    }

    #[test]
    fn an_unknown_word_is_kept_and_survives_json() {
        let node = NodeType::from("quantum");
        assert_eq!(node, NodeType::Other("quantum".into()));
        let text = serde_json::to_string(&node).unwrap();
        assert_eq!(serde_json::from_str::<NodeType>(&text).unwrap(), node);
        assert_eq!(serde_json::to_string(&NodeType::FleetManager).unwrap(), "\"fm\"");
    }
}
