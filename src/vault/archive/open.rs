//! Opening an archive: how it is packed is told by its first bytes, not by its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::cancel::Cancel;
use crate::base::clock::Timestamp;
use crate::codec::{compress, gzip};
use crate::repo::snapshot::Imported;
use crate::sys::ahead::Ahead;
use crate::vault::VaultError;
use crate::vault::archive::{BadArchive, Member, TarReader, name};

/// Bytes read from the file at once.
const BUFFER_BYTES: usize = 256 << 10;

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

impl Packing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn of(first: &[u8]) -> Result<Self, &'static str> {
        let begins = |magic: &[u8]| first.starts_with(magic);
        if begins(&gzip::MAGIC) {
            Ok(Self::Gzip)
        } else if compress::begins(first) {
            Ok(Self::Zstd)
        } else if begins(b"\xfd7zXZ\0") {
            Err("xz")
        } else if begins(b"BZh") {
            Err("bzip2")
        } else if begins(b"PK\x03\x04") {
            Err("zip")
        } else {
            Ok(Self::Plain)
        }
    }
}

/// An archive being read.
pub struct Opened {
    /// Its file, as it was named.
    pub path: PathBuf,
    /// How it is packed.
    pub packing: Packing,
    /// Length of its file.
    pub bytes: u64,
    /// When its file was last changed.
    pub modified: Timestamp,
    /// Its members.
    pub reader: TarReader<Heeding>,
    cancel: Cancel,
    /// The member that was read last, to say where damage is.
    last: Option<Vec<u8>>,
}

/// What is read until it is asked to stop: passing over one member may mean hours.
pub struct Heeding {
    source: Ahead,
    cancel: Cancel,
}

impl Read for Heeding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_requested() {
            // Not `Interrupted`, after which a reader just tries again.
            return Err(io::Error::other("interrupted"));
        }
        self.source.read(buffer)
    }
}

/// Opens an archive. It is expanded on a thread of its own.
pub fn open(path: &Path, cancel: &Cancel) -> Result<Opened, VaultError> {
    let local = |error: io::Error| VaultError::local("read", path, error);
    let meta = path.metadata().map_err(local)?;
    if !meta.is_file() {
        return Err(VaultError::Request {
            what: format!("{} is no file", path.display()),
            hint: Some("name an archive that lies on a disk: it is looked through first, and then read".to_owned()),
        });
    }
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(local)?);
    let first = file.fill_buf().map_err(local)?;
    let packing = Packing::of(first).map_err(|by| VaultError::Request {
        what: format!("{} is packed with {by}, which is not understood here", path.display()),
        hint: Some("unpack it to a plain tar file first, and import that".to_owned()),
    })?;
    let expanded: Box<dyn Read + Send> = match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(gzip::expand(file)),
        Packing::Zstd => Box::new(compress::expand(file).map_err(local)?),
    };
    Ok(Opened {
        path: path.to_owned(),
        packing,
        bytes: meta.len(),
        modified: Timestamp { seconds: meta.mtime(), nanos: meta.mtime_nsec().clamp(0, 999_999_999) as u32 },
        reader: TarReader::new(Heeding { source: Ahead::start(expanded).map_err(local)?, cancel: cancel.clone() }),
        cancel: cancel.clone(),
        last: None,
    })
}

impl Opened {
    /// What a snapshot says of the archive it was made from.
    pub fn origin(&self) -> Imported {
        Imported {
            archive: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            packing: self.packing.word().to_owned(),
            bytes: self.bytes,
            modified: self.modified,
        }
    }

    /// The next member.
    pub fn next_member(&mut self) -> Result<Option<Member>, VaultError> {
        match self.reader.next_member() {
            Ok(member) => {
                self.last = member.as_ref().map(|member| member.name.clone());
                Ok(member)
            }
            Err(why) => Err(self.damaged("behind", &why)),
        }
    }

    /// The error of reading the content of the member.
    pub fn failed(&self, error: io::Error) -> VaultError {
        self.damaged("in", &error.into())
    }

    fn damaged(&self, place: &str, why: &BadArchive) -> VaultError {
        if self.cancel.is_requested() {
            return VaultError::Interrupted;
        }
        let place = match &self.last {
            Some(name) => format!("{place} `{}`", name::shown(name)),
            None => "at its beginning".to_owned(),
        };
        let why = match why {
            BadArchive::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => BadArchive::Torn.to_string(),
            other => other.to_string(),
        };
        VaultError::Archive { archive: self.path.clone(), place, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_stop_is_heard_within_a_member() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut header = tar::Header::new_gnu();
        header.set_path("large").unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        std::fs::write(&path, header.as_bytes()).unwrap();
        // A hole of a terabyte, which takes minutes to pass over.
        File::options().write(true).open(&path).unwrap().set_len((1 << 40) + 4096).unwrap();
        let cancel = Cancel::default();
        let mut opened = open(&path, &cancel).unwrap();
        assert_eq!(opened.next_member().unwrap().unwrap().size, 1 << 40);
        let begun = std::time::Instant::now();
        let asks = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            cancel.request();
        });
        assert!(matches!(opened.next_member(), Err(VaultError::Interrupted)));
        asks.join().unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}
