//! An archive as a row of members and their content.

use std::io::{self, Read};

use crate::repo::tree::{Extent, XattrPair};
use crate::sys::names::Names;
use crate::vault::archive::header::{self, Block, RawHeader};
use crate::vault::archive::pax::Pax;
use crate::vault::archive::sparse::{self, Piece, RUNS_MAX};
use crate::vault::archive::{BLOCK_BYTES, BadArchive, Member, MemberKind};

/// Bytes of one extended header. Attributes are the largest thing in it.
const EXTENDED_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a long name in GNU's form.
const NAME_BYTES_MAX: u64 = 1 << 20;

/// What global headers may say, at most: every member behind them takes it over.
const GLOBAL_BYTES_MAX: usize = 4 << 10;
/// The owner of what belongs to a number no system here has: nobody.
const NOBODY: u32 = 65_534;
const LARGE_OWNER: &str = "the number of its owner is too large; it is kept as nobody's (65534)";

/// Reads members one after another; the content of one must be read, or is passed over, before the next.
pub struct TarReader<R> {
    source: R,
    /// What global headers said.
    global: Pax,
    /// Accounts that ACLs name.
    names: Names,
    /// Stored bytes of the member that were not read yet, and what fills its last block.
    left: u64,
    padding: u64,
    /// The content of the member as it is still to be read.
    pieces: std::vec::IntoIter<Piece>,
    piece: Piece,
    ended: bool,
    /// Whether anything stood behind the end mark.
    trailing: bool,
}

/// What the headers before a member said of it.
#[derive(Default)]
struct Prelude {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl<R: Read> TarReader<R> {
    /// Reads an archive from its first byte.
    pub fn new(source: R) -> Self {
        let pieces = Vec::new().into_iter();
        Self {
            source,
            global: Pax::default(),
            names: Names::default(),
            left: 0,
            padding: 0,
            pieces,
            piece: (0, 0),
            ended: false,
            trailing: false,
        }
    }

    /// The next member; `None` at the end, when everything behind the end mark was read too, so that the checksum of
    /// a compressed stream was compared. An archive without an end mark was cut short.
    pub fn next_member(&mut self) -> Result<Option<Member>, BadArchive> {
        if self.ended {
            return Ok(None);
        }
        self.pass_over()?;
        let mut prelude = Prelude::default();
        loop {
            let Some(raw) = header::parse(&self.block()?)? else {
                self.ended = true;
                self.drain()?;
                return Ok(None);
            };
            self.begin(raw.size);
            match raw.flag {
                b'L' => prelude.long_name = Some(self.long_text(raw.size)?),
                b'K' => prelude.long_link = Some(self.long_text(raw.size)?),
                b'x' | b'X' => {
                    let records = self.small(raw.size, EXTENDED_BYTES_MAX)?;
                    prelude.pax.get_or_insert_with(|| self.global.clone()).read(&records, &self.names)?;
                }
                b'g' => {
                    let records = self.small(raw.size, EXTENDED_BYTES_MAX)?;
                    self.global.read(&records, &self.names)?;
                    if self.global.bytes() > GLOBAL_BYTES_MAX {
                        return Err(BadArchive::malformed("its global headers say more than any real ones"));
                    }
                }
                // A label, an old way to tell names, attributes of another system.
                b'V' | b'N' | b'A' | b'E' | b'I' => self.pass_over()?,
                b'M' => {
                    let why = "the archive is a later part of several; join all parts in order and import that";
                    return Err(BadArchive::malformed(why));
                }
                _ => return self.member(raw, prelude).map(Some),
            }
        }
    }

    /// Whether something else than zeros stood behind the end mark; known once [`next_member`](Self::next_member) gave `None`.
    pub fn has_trailing_data(&self) -> bool {
        self.trailing
    }

    fn begin(&mut self, stored: u64) {
        (self.piece, self.pieces) = ((0, 0), Vec::new().into_iter());
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK_BYTES as u64;
    }

