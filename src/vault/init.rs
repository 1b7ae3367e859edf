//! Making a repository.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::id::RepositoryId;
use crate::repo::config::CreateMethod;
use crate::repo::keys::Credential;
use crate::repo::repository::Seams;
use crate::storage::Storage;
use crate::vault::VaultError;

/// What `init` made.
pub struct Created {
    /// The new repository.
    pub repository: RepositoryId,
    /// The recovery words, if asked for. Shown once, stored nowhere.
    pub recovery_words: Option<Zeroizing<String>>,
}

/// Makes a repository in an empty store: secrets, an owner slot for the password, a recovery slot if asked for,
/// the configuration, and the first journal entry. The configuration goes last but one: without it there is no
/// repository, so that an interrupted `init` can be run again.
pub fn create(
    _storage: Arc<dyn Storage>,
    _create: CreateMethod,
    _password: &Credential,
    _with_recovery: bool,
    _seams: &Seams,
) -> Result<Created, VaultError> {
    unimplemented!("helper: keys")
}
