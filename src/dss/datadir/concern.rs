//! What somebody should know before this directory is backed up or restored.

use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Mend it before anything else: going on may destroy something.
    Stop,
    /// It will be in the way sooner or later.
    Warning,
}

/// What is the matter. Programs tell concerns apart by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcernKind {
    /// The first installation did not end.
    InstallUnfinished,
    /// An upgrade died half way.
    MigrationUnfinished,
    /// An API node is taken out of rotation.
    OutOfRotation,
    /// It lies elsewhere than where it was installed.
    Moved,
    /// `bin/dss` leads nowhere.
    ControlDangling,
    /// Kit and data directory are of different versions.
    KitVersion,
    /// `install.ini` and the generated scripts name different ports.
    PortEdited,
    /// The Python its environment was made from is gone.
    PythonGone,
    /// A boot file or unit belongs to it, but not only one.
    SeveralServices,
    /// Users of their own: files belong to several accounts.
    UserIsolation,
    /// Nothing tells one installation from the other.
    NoInstallId,
    /// The node type is a word this version does not know.
    UnknownNodeType,
    /// A link leads to data outside.
    DataOutside,
}

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concern {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, for programs.
    pub kind: ConcernKind,
    /// What it is, for people.
    pub message: String,
    /// What to do about it.
    pub next: String,
}

impl Concern {
    /// Something that must be mended first.
    pub fn stop(kind: ConcernKind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { severity: Severity::Stop, kind, message: message.into(), next: next.into() }
    }

    /// Something worth knowing.
    pub fn warning(kind: ConcernKind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, kind, message: message.into(), next: next.into() }
    }
}
