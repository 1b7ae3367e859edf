//! One step of a migration, as a value: it can be shown, written down, and carried out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Who has to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The account DSS runs as.
    Account,
    /// The administrator of the machine.
    Root,
}

/// Why a step is offered, and not taken without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// It changes the machine.
    Root,
    /// It loads software from elsewhere.
    Internet,
    /// No program can do it.
    Hand,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Act {
    /// The files of the snapshot, with their attributes, without what must not come back.
    Restore,
    /// The databases on servers, and the configuration that names them.
    Databases,
    /// Changes of `install.ini`: section, key, value.
    Configure {
        /// In this order.
        settings: Vec<(String, String, String)>,
    },
    /// No scenario is active; those that were are listed in a file.
    QuietScenarios,
    /// The Python environment is put aside, for it knows its own path.
    SetPythonAside,
    /// The installer attaches the directory to the kit.
    Attach {
        /// As [`Act::Run`].
        command: Vec<String>,
    },
    /// A program.
    Run {
        /// Its path and arguments.
        command: Vec<String>,
    },
    /// Start, and wait until it answers.
    Start,
    /// Stop, and prove it.
    Stop,
    /// Something for a person.
    Advice,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Short and unique in its plan: for `--skip-step`, and for the journal.
    pub name: String,
    /// What it does, as a sentence without a stop.
    pub says: String,
    /// What is done.
    pub act: Act,
    /// By whom.
    pub by: By,
    /// Whether it is only taken when asked for.
    pub offered: Option<Offered>,
    /// Whether the node must run and answer for it.
    #[serde(default)]
    pub needs_node: bool,
}

impl Step {
    /// A step of ours that is always taken.
    pub fn new(name: &str, says: impl Into<String>, act: Act) -> Self {
        Self { name: name.to_owned(), says: says.into(), act, by: By::Account, offered: None, needs_node: false }
    }

    /// The same, offered.
    #[must_use]
    pub fn offered(mut self, why: Offered) -> Self {
        if why == Offered::Root {
            self.by = By::Root;
        }
        self.offered = Some(why);
        self
    }

    /// The same, for a node that runs.
    #[must_use]
    pub fn needing_the_node(mut self) -> Self {
        self.needs_node = true;
        self
    }

    /// What one would type, if it is a command.
    pub fn command(&self) -> Option<&[String]> {
        match &self.act {
            Act::Run { command } | Act::Attach { command } => Some(command),
            _ => None,
        }
    }
}

/// Everything to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the node comes to be.
    pub data_dir: PathBuf,
    /// The account it will belong to.
    pub account: String,
    /// The software it will run on.
    pub kit: PathBuf,
    /// The version of that software.
    pub kit_version: String,
    /// Its install id in the new place.
    pub install_id: Option<String>,
    /// Its first port there.
    pub port: Option<u16>,
    /// Whether the same installation was there before, and is kept beside.
    pub replaces: bool,
    /// Whether the files are restored right into the directory, for it cannot be renamed.
    #[serde(default)]
    pub into: bool,
    /// Whether it is a copy for a drill.
    pub drill: bool,
    /// The steps.
    pub steps: Vec<Step>,
    /// What should be known before.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The step of a name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }
}

/// A path as a word of a command.
pub fn word(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
