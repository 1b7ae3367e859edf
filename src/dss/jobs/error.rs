//! Why a node is not stopped because of what is at work in it.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::hint::Hint;
use crate::dss::running::RunningJob;

/// Pieces of work an error names; the rest is counted.
const NAMED: usize = 3;

/// A stop that does not happen. The node was not touched.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The key file.
    #[error("cannot read the DSS key file {}: {source}", path.display())]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key that others may read is not one of an administrator alone.
    #[error("the DSS key file {} may be used by other accounts (mode {mode:04o})", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No key in the first line.
    #[error("the first line of the DSS key file {} is no key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Something is at work that the stop would kill.
    #[error("the node is at work{}: {}; it was not stopped", after(.waited), named(.work))]
    Busy {
        /// What.
        work: Vec<RunningJob>,
        /// How long it was waited for; `None` if nobody wanted to wait.
        waited: Option<Duration>,
    },
    /// Nobody can say what is at work.
    #[error("it is not known whether the node is at work: {why}; it was not stopped")]
    Unknown {
        /// Why not.
        why: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

fn after(waited: &Option<Duration>) -> String {
    waited.map(|waited| format!(" still after {} s", waited.as_secs())).unwrap_or_default()
}

/// The first few pieces of work, and how many more there are.
pub fn named(work: &[RunningJob]) -> String {
    let first: Vec<String> = work.iter().take(NAMED).map(ToString::to_string).collect();
    let more = work.len().saturating_sub(first.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

impl JobsError {
    /// Whether it was refused by policy, and not a failure.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unknown { .. } | Self::KeyExposed { .. })
    }
}

impl Hint for JobsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::KeyUnreadable { .. } => "check the path and its permissions".to_owned(),
            Self::KeyExposed { path, .. } => format!("`chmod 600 {}`, and think about a new key", path.display()),
            Self::NoKey { .. } => "put a global API key with administrator rights there, alone on the line".to_owned(),
            Self::Busy { waited: Some(_), .. } => {
                "choose a quieter hour or a longer `--jobs wait=…`; `--jobs ignore` kills what runs".to_owned()
            }
            Self::Busy { waited: None, .. } => {
                "`--jobs wait` waits for its end; `--jobs ignore` kills what runs".to_owned()
            }
            Self::Unknown { .. } => {
                "check `--dss-key-file`, `--dss-url` and `--dss-ca`; `--jobs ignore` stops the node whatever runs"
                    .to_owned()
            }
            Self::Interrupted => "run the command again: it continues from what was stored".to_owned(),
        })
    }
}
