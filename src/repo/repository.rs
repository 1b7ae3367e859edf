//! An opened repository: its store, parameters and secrets. A handle, not a doer: verbs live in `vault`.

use std::sync::Arc;

use crate::base::clock::Clock;
use crate::base::id::{RepositoryId, WriterId};
use crate::base::object::ObjectName;
use crate::base::random::Entropy;
use crate::codec::sign::SigningPublic;
use crate::repo::config::RepositoryConfig;
use crate::repo::crypt::Opener;
use crate::repo::error::RepoError;
use crate::repo::format::object_bytes_max;
use crate::repo::keys::Credential;
use crate::repo::sealed::{self, Unsealed};
use crate::repo::secrets::Secrets;
use crate::storage::Storage;

/// Where time and randomness come from.
#[derive(Clone)]
pub struct Seams {
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// An opened repository.
pub struct Repository {
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// Verified parameters.
    pub config: RepositoryConfig,
    /// What the slot held.
    pub secrets: Arc<Secrets>,
    /// Opens sealed objects.
    pub opener: Opener,
    /// Time and randomness.
    pub seams: Seams,
}

impl Repository {
    /// Opens the repository in a store: tries the credential on every slot, then verifies the configuration.
    pub fn open(storage: Arc<dyn Storage>, credential: &Credential, seams: Seams) -> Result<Self, RepoError> {
        let secrets = Arc::new(crate::repo::keys::unlock(&*storage, credential)?);
        let config = RepositoryConfig::load(&*storage, &secrets.owner_public())?;
        let opener = Opener::new(config.repository, Arc::clone(&secrets));
        Ok(Self { storage, config, secrets, opener, seams })
    }

    /// Its id.
    pub fn id(&self) -> RepositoryId {
        self.config.repository
    }

    /// The verification key of a writer. In this version only the owner writes.
    pub fn signer(&self, writer: WriterId) -> Option<SigningPublic> {
        let owner = self.secrets.owner_public();
        (owner.writer() == writer).then_some(owner)
    }

    /// Loads, checks and opens a sealed object.
    pub fn unseal(&self, name: &ObjectName) -> Result<Unsealed, RepoError> {
        let stored = self.storage.get(name, object_bytes_max(name.kind()))?;
        sealed::decode(&self.opener, &|writer| self.signer(writer), name, &stored)
    }
}
