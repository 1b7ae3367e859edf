//! What can go wrong when a volume is frozen, by meaning.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::hint::Hint;
use crate::fsnap::{Gap, GapKind, Unable};

/// A failed freezing, check or removal.
#[derive(Debug, thiserror::Error)]
pub enum FsnapError {
    /// No provider can freeze the volume of this directory.
    #[error("the volume that holds {} cannot be frozen: {}", dir.display(), listed(reasons))]
    NoProvider {
        /// The directory.
        dir: PathBuf,
        /// What each provider says.
        reasons: Vec<Unable>,
    },
    /// Part of the directory lies on other volumes.
    #[error("{} would not be frozen as a whole: {}", dir.display(), named(gaps))]
    NotCovered {
        /// The directory.
        dir: PathBuf,
        /// What lies elsewhere.
        gaps: Vec<Gap>,
    },
    /// A tool is not installed.
    #[error("the command `{program}` is not installed")]
    NoTool {
        /// Its name.
        program: String,
    },
    /// A tool said no.
    #[error("{command} failed ({status}): {said}")]
    Failed {
        /// The command line, or the name of a site's command.
        command: String,
        /// Exit status or signal.
        status: String,
        /// What it wrote, cut to its end.
        said: String,
    },
    /// A tool found no room for a snapshot.
    #[error("there is no room for a snapshot: {command} says: {said}")]
    NoSpace {
        /// The command line.
        command: String,
        /// What it wrote.
        said: String,
    },
    /// Somebody still uses the volume.
    #[error("still in use: {command} says: {said}")]
    Busy {
        /// The command line.
        command: String,
        /// What it wrote.
        said: String,
    },
    /// A tool did not end in time and was killed with its children.
    #[error("{command} did not end within {} seconds and was killed", limit.as_secs())]
    TimedOut {
        /// The command line.
        command: String,
        /// How long it had.
        limit: Duration,
    },
    /// A tool ended well, but what it wrote cannot be used.
    #[error("{command} {why}")]
    BadOutput {
        /// The command line.
        command: String,
        /// What is wrong with its output.
        why: String,
    },
    /// The snapshot does not hold the frozen moment any more; what was read from it counts for nothing.
    #[error("the frozen volume {name} became invalid while it was read: {why}")]
    Invalid {
        /// Name of the snapshot.
        name: String,
        /// How this shows.
        why: String,
    },
    /// Something of that name is there that this program did not make, or that was changed since.
    #[error("{what} is left alone: {why}")]
    NotOurs {
        /// The snapshot or mount.
        what: String,
        /// What does not fit.
        why: String,
    },
    /// A record of the journal cannot be understood.
    #[error("the record {} of a frozen volume cannot be understood: {why}", path.display())]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FsnapError {
    /// For `map_err` behind a system call on `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl Hint for FsnapError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoProvider { .. } => {
                Some("use `--consistency stopped` or `live`, or give a pair of site commands".to_owned())
            }
            Self::NotCovered { .. } => Some(
                "move this data onto the volume, exclude it and back it up on its own, or use `--consistency stopped`"
                    .to_owned(),
            ),
            Self::NoTool { program } => Some(format!("install the package that brings `{program}`")),
            Self::NoSpace { .. } => {
                Some("free some space in the file system or volume group and run the command again".to_owned())
            }
            Self::Busy { .. } => Some("end what uses it; the next run removes what was left".to_owned()),
            Self::TimedOut { .. } => Some("see what the volume is busy with, or allow more time".to_owned()),
            Self::Invalid { .. } => {
                Some("give the snapshot more room or back up at a quieter hour, then run the command again".to_owned())
            }
            Self::NotOurs { .. } => Some("look at it, and remove it by hand if nobody needs it".to_owned()),
            Self::BadRecord { path, .. } => Some(format!(
                "look for a snapshot or mount with the id in its path, remove it, then remove {}",
                path.parent().unwrap_or(path).display()
            )),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run as root: only root may freeze volumes".to_owned())
            }
            Self::Failed { .. } => Some("run the command by hand to see more".to_owned()),
            Self::BadOutput { .. } => Some("run the command by hand and look at what it writes".to_owned()),
            Self::Io { .. } => None,
        }
    }
}

fn listed(reasons: &[Unable]) -> String {
    let reasons: Vec<String> = reasons.iter().map(|unable| format!("{}: {}", unable.provider, unable.reason)).collect();
    reasons.join("; ")
}

fn named(gaps: &[Gap]) -> String {
    let name = |gap: &Gap| match &gap.kind {
        GapKind::Link { target } => format!("{} is a link to {}", gap.path.display(), target.display()),
        GapKind::Mount { fs_type, source } => format!("{} is a mount of {source} ({fs_type})", gap.path.display()),
        GapKind::Subvolume => format!("{} is a subvolume of its own", gap.path.display()),
    };
    gaps.iter().map(name).collect::<Vec<_>>().join("; ")
}
