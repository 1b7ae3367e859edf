//! Packs that are stored but that no segment names: left by a writer that was killed before it could list them. Those
//! on their way out are left alone.

use crate::base::cancel::Cancel;
use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::base::progress::{Event, Progress};
use crate::repo::error::RepoError;
use crate::repo::index::{Index, ListedPack};
use crate::repo::pack::reader::read_table;
use crate::repo::repository::Repository;

/// Reads the tables of such packs. One that cannot be read is told and left out.
pub fn unlisted_packs(
    repository: &Repository,
    index: &Index,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<ListedPack>, RepoError> {
    let mut found = Vec::new();
    for entry in repository.storage.list(ObjectKind::Pack)? {
        if cancel.is_requested() {
            return Err(RepoError::Interrupted);
        }
        let Ok(id) = entry.name.text().parse::<PackId>() else { continue };
        if index.is_condemned(&id) || index.lists(&id)? {
            continue;
        }
        match read_table(repository, id, entry.bytes) {
            Ok(table) => found.push((id, entry.bytes, table)),
            Err(error) => {
                let path = entry.name.to_string();
                progress.on(Event::Problem { path: path.as_ref(), cause: &error.to_string() });
            }
        }
    }
    Ok(found)
}
