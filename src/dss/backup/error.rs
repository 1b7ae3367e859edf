//! Why a node was not backed up.

use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::dss::control::ControlError;
use crate::dss::datadir::error::DatadirError;
use crate::dss::jobs::JobsError;
use crate::fsnap::FsnapError;
use crate::postgres::error::PgError;
use crate::vault::VaultError;

/// A backup of a node that made no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory.
    #[error(transparent)]
    Datadir(#[from] DatadirError),
    /// Stopping, starting, or looking whether it runs.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What is at work in it.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// Freezing its volume.
    #[error(transparent)]
    Freeze(#[from] FsnapError),
    /// The backup itself.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It runs, its volume cannot be frozen, and nobody said that it may be stopped or read live.
    #[error("the node runs ({evidence}), and its volume cannot be frozen: {why}")]
    NotUnasked {
        /// What was seen.
        evidence: String,
        /// Why it cannot be frozen.
        why: String,
    },
    /// It cannot be told whether it runs.
    #[error("it cannot be told whether the node runs: {evidence}")]
    Unclear {
        /// What was seen.
        evidence: String,
    },
    /// A database on a server.
    #[error(transparent)]
    Database(#[from] PgError),
    /// Only API nodes stand behind load balancers that ask them.
    #[error("only API nodes can be taken out of rotation; this is a {node_type} node")]
    NotRolling {
        /// What it is.
        node_type: String,
    },
    /// Repository and data directory lie in each other.
    #[error("the repository {} and the data directory {} lie in each other", repository.display(), data_dir.display())]
    Nested {
        /// One.
        repository: PathBuf,
        /// The other.
        data_dir: PathBuf,
    },
    /// A restore has left its entries partly exchanged.
    #[error("a restore of snapshot {snapshot} was interrupted and has left {} half exchanged", data_dir.display())]
    HalfExchanged {
        /// The directory.
        data_dir: PathBuf,
        /// Whose content it has in part.
        snapshot: String,
    },
    /// It was started again before everything was read.
    #[error("the node had been down for {seconds} s, the limit, and was started before everything was read")]
    Downtime {
        /// The limit.
        seconds: u64,
    },
    /// It was stopped when the backup began, and runs now.
    #[error("the node was started while its files were read: {evidence}")]
    StartedMeanwhile {
        /// What was seen.
        evidence: String,
    },
}

impl NodeError {
    /// Whether it was refused by policy, and not a failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NotUnasked { .. } | Self::Unclear { .. } | Self::Nested { .. } => true,
            Self::Database(cause) => cause.is_refusal(),
            Self::NotRolling { .. } | Self::HalfExchanged { .. } => true,
            Self::Control(cause) => cause.is_refusal(),
            Self::Jobs(cause) => cause.is_refusal(),
            Self::Freeze(cause) => matches!(cause, FsnapError::NotCovered { .. } | FsnapError::NoProvider { .. }),
            Self::Datadir(_) | Self::Vault(_) | Self::Downtime { .. } | Self::StartedMeanwhile { .. } => false,
        }
    }
}

impl Hint for NodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Datadir(cause) => cause.hint(),
            Self::Control(cause) => cause.hint(),
            Self::Jobs(cause) => cause.hint(),
            Self::Freeze(cause) => cause.hint(),
            Self::Vault(cause) => cause.hint(),
            Self::NotUnasked { .. } => Some(
                "choose: `--consistency stopped` stops it for seconds and starts it again, `--consistency live` reads \
                 it as it is (H2 databases may be torn)"
                    .to_owned(),
            ),
            Self::Unclear { .. } => Some("run as root to see more, or choose `--consistency live`".to_owned()),
            Self::Database(PgError::Interrupted) => None,
            Self::Database(cause) => {
                let hint = cause.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
                Some(format!("{hint}`--database none` backs the node up without it, and says so in the snapshot"))
            }
            Self::NotRolling { .. } => Some("leave `--rolling` out".to_owned()),
            Self::Nested { .. } => Some("put the repository on another volume".to_owned()),
            Self::HalfExchanged { snapshot, .. } => Some(format!(
                "`dssvault restore {snapshot}` completes it, `dssvault restore {snapshot} --undo` puts it back"
            )),
            Self::Downtime { .. } => {
                Some("run it again: what was stored is not read again; or allow more with `--max-downtime`".to_owned())
            }
            Self::StartedMeanwhile { .. } => Some("run it again, with `--consistency stopped`".to_owned()),
        }
    }
}
