//! Packs that are stored but that no segment names: left by a writer that was killed before it could list them. Those
//! on their way out are left alone.

use crate::base::cancel::Cancel;
use crate::base::id::PackId;
use crate::base::progress::{Event, Progress};
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::index::segment::SEGMENT_BYTES;
use crate::repo::index::{Index, ListedPack};
use crate::repo::pack::copies;
use crate::repo::pack::reader::read_table;
use crate::repo::repository::Repository;

/// Lists such packs in segments, from their own tables, and folds them; gives how many. One that cannot be read is told
/// and left out.
pub fn list_unlisted_packs(
    repository: &Repository,
    index: &Index,
    sealer: &Sealer,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<u64, RepoError> {
    let signing = repository.secrets.signing();
    let (mut listed, mut gathered, mut bytes) = (0, Vec::<ListedPack>::new(), 0);
    for entry in copies::list(&*repository.storage)? {
        if cancel.is_requested() {
            return Err(RepoError::Interrupted);
        }
        let Ok(id) = entry.name.text().parse::<PackId>() else { continue };
        if index.is_condemned(&id) || index.lists(&id)? {
            continue;
        }
        match read_table(repository, id, entry.bytes) {
            Ok(table) => {
                bytes += table.encoded_bytes();
                gathered.push((id, entry.bytes, table));
                listed += 1;
            }
            Err(error) => {
                let path = entry.name.to_string();
                progress.on(Event::Problem { path: path.as_ref(), cause: &error.to_string() });
            }
        }
        if bytes >= SEGMENT_BYTES {
            index.store(repository, sealer, &signing, &std::mem::take(&mut gathered))?;
            bytes = 0;
        }
    }
    if !gathered.is_empty() {
        index.store(repository, sealer, &signing, &gathered)?;
    }
    Ok(listed)
}
