//! From members to records: content is read and cut as it streams by, all else is written down to be sorted.

use std::io::Read;

use crate::base::id::ChunkId;
use crate::base::progress::Event;
use crate::repo::RepoError;
use crate::repo::tree::{Entry, EntryKind, FileContent, Owner};
use crate::sys::sorter::Sorter;
use crate::vault::archive::{Member, MemberKind, Opened, name};
use crate::vault::backup::fragments::{FRAGMENT_BYTES_MAX, SHARED_BYTES_MAX, ends_shared};
use crate::vault::backup::import::aliases::Aliases;
use crate::vault::backup::import::held::{Folder, Held, Small};
use crate::vault::backup::import::known::KnownFiles;
use crate::vault::backup::import::record::{Noted, key_of};
use crate::vault::backup::import::{Archive, SORTED_BYTES, stopped};
use crate::vault::backup::item::{Reader, Reading};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::store::{Filler, Lane};
use crate::vault::{Context, VaultError};

/// What the kernel allows for a link's text.
const TARGET_BYTES_MAX: usize = 4096;

/// Takes the members of one archive.
pub struct Importer<'r, 'a> {
    archive: &'r Archive,
    reader: Reader<'r, 'a>,
    /// Small files go into blocks of their own: the next import reads them all.
    small: Reader<'r, 'a>,
    held: Held,
    known: KnownFiles,
    sorter: Sorter,
    aliases: Aliases,
    has_links: bool,
    members: u64,
    /// Files and bytes read.
    read: (u64, u64),
    problems: &'r ProblemLog<'r>,
    context: Context<'r>,
}

/// A row of small files on their way into one chunk.
#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    /// Offsets and files.
    waiting: Vec<(u32, Small)>,
}

impl<'r, 'a> Importer<'r, 'a> {
    /// An importer; give it back with [`finish`](Self::finish).
    pub fn new(
        archive: &'r Archive,
        reading: &'r Reading<'a>,
        spread: &'r dyn Fn(Filler) -> Result<(), RepoError>,
        known: KnownFiles,
        problems: &'r ProblemLog<'r>,
        context: Context<'r>,
    ) -> Self {
        Self {
            archive,
            reader: Reader::new(reading, Lane::Data, Vec::new(), spread),
            small: Reader::new(reading, Lane::Data, Vec::new(), spread),
            held: Held::default(),
            known,
            sorter: Sorter::new(&context.folders.cache, SORTED_BYTES),
            aliases: Aliases::default(),
            has_links: false,
            members: 0,
            read: (0, 0),
            problems,
            context,
        }
    }

