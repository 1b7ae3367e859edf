//! Why a snapshot was not copied, told apart by what that means for the others.

use crate::repo::RepoError;
use crate::vault::VaultError;

/// The end of copying one snapshot.
pub enum Halt {
    /// The source cannot give all of it. Others may still be copied.
    Source {
        /// The file it is about; raw bytes, as in the tree.
        path: Option<Vec<u8>>,
        /// What is wrong.
        cause: String,
    },
    /// The target failed, or a stop was requested.
    Stop(Box<VaultError>),
}

impl Halt {
    /// Something wrong with the source.
    pub fn source(cause: String) -> Self {
        Self::Source { path: None, cause }
    }

    /// A failure of the target, or of this machine.
    pub fn stop(error: impl Into<VaultError>) -> Self {
        Self::Stop(Box::new(error.into()))
    }

    /// Why, for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Source { cause, .. } => cause.clone(),
            Self::Stop(error) => error.to_string(),
        }
    }

    /// The error it makes where nothing can be done about the source either.
    pub fn into_error(self) -> VaultError {
        match self {
            Self::Source { cause, .. } => VaultError::Undecided { what: cause, hint: "nothing was changed".to_owned() },
            Self::Stop(error) => *error,
        }
    }

    /// Says which file it is about, unless that was said.
    pub fn at(self, name: &[u8]) -> Self {
        match self {
            Self::Source { path: None, cause } => Self::Source { path: Some(name.to_vec()), cause },
            told => told,
        }
    }
}

/// What was read is the source's. If it does not answer, it will not answer for other snapshots either.
impl From<RepoError> for Halt {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Interrupted => Self::stop(error),
            RepoError::Storage(_) if error.is_of_store() => Self::stop(error),
            error => Self::source(error.to_string()),
        }
    }
}