    fn member(&mut self, mut raw: RawHeader, prelude: Prelude) -> Result<Member, BadArchive> {
        let pax = prelude.pax.unwrap_or_else(|| self.global.clone());
        let name = pax.path.or(prelude.long_name).unwrap_or_else(|| std::mem::take(&mut raw.name));
        let kind = kind_of(raw.flag, &name);
        // As GNU tar has it: a hard link may tell the length of its file, but nothing follows.
        self.begin(if kind == MemberKind::HardLink { 0 } else { pax.size.unwrap_or(raw.size) });
        let mut troubles = pax.troubles;
        let mut id = |told: Option<u64>, raw: u64| {
            // All bits stand for no number at all.
            let number = u32::try_from(told.unwrap_or(raw)).ok().filter(|&number| number != u32::MAX);
            number.unwrap_or_else(|| {
                troubles.insert(LARGE_OWNER);
                NOBODY
            })
        };
        let (uid, gid) = (id(pax.uid, raw.uid), id(pax.gid, raw.gid));
        let owner = |told: Option<String>, raw: &[u8]| {
            told.or_else(|| Some(String::from_utf8_lossy(raw).into_owned())).filter(|name| !name.is_empty())
        };
        let is_device = matches!(kind, MemberKind::CharDevice | MemberKind::BlockDevice);
        let mut member = Member {
            name: pax.sparse.name.clone().unwrap_or(name),
            kind,
            mode: raw.mode,
            uid,
            gid,
            user: owner(pax.user, &raw.user),
            group: owner(pax.group, &raw.group),
            mtime: pax.mtime.unwrap_or(raw.mtime),
            ctime: pax.ctime,
            target: pax.linkpath.or(prelude.long_link).unwrap_or(raw.link),
            device: is_device.then(|| rustix::fs::makedev(raw.device.0, raw.device.1)),
            size: if kind == MemberKind::File { self.left } else { 0 },
            extents: None,
            xattrs: pax.xattrs.into_iter().map(|(name, value)| XattrPair { name, value }).collect(),
            troubles,
        };
        self.pieces = vec![(self.left, 0)].into_iter();
        if kind == MemberKind::File {
            let runs = match (raw.sparse, pax.sparse.runs, pax.sparse.major) {
                (Some(old), _, _) => Some((self.all_runs(old.runs, old.continued)?, old.size)),
                (None, _, Some(1)) => Some((self.map_in_front()?, pax.sparse.size.unwrap_or(0))),
                (None, Some(runs), _) => Some((runs, pax.sparse.size.unwrap_or(0))),
                (None, None, _) => None,
            };
            if let Some((runs, size)) = runs {
                let plan = sparse::plan(runs, size, self.left)?;
                (member.size, member.extents) = (size, plan.extents);
                self.pieces = plan.pieces.into_iter();
            }
        }
        if member.size > i64::MAX as u64 {
            return Err(BadArchive::malformed("a file is longer than any file can be"));
        }
        Ok(member)
    }

    /// The runs of a sparse file in GNU's form, whose map may go on in blocks of its own before the content.
    fn all_runs(&mut self, mut runs: Vec<Extent>, mut continued: bool) -> Result<Vec<Extent>, BadArchive> {
        while continued {
            let (more, further) = header::more_runs(&self.block()?)?;
            runs.extend(more);
            continued = further && runs.len() <= RUNS_MAX;
        }
        Ok(runs)
    }

    /// The map at the front of the content: its count, then offsets and lengths, a number to a line, up to a block's end.
    fn map_in_front(&mut self) -> Result<Vec<Extent>, BadArchive> {
        let bad = || BadArchive::malformed("a sparse file's map is no row of numbers");
        let mut text: Vec<u8> = Vec::new();
        let (mut at, mut numbers, mut wanted) = (0, Vec::new(), 1);
        while numbers.len() < wanted {
            let Some(end) = text[at..].iter().position(|&byte| byte == b'\n') else {
                if text.len() - at > 64 || self.left < BLOCK_BYTES as u64 {
                    return Err(bad());
                }
                text.drain(..at);
                at = 0;
                text.extend_from_slice(&self.block()?);
                self.left -= BLOCK_BYTES as u64;
                continue;
            };
            let number = std::str::from_utf8(&text[at..at + end]).ok().and_then(|text| text.parse::<u64>().ok());
            numbers.push(number.ok_or_else(bad)?);
            at += end + 1;
            if let [count] = numbers.as_slice() {
                wanted = usize::try_from(*count).ok().filter(|count| *count <= RUNS_MAX).ok_or_else(bad)? * 2 + 1;
            }
        }
        let runs = numbers[1..].chunks_exact(2);
        Ok(runs.map(|pair| Extent { offset: pair[0], length: pair[1] }).collect())
    }

