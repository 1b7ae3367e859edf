//! Extended records of pax archives: `LENGTH KEY=VALUE` lines whose values may hold anything.

use crate::base::clock::Timestamp;
use crate::repo::tree::{Extent, XattrPair};
use crate::vault::archive::{BadArchive, acl};

/// How extended attributes are kept; GNU tar, star and libarchive share the word.
const XATTR: &[u8] = b"SCHILY.xattr.";
/// The attribute GNU tar keeps under a word of its own.
const SELINUX: (&[u8], &[u8]) = (b"RHT.security.selinux", b"security.selinux");
/// What the kernel allows for an attribute.
const XATTR_BYTES_MAX: usize = 64 << 10;

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
    /// Attributes, in the order they came.
    pub xattrs: Vec<XattrPair>,
    /// What belongs to sparse files.
    pub sparse: PaxSparse,
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
    /// Takes the records of one extended header.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), BadArchive> {
        while !bytes.is_empty() && bytes.iter().any(|&byte| byte != 0) {
            let (key, value, rest) = record(bytes).ok_or_else(|| bad("an extended header is no row of records"))?;
            self.take(key, value)?;
            bytes = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadArchive> {
        if let Some(name) = key.strip_prefix(XATTR) {
            return self.xattr(&unescaped(name), value);
        }
        if let Some(rest) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(rest, value);
        }
        match key {
            b"path" => self.path = given(value),
            b"linkpath" => self.linkpath = given(value),
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"mtime" => self.mtime = moment(value)?,
            b"ctime" => self.ctime = moment(value)?,
            b"uname" => self.user = text(value),
            b"gname" => self.group = text(value),
            b"SCHILY.acl.access" => self.acl(acl::ACCESS, value)?,
            b"SCHILY.acl.default" => self.acl(acl::DEFAULT, value)?,
            // Text in the archive, with a NUL behind it in the kernel.
            _ if key == SELINUX.0 => self.xattr(SELINUX.1, &[value, b"\0"].concat())?,
            // `atime`, comments, words of other programs: nothing a snapshot has a place for.
            _ => {}
        }
        Ok(())
    }

    fn acl(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadArchive> {
        match acl::stored(value).map_err(bad)? {
            Some(stored) => self.xattr(name, &stored),
            None => Ok(()),
        }
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadArchive> {
        if name.is_empty() || name.len() > 255 || name.contains(&0) || value.len() > XATTR_BYTES_MAX {
            return Err(bad("an extended attribute is none the kernel would take"));
        }
        self.xattrs.retain(|pair| pair.name != name);
        self.xattrs.push(XattrPair { name: name.to_vec(), value: value.to_vec() });
        Ok(())
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
                self.runs.get_or_insert_default().push(run);
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

fn text(value: &[u8]) -> Option<String> {
    given(value).map(|value| String::from_utf8_lossy(&value).into_owned())
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
    let numbers: Option<Vec<u64>> =
        std::str::from_utf8(value).ok().and_then(|text| text.split(',').map(|part| part.parse().ok()).collect());
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
        pax.read(text).map(|()| pax)
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
        assert_eq!(pax.xattrs, [XattrPair { name: b"user.a=b%".to_vec(), value: b"1\n2=\0\xff".to_vec() }]);
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
        assert!(time("1.-5").is_err() && time("noon").is_err());
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
