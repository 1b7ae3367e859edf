//! The headers of a member being written. The door to the `tar` crate for writing.

use tar::{EntryType, Header};

use crate::base::clock::Timestamp;
use crate::repo::tree::{Entry, EntryKind};
use crate::vault::archive::acl;

/// Archives are written in blocks of this size.
pub const BLOCK_BYTES: u64 = 512;
/// Bytes of the name and link fields of a header.
const NAME_BYTES: usize = 100;
/// The first size, and the first number of seconds, that eleven octal digits cannot hold.
const OCTAL_11_END: u64 = 1 << 33;
/// The first user or group number that seven octal digits cannot hold.
const OCTAL_7_END: u32 = 1 << 21;
/// The longest owner name a header holds.
const OWNER_NAME_BYTES: usize = 31;

/// Where the data of a file with holes lies, a number to a line, filled up to a block. A run of no bytes at the end
/// tells that the file ends with a hole.
pub fn sparse_map(entry: &Entry) -> Option<Vec<u8>> {
    let runs = entry.content.as_ref()?.extents.as_ref()?;
    let end = runs.last().map_or(0, |run| run.offset + run.length);
    let last = (end < entry.size).then_some((entry.size, 0));
    let pairs = runs.iter().map(|run| (run.offset, run.length)).chain(last);
    let numbers: String = pairs.map(|(offset, length)| format!("{offset}\n{length}\n")).collect();
    let mut map = format!("{}\n{numbers}", runs.len() + usize::from(last.is_some())).into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK_BYTES as usize), 0);
    Some(map)
}

/// The kind of a member; a socket is none.
pub const fn entry_type(kind: EntryKind) -> Option<EntryType> {
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
pub struct Member {
    header: Header,
    records: Vec<u8>,
    /// A record holds text that is not UTF-8.
    binary: bool,
}

impl Member {
    /// A member of this name and kind.
    pub fn new(name: &[u8], kind: EntryType) -> Self {
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

    /// Another name of a file that came before.
    pub fn link(name: &[u8]) -> Self {
        Self::new(name, EntryType::Link)
    }

    /// A file with holes. Programs that do not know the form unpack map and data under the made-up name, which is the
    /// one GNU tar makes up: beside the file's own place, and another one for each file.
    pub fn sparse(name: &[u8], size: u64) -> Self {
        let at = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let made_up = [&name[..at], b"GNUSparseFile.0/", &name[at..]].concat();
        let mut member = Self::new(&made_up, EntryType::Regular);
        // Behind `path`: of the two names the last one counts for programs that know both.
        member.binary |= std::str::from_utf8(name).is_err();
        member.record(b"GNU.sparse.major", b"1");
        member.record(b"GNU.sparse.minor", b"0");
        member.record(b"GNU.sparse.name", name);
        member.record(b"GNU.sparse.realsize", size.to_string().as_bytes());
        member
    }

    /// Where it points.
    pub fn link_name(&mut self, target: &[u8]) {
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

    /// Modes, owners, times.
    pub fn attributes(&mut self, entry: &Entry) {
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

    /// Bytes that follow.
    pub fn size(&mut self, bytes: u64) {
        self.header.set_size(bytes);
        if bytes >= OCTAL_11_END {
            self.record(b"size", bytes.to_string().as_bytes());
        }
    }

    /// Extended attributes, ACLs among them.
    pub fn xattrs(&mut self, entry: &Entry) {
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
            // GNU tar takes ACLs from records of their own alone, and only when asked to.
            let word: Option<&[u8]> = match pair.name.as_slice() {
                acl::ACCESS => Some(b"SCHILY.acl.access"),
                acl::DEFAULT => Some(b"SCHILY.acl.default"),
                _ => None,
            };
            if let (Some(word), Some(text)) = (word, acl::text(&pair.value)) {
                self.record(word, text.as_bytes());
            }
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

    /// The blocks before the content.
    pub fn into_bytes(mut self) -> Vec<u8> {
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
    fn a_file_with_holes_has_a_made_up_name_of_its_own() {
        let made_up = |name: &[u8]| {
            let mut member = Member::sparse(name, 1);
            member.size(0);
            let bytes = member.into_bytes();
            let mut archive = tar::Archive::new(bytes.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            entry.path_bytes().into_owned()
        };
        assert_eq!(made_up(b"dss/db/a.mv.db"), b"dss/db/GNUSparseFile.0/a.mv.db");
        assert_eq!(made_up(b"a"), b"GNUSparseFile.0/a");
        let long = [b"d".repeat(120), b"/a".to_vec()].concat();
        assert_eq!(made_up(&long), [b"d".repeat(120), b"/GNUSparseFile.0/a".to_vec()].concat());
        let bytes = Member::sparse(&long, 0).into_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.find(" path=").unwrap() < text.find(" GNU.sparse.name=").unwrap());
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
