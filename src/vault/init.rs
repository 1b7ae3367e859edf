//! Making a repository.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::id::RepositoryId;
use crate::base::random::array;
use crate::repo::RepoError;
use crate::repo::config::{CreateMethod, RepositoryConfig, Survey};
use crate::repo::crypt;
use crate::repo::header::XWING_KEM_ID;
use crate::repo::journal::Journal;
use crate::repo::keys::{Credential, RecoveryKey, SlotCosts, SlotPlan, slot};
use crate::repo::repository::{Repository, Seams};
use crate::repo::secrets::Secrets;
use crate::storage::Storage;
use crate::vault::VaultError;
use crate::vault::keys::host_name;

/// What `init` made.
pub struct Created {
    /// The new repository.
    pub repository: RepositoryId,
    /// The recovery words, if asked for. Shown once, stored nowhere.
    pub recovery_words: Option<Zeroizing<String>>,
    /// Why the first journal entry could not be written. Harmless: the next writer of the journal begins it.
    pub journal_fault: Option<RepoError>,
}

/// What a new repository is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founding {
    /// How its store creates objects.
    pub create: CreateMethod,
    /// Whether recovery words are wanted.
    pub with_recovery: bool,
    /// Costs of guessing the password.
    pub costs: SlotCosts,
    /// This machine, for people.
    pub host: String,
}

/// Makes a repository in an empty store: secrets, an owner slot for the password, a recovery slot if asked for,
/// the configuration, and the first journal entry. The configuration decides: without it there is no repository,
/// so that an interrupted `init` can be run again, and of two at once one wins. Slots that an earlier try left
/// behind are of another owner and never tried.
pub fn create(
    storage: Arc<dyn Storage>,
    create: CreateMethod,
    password: &Credential,
    with_recovery: bool,
    seams: &Seams,
) -> Result<Created, VaultError> {
    create_like(storage, create, password, with_recovery, None, seams)
}

/// The same for a repository that is to be like another one, if one is given; see [`found_like`].
pub fn create_like(
    storage: Arc<dyn Storage>,
    create: CreateMethod,
    password: &Credential,
    with_recovery: bool,
    like: Option<&Repository>,
    seams: &Seams,
) -> Result<Created, VaultError> {
    let founding = Founding { create, with_recovery, costs: SlotCosts::DEFAULT, host: host_name() };
    found_like(&*storage, password, &founding, like, seams)
}

/// As [`create`], with everything said.
pub fn found(
    storage: &dyn Storage,
    password: &Credential,
    founding: &Founding,
    seams: &Seams,
) -> Result<Created, VaultError> {
    found_like(storage, password, founding, None, seams)
}

/// The same for a repository that is to cut and name chunks like another one, so that snapshots are copied between
/// them without being cut or named anew (`docs/decisions/0013-copies.md`). Nothing that opens, seals or signs is taken
/// over.
pub fn found_like(
    storage: &dyn Storage,
    password: &Credential,
    founding: &Founding,
    like: Option<&Repository>,
    seams: &Seams,
) -> Result<Created, VaultError> {
    refuse_existing(storage)?;
    let entropy = &*seams.entropy;
    let repository = RepositoryId::from_bytes(array(entropy));
    let secrets = match like {
        Some(other) => Secrets::generate_like(&other.secrets, entropy),
        None => Secrets::generate(entropy),
    };
    let sizes = like.map(|other| &other.config);
    let plan = |label: &str| SlotPlan {
        costs: founding.costs,
        label: label.to_owned(),
        host: founding.host.clone(),
        created: seams.clock.now(),
    };
    let add = |credential: &Credential, label: &str| {
        let (_, name, stored) = slot::seal(&secrets, repository, credential, plan(label), entropy)?;
        storage.put(&name, &stored).map_err(RepoError::from)
    };
    add(password, "first password")?;
    let recovery_words = founding.with_recovery.then(|| RecoveryKey::random(entropy).words());
    if let Some(words) = &recovery_words {
        add(&Credential::RecoveryWords(words.clone()), "recovery key")?;
    }
    let config = RepositoryConfig {
        repository,
        created: seams.clock.now(),
        features: 0,
        epoch: secrets.newest_epoch(),
        owner: secrets.owner_public().to_bytes(),
        kem: XWING_KEM_ID,
        public_key: crypt::public_key(&secrets.sealing)
            .map_err(|why| VaultError::Request { what: why.to_string(), hint: None })?,
        files: sizes.map_or(RepositoryConfig::FILES, |like| like.files),
        database: sizes.map_or(RepositoryConfig::DATABASE, |like| like.database),
        large_files: sizes.map_or(RepositoryConfig::LARGE_FILES, |like| like.large_files),
        large_from: sizes.map_or(RepositoryConfig::LARGE_FROM, |like| like.large_from),
        timezone: sizes.and_then(|like| like.timezone.clone()),
        create: founding.create,
    };
    if !config.store(storage, 1, &secrets.signing())? {
        // Another `init` was faster; what this one left is signed by an owner nobody names.
        return Err(RepoError::AlreadyInitialised { location: storage.location() }.into());
    }
    // The repository exists now, and an empty journal is a valid one: failing here would only lose the words.
    let journal = Journal::new(storage, repository, secrets.owner_public());
    let journal_fault = journal.begin(&secrets, &*seams.clock).err();
    Ok(Created { repository, recovery_words, journal_fault })
}

fn refuse_existing(storage: &dyn Storage) -> Result<(), RepoError> {
    match Survey::read(storage) {
        Err(RepoError::NoRepository { .. }) => Ok(()),
        Err(RepoError::Storage(fault)) => Err(fault.into()),
        Ok(_) | Err(_) => Err(RepoError::AlreadyInitialised { location: storage.location() }),
    }
}
