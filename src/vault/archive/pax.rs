//! Extended records of pax archives: `LENGTH KEY=VALUE` lines whose values may hold anything.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::repo::tree::Extent;
use crate::sys::names::Names;
use crate::vault::archive::sparse::RUNS_MAX;
use crate::vault::archive::{BadArchive, Troubles, acl};

/// How extended attributes are kept; GNU tar, star and libarchive share the word.
const XATTR: &[u8] = b"SCHILY.xattr.";
/// The attribute GNU tar keeps under a word of its own.
const SELINUX: (&[u8], &[u8]) = (b"RHT.security.selinux", b"security.selinux");
/// What the kernel allows for an attribute.
const XATTR_BYTES_MAX: usize = 64 << 10;
/// All attributes of a member, at most; more than any file system keeps, and what an entry of a tree can hold.
const XATTRS_BYTES_MAX: usize = 2 << 20;
/// What an attribute costs besides its name and value, in memory and on disk.
const PAIR_BYTES: usize = 48;
/// The longest name of an account.
const OWNER_BYTES_MAX: usize = 255;

const BAD_XATTR: &str = "an extended attribute is none the kernel would take, and is left out";
const MANY_XATTRS: &str = "it has more extended attributes than can be kept; some are left out";
const BAD_ACL: &str = "an ACL cannot be understood, and is left out";
const STRANGERS: &str = "an ACL names accounts this machine does not know; their entries are left out";
const LONG_OWNER: &str = "a name of its owner is longer than any; only the number is kept";
const BAD_OWNER: &str = "its owner's number in the extended header is none; that of the plain header is kept";
const BAD_TIME: &str = "a time in its extended header is none, and is left out";

/// Values that take the place of those in the header that follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pax {
    /// Full name.
    pub path: Option<Vec<u8>>,
    /// Where a link points.
    pub linkpath: Option<Vec<u8>>,
    /// Bytes that follow.
    pub size: Option<u64>,
    /// Modification time.
    pub mtime: Option<Timestamp>,
    /// Status change time.
    pub ctime: Option<Timestamp>,
    /// Number of the user.
    pub uid: Option<u64>,
    /// Number of the group.
    pub gid: Option<u64>,
    /// Name of the user.
    pub user: Option<String>,
    /// Name of the group.
    pub group: Option<String>,
    /// Attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    xattr_bytes: usize,
    /// What belongs to sparse files.
    pub sparse: PaxSparse,
    /// What of it could not be understood and is left out.
    pub troubles: Troubles,
}

/// The records of a sparse file, of the three forms GNU tar has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaxSparse {
    /// First number of the form; absent in the two older ones.
    pub major: Option<u64>,
    /// The file's own name; the member has a made-up one.
    pub name: Option<Vec<u8>>,
    /// Length of the file, holes included.
    pub size: Option<u64>,
    /// Runs of data, where they are told here.
    pub runs: Option<Vec<Extent>>,
    /// An offset whose length is still to come.
    offset: Option<u64>,
}

