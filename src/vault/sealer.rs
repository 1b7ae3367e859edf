//! What an owner writes with.

use std::sync::Arc;

use crate::base::id::SessionId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::array;
use crate::repo::crypt::Sealer;
use crate::repo::{RepoError, Repository};

/// A sealer with a session id of its own, in the epoch of the configuration.
pub fn begin(repository: &Repository) -> Result<Sealer, RepoError> {
    let Repository { config, secrets, seams, .. } = repository;
    let unusable = |why: &str| {
        let name = ObjectName::numbered(ObjectKind::Config, repository.config_number);
        RepoError::damaged(&name, why)
    };
    let keys = secrets.epoch(config.epoch).ok_or_else(|| unusable("it names an epoch no key is known of"))?;
    let session = SessionId::from_bytes(array(&*seams.entropy));
    let writer = secrets.owner_writer();
    Sealer::begin(config.repository, keys, writer, session, &config.public_key, Arc::clone(&seams.entropy))
        .map_err(|why| unusable(&why.to_string()))
}
