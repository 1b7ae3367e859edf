//! Making files below one folder, with times of their own.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::app::AppError;
use crate::app::demo::dice::Dice;
use crate::base::cancel::Cancel;
use crate::vault::VaultError;

/// Files get times in the thirty days after this moment (October 2025).
const FIRST_MTIME: u64 = 1_760_000_000;

/// Writes below `root` and counts what it wrote.
pub struct Maker<'a> {
    root: &'a Path,
    cancel: &'a Cancel,
    /// Decides everything that is not given.
    pub dice: Dice,
}

impl<'a> Maker<'a> {
    /// A maker of files below `root`.
    pub fn new(root: &'a Path, seed: u64, cancel: &'a Cancel) -> Self {
        Self { root, cancel, dice: Dice::new(seed) }
    }

    /// The full path of something below the root.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A directory and its parents.
    pub fn directory(&self, relative: &str) -> Result<(), AppError> {
        let path = self.path(relative);
        fs::create_dir_all(&path).map_err(failed("create", &path))
    }

    /// A file with content, an age and permissions 0644.
    pub fn file(&mut self, relative: impl AsRef<Path>, content: &[u8]) -> Result<(), AppError> {
        if self.cancel.is_requested() {
            return Err(VaultError::Interrupted.into());
        }
        let path = self.path(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        let age = Duration::new(FIRST_MTIME + self.dice.below(30 * 86_400), self.dice.below(1_000_000_000) as u32);
        File::create(&path)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.set_modified(UNIX_EPOCH + age)
            })
            .map_err(failed("write", &path))
    }

    /// Other permissions for something that is there.
    pub fn mode(&self, relative: &str, mode: u32) -> Result<(), AppError> {
        let path = self.path(relative);
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed("set permissions of", &path))
    }

    /// A symbolic link; its target need not exist.
    pub fn symlink(&self, relative: &str, target: &str) -> Result<(), AppError> {
        let path = self.path(relative);
        std::os::unix::fs::symlink(target, &path).map_err(failed("create", &path))
    }

    /// A second name for a file.
    pub fn hard_link(&self, relative: &str, existing: &str) -> Result<(), AppError> {
        let path = self.path(relative);
        fs::hard_link(self.path(existing), &path).map_err(failed("create", &path))
    }

    /// A named pipe.
    pub fn pipe(&self, relative: &str) -> Result<(), AppError> {
        let path = self.path(relative);
        let made = mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
        made.map_err(|why| failed("create", &path)(why.into()))
    }

    /// A long file of holes with a few islands of data.
    pub fn sparse(&mut self, relative: &str, length: u64, islands: &[u64]) -> Result<(), AppError> {
        self.file(relative, b"")?;
        let path = self.path(relative);
        let noise = self.dice.noise(20_000);
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).open(&path)?;
            for &offset in islands {
                file.seek(SeekFrom::Start(offset))?;
                file.write_all(&noise)?;
            }
            file.set_len(length)
        };
        write().map_err(failed("write", &path))
    }

    /// A file whose name is not text.
    pub fn odd_file(&mut self, folder: &str, name: &[u8], content: &[u8]) -> Result<(), AppError> {
        let path = Path::new(folder).join(OsStr::from_bytes(name));
        self.file(path, content)
    }
}

/// Names the file in an I/O error.
pub fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AppError {
    let path = path.to_owned();
    move |source| VaultError::local(action, path, source).into()
}
