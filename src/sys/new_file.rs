//! A file that appears whole, or not at all, and takes the place of nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::sys::durable::{folder_of, sync_folder};

/// A file being written under a name of its own; it goes when this is dropped before it is [finished](NewFile::finish).
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Begins a file beside its later name. Only this account may read it. If something has that name already, the
    /// error is of the kind `AlreadyExists`.
    pub fn begin(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = tempfile::Builder::new().prefix(".dssvault-").tempfile_in(folder_of(path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Makes it durable and gives it its name. Gives its length.
    pub fn finish(self) -> io::Result<u64> {
        self.file.as_file().sync_all()?;
        let bytes = self.file.as_file().metadata()?.len();
        self.file.persist_noclobber(&self.path).map_err(|failed| failed.error)?;
        sync_folder(&self.path)?;
        Ok(bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_finished_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.tar");
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(NewFile::begin(&path).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_what_came_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.tar");
        drop(NewFile::begin(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let late = NewFile::begin(&path).unwrap();
        std::fs::write(&path, b"other").unwrap();
        assert_eq!(late.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
    }
}
