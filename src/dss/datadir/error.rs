//! Why a directory could not be taken for a DSS data directory.

use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::sys::pattern::BadPattern;

/// What goes wrong before anything is known. What merely could not be found out is a gap in the facts.
#[derive(Debug, thiserror::Error)]
pub enum DatadirError {
    /// Nothing, or something else than a directory.
    #[error("{} is no directory", path.display())]
    NotADirectory {
        /// As given.
        path: PathBuf,
    },
    /// A directory of something else.
    #[error("{} is no DSS data directory: it has no dss-version.json", path.display())]
    NotDataDir {
        /// As given.
        path: PathBuf,
        /// A data directory right below it.
        nearby: Option<PathBuf>,
    },
    /// The unpacked software instead of the data directory.
    #[error("{} is the DSS software itself (the kit), not a data directory", path.display())]
    Kit {
        /// As given.
        path: PathBuf,
    },
    /// The installer did not come to its end, or parts were removed since.
    #[error("{} is not a whole DSS data directory: {} missing", path.display(), missing.join(", "))]
    HalfInstalled {
        /// As given.
        path: PathBuf,
        /// What every data directory has and this one has not.
        missing: Vec<&'static str>,
        /// Whether the installer's own mark of an unfinished installation is there.
        marked: bool,
    },
    /// It cannot be looked into.
    #[error("cannot look into {}: {source}", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A pattern of what to leave out that cannot be read.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    /// Stopped on request.
    #[error("interrupted")]
    Interrupted,
}

impl Hint for DatadirError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotDataDir { nearby: Some(nearby), .. } => format!("did you mean {}?", nearby.display()),
            Self::NotADirectory { .. } | Self::NotDataDir { .. } => {
                "name the directory DSS was installed into with `installer.sh -d`; it has config/ and install.ini"
                    .into()
            }
            Self::Kit { .. } => "name the data directory: `installer.sh -d` was told it".into(),
            Self::HalfInstalled { marked: true, .. } => {
                "finish or remove the installation; running the installer again moves this directory aside".into()
            }
            Self::HalfInstalled { .. } => {
                "bring the missing files back, or back it up as an ordinary directory with `--plain`".into()
            }
            Self::Unreadable { .. } => "run as root, or as the account that owns the directory".into(),
            Self::Pattern(_) => {
                "write it as for `dssvault backup --exclude`; a leading `/` is the data directory".into()
            }
            Self::Interrupted => "run the command again".into(),
        })
    }
}
