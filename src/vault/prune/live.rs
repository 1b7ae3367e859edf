//! The chunks snapshots need: their prefixes, sorted, in a file without a name, to be read as often as need be.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use crate::base::id::ChunkId;
use crate::base::progress::{Event, Phase};
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{Index, Prefix};
use crate::repo::secrets::Content;
use crate::vault::check::damage::{Damage, Lost};
use crate::vault::check::join::STRIDE;
use crate::vault::check::references::References;
use crate::vault::check::trees::Walk;
use crate::vault::check::treeset::TreeSet;
use crate::vault::{Context, VaultError};

const PREFIX_BYTES: usize = size_of::<Prefix>();
/// Bytes read ahead.
const AHEAD_BYTES: usize = 256 << 10;

/// Prefixes, ascending, each once.
pub struct Live {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// Those that a repair has marked as lost: they are kept where they are, and not missed where they are not.
    excused: Option<Box<Live>>,
}

impl Live {
    /// Follows everything below the roots. Fails if a tree cannot be read.
    pub fn walk(
        repository: &Repository,
        index: &Index,
        roots: impl IntoIterator<Item = ChunkId>,
        context: Context<'_>,
    ) -> Result<Self, VaultError> {
        context.progress.on(Event::Phase { phase: Phase::Structure, total: None });
        let (chunks, trees) = (ChunkReader::new(repository, index), tree_set(index, context)?);
        let (damage, lost) = (Damage::default(), Lost::default());
        let walk = Walk {
            chunks: &chunks,
            trees: &trees,
            damage: &damage,
            lost: &lost,
            references: Mutex::new(References::new(&context.folders.cache)),
            excused: Some(Mutex::new(References::new(&context.folders.cache))),
            context,
            nodes: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
        };
        walk.run(roots)?;
        let references = walk.references.into_inner().unwrap_or_else(PoisonError::into_inner);
        let folder = &context.folders.cache;
        let excused = walk.excused.map(|excused| excused.into_inner().unwrap_or_else(PoisonError::into_inner));
        let excused = excused.map(|excused| Self::write(folder, excused.into_sorted()?)).transpose()?;
        let mut lost: Vec<Prefix> = lost.into_chunks().into_keys().collect();
        lost.sort_unstable();
        let mut excuses = Excuses::of(excused.as_ref());
        for prefix in lost {
            if !excuses.hold(&prefix)? {
                return Err(unresolved(&prefix));
            }
        }
        let live = Self::write(folder, references.into_sorted()?)?;
        Ok(Self { excused: excused.map(Box::new), ..live })
    }

    /// These and those.
    pub fn and(&self, other: &Self) -> Result<Self, VaultError> {
        let excused = match (&self.excused, &other.excused) {
            (Some(ours), Some(theirs)) => Some(Box::new(ours.and(theirs)?)),
            _ => None,
        };
        Ok(Self { excused, ..self.merged(other)? })
    }

    fn merged(&self, other: &Self) -> Result<Self, VaultError> {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        let next = move || match (left.peek(), right.peek()) {
            (Some(Ok(a)), Some(Ok(b))) if a == b => {
                right.next();
                left.next()
            }
            (Some(Ok(a)), Some(Ok(b))) if a > b => right.next(),
            (None, Some(_)) | (_, Some(Err(_))) => right.next(),
            _ => left.next(),
        };
        Self::write(&self.folder, std::iter::from_fn(next))
    }

    fn write(folder: &Path, prefixes: impl Iterator<Item = Result<Prefix, VaultError>>) -> Result<Self, VaultError> {
        let failed = |error| VaultError::local("write sorted references to", folder, error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = BufWriter::with_capacity(AHEAD_BYTES, tempfile::tempfile_in(folder).map_err(failed)?);
        let mut bytes = 0;
        for prefix in prefixes {
            file.write_all(&prefix?).map_err(failed)?;
            bytes += PREFIX_BYTES as u64;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(Self { folder: folder.to_owned(), file, bytes, excused: None })
    }

    /// All of them, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { live: self, at: 0, ahead: Vec::new(), next: 0 }
    }
}

/// What a repair has marked as lost, asked in ascending order.
struct Excuses<'a>(Option<std::iter::Peekable<Iter<'a>>>);