    fn long_text(&mut self, size: u64) -> Result<Vec<u8>, BadArchive> {
        let mut text = self.small(size, NAME_BYTES_MAX)?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(text)
    }

    /// The whole content of a header that is read into memory.
    fn small(&mut self, size: u64, max: u64) -> Result<Vec<u8>, BadArchive> {
        if size > max {
            return Err(BadArchive::malformed("an extended header is larger than any real one"));
        }
        let mut bytes = vec![0; size as usize];
        self.fill(&mut bytes)?;
        self.left = 0;
        self.pass_over()?;
        Ok(bytes)
    }

    fn block(&mut self) -> Result<Block, BadArchive> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        Ok(block)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BadArchive> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BadArchive::Torn,
            _ => error.into(),
        })
    }

    /// Reads to the end of the member's last block.
    fn pass_over(&mut self) -> Result<(), BadArchive> {
        let left = self.left.checked_add(self.padding).ok_or(BadArchive::Torn)?;
        (self.left, self.padding) = (0, 0);
        let passed = io::copy(&mut self.source.by_ref().take(left), &mut io::sink())?;
        if passed == left { Ok(()) } else { Err(BadArchive::Torn) }
    }

    fn drain(&mut self) -> Result<(), BadArchive> {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match self.source.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => self.trailing |= bytes[..count].iter().any(|&byte| byte != 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The content of the member; holes are left out.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (data, zeros) = self.piece;
            if data > 0 {
                let want = buffer.len().min(usize::try_from(data).unwrap_or(usize::MAX));
                let count = self.source.read(&mut buffer[..want])?;
                if count == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, BadArchive::Torn));
                }
                self.piece.0 -= count as u64;
                self.left = self.left.saturating_sub(count as u64);
                return Ok(count);
            }
            if zeros > 0 {
                let count = buffer.len().min(usize::try_from(zeros).unwrap_or(usize::MAX));
                buffer[..count].fill(0);
                self.piece.1 -= count as u64;
                return Ok(count);
            }
            match self.pieces.next() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
    }
}

