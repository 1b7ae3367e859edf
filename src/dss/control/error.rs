//! Why a node could not be looked at, stopped or started.

use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::dss::control::evidence::Evidence;

/// A failure of control. What was stopped has been started again, or the error says that it was not.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another run works on the same data directory.
    #[error("{} is in use by another run ({holder})", data_dir.display())]
    Busy {
        /// The directory.
        data_dir: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// This account may not stop and start it.
    #[error("this account may not stop and start the node in {}", data_dir.display())]
    NotAllowed {
        /// The directory.
        data_dir: PathBuf,
        /// Its owner.
        owner: String,
        /// The line of sudo's rules that would allow it, where a unit of systemd owns the node.
        sudo_rule: Option<String>,
    },
    /// What stops and starts it is not there.
    #[error("{} leads nowhere: the node in {} can be neither stopped nor started", program.display(), data_dir.display())]
    NoProgram {
        /// The directory.
        data_dir: PathBuf,
        /// What is dangling or missing.
        program: PathBuf,
    },
    /// It cannot be told whether it runs.
    #[error("it cannot be told whether the node in {} runs: {}", data_dir.display(), evidence.summary())]
    Unclear {
        /// The directory.
        data_dir: PathBuf,
        /// What was seen.
        evidence: Evidence,
    },
    /// The program that stops or starts it failed.
    #[error("`{command}` failed ({how}): {output}")]
    Program {
        /// As one would type it.
        command: String,
        /// Its exit code, or that it did not end.
        how: String,
        /// The end of what it said.
        output: String,
    },
    /// It was told to stop and did not within the limit.
    #[error("the node in {} still runs {seconds} s after it was told to stop: {}", data_dir.display(), evidence.summary())]
    StillRunning {
        /// The directory.
        data_dir: PathBuf,
        /// The limit.
        seconds: u64,
        /// What was seen.
        evidence: Evidence,
    },
    /// An API node that was taken out of rotation says that it serves.
    #[error("the API node in {} still says that it serves {seconds} s after it was taken out of rotation", data_dir.display())]
    StillServing {
        /// The directory.
        data_dir: PathBuf,
        /// The limit.
        seconds: u64,
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
    /// A program could not be begun.
    #[error("cannot run `{command}`: {source}")]
    Spawn {
        /// As one would type it.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ControlError {
    /// Whether it was refused, and nothing was touched.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unclear { .. } | Self::NotAllowed { .. } | Self::NoProgram { .. })
    }

    /// A failed local call.
    pub fn local(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Local { action, path: path.into(), source }
    }
}

impl Hint for ControlError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Busy { .. } => "wait for it to end, or end it; then try again".to_owned(),
            Self::NotAllowed { sudo_rule: Some(rule), .. } => {
                format!("run as root, or add this line with `visudo -f /etc/sudoers.d/dssvault`: {rule}")
            }
            Self::NotAllowed { owner, .. } => format!("run as root or as `{owner}`, or use `--consistency live`"),
            Self::Unclear { .. } => {
                "run as root to see more, stop or start the node by hand, or use `--consistency live`".to_owned()
            }
            Self::NoProgram { program, .. } => format!(
                "unpack the kit where {} leads to, or run `installer.sh -u` of another one",
                program.read_link().as_deref().unwrap_or(program).display()
            ),
            Self::Program { .. } => "run it by hand and mend what it says".to_owned(),
            Self::StillRunning { data_dir, .. } => format!(
                "if it stops after all within half a minute it is started again; else end its processes by hand, then \
                 `dssvault resume {}`",
                data_dir.display()
            ),
            Self::StillServing { .. } => {
                "take it out of the load balancer by hand, and back it up without `--rolling`".to_owned()
            }
            Self::Local { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run as root, or as the account that owns the data directory".to_owned()
            }
            Self::Local { .. } | Self::Spawn { .. } => return None,
            Self::Interrupted => "run the command again: it continues from what was stored".to_owned(),
        })
    }
}
