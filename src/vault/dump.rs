//! Writing one file, or a directory as a tar archive, to a stream. The only door to the `tar` crate.
//!
//! Archives are POSIX pax (IEEE Std 1003.1-2001): plain ustar headers, and an extended header wherever a value does
//! not fit or is not ASCII. Extended attributes (ACLs among them) use the `SCHILY.xattr.` records that GNU tar,
//! star and libarchive read. Names begin with the name of the dumped directory; for the root of a snapshot they
//! are those in the tree.

mod content;

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use tar::{EntryType, Header};

use crate::base::clock::Timestamp;
use crate::base::progress::Event;
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::Manifest;
use crate::repo::tree::{Entry, EntryKind, HardLink};
use crate::vault::browse::{self, Located, locate};
use crate::vault::dump::content::output_error;
use crate::vault::{Context, VaultError};

/// Archives are written in blocks of this size.
const BLOCK_BYTES: u64 = 512;
/// Bytes of the name and link fields of a header.
const NAME_BYTES: usize = 100;
/// The first size, and the first number of seconds, that eleven octal digits cannot hold.
const OCTAL_11_END: u64 = 1 << 33;
/// The first user or group number that seven octal digits cannot hold.
const OCTAL_7_END: u32 = 1 << 21;
/// The longest owner name a header holds.
const OWNER_NAME_BYTES: usize = 31;

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
    let archive = Archive::new(&chunks, context, out, naming);
    match locate(&chunks, manifest.root, path)? {
        Located::Root(tree) => archive.write(None, Some(tree), path),
        Located::Entry(entry) => archive.write(Some(&entry), entry.tree, path),
    }
}