/// What a flag means; unknown ones are files, as POSIX asks.
fn kind_of(flag: u8, name: &[u8]) -> MemberKind {
    match flag {
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::CharDevice,
        b'4' => MemberKind::BlockDevice,
        b'5' | b'D' => MemberKind::Directory,
        b'6' => MemberKind::Fifo,
        // Archives older than POSIX mark directories by their names alone.
        0 if name.ends_with(b"/") => MemberKind::Directory,
        _ => MemberKind::File,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn members(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, BadArchive> {
        let mut reader = TarReader::new(bytes);
        let mut found = Vec::new();
        while let Some(member) = reader.next_member()? {
            let mut content = Vec::new();
            reader.read_to_end(&mut content)?;
            found.push((member, content));
        }
        Ok(found)
    }

    /// What GNU tar makes of a folder.
    fn tar(folder: &std::path::Path, options: &[&str]) -> Vec<u8> {
        let done = Command::new("tar").current_dir(folder).args(options).args(["-cf", "-", "."]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    #[test]
    fn a_sparse_file_is_the_same_in_all_forms_of_gnu_tar() {
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("sparse")).unwrap();
        file.set_len(40 << 20).unwrap();
        for number in 0..40u64 {
            std::os::unix::fs::FileExt::write_all_at(&file, &[number as u8 + 1; 4096], number << 20).unwrap();
        }
        drop(file);
        for options in [
            &["--format=gnu", "--sparse"][..],
            &["--format=pax", "--sparse", "--sparse-version=0.0"],
            &["--format=pax", "--sparse", "--sparse-version=0.1"],
            &["--format=pax", "--sparse", "--sparse-version=1.0"],
        ] {
            let found = members(&tar(folder.path(), options)).unwrap();
            let (member, content) = found.iter().find(|(member, _)| member.name.ends_with(b"sparse")).unwrap();
            assert_eq!((member.name.as_slice(), member.size), (b"./sparse".as_slice(), 40 << 20), "{options:?}");
            let extents = member.extents.as_ref().unwrap();
            assert_eq!((extents.len(), extents[3].offset), (40, 3 << 20), "{options:?}");
            assert_eq!(content.len(), 40 * 4096, "{options:?}");
            assert!(content.chunks(4096).enumerate().all(|(number, chunk)| chunk == [number as u8 + 1; 4096]));
        }
    }

    #[test]
    fn long_names_and_links_are_whole_in_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let long = "a-rather-long-name-".repeat(12);
        std::fs::create_dir_all(folder.path().join(&long)).unwrap();
        std::fs::write(folder.path().join(&long).join(&long), b"content").unwrap();
        std::os::unix::fs::symlink(&long, folder.path().join("link")).unwrap();
        for format in ["--format=gnu", "--format=pax"] {
            let found = members(&tar(folder.path(), &[format])).unwrap();
            let file = format!("./{long}/{long}");
            let (_, content) = found.iter().find(|(member, _)| member.name == file.as_bytes()).unwrap();
            assert_eq!(content, b"content");
            let (link, _) = found.iter().find(|(member, _)| member.name == b"./link").unwrap();
            assert_eq!((link.kind, link.target.as_slice()), (MemberKind::Symlink, long.as_bytes()));
        }
    }

    #[test]
    fn an_archive_cut_anywhere_is_torn_and_a_flip_in_a_header_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), [7; 700]).unwrap();
        let whole = tar(folder.path(), &["--format=gnu", "--blocking-factor=1"]);
        assert_eq!(members(&whole).unwrap().len(), 2);
        for length in (0..whole.len() - 1024).step_by(100) {
            assert!(matches!(members(&whole[..length]), Err(BadArchive::Torn) | Err(BadArchive::Io(_))), "{length}");
        }
        let mut flipped = whole.clone();
        flipped[512] ^= 1;
        assert!(matches!(members(&flipped), Err(BadArchive::Malformed(_))));
    }

    #[test]
    fn a_header_that_asks_for_endless_memory_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(1 << 50);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(100_000, b' ');
        assert!(matches!(members(&bytes), Err(BadArchive::Malformed(_))));
    }

    #[test]
    fn global_headers_that_every_member_would_repeat_are_refused_and_small_ones_count() {
        let record = |value: &str| {
            let body = format!(" SCHILY.xattr.user.a={value}\n");
            let digits = (body.len() + 4).to_string().len();
            format!("{}{body}", body.len() + digits).into_bytes()
        };
        let header = |kind, name: &str, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_path(name).unwrap();
            header.set_size(content.len() as u64);
            header.set_cksum();
            let mut bytes = [header.as_bytes().as_slice(), content].concat();
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
            bytes
        };
        let with = |value: &str| {
            let global = header(tar::EntryType::XGlobalHeader, "g", &record(value));
            members(&[global, header(tar::EntryType::Regular, "x", b"content"), vec![0; 1024]].concat())
        };
        assert_eq!(with(&"v".repeat(100)).unwrap()[0].0.xattrs.len(), 1);
        assert!(matches!(with(&"v".repeat(5000)), Err(BadArchive::Malformed(_))));
    }

    #[test]
    fn what_stands_behind_the_end_is_told() {
        let mut bytes = vec![0; 10_240];
        let mut reader = TarReader::new(bytes.as_slice());
        assert!(reader.next_member().unwrap().is_none() && !reader.has_trailing_data());
        bytes[9000] = 1;
        let mut reader = TarReader::new(bytes.as_slice());
        assert!(reader.next_member().unwrap().is_none() && reader.has_trailing_data());
    }

    #[test]
    fn an_archive_of_nothing_has_no_members() {
        let done = Command::new("tar").args(["-cf", "-", "-T", "/dev/null"]).output().unwrap();
        assert!(members(&done.stdout).unwrap().is_empty());
        assert!(matches!(members(b""), Err(BadArchive::Torn)));
    }
}
