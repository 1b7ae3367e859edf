//! What an owner writes without a backup: packs of salvaged chunks, and the segments that list them. No session is
//! needed for it (`docs/protocol.md`, "Decided here", 4).

use std::sync::Arc;

use crate::base::id::SessionId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::array;
use crate::repo::crypt::Sealer;
use crate::repo::{RepoError, Repository};
use crate::vault::VaultError;

/// Seals in the name of the owner, under a session id of its own.
pub fn sealer(repository: &Repository) -> Result<Sealer, VaultError> {
    let Repository { config, secrets, seams, .. } = repository;
    let unusable = |why: &str| {
        let name = ObjectName::numbered(ObjectKind::Config, repository.config_number);
        VaultError::from(RepoError::damaged(&name, why))
    };
    let keys = secrets.epoch(config.epoch).ok_or_else(|| unusable("it names an epoch no key is known of"))?;
    let session = SessionId::from_bytes(array(&*seams.entropy));
    let writer = secrets.owner_writer();
    Sealer::begin(config.repository, keys, writer, session, &config.public_key, Arc::clone(&seams.entropy))
        .map_err(|why| unusable(&why.to_string()))
}
