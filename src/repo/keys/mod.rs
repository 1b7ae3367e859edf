//! Key slots: how passwords and recovery words open the repository's secrets.

mod password;
mod recovery;
pub mod slot;

use zeroize::Zeroizing;

pub use password::{BadCosts, SlotCosts};
pub use recovery::{BadWords, RecoveryKey};
pub use slot::{Method, Role, SlotInfo, SlotPlan};

use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::config::{LoadedConfig, Survey};
use crate::repo::error::RepoError;
use crate::repo::format::object_bytes_max;
use crate::repo::keys::slot::{Offered, Slot};
use crate::repo::secrets::Secrets;
use crate::storage::Storage;

/// What somebody offers to open a repository.
pub enum Credential {
    /// A password, as typed or read (no trailing newline).
    Password(Zeroizing<String>),
    /// The BIP-39 words of the recovery key, separated by white space.
    RecoveryWords(Zeroizing<String>),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::RecoveryWords(_) => "RecoveryWords(..)",
        })
    }
}

/// What a credential opened.
#[derive(Debug)]
pub struct Unlocked {
    /// The repository's secrets.
    pub secrets: Secrets,
    /// The slot that opened.
    pub slot: SlotInfo,
    /// The verified parameters.
    pub config: LoadedConfig,
}

/// Tries a credential on every slot.
///
/// Only slots signed by an owner whom a configuration names are tried, and the signature is checked before the
/// password is stretched: slots left by an interrupted `init` or planted by somebody cost nothing. Damaged slots
/// are passed over, but an error tells of them.
pub fn unlock(storage: &dyn Storage, credential: &Credential) -> Result<Unlocked, RepoError> {
    let survey = Survey::read(storage)?;
    let offered = Offered::new(credential)?;
    let SlotListing { slots, mut faults } = list(storage, &survey)?;
    // A genuine slot could never be outrun by one of an owner who came later.
    for slot in slots {
        match slot.open(&offered) {
            Ok(Some(secrets)) => {
                let config = survey.choose(slot.repository(), &secrets.owner_public())?;
                config.config.check_secrets(&config.name(), &secrets)?;
                return Ok(Unlocked { secrets, slot: slot.info, config });
            }
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    let location = storage.location();
    Err(match (faults.len(), faults.into_iter().next()) {
        (damaged, Some(first)) => RepoError::WrongPasswordOrDamaged { location, damaged, first: Box::new(first) },
        (_, None) => RepoError::WrongPassword { location },
    })
}

/// The slots of a repository.
pub struct SlotListing {
    /// Readable, oldest owner first, then by name.
    pub slots: Vec<Slot>,
    /// What is wrong with the others.
    pub faults: Vec<RepoError>,
}

/// Reads every slot; those of other owners than the configurations name are left out.
pub fn list(storage: &dyn Storage, survey: &Survey) -> Result<SlotListing, RepoError> {
    let authorities = survey.authorities();
    let mut names: Vec<ObjectName> = storage.list(ObjectKind::Key)?.into_iter().map(|entry| entry.name).collect();
    names.sort();
    let mut listing = SlotListing { slots: Vec::new(), faults: Vec::new() };
    for name in &names {
        let slot = storage
            .get(name, object_bytes_max(ObjectKind::Key))
            .map_err(RepoError::from)
            .and_then(|stored| Slot::parse(name, &stored, &authorities));
        match slot {
            Ok(Some(slot)) => listing.slots.push(slot),
            Ok(None) => {}
            Err(fault) => listing.faults.push(fault),
        }
    }
    let age = |slot: &Slot| authorities.iter().position(|(_, owner)| *owner == slot.owner());
    listing.slots.sort_by_key(age);
    Ok(listing)
}
