//! From the text a user gives to an opened repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::AppError;
use crate::app::folders::FolderRoots;
use crate::base::cancel::Cancel;
use crate::base::clock::SystemClock;
use crate::base::object::ObjectKind;
use crate::base::progress::Progress;
use crate::base::random::SystemEntropy;
use crate::repo::config::RepositoryConfig;
use crate::repo::heads::{self, Heads};
use crate::repo::keys::Credential;
use crate::repo::repository::Seams;
use crate::repo::{RepoError, Repository};
use crate::storage::local::{LocalStore, Modes};
use crate::storage::{CreateMethod, Storage};
use crate::vault::Context;
use crate::vault::context::Folders;

/// Where a repository lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of this machine, or one mounted here.
    Local(PathBuf),
}

impl Location {
    /// Reads what the user wrote. `scheme:rest` is not a path unless something with a slash stands before the colon.
    pub fn parse(text: &OsStr) -> Result<Self, AppError> {
        if text.is_empty() {
            return Err(AppError::EmptyLocation);
        }
        match scheme(text.as_bytes()) {
            Some(scheme) => Err(AppError::UnknownScheme { location: text.to_string_lossy().into_owned(), scheme }),
            None => Ok(Self::Local(PathBuf::from(text))),
        }
    }

    /// The place as the user would write it.
    pub fn text(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
        }
    }

    /// The store of a repository that is there. Asked before any password is, so that a mistyped path is told as
    /// such.
    pub fn existing_store(&self) -> Result<Arc<dyn Storage>, AppError> {
        match self {
            Self::Local(path) if !LocalStore::exists(path)? => {
                Err(RepoError::NoRepository { location: self.text() }.into())
            }
            Self::Local(path) => {
                // How objects are created stands in the configuration, which a store must be opened to read.
                let store = LocalStore::open(path, CreateMethod::HardLink)?;
                let create = RepositoryConfig::announced_create_method(&store);
                Ok(Arc::new(store.with_create_method(create)))
            }
        }
    }

    /// A store laid out for a new repository, for its owner or for a group too, and how it creates objects, found
    /// out by trying.
    pub fn new_store(&self, group: Option<u32>) -> Result<(Arc<dyn Storage>, CreateMethod), AppError> {
        match self {
            Self::Local(path) => {
                let modes = group.map_or(Modes::default(), Modes::shared_with);
                let capabilities = LocalStore::prepare(path, modes)?;
                let create = capabilities.create_method(&self.text())?;
                Ok((Arc::new(LocalStore::open(path, create)?), create))
            }
        }
    }
}

fn scheme(text: &[u8]) -> Option<String> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let word = std::str::from_utf8(&text[..colon]).ok()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    (word.starts_with(|first: char| first.is_ascii_alphabetic()) && word.bytes().all(fits)).then(|| word.to_owned())
}

/// The real clock and the system's randomness.
pub fn system_seams() -> Seams {
    Seams { entropy: Arc::new(SystemEntropy), clock: Arc::new(SystemClock) }
}

/// An opened repository with its local folders.
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// Its folders on this machine.
    pub folders: Folders,
}

impl Opened {
    /// What a verb is given besides its options.
    pub fn context<'a>(&'a self, progress: &'a dyn Progress, cancel: &'a Cancel) -> Context<'a> {
        Context { progress, cancel, folders: &self.folders }
    }
}

/// Opens a repository and makes its local folders.
pub fn open(location: &Location, credential: &Credential, roots: &FolderRoots) -> Result<Opened, AppError> {
    let repository = Repository::open(location.existing_store()?, credential, system_seams())?;
    for warning in &repository.warnings {
        tracing::warn!("{warning}");
    }
    let folders = roots.prepare(repository.id())?;
    compare_heads(&repository, &folders)?;
    Ok(Opened { repository, folders })
}

/// Says so if the store reaches less far than this machine has seen it reach.
fn compare_heads(repository: &Repository, folders: &Folders) -> Result<(), AppError> {
    let journal = repository.storage.list(ObjectKind::Journal)?;
    let journal = journal.iter().filter_map(|entry| entry.name.number()).max().unwrap_or(0);
    let found = Heads { config: repository.config_number, journal };
    match heads::remember(&folders.state, repository.id(), found) {
        Ok(Some(rolled_back)) => tracing::warn!("{rolled_back}; run `dssvault check`"),
        Ok(None) => {}
        Err(error) => tracing::debug!("what was seen of the repository is not remembered: {error}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hint::Hint;

    fn parse(text: &str) -> Result<Location, AppError> {
        Location::parse(OsStr::new(text))
    }

    #[test]
    fn a_path_is_a_local_repository_even_with_a_colon_behind_a_slash() {
        for text in ["/backup", "backup", "./s3:bucket", "/a:b", "dir/with:colon", ":odd"] {
            assert_eq!(parse(text).unwrap(), Location::Local(text.into()), "{text}");
        }
    }

    #[test]
    fn a_scheme_is_refused_by_name_with_the_way_out() {
        for text in ["s3://bucket/prefix", "sftp:host:/dir", "ssh://root@host/dir", "gs:bucket"] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert!(error.hint().unwrap().contains("local path"), "{error}");
        }
    }

    #[test]
    fn nothing_is_no_location() {
        assert!(matches!(parse(""), Err(AppError::EmptyLocation)));
    }
}
