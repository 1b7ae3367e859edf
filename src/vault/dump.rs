//! Writing one file, or a directory as a tar archive, to a stream.
//!
//! Archives are POSIX pax (IEEE Std 1003.1-2001): plain ustar headers, and an extended header wherever a value does
//! not fit or is not ASCII. Extended attributes (ACLs among them) use the `SCHILY.xattr.` records that GNU tar,
//! star and libarchive read. Names begin with the name of the dumped directory; for the root of a snapshot they
//! are those in the tree.

mod content;
mod member;

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use crate::base::progress::Event;
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::Manifest;
use crate::repo::tree::{Entry, EntryKind, HardLink};
use crate::vault::browse::{self, Located, locate};
use crate::vault::dump::content::{data_bytes, output_error};
use crate::vault::dump::member::{BLOCK_BYTES, Member, entry_type, sparse_map};
use crate::vault::{Context, VaultError};

/// What members are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Bytes at the front of every path that names in the archive lack.
    pub dropped: usize,
    /// What stands there instead.
    pub prefix: Vec<u8>,
}

impl Naming {
    /// Names begin with the last part of `path`.
    pub fn below_parent(path: &[u8]) -> Self {
        let dropped = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        Self { dropped, prefix: Vec::new() }
    }

    fn name(&self, path: &[u8]) -> Vec<u8> {
        [self.prefix.as_slice(), path.get(self.dropped..).unwrap_or(path)].concat()
    }
}

/// What went into an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Exported {
    /// Members.
    pub members: u64,
    /// Bytes of the files among them, holes included.
    pub bytes: u64,
    /// Sockets, which no archive can hold.
    pub sockets: u64,
    /// Files that a repair has marked as damaged and that still lack something: left out.
    pub damaged: u64,
}

/// Writes what is at `path` as a POSIX pax archive: a directory with all below it, or one entry. A damaged chunk ends
/// it with an error; what was written then lacks the end of an archive.
pub fn archive(
    repository: &Repository,
    manifest: &Manifest,
    path: &[u8],
    naming: Naming,
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<Exported, VaultError> {
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let archive = Archive { keeps_holes: true, ..Archive::new(&chunks, context, out, naming) };
    match locate(&chunks, manifest.root, path)? {
        Located::Root(tree) => archive.write(None, Some(tree), path),
        Located::Entry(entry) => archive.write(Some(&entry), entry.tree, path),
    }
}

/// Writes the file at `path` as it is, a directory as a POSIX pax archive. A damaged chunk ends it with an error
/// after the good bytes before it; in an archive, files that a repair has marked are left out instead. Gives how many.
pub fn run(
    repository: &Repository,
    manifest: &Manifest,
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<u64, VaultError> {
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let entry = match locate(&chunks, manifest.root, path)? {
        Located::Root(tree) => {
            let archive = Archive::new(&chunks, context, out, Naming::below_parent(path));
            return archive.write(None, Some(tree), path).map(|written| written.damaged);
        }
        Located::Entry(entry) => entry,
    };
    match (entry.kind, entry.tree) {
        (EntryKind::Directory, Some(_)) => {
            let archive = Archive::new(&chunks, context, out, Naming::below_parent(path));
            archive.write(Some(&entry), entry.tree, path).map(|written| written.damaged)
        }
        (EntryKind::File, _) => content::write(&chunks, &entry, path, context, out).map(|()| 0),
        _ => Err(VaultError::Request {
            what: format!("`{}` is neither a file nor a directory", String::from_utf8_lossy(path)),
            hint: Some("dump the directory it is in, or restore it".to_owned()),
        }),
    }
}

/// An archive being written.
struct Archive<'a> {
    chunks: &'a ChunkReader<'a>,
    context: Context<'a>,
    out: &'a mut dyn Write,
    naming: Naming,
    /// Whether holes are kept, in the form 1.0 of GNU tar, or written as zeros, which every program reads.
    keeps_holes: bool,
    written: Exported,
    /// The name under which a file with several names was written.
    links: HashMap<HardLink, Vec<u8>>,
}

impl<'a> Archive<'a> {
    fn new(chunks: &'a ChunkReader<'a>, context: Context<'a>, out: &'a mut dyn Write, naming: Naming) -> Self {
        Self { chunks, context, out, naming, keeps_holes: false, written: Exported::default(), links: HashMap::new() }
    }

    fn write(
        mut self,
        top: Option<&Entry>,
        tree: Option<crate::base::id::ChunkId>,
        path: &[u8],
    ) -> Result<Exported, VaultError> {
        if let Some(entry) = top {
            self.append(path, entry)?;
        }
        let (chunks, context) = (self.chunks, self.context);
        if let Some(tree) = tree {
            browse::below(chunks, tree, &mut path.to_vec(), context, &mut |path, entry| {
                self.append(path, entry)?;
                Ok(true)
            })?;
        }
        // Two empty blocks end an archive. They stand here alone: an archive cut short by an error lacks them.
        self.put(&[0; 2 * BLOCK_BYTES as usize])?;
        Ok(self.written)
    }

    fn append(&mut self, path: &[u8], entry: &Entry) -> Result<(), VaultError> {
        let name = &self.naming.name(path);
        let Some(kind) = entry_type(entry.kind) else {
            let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
            self.context.progress.on(Event::Problem { path: &path, cause: "a socket cannot be put into an archive" });
            self.written.sockets += 1;
            return Ok(());
        };
        let written_as = entry.hard_link.and_then(|link| self.links.get(&link).cloned());
        let has_content = written_as.is_none() && entry.kind == EntryKind::File;
        if let Some(mark) = entry.damaged.as_ref().filter(|_| has_content)
            && !content::is_whole(self.chunks, entry)
        {
            let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
            let cause = format!("it is marked as damaged since {} and still lacks something: left out", mark.found);
            self.context.progress.on(Event::Problem { path: &path, cause: &cause });
            self.written.damaged += 1;
            return Ok(());
        }
        let map = if has_content && self.keeps_holes { sparse_map(entry) } else { None };
        let mut member = match map {
            Some(_) => Member::sparse(name, entry.size),
            None if written_as.is_some() => Member::link(name),
            None => Member::new(name, kind),
        };
        member.attributes(entry);
        match (&written_as, &entry.target) {
            (Some(first), _) => member.link_name(first),
            (None, Some(target)) => member.link_name(target),
            (None, None) => {}
        }
        member.size(match &map {
            Some(map) => map.len() as u64 + data_bytes(entry),
            None if has_content => entry.size,
            None => 0,
        });
        if written_as.is_none() {
            member.xattrs(entry);
        }
        self.put(&member.into_bytes())?;
        if has_content {
            let written = match map {
                Some(map) => {
                    self.put(&map)?;
                    content::write_data(self.chunks, entry, path, self.context, self.out)?
                }
                None => content::write(self.chunks, entry, path, self.context, self.out).map(|()| entry.size)?,
            };
            let behind = written % BLOCK_BYTES;
            if behind > 0 {
                self.put(&[0; BLOCK_BYTES as usize][behind as usize..])?;
            }
        }
        if let (Some(link), None) = (entry.hard_link, written_as) {
            self.links.insert(link, name.to_vec());
        }
        self.written.members += 1;
        self.written.bytes += if has_content { entry.size } else { 0 };
        self.context.progress.on(Event::Advanced { bytes: 0, files: 1 });
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.out.write_all(bytes).map_err(output_error)
    }
}
