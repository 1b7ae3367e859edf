//! What is written down of each member until the trees are made.

use std::io;

use crate::repo::tree::Entry;
use crate::repo::tree::writer::encode_entry;

/// The value of a record; its key is a path, its order the member's number.
#[derive(Debug, PartialEq)]
pub enum Noted {
    /// What stands there.
    Entry(Box<Entry>),
    /// Another name of a file is made there; it stands in the place of what was there before.
    Link,
    /// The file here gets another name: its path and the number of the member that says so.
    Wanted {
        /// Path of the other name.
        path: Vec<u8>,
        /// Number of the member.
        order: u64,
    },
}

const ENTRY: u8 = 0;
const LINK: u8 = 1;
const WANTED: u8 = 2;

impl Noted {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Entry(entry) => [&[ENTRY], encode_entry(entry).as_slice()].concat(),
            Self::Link => vec![LINK],
            Self::Wanted { path, order } => [&[WANTED], order.to_be_bytes().as_slice(), path].concat(),
        }
    }

    /// From bytes. They come from this process by way of a file: what cannot be read back is a broken disk or memory,
    /// and never left out in silence.
    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a record does not read back as it was written");
        let (kind, rest) = bytes.split_first().ok_or_else(bad)?;
        match *kind {
            ENTRY => minicbor::decode(rest).map(|entry| Self::Entry(Box::new(entry))).map_err(|_| bad()),
            LINK => Ok(Self::Link),
            WANTED => {
                let (order, path) = rest.split_first_chunk().ok_or_else(bad)?;
                Ok(Self::Wanted { path: path.to_vec(), order: u64::from_be_bytes(*order) })
            }
            _ => Err(bad()),
        }
    }

    /// The same where links have found their places, so that entries are all there is.
    pub fn decode_entry(bytes: &[u8]) -> io::Result<Box<Entry>> {
        match Self::decode(bytes)? {
            Self::Entry(entry) => Ok(entry),
            Self::Link | Self::Wanted { .. } => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "a record is of another kind than was written"))
            }
        }
    }
}

/// A path as a key: what lies below a directory comes right behind it, names in order of their bytes.
pub fn key_of(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'/' { 0 } else { byte }).collect()
}

/// The path of a key.
pub fn path_of(key: &[u8]) -> Vec<u8> {
    key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_paths_as_a_walk_meets_them() {
        let mut paths = ["a-b", "a/c", "a", "a/c/d", "a.b", "ab"].map(|path| key_of(path.as_bytes()));
        paths.sort();
        let back = paths.map(|key| String::from_utf8(path_of(&key)).unwrap());
        assert_eq!(back, ["a", "a/c", "a/c/d", "a-b", "a.b", "ab"]);
    }

    #[test]
    fn what_is_noted_comes_back() {
        for noted in [Noted::Link, Noted::Wanted { path: b"a/b".to_vec(), order: 7 }] {
            assert_eq!(Noted::decode(&noted.encode()).unwrap(), noted);
        }
        for bad in [b"".as_slice(), b"\x02\0", b"\x09", b"\0\xff"] {
            assert_eq!(Noted::decode(bad).unwrap_err().kind(), io::ErrorKind::InvalidData, "{bad:?}");
        }
        assert!(Noted::decode_entry(&Noted::Link.encode()).is_err());
    }
}