/// Writes the file at `path` as it is, a directory as a POSIX pax archive. A damaged chunk ends it with an error
/// after the good bytes before it.
pub fn run(
    repository: &Repository,
    manifest: &Manifest,
    path: &[u8],
    context: Context<'_>,
    out: &mut dyn Write,
) -> Result<(), VaultError> {
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let entry = match locate(&chunks, manifest.root, path)? {
        Located::Root(tree) => {
            let archive = Archive::new(&chunks, context, out, Naming::below_parent(path));
            return archive.write(None, Some(tree), path).map(|_| ());
        }
        Located::Entry(entry) => entry,
    };
    match (entry.kind, entry.tree) {
        (EntryKind::Directory, Some(_)) => {
            let archive = Archive::new(&chunks, context, out, Naming::below_parent(path));
            archive.write(Some(&entry), entry.tree, path).map(|_| ())
        }
        (EntryKind::File, _) => content::write(&chunks, &entry, path, context, out),
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
    written: Exported,
    /// The name under which a file with several names was written.
    links: HashMap<HardLink, Vec<u8>>,
}

impl<'a> Archive<'a> {
    fn new(chunks: &'a ChunkReader<'a>, context: Context<'a>, out: &'a mut dyn Write, naming: Naming) -> Self {
        Self { chunks, context, out, naming, written: Exported::default(), links: HashMap::new() }
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
        let mut member = Member::new(name, if written_as.is_some() { EntryType::Link } else { kind });
        member.attributes(entry);
        match (&written_as, &entry.target) {
            (Some(first), _) => member.link_name(first),
            (None, Some(target)) => member.link_name(target),
            (None, None) => {}
        }
        let has_content = written_as.is_none() && entry.kind == EntryKind::File;
        member.size(if has_content { entry.size } else { 0 });
        if written_as.is_none() {
            member.xattrs(entry);
        }
        self.put(&member.into_bytes())?;
        if has_content {
            content::write(self.chunks, entry, path, self.context, self.out)?;
            let behind = entry.size % BLOCK_BYTES;
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

const fn entry_type(kind: EntryKind) -> Option<EntryType> {
    match kind {
        EntryKind::File => Some(EntryType::Regular),
        EntryKind::Directory => Some(EntryType::Directory),
        EntryKind::Symlink => Some(EntryType::Symlink),
        EntryKind::Fifo => Some(EntryType::Fifo),
        EntryKind::CharDevice => Some(EntryType::Char),
        EntryKind::BlockDevice => Some(EntryType::Block),
        EntryKind::Socket => None,
    }
}

/// The headers of one member: what fits goes into the ustar header, all else into extended records.
struct Member {
    header: Header,
    records: Vec<u8>,
    /// A record holds text that is not UTF-8.
    binary: bool,
}

impl Member {
    fn new(name: &[u8], kind: EntryType) -> Self {
        let mut member = Self { header: Header::new_ustar(), records: Vec::new(), binary: false };
        member.header.set_entry_type(kind);
        let mut name = name.to_vec();
        if kind == EntryType::Directory {
            name.push(b'/');
        }
        member.text("path", &name);
        copy(&mut member.header.as_old_mut().name, &name);
        member
    }

    fn link_name(&mut self, target: &[u8]) {
        self.text("linkpath", target);
        copy(&mut self.header.as_old_mut().linkname, target);
    }

    /// A record for a name that does not fit the header's 100 bytes, or is text other than ASCII. Short names that
    /// are no text at all go into the header as they are, where every tar leaves them alone.
    fn text(&mut self, key: &str, value: &[u8]) {
        let is_text = std::str::from_utf8(value).is_ok();
        if value.len() > NAME_BYTES || (is_text && !value.is_ascii()) {
            self.record(key.as_bytes(), value);
            self.binary |= !is_text;
        }
    }

    fn attributes(&mut self, entry: &Entry) {
        self.header.set_mode(entry.mode);
        self.time(entry.mtime);
        let owner = &entry.owner;
        self.header.set_uid(u64::from(owner.uid));
        self.header.set_gid(u64::from(owner.gid));
        for (key, id) in [("uid", owner.uid), ("gid", owner.gid)] {
            if id >= OCTAL_7_END {
                self.record(key.as_bytes(), id.to_string().as_bytes());
            }
        }
        for (key, name) in [("uname", &owner.user), ("gname", &owner.group)] {
            let Some(name) = name else { continue };
            let fits = name.is_ascii() && name.len() <= OWNER_NAME_BYTES;
            let set = match key {
                "uname" if fits => self.header.set_username(name),
                "gname" if fits => self.header.set_groupname(name),
                _ => Err(std::io::ErrorKind::InvalidInput.into()),
            };
            if set.is_err() {
                self.record(key.as_bytes(), name.as_bytes());
            }
        }
        if let Some(device) = entry.device {
            // The two fields always exist in a ustar header.
            _ = self.header.set_device_major(rustix::fs::major(device));
            _ = self.header.set_device_minor(rustix::fs::minor(device));
        }
    }

    fn time(&mut self, time: Timestamp) {
        let seconds = u64::try_from(time.seconds).ok().filter(|seconds| *seconds < OCTAL_11_END);
        self.header.set_mtime(seconds.unwrap_or(0));
        if time.nanos != 0 || seconds.is_none() {
            self.record(b"mtime", decimal(time).as_bytes());
        }
    }

    fn size(&mut self, bytes: u64) {
        self.header.set_size(bytes);
        if bytes >= OCTAL_11_END {
            self.record(b"size", bytes.to_string().as_bytes());
        }
    }

    fn xattrs(&mut self, entry: &Entry) {
        for pair in entry.xattrs.iter().flatten() {
            let mut key = b"SCHILY.xattr.".to_vec();
            for byte in &pair.name {
                match byte {
                    // As GNU tar writes the two characters a key cannot have.
                    b'=' => key.extend_from_slice(b"%3D"),
                    b'%' => key.extend_from_slice(b"%25"),
                    other => key.push(*other),
                }
            }
            self.record(&key, &pair.value);
        }
    }

    /// Adds `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    fn record(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.records.extend_from_slice(length.to_string().as_bytes());
        self.records.push(b' ');
        self.records.extend_from_slice(key);
        self.records.push(b'=');
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
    }

    fn into_bytes(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.binary {
            let records = std::mem::take(&mut self.records);
            self.record(b"hdrcharset", b"BINARY");
            self.records.extend(records);
        }
        if !self.records.is_empty() {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            copy(&mut header.as_old_mut().name, b"PaxHeaders/member");
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(self.records.len() as u64);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            bytes.append(&mut self.records);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        }
        self.header.set_cksum();
        bytes.extend_from_slice(self.header.as_bytes());
        bytes
    }
}

/// As much of `bytes` as fits.
fn copy(field: &mut [u8], bytes: &[u8]) {
    for (slot, byte) in field.iter_mut().zip(bytes) {
        *slot = *byte;
    }
}

/// Seconds since the epoch as a decimal number; before 1970 it is negative as a whole.
fn decimal(time: Timestamp) -> String {
    let nanos = time.as_nanos();
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if part == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:09}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        let record = |value: &[u8]| {
            let mut member = Member::new(b"x", EntryType::Regular);
            member.record(b"path", value);
            member.records
        };
        assert_eq!(record(b"a"), b"9 path=a\n");
        for length in 0..300 {
            let record = record(&vec![b'v'; length]);
            let digits = record.iter().position(|byte| *byte == b' ').unwrap();
            let told: usize = std::str::from_utf8(&record[..digits]).unwrap().parse().unwrap();
            assert_eq!(told, record.len());
        }
    }

    #[test]
    fn what_no_header_field_can_hold_is_read_back_from_records() {
        let name = [b"d".repeat(120), b"/\xc3\xa9".to_vec()].concat();
        let mut member = Member::new(&name, EntryType::Regular);
        member.size(9 << 30);
        let bytes = member.into_bytes();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), 9 << 30);
        assert_eq!(*entry.path_bytes(), *name);
    }

    #[test]
    fn times_before_1970_are_negative_as_a_whole() {
        assert_eq!(decimal(Timestamp { seconds: -1, nanos: 500_000_000 }), "-0.500000000");
        assert_eq!(decimal(Timestamp { seconds: 12, nanos: 7 }), "12.000000007");
        assert_eq!(decimal(Timestamp { seconds: -3, nanos: 0 }), "-3");
    }
}
