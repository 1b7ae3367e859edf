//! An opened repository: its store, parameters and secrets. A handle, not a doer: verbs live in `vault`.

use std::sync::Arc;

use crate::base::clock::Clock;
use crate::base::id::{RepositoryId, WriterId};
use crate::base::object::ObjectName;
use crate::base::random::Entropy;
use crate::codec::sign::SigningPublic;
use crate::repo::config::{LoadedConfig, RepositoryConfig};
use crate::repo::crypt::Opener;
use crate::repo::error::RepoError;
use crate::repo::format::object_bytes_max;
use crate::repo::journal::Journal;
use crate::repo::keys::{self, Credential, SlotInfo, Unlocked};
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
    /// The slot that opened it.
    pub opened_by: SlotInfo,
    /// The number of the configuration in force.
    pub config_number: u64,
    /// What opening found wrong without failing: configurations of higher number that are not valid.
    pub warnings: Vec<RepoError>,
}

impl Repository {
    /// Opens the repository in a store: tries the credential on every slot, then verifies the configuration.
    pub fn open(storage: Arc<dyn Storage>, credential: &Credential, seams: Seams) -> Result<Self, RepoError> {
        let Unlocked { secrets, slot, config } = keys::unlock(&*storage, credential)?;
        let LoadedConfig { number, config, warnings } = config;
        let secrets = Arc::new(secrets);
        let opener = Opener::new(config.repository, Arc::clone(&secrets));
        Ok(Self { storage, config, secrets, opener, seams, opened_by: slot, config_number: number, warnings })
    }

    /// A repository whose secrets are at hand, for fixtures that need no slot.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_secrets(
        storage: Arc<dyn Storage>,
        config: RepositoryConfig,
        secrets: Arc<Secrets>,
        seams: Seams,
    ) -> Self {
        let opener = Opener::new(config.repository, Arc::clone(&secrets));
        let opened_by = SlotInfo {
            slot: crate::base::id::SlotId::from_bytes([0; 16]),
            role: keys::slot::Role::Owner,
            method: keys::slot::Method::RecoveryWords,
            salt: [0; 32],
            label: String::new(),
            created: crate::base::clock::Timestamp::default(),
            host: String::new(),
        };
        Self { storage, config, secrets, opener, seams, opened_by, config_number: 1, warnings: Vec::new() }
    }

    /// Another handle of the same repository, for a holder that outlives this one.
    pub fn handle(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
            config: self.config.clone(),
            secrets: Arc::clone(&self.secrets),
            opener: Opener::new(self.config.repository, Arc::clone(&self.secrets)),
            seams: self.seams.clone(),
            opened_by: self.opened_by.clone(),
            config_number: self.config_number,
            warnings: Vec::new(),
        }
    }

    /// Its journal.
    pub fn journal(&self) -> Journal<'_> {
        Journal::new(&*self.storage, self.id(), self.secrets.owner_public())
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
