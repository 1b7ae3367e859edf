//! Hard links: an archive has a file once, and other names as references to the first. A snapshot has the file under
//! every name.

use crate::codec::kdf::plain_hash;
use crate::repo::tree::{Entry, EntryKind, HardLink};
use crate::sys::sorter::{Record, Sorted, Sorter};
use crate::vault::archive::name;
use crate::vault::backup::import::SORTED_BYTES;
use crate::vault::backup::import::record::{Noted, key_of, path_of};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::{Context, VaultError};

/// The records with every link in its place.
pub fn resolve(sorted: Sorted, problems: &ProblemLog<'_>, context: Context<'_>) -> Result<Sorted, VaultError> {
    let folder = &context.folders.cache;
    let local = |error| VaultError::local("sort files in", folder, error);
    let mut resolver = Resolver { out: Sorter::new(folder, SORTED_BYTES), problems, here: None };
    for record in sorted {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        resolver.take(record.map_err(local)?).map_err(local)?;
    }
    resolver.end().map_err(local)?;
    resolver.out.sorted().map_err(local)
}

/// What stands at the path the records are at.
struct Here {
    key: Vec<u8>,
    /// How many files stood there before.
    before: u64,
    order: u64,
    /// `None` while a link made there is the last that is known.
    entry: Option<Box<Entry>>,
}

struct Resolver<'p> {
    out: Sorter,
    problems: &'p ProblemLog<'p>,
    here: Option<Here>,
}

impl Resolver<'_> {
    fn take(&mut self, record: Record) -> std::io::Result<()> {
        let noted = Noted::decode(&record.value)?;
        if self.here.as_ref().is_none_or(|here| here.key != record.key) {
            self.end()?;
        }
        let before = self.here.as_ref().map_or(0, |here| here.before + 1);
        match noted {
            Noted::Entry(entry) => {
                self.here = Some(Here { key: record.key, before, order: record.order, entry: Some(entry) });
            }
            Noted::Link => self.here = Some(Here { key: record.key, before, order: record.order, entry: None }),
            Noted::Wanted { path, order } => {
                let entry = self.here.as_mut().and_then(|here| {
                    let link = HardLink { device: 0, inode: inode(&here.key, here.before) };
                    let entry = here.entry.as_mut().filter(|entry| entry.kind != EntryKind::Directory)?;
                    entry.hard_link = Some(link);
                    Some(entry.clone())
                });
                match entry {
                    Some(entry) => {
                        self.out.push(&key_of(&path), order, &Noted::Entry(entry).encode())?;
                    }
                    None => {
                        let cause = format!(
                            "it is another name of `{}`, which is not in the archive before it",
                            name::shown(&path_of(&record.key))
                        );
                        self.problems.note(&path, &cause, true);
                    }
                }
            }
        }
        Ok(())
    }

    /// The last file at a path is the one that counts.
    fn end(&mut self) -> std::io::Result<()> {
        if let Some(Here { key, order, entry: Some(entry), .. }) = self.here.take() {
            self.out.push(&key, order, &Noted::Entry(entry).encode())?;
        }
        Ok(())
    }
}

/// A number for a file of several names, the same in every archive in which it has them.
fn inode(key: &[u8], before: u64) -> u64 {
    let hash = plain_hash(&[key, &[0, 0], before.to_be_bytes().as_slice()].concat());
    u64::from_be_bytes(std::array::from_fn(|index| hash[index]))
}