    /// Takes the next member, whose content `opened` gives.
    pub fn member(&mut self, member: Member, opened: &mut Opened) -> Result<(), VaultError> {
        let (path, target) = match self.place(&member) {
            Ok(Some(places)) => places,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.problems.note(&member.name, &why, true);
                return Ok(());
            }
        };
        self.members += 1;
        self.aliases.forget(&path);
        if member.kind != MemberKind::HardLink {
            member.troubles.iter().for_each(|trouble| self.problems.note(&path, trouble, true));
        }
        match member.kind {
            MemberKind::HardLink => self.link(path, target),
            MemberKind::File if is_small(&member) => {
                let mut content = Vec::with_capacity(member.size as usize);
                opened.reader.read_to_end(&mut content).map_err(|error| opened.failed(error))?;
                self.advanced(content.len() as u64);
                let (folder, order) = (path.clone(), self.members);
                self.held.hold(Small { path, order, entry: entry(member), content });
                for folder in self.held.overflow(&folder) {
                    self.end_folder(folder)?;
                }
                Ok(())
            }
            kind => {
                let mut entry = entry(member);
                if kind == MemberKind::File {
                    entry.content = self.content(&entry, opened)?;
                    self.advanced(0);
                }
                self.held.pass(&path);
                self.note(&path, self.members, &Noted::Entry(Box::new(entry)))
            }
        }
    }

    /// Where a member and the file it links to stand; nothing for what has no place.
    #[expect(clippy::type_complexity, reason = "a name for a pair of paths would say less")]
    fn place(&self, member: &Member) -> Result<Option<(Vec<u8>, Vec<u8>)>, String> {
        let layout = &self.archive.layout;
        let place = |name: &[u8]| name::path_of(name).map(|path| layout.place(&path)).map_err(|why| why.to_string());
        let Some(path) = place(&member.name)? else { return Ok(None) };
        if path.is_empty() {
            let is_root = member.kind == MemberKind::Directory;
            return if is_root { Ok(None) } else { Err("it stands in the place of the root".to_owned()) };
        }
        match member.kind {
            MemberKind::HardLink => {
                let target = place(&member.target)?.filter(|target| !target.is_empty());
                Ok(Some((path, target.ok_or("it is a link to what is no file")?)))
            }
            MemberKind::Symlink => {
                let target = &member.target;
                let sound = !target.is_empty() && target.len() <= TARGET_BYTES_MAX && !target.contains(&0);
                if sound { Ok(Some((path, Vec::new()))) } else { Err("it is a link to nowhere".to_owned()) }
            }
            _ => Ok(Some((path, Vec::new()))),
        }
    }

    fn link(&mut self, path: Vec<u8>, target: Vec<u8>) -> Result<(), VaultError> {
        if path == target {
            return Ok(());
        }
        if let Some(small) = self.held.take(&target) {
            self.own_chunk(small)?;
        }
        let order = self.members;
        let (target, made) = self.aliases.find(&target).unwrap_or((target, order));
        self.has_links = true;
        self.held.pass(&path);
        self.note(&path, order, &Noted::Link)?;
        self.note(&target, made, &Noted::Wanted { path: path.clone(), order })?;
        self.aliases.remember(path, target, made);
        Ok(())
    }

    /// A small file that shares nothing, as the walk stores one of several names.
    fn own_chunk(&mut self, mut small: Small) -> Result<(), VaultError> {
        small.entry.content = Some(match self.known.find(&small.content) {
            Some(content) => content,
            None => plain(self.small.add_chunk(&small.content).map_err(stopped)?, None),
        });
        self.note_small(small)
    }

    /// The content of a file that is not small.
    fn content(&mut self, entry: &Entry, opened: &mut Opened) -> Result<Option<FileContent>, VaultError> {
        let holes = entry.content.as_ref().and_then(|content| content.extents.clone());
        if entry.size == 0 {
            return Ok(None);
        }
        let chunker = self.reader.chunkers().for_length(Some(entry.size));
        let read = self.reader.read_stream(&mut opened.reader, chunker).map_err(stopped)?;
        let (content, bytes) = read.map_err(|error| opened.failed(error))?;
        self.read.1 += bytes;
        Ok(match (content, holes) {
            (content, Some(extents)) => Some(FileContent { extents: Some(extents), ..content.unwrap_or_default() }),
            (content, None) => content,
        })
    }

    /// Stores the small files of a directory as a walk would: neighbours share chunks, and where one ends is told by
    /// the names. What an earlier snapshot has is not touched and counts for nothing, as an unchanged file in a walk.
    fn end_folder(&mut self, folder: Folder) -> Result<(), VaultError> {
        let mut shared = Shared::default();
        for (name, small) in folder {
            if let Some(mut small) = small {
                if let Some(content) = self.known.find(&small.content) {
                    small.entry.content = Some(content);
                    self.note_small(*small)?;
                    continue;
                }
                shared.waiting.push((shared.bytes.len() as u32, *small));
                if let Some((_, small)) = shared.waiting.last() {
                    shared.bytes.extend_from_slice(&small.content);
                }
            }
            if ends_shared(&name) || shared.bytes.len() + FRAGMENT_BYTES_MAX as usize > SHARED_BYTES_MAX {
                self.end_shared(&mut shared)?;
            }
        }
        self.end_shared(&mut shared)
    }

    fn end_shared(&mut self, shared: &mut Shared) -> Result<(), VaultError> {
        if shared.waiting.is_empty() {
            return Ok(());
        }
        let id = self.small.add_chunk(&shared.bytes).map_err(stopped)?;
        let alone = shared.waiting.len() == 1;
        for (offset, mut small) in shared.waiting.drain(..) {
            small.entry.content = Some(plain(id, (!alone).then_some(offset)));
            self.note_small(small)?;
        }
        shared.bytes.clear();
        Ok(())
    }

    fn note_small(&mut self, small: Small) -> Result<(), VaultError> {
        self.note(&small.path, small.order, &Noted::Entry(Box::new(small.entry)))
    }

    fn note(&mut self, path: &[u8], order: u64, noted: &Noted) -> Result<(), VaultError> {
        let pushed = self.sorter.push(&key_of(path), order, &noted.encode());
        pushed.map_err(|error| VaultError::local("sort files in", &self.context.folders.cache, error))
    }

    fn advanced(&mut self, bytes: u64) {
        self.read.0 += 1;
        self.read.1 += bytes;
        self.context.progress.on(Event::Advanced { bytes, files: 1 });
    }

    /// Stores what is held. The records, whether links are among them, and files and bytes read.
    pub fn finish(mut self) -> Result<(Sorter, bool, (u64, u64)), VaultError> {
        for folder in self.held.all() {
            self.end_folder(folder)?;
        }
        self.reader.finish();
        self.small.finish();
        Ok((self.sorter, self.has_links, self.read))
    }
}

fn plain(id: ChunkId, fragment: Option<u32>) -> FileContent {
    FileContent { ids: vec![id], fragment, ..FileContent::default() }
}

/// Whether a file is one the walk would let share a chunk, as far as a header tells: that it has other names may
/// follow later.
fn is_small(member: &Member) -> bool {
    member.size > 0 && member.size <= FRAGMENT_BYTES_MAX && member.extents.is_none()
}

/// The entry of a member without its content; its runs of data stand in an otherwise empty content until then.
fn entry(member: Member) -> Entry {
    let kind = match member.kind {
        MemberKind::File | MemberKind::HardLink => EntryKind::File,
        MemberKind::Directory => EntryKind::Directory,
        MemberKind::Symlink => EntryKind::Symlink,
        MemberKind::Fifo => EntryKind::Fifo,
        MemberKind::CharDevice => EntryKind::CharDevice,
        MemberKind::BlockDevice => EntryKind::BlockDevice,
    };
    Entry {
        mode: member.mode,
        owner: Owner { uid: member.uid, gid: member.gid, user: member.user, group: member.group },
        mtime: member.mtime,
        // The archive does not tell unless it is pax; a made-up time would make equal entries differ.
        ctime: member.ctime.unwrap_or(member.mtime),
        size: member.size,
        target: (member.kind == MemberKind::Symlink).then_some(member.target),
        xattrs: (!member.xattrs.is_empty()).then_some(member.xattrs),
        device: member.device,
        content: member.extents.map(|extents| FileContent { extents: Some(extents), ..FileContent::default() }),
        ..Entry::bare(Vec::new(), kind)
    }
}
