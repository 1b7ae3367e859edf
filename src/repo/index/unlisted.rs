//! Packs that are stored but that no segment names: left by a writer that was killed before it could list them. Those
//! on their way out are left alone.

use std::path::Path;

use crate::base::cancel::Cancel;
use crate::base::id::PackId;
use crate::base::progress::{Event, Progress};
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::index::catalog::Origin;
use crate::repo::index::segment::SEGMENT_BYTES;
use crate::repo::index::{Index, IndexProblem, ListedPack, lock};
use crate::repo::pack::{copies, reader};
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
        match reader::read_table(repository, id, entry.bytes) {
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

impl Index {
    /// Reads the tables of stored packs that no readable segment lists, so that chunks can be read although a
    /// segment is lost. `contains` stays `false` for what only such packs hold. Returns how many were adopted;
    /// packs that cannot be read are problems.
    pub fn adopt_unlisted_packs(
        &self,
        repository: &Repository,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<u64, RepoError> {
        let listing = copies::list(&*repository.storage)?;
        let (mut adopted, mut problems, verdicts) = (0, Vec::new(), self.verdicts());
        self.change(cancel, |builder| {
            (adopted, problems) = (0, Vec::new());
            for entry in &listing {
                if cancel.is_requested() {
                    return Err(RepoError::Interrupted.into());
                }
                let Ok(id) = entry.name.text().parse::<PackId>() else { continue };
                if verdicts.doomed.contains(&id) || builder.knows(&id)? {
                    continue;
                }
                match reader::read_table(repository, id, entry.bytes) {
                    Ok(table) => {
                        builder.begin(Origin::Adopted(id));
                        builder.add(id, entry.bytes, &table)?;
                        builder.end()?;
                        adopted += 1;
                    }
                    Err(error) => {
                        problems.push(IndexProblem { name: entry.name.clone(), cause: error.to_string() });
                    }
                }
            }
            Ok(())
        })?;
        for problem in problems {
            let path = problem.name.to_string();
            progress.on(Event::Problem { path: Path::new(&path), cause: &problem.cause });
            lock(&self.problems).push(problem);
        }
        Ok(adopted)
    }
}
