//! Changing what an owner may change of a repository's configuration.

use crate::base::clock::Zone;
use crate::repo::Repository;
use crate::repo::config::RepositoryConfig;
use crate::vault::VaultError;

/// Sets the time zone in which days begin and end for retention; `None`: that of the machine that asks. A configuration
/// is never changed: the next one is written, and the highest number counts. Gives the one in force.
pub fn set_timezone(repository: &Repository, zone: Option<&Zone>) -> Result<RepositoryConfig, VaultError> {
    let name = zone.map(|zone| zone.name().ok_or(zone)).transpose();
    let timezone = match name {
        Ok(name) => name.map(str::to_owned),
        Err(_) => {
            return Err(VaultError::Request {
                what: "this time zone has no name that other machines know".to_owned(),
                hint: Some("give one like `Europe/Paris`, or `UTC`".to_owned()),
            });
        }
    };
    loop {
        let loaded = RepositoryConfig::load(&*repository.storage, repository.id(), &repository.secrets.owner_public())?;
        if loaded.config.timezone == timezone {
            return Ok(loaded.config);
        }
        let config = RepositoryConfig { timezone: timezone.clone(), ..loaded.config };
        // Somebody else may have taken the number; what they changed is kept.
        let highest = highest_number(repository)?.max(loaded.number);
        if config.store(&*repository.storage, highest + 1, &repository.secrets.signing())? {
            return Ok(config);
        }
    }
}

/// The highest number of any configuration, valid or not: a number is never used twice.
fn highest_number(repository: &Repository) -> Result<u64, VaultError> {
    let listed = repository.storage.list(crate::base::object::ObjectKind::Config)?;
    Ok(listed.iter().filter_map(|entry| entry.name.number()).max().unwrap_or(0))
}