impl Pax {
    /// Takes the records of one extended header. Only what tells where the next member begins, or what a file's content
    /// is, must be understood; of the rest what cannot be is a [trouble](Self::troubles).
    pub fn read(&mut self, mut bytes: &[u8], names: &Names) -> Result<(), BadArchive> {
        while !bytes.is_empty() && bytes.iter().any(|&byte| byte != 0) {
            let (key, value, rest) = record(bytes).ok_or_else(|| bad("an extended header is no row of records"))?;
            self.take(key, value, names)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Bytes it holds, about.
    pub fn bytes(&self) -> usize {
        let texts = [&self.path, &self.linkpath, &self.sparse.name].map(|text| text.as_ref().map_or(0, Vec::len));
        let runs = self.sparse.runs.as_ref().map_or(0, Vec::len) * size_of::<Extent>();
        texts.iter().sum::<usize>() + runs + self.xattr_bytes
    }

    fn take(&mut self, key: &[u8], value: &[u8], names: &Names) -> Result<(), BadArchive> {
        if let Some(name) = key.strip_prefix(XATTR) {
            self.xattr(unescaped(name), value);
            return Ok(());
        }
        if let Some(rest) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(rest, value);
        }
        match key {
            b"path" => self.path = given(value),
            b"linkpath" => self.linkpath = given(value),
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = self.or_trouble(number(value), BAD_OWNER),
            b"gid" => self.gid = self.or_trouble(number(value), BAD_OWNER),
            b"mtime" => self.mtime = self.or_trouble(moment(value), BAD_TIME),
            b"ctime" => self.ctime = self.or_trouble(moment(value), BAD_TIME),
            b"uname" => self.user = self.owner(value),
            b"gname" => self.group = self.owner(value),
            b"SCHILY.acl.access" => self.acl(acl::ACCESS, value, names),
            b"SCHILY.acl.default" => self.acl(acl::DEFAULT, value, names),
            // Text in the archive, with a NUL behind it in the kernel.
            _ if key == SELINUX.0 => self.xattr(SELINUX.1.to_vec(), &[value, b"\0"].concat()),
            // `atime`, comments, words of other programs: nothing a snapshot has a place for.
            _ => {}
        }
        Ok(())
    }

    fn or_trouble<T>(&mut self, read: Result<Option<T>, BadArchive>, trouble: &'static str) -> Option<T> {
        read.unwrap_or_else(|_| {
            self.troubles.insert(trouble);
            None
        })
    }

    fn owner(&mut self, value: &[u8]) -> Option<String> {
        let name = given(value).map(|value| String::from_utf8_lossy(&value).into_owned());
        if name.as_ref().is_some_and(|name| name.len() > OWNER_BYTES_MAX) {
            self.troubles.insert(LONG_OWNER);
            return None;
        }
        name
    }

    fn acl(&mut self, name: &[u8], value: &[u8], names: &Names) {
        let Ok(acl) = acl::read(value, names) else {
            self.troubles.insert(BAD_ACL);
            return;
        };
        if acl.lacks_strangers {
            self.troubles.insert(STRANGERS);
        }
        if let Some(stored) = acl.stored {
            self.xattr(name.to_vec(), &stored);
        }
    }

    fn xattr(&mut self, name: Vec<u8>, value: &[u8]) {
        if name.is_empty() || name.len() > 255 || name.contains(&0) || value.len() > XATTR_BYTES_MAX {
            self.troubles.insert(BAD_XATTR);
            return;
        }
        let cost = |value: &[u8]| PAIR_BYTES + name.len() + value.len();
        let before = self.xattrs.get(&name).map_or(0, |before| cost(before));
        let after = self.xattr_bytes - before + cost(value);
        if after > XATTRS_BYTES_MAX {
            self.troubles.insert(MANY_XATTRS);
            return;
        }
        self.xattr_bytes = after;
        self.xattrs.insert(name, value.to_vec());
    }
}

impl PaxSparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadArchive> {
        match key {
            b"major" => self.major = number(value)?,
            b"name" => self.name = given(value),
            b"size" | b"realsize" => self.size = number(value)?,
            b"map" => self.runs = Some(map(value)?),
            b"offset" => self.offset = number(value)?,
            b"numbytes" => {
                let run = Extent { offset: self.offset.take().unwrap_or(0), length: number(value)?.unwrap_or(0) };
                let runs = self.runs.get_or_insert_default();
                if runs.len() >= RUNS_MAX {
                    return Err(bad("a sparse file has too many holes"));
                }
                runs.push(run);
            }
            // `minor`, `numblocks`: say nothing new.
            _ => {}
        }
        Ok(())
    }
}

fn bad(why: &str) -> BadArchive {
    BadArchive::malformed(why)
}

/// Key, value, and what follows the first record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(12).position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let body = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], bytes.get(length..)?))
}

/// An empty value takes an earlier one back.
fn given(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn number(value: &[u8]) -> Result<Option<u64>, BadArchive> {
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| bad("an extended header has something else where a number should be"))
}

/// Seconds with a fraction; negative as a whole before 1970.
fn moment(value: &[u8]) -> Result<Option<Timestamp>, BadArchive> {
    if value.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let text = std::str::from_utf8(value).ok()?;
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds: i64 = whole.parse::<u64>().ok()?.try_into().ok()?;
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let nanos: u32 = digits.parse().ok()?;
        match (negative, nanos) {
            (false, _) => Timestamp::new(seconds, nanos),
            (true, 0) => Timestamp::new(-seconds, 0),
            (true, _) => Timestamp::new(-seconds - 1, 1_000_000_000 - nanos),
        }
    };
    parse().map(Some).ok_or_else(|| bad("an extended header has a time that is none"))
}

/// `offset,length,offset,length…`
fn map(value: &[u8]) -> Result<Vec<Extent>, BadArchive> {
    let text = std::str::from_utf8(value).ok();
    let parts = text.map(|text| text.split(',').take(2 * RUNS_MAX + 1));
    let numbers: Option<Vec<u64>> = parts.and_then(|parts| parts.map(|part| part.parse().ok()).collect());
    // More of them than are taken is an odd count too.
    let numbers = numbers.filter(|numbers| numbers.len().is_multiple_of(2));
    let numbers = numbers.ok_or_else(|| bad("a sparse file's map is no row of numbers"))?;
    Ok(numbers.chunks_exact(2).map(|pair| Extent { offset: pair[0], length: pair[1] }).collect())
}

