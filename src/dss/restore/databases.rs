//! The databases of a node that is brought back. They are put back after its files lie ready and before these take
//! their place: whichever fails, the node is still what it was.

use std::path::Path;

use crate::dss::datadir::databases::{DatabaseKind, FM_SETTINGS, PROPERTIES, SETTINGS};
use crate::dss::datadir::stored_password as in_directory;
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::repoint::Repoint;
use crate::postgres::password::Password;
use crate::postgres::restore::{Ready, Restored};
use crate::postgres::stored::Stored;
use crate::repo::snapshot::DatabaseRecord;
use crate::vault::VaultError;
use crate::vault::dump;

/// Puts them back, one after the other.
pub fn restore(databases: &[Ready<'_>]) -> Result<Vec<Restored>, RestoreError> {
    databases.iter().map(|ready| ready.restore().map_err(RestoreError::from)).collect()
}

/// Leads the node in `root` to the databases that were moved.
pub fn repoint(databases: &[Ready<'_>], root: &Path) -> Result<(), RestoreError> {
    for ready in databases.iter().filter(|ready| ready.is_moved()) {
        let Some(kind) = ready.kind() else { continue };
        let (address, schema) = ready.seen_at();
        let schema = schema.or(ready.old_schema()).map(str::to_owned);
        let repoint = Repoint { kind: kind.to_owned(), address: address.clone(), schema };
        repoint
            .write(root)
            .map_err(|error| VaultError::local("write the new database into the configuration in", root, error))?;
    }
    Ok(())
}

/// The password the configuration in the snapshot has for a database, if it stands there in clear.
pub fn stored_password(stored: Stored<'_>, record: &DatabaseRecord) -> Option<Password> {
    let (kind, file) = match record.kind.as_deref()? {
        "govern" => (DatabaseKind::Govern, PROPERTIES),
        "runtime" => (DatabaseKind::Runtime, SETTINGS),
        "fleet_manager" => (DatabaseKind::FleetManager, FM_SETTINGS),
        _ => return None,
    };
    let folder = tempfile::Builder::new().prefix("dssvault-").tempdir().ok()?;
    let path = folder.path().join(file);
    std::fs::create_dir_all(path.parent()?).ok()?;
    let mut out = std::fs::File::create(&path).ok()?;
    let inside = format!("{}/{file}", crate::dss::backup::DATADIR);
    dump::run(stored.repository, stored.manifest, inside.as_bytes(), stored.context, &mut out).ok()?;
    in_directory::read(folder.path(), kind).map(Password::new)
}
