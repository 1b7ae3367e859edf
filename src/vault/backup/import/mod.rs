//! An archive as the source of a backup: what is stored is what a walk of the unpacked tree would store.
//!
//! Large files are cut while they stream by. Small ones are held until all of their directory are known, so that
//! they share chunks as the walk would make them (`docs/decisions/0009-importing-archives.md`). What is known of each
//! member goes through an external sort by path; the trees are written from there when the archive has ended.

mod aliases;
mod held;
mod known;
mod links;
mod members;
mod record;
mod trees;

use std::path::PathBuf;

use crate::repo::index::Index;
use crate::repo::snapshot::{Counts, Imported, Manifest, Member};
use crate::vault::archive::{name, open, survey};
use crate::vault::backup::import::known::KnownFiles;
use crate::vault::backup::import::members::Importer;
use crate::vault::backup::item::{Reading, Stop};
use crate::vault::backup::passes::Gathered;
use crate::vault::backup::pipeline;
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::store::Lane;
use crate::vault::{Context, VaultError};

/// An archive, and where its members go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its file.
    pub path: PathBuf,
    /// Where its members stand in the snapshot.
    pub layout: Layout,
    /// Kinds and names of its parts, for the manifest.
    pub members: Vec<Member>,
    /// What is in it, where it was read to its end already: a dry run does not read it again.
    pub counted: Option<Counts>,
}

impl Archive {
    /// What is in it, and what a snapshot would say of it.
    pub fn look(&self, context: Context<'_>) -> Result<(Counts, Imported), VaultError> {
        let counts = match self.counted {
            Some(counts) => Some(counts),
            None => {
                let wanted = survey::Wanted { keep: &|_| false, is_enough: &|_| false };
                survey::run(&self.path, &wanted, context)?.counts()
            }
        };
        Ok((counts.unwrap_or_default(), open(&self.path, context.cancel)?.origin()))
    }
}

/// Where the members of an archive stand in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// A folder of the archive; empty for all of it.
    pub folder: Vec<u8>,
    /// What it becomes; empty for the root.
    pub becomes: Vec<u8>,
    /// Below what everything else stands.
    pub rest: Vec<u8>,
}

impl Layout {
    /// The place of a path; `None` for the directories above the folder, which have none.
    fn place(&self, path: &[u8]) -> Option<Vec<u8>> {
        if let Some(below) = name::below(path, &self.folder) {
            return Some(join(&self.becomes, below));
        }
        match name::below(&self.folder, path) {
            Some(_) => None,
            None => Some(join(&self.rest, path)),
        }
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match (folder, name) {
        (folder, b"") => folder.to_vec(),
        (b"", name) => name.to_vec(),
        (folder, name) => [folder, b"/", name].concat(),
    }
}

/// Memory for records that wait to be sorted.
const SORTED_BYTES: usize = 32 << 20;

/// Reads an archive into the store of `reading`. `before` are snapshots whose small files may be referred to.
pub fn read(
    archive: &Archive,
    reading: &Reading<'_>,
    index: &Index,
    before: &[Manifest],
    problems: &ProblemLog<'_>,
    context: Context<'_>,
) -> Result<Gathered, VaultError> {
    let known = KnownFiles::of(before, reading.store, index, context)?;
    let mut opened = open(&archive.path, context.cancel)?;
    let imported = opened.origin();
    let (sorter, has_links, read) = pipeline::with_spread(reading, Lane::Data, |spread| {
        let mut importer = Importer::new(archive, reading, spread, known, problems, context);
        while let Some(member) = opened.next_member()? {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            importer.member(member, &mut opened)?;
        }
        importer.finish()
    })?;
    if opened.reader.has_trailing_data() {
        problems.note(b"", "something stands behind the end of the archive, which tar would not read either", false);
    }
    let folder = &context.folders.cache;
    let sorted = sorter.sorted().map_err(|error| VaultError::local("sort files in", folder, error))?;
    let sorted = if has_links { links::resolve(sorted, problems, context)? } else { sorted };
    let (root, counts) = trees::build(sorted, reading.store, problems, context)?;
    let counts = Counts { files_read: read.0, bytes_read: read.1, ..counts };
    Ok(Gathered { root, counts, left_out: (0, 0), state: None, imported: Some(imported) })
}

fn stopped(stop: Stop) -> VaultError {
    match stop {
        Stop::Repo(error) => error.into(),
        Stop::Cancelled => VaultError::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_archive_goes_to_its_place_and_everything_else_beside_it() {
        let layout = Layout { folder: b"data/dss".to_vec(), becomes: b"datadir".to_vec(), rest: b"host".to_vec() };
        let place = |path: &str| layout.place(path.as_bytes()).map(|place| String::from_utf8(place).unwrap());
        assert_eq!(place("data/dss").as_deref(), Some("datadir"));
        assert_eq!(place("data/dss/config/a").as_deref(), Some("datadir/config/a"));
        assert_eq!(place("etc/fstab").as_deref(), Some("host/etc/fstab"));
        assert_eq!((place("data"), place("")), (None, None));
        assert_eq!(Layout::default().place(b"a/b").as_deref(), Some(b"a/b".as_slice()));
    }
}