/// A key as it was before `=` and `%` were written as `%3D` and `%25`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, left) = match rest.get(..3) {
            Some(b"%3D") => (b'=', &rest[3..]),
            Some(b"%25") => (b'%', &rest[3..]),
            _ => (first, behind),
        };
        plain.push(byte);
        rest = left;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Pax, BadArchive> {
        let mut pax = Pax::default();
        pax.read(text, &Names::default()).map(|()| pax)
    }

    fn line(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let length = (1..=rest + 20).find(|length| rest + length.to_string().len() == *length).unwrap();
        [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
    }

    #[test]
    fn values_may_hold_line_breaks_and_anything_else() {
        let both = [line("SCHILY.xattr.user.a%3Db%25", b"1\n2=\0\xff"), line("path", b"caf\xe9\nx")].concat();
        let pax = read(&both).unwrap();
        assert_eq!(pax.path.as_deref(), Some(b"caf\xe9\nx".as_slice()));
        assert_eq!(pax.xattrs, BTreeMap::from([(b"user.a=b%".to_vec(), b"1\n2=\0\xff".to_vec())]));
    }

    #[test]
    fn times_have_fractions_and_are_negative_as_a_whole() {
        let time = |text: &str| {
            read(&line("mtime", text.as_bytes())).map(|pax| pax.mtime.map(|time| (time.seconds, time.nanos)))
        };
        assert_eq!(time("12.000000007").unwrap(), Some((12, 7)));
        assert_eq!(time("-0.5").unwrap(), Some((-1, 500_000_000)));
        assert_eq!(time("-3").unwrap(), Some((-3, 0)));
        assert_eq!(time("1.1234567899").unwrap(), Some((1, 123_456_789)));
        assert_eq!((time("1.-5").unwrap(), time("noon").unwrap()), (None, None));
    }

    #[test]
    fn what_a_snapshot_cannot_keep_is_left_out_and_told_and_the_rest_is_kept() {
        let long = "x".repeat(256);
        let cases: [(&str, &[u8], &str); 9] = [
            ("ctime", b"noon", BAD_TIME),
            ("uid", b"-1", BAD_OWNER),
            ("uname", long.as_bytes(), LONG_OWNER),
            ("SCHILY.acl.access", b"nonsense", BAD_ACL),
            ("SCHILY.acl.default", b"user::rwx,user:no such account:rwx", STRANGERS),
            ("SCHILY.xattr.", b"", BAD_XATTR),
            (&format!("SCHILY.xattr.{long}"), b"", BAD_XATTR),
            ("SCHILY.xattr.user.large", &[7; XATTR_BYTES_MAX + 1], BAD_XATTR),
            ("RHT.security.selinux", &[b'x'; XATTR_BYTES_MAX], BAD_XATTR),
        ];
        for (key, value, trouble) in cases {
            let pax = read(&[line("uid", b"7"), line(key, value), line("gid", b"8")].concat()).unwrap();
            assert_eq!((pax.troubles, pax.gid), (Troubles::from([trouble]), Some(8)), "{key}");
        }
    }

    #[test]
    fn countless_attributes_cost_no_more_than_their_bytes_and_only_so_many_are_kept() {
        let mut records = Vec::new();
        for number in 0..200_000u32 {
            records.extend(line(&format!("SCHILY.xattr.user.{number}"), b""));
        }
        let begun = std::time::Instant::now();
        let pax = read(&records).unwrap();
        assert!(begun.elapsed().as_secs() < 10, "each is looked up, not searched for: {:?}", begun.elapsed());
        assert_eq!(pax.troubles, Troubles::from([MANY_XATTRS]));
        assert!((XATTRS_BYTES_MAX - 1000..=XATTRS_BYTES_MAX).contains(&pax.bytes()), "{}", pax.bytes());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in
            ["9 path=ab\n", "x path=a\n", "9 path=a", "99999999999999999999 a=b\n", "3 \n", "-5 a\n", "7 ab\ncd"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(read(&line("size", b"-1")).is_err());
        assert!(read(&line("GNU.sparse.map", b"1,2,3")).is_err());
        assert_eq!(read(b"9 path=a\n\0\0\0").unwrap().path.as_deref(), Some(b"a".as_slice()), "padding may follow");
    }
}
