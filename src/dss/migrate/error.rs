//! Why a node was not brought to its new place.

use std::path::{Path, PathBuf};

use crate::base::hint::Hint;
use crate::base::size::ByteCount;
use crate::dss::control::ControlError;
use crate::dss::datadir::error::DatadirError;
use crate::dss::restore::RestoreError;
use crate::vault::VaultError;

/// A migration or drill that was not begun, or stopped at a step.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Reading the snapshot.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Stopping, starting, or looking whether it runs.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What lies at the place.
    #[error(transparent)]
    Datadir(#[from] DatadirError),
    /// Moving directories.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The snapshot is of something else.
    #[error("the snapshot is not of a DSS node")]
    NoNode,
    /// The snapshot does not tell enough.
    #[error("the snapshot does not tell how its node was installed: {why}")]
    NoFacts {
        /// Why.
        why: String,
    },
    /// Nothing was touched: a condition does not hold.
    #[error("{what}")]
    Refused {
        /// Which.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A step failed; those before it are done.
    #[error("step `{step}` failed: {why}")]
    Step {
        /// Its name.
        step: String,
        /// Why.
        why: String,
        /// What to do, where there is more to say than that it can be given again.
        advice: Option<String>,
    },
    /// Somebody has started it meanwhile.
    #[error("step `{step}` was not taken: in {} {why}", data_dir.display())]
    Runs {
        /// Its name.
        step: String,
        /// The directory.
        data_dir: PathBuf,
        /// What was seen.
        why: String,
    },
    /// A copy goes on running after an error.
    #[error("{cause}; and the copy in {} could not be stopped: {why}", data_dir.display())]
    StillUp {
        /// The copy.
        data_dir: PathBuf,
        /// What went wrong first.
        cause: Box<MigrateError>,
        /// Why it could not be stopped.
        why: String,
    },
    /// Files could not be restored.
    #[error("{count} entries could not be restored, the first of them {first}; what came back is in {}", beside.display())]
    Files {
        /// How many.
        count: usize,
        /// The first, with its cause.
        first: String,
        /// Where the rest is.
        beside: PathBuf,
    },
    /// A file of ours could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Local {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An unfinished one stands in the way.
    #[error("an unfinished restore of snapshot {snapshot} to {} was begun with other options", data_dir.display())]
    Unfinished {
        /// Of which snapshot.
        snapshot: String,
        /// To where.
        data_dir: PathBuf,
        /// The journal.
        journal: PathBuf,
    },
    /// No such step.
    #[error("there is no step `{name}` in this plan")]
    NoStep {
        /// The name.
        name: String,
    },
}

impl MigrateError {
    /// A condition that does not hold.
    pub fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: hint.into() }
    }

    /// A step that failed.
    pub fn step(step: &str, why: impl ToString) -> Self {
        Self::Step { step: step.to_owned(), why: why.to_string(), advice: None }
    }

    /// Too little room.
    pub fn no_room(needed: u64, free: u64) -> Self {
        Self::refused(format!("it needs {}, and {} are free", ByteCount(needed), ByteCount(free)), "make room")
    }

    /// A file of ours.
    pub fn local(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Local { action, path, source }
    }

    /// Whether it was refused by policy, and not a failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unfinished { .. } => true,
            Self::Restore(cause) => cause.is_refusal(),
            Self::Control(cause) => matches!(cause, ControlError::Unclear { .. } | ControlError::NotAllowed { .. }),
            _ => false,
        }
    }
}

impl Hint for MigrateError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Vault(cause) => return cause.hint(),
            Self::Control(cause) => return cause.hint(),
            Self::Datadir(cause) => return cause.hint(),
            Self::Restore(cause) => return cause.hint(),
            Self::NoNode => "restore its files with `--target DIR`".to_owned(),
            Self::NoFacts { .. } => {
                "a newer dssvault may read it; or restore the files with `--target DIR` and run the kit's installer"
                    .to_owned()
            }
            Self::Refused { hint, .. } => hint.clone(),
            Self::Step { advice: Some(advice), .. } => advice.clone(),
            Self::Runs { .. } => "stop it, then give the same command again: it goes on at this step".to_owned(),
            Self::StillUp { data_dir, .. } => format!(
                "stop it with {}/bin/dss, as its account; then mend the cause and give the same command again",
                data_dir.display()
            ),
            Self::Step { step, .. } => format!(
                "mend the cause and give the same command again: it goes on at this step; `--skip-step {step}` leaves it out"
            ),
            Self::Files { .. } => "`dssvault check --read-data` tells what is damaged".to_owned(),
            Self::Local { .. } => "look at the path and its permissions, then give the same command again".to_owned(),
            Self::Unfinished { journal, .. } => {
                format!("give that command again to go on, or remove {} to begin anew", journal.display())
            }
            Self::NoStep { .. } => "`--dry-run` lists the steps with their names".to_owned(),
        })
    }
}
