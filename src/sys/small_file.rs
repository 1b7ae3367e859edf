//! Files that are read whole because they are small: configuration of other programs. Pipes and devices in their
//! place are never waited for, and nothing is read beyond a bound.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::sys::meta::{FileKind, fstat};

/// The whole of a regular file of at most `bytes_max`. Links are followed, as the program that owns it does.
///
/// Errors: those of the system; `InvalidInput` if it is no regular file; `FileTooLarge` if it is longer.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (mut file, _) = open(path)?;
    let mut content = Vec::new();
    file.by_ref().take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {bytes_max} bytes")));
    }
    Ok(content)
}

/// The last `bytes_max` of a regular file, or all of it.
pub fn read_tail(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (mut file, length) = open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(bytes_max)))?;
    let mut content = Vec::new();
    file.take(bytes_max).read_to_end(&mut content)?;
    Ok(content)
}

fn open(path: &Path) -> io::Result<(std::fs::File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if stat.kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok((file.into(), stat.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"0123456789");
        assert_eq!(read(&path, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_tail(&path, 3).unwrap(), b"789");
        assert_eq!(read_tail(&path, 30).unwrap(), b"0123456789");
    }

    #[test]
    fn a_pipe_in_place_of_a_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read(&path, 10).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(read(dir.path(), 10).is_err(), "a directory is no file either");
    }
}