impl<'a> Excuses<'a> {
    fn of(excused: Option<&'a Live>) -> Self {
        Self(excused.map(|live| live.iter().peekable()))
    }

    fn hold(&mut self, prefix: &Prefix) -> Result<bool, VaultError> {
        let Some(excused) = &mut self.0 else { return Ok(false) };
        while excused.next_if(|next| next.as_ref().is_ok_and(|next| next < prefix)).is_some() {}
        match excused.peek() {
            Some(Ok(next)) => Ok(next == prefix),
            Some(Err(_)) => excused.next().transpose().map(|_| false),
            None => Ok(false),
        }
    }
}

/// The error of a chunk that snapshots need and nobody has.
pub fn unresolved(prefix: &Prefix) -> VaultError {
    let shown: String = prefix.iter().map(|byte| format!("{byte:02x}")).collect();
    VaultError::Undecided {
        what: format!("chunk {shown}…, which snapshots need, cannot be found or read"),
        hint: "`dssvault check` names the files; nothing is deleted before that is mended, \
               or the snapshots are forgotten and purged"
            .to_owned(),
    }
}

/// One pass over the index: which tree chunks there are.
fn tree_set(index: &Index, context: Context<'_>) -> Result<TreeSet, VaultError> {
    let mut tree_packs = std::collections::HashSet::new();
    for pack in index.packs() {
        let (number, place) = pack?;
        if place.domain.content == Content::Tree {
            tree_packs.insert(number);
        }
    }
    let mut trees = TreeSet::default();
    for (count, entry) in (0u64..).zip(index.scan()) {
        if count.is_multiple_of(STRIDE) && context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let entry = entry?;
        if tree_packs.contains(&entry.place.pack) {
            trees.push(entry.prefix);
        }
    }
    Ok(trees.close())
}

/// See [`Live::iter`].
pub struct Iter<'a> {
    live: &'a Live,
    at: u64,
    ahead: Vec<u8>,
    next: usize,
}

impl Iter<'_> {
    fn refill(&mut self) -> Result<(), VaultError> {
        let length = (self.live.bytes - self.at).min(AHEAD_BYTES as u64);
        self.ahead.resize(length as usize, 0);
        let read = self.live.file.read_exact_at(&mut self.ahead, self.at);
        self.at += length;
        self.next = 0;
        read.map_err(|error| VaultError::local("read back sorted references in", &self.live.folder, error))
    }
}

impl Iterator for Iter<'_> {
    type Item = Result<Prefix, VaultError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.ahead.len() {
            if self.at >= self.live.bytes {
                return None;
            }
            if let Err(error) = self.refill() {
                self.at = self.live.bytes;
                self.ahead.clear();
                return Some(Err(error));
            }
        }
        let prefix = self.ahead.get(self.next..)?.first_chunk().copied()?;
        self.next += PREFIX_BYTES;
        Some(Ok(prefix))
    }
}

/// Calls `visit` with every live prefix, its places, and whether it is excused. A prefix without a place is an error,
/// unless it is excused.
pub fn each_live(
    live: &Live,
    index: &Index,
    context: Context<'_>,
    mut visit: impl FnMut(Prefix, &[crate::repo::index::ChunkPlace], bool) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let mut entries = index.scan();
    let mut next = entries.next().transpose()?;
    let (mut places, mut excuses) = (Vec::new(), Excuses::of(live.excused.as_deref()));
    for (count, prefix) in (0u64..).zip(live.iter()) {
        if count.is_multiple_of(STRIDE) && context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let prefix = prefix?;
        crate::vault::check::join::take_places(prefix, &mut next, &mut entries, &mut places)?;
        let excused = excuses.hold(&prefix)?;
        match (places.is_empty(), excused) {
            (true, true) => {}
            (true, false) => return Err(unresolved(&prefix)),
            (false, _) => visit(prefix, &places, excused)?,
        }
    }
    Ok(())
}
