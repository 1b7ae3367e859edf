//! Finding out what a directory's file system can do before a repository is made in it. Trying and judging are
//! apart: [`probe`] only looks, [`Capabilities::create_method`] decides. Not run on NFS or CIFS themselves; a file
//! system that fails each call stands in for them (`tests/spec/storage_faulty_disk.rs`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::layout::{self, Modes};
use super::list::modified;
use super::stage;
use crate::storage::{CreateMethod, StorageError};

/// What the name of a probe's folder begins with; one that a killed probe left does not count as foreign.
pub(super) const PROBE_FOLDER: &str = ".dssvault-probe-";

/// Whether something works here, or what the system said.
pub type Capability = Result<(), String>;

/// What a directory's file system can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// `link` gives a file a second name and refuses a taken one.
    pub hard_links: Capability,
    /// `O_EXCL` creates a file and refuses a taken name.
    pub exclusive_create: Capability,
    /// `rename` puts a file over another.
    pub rename: Capability,
    /// `fsync` of a file.
    pub sync_file: Result<(), SyncFailure>,
    /// `fsync` of a folder.
    pub sync_folder: Result<(), SyncFailure>,
    /// Files get the time of their writing, and it does not run backwards.
    pub object_times: Capability,
}

/// A failed `fsync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFailure {
    /// The system's error number, if it gave one.
    pub errno: Option<i32>,
    /// The system's words.
    pub text: String,
}

impl Capabilities {
    /// How objects are to be created in `location`: by hard link, else exclusively. Refuses a place where neither
    /// works or where what was written cannot be made durable. A folder that answers `fsync` with `EINVAL` is
    /// accepted: some network file systems make folders durable by themselves and say so in this way.
    pub fn create_method(&self, location: &str) -> Result<CreateMethod, StorageError> {
        if let Err(failure) = &self.sync_file {
            return Err(failure.to_error("file", location));
        }
        match &self.sync_folder {
            Err(failure) if !failure.is_needless() => return Err(failure.to_error("folder", location)),
            _ => {}
        }
        match (&self.hard_links, &self.exclusive_create, &self.rename) {
            (Ok(()), _, _) => Ok(CreateMethod::HardLink),
            (Err(_), Ok(()), Ok(())) => Ok(CreateMethod::Exclusive),
            _ => Err(StorageError::NoExclusiveCreate { location: location.to_owned() }),
        }
    }
}

impl SyncFailure {
    fn new(error: &io::Error) -> Self {
        Self { errno: error.raw_os_error(), text: error.to_string() }
    }

    fn is_needless(&self) -> bool {
        self.errno == Some(Errno::INVAL.raw_os_error())
    }

    fn to_error(&self, what: &'static str, location: &str) -> StorageError {
        let source = self.errno.map_or_else(|| io::Error::other(self.text.clone()), io::Error::from_raw_os_error);
        StorageError::NotDurable { location: location.to_owned(), what, source }
    }
}

/// Tries everything in a folder of its own inside `directory`, which must exist, and removes that folder again.
/// Only a failure to create or write plain files is an error; all else is an answer.
pub fn probe(directory: &Path) -> Result<Capabilities, StorageError> {
    let location = directory.display().to_string();
    let folder = ProbeFolder(directory.join(format!("{PROBE_FOLDER}{}", stage::fresh_name())));
    let failed =
        |action, path: &Path, source| StorageError::from_io(action, path.display().to_string(), &location, source);
    layout::make_folder(&folder.0, Modes::PRIVATE).map_err(|source| failed("create", &folder.0, source))?;
    let path = folder.0.join("first");
    let file = stage::create_file(&path, Modes::PRIVATE).map_err(|source| failed("create", &path, source))?;
    (&file).write_all(b"a first file").map_err(|source| failed("write", &path, source))?;
    Ok(Capabilities {
        hard_links: in_words(try_hard_links(&folder.0, &path)),
        exclusive_create: in_words(try_exclusive_create(&folder.0)),
        rename: in_words(try_rename(&folder.0)),
        sync_file: file.sync_all().map_err(|error| SyncFailure::new(&error)),
        sync_folder: layout::open_folder(&folder.0)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| SyncFailure::new(&error)),
        object_times: in_words(try_times(&folder.0, &file)),
    })
}

/// Removed with its content when the probe ends, however it ends.
struct ProbeFolder(PathBuf);

impl Drop for ProbeFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn in_words(result: io::Result<()>) -> Capability {
    result.map_err(|error| error.to_string())
}

fn must_be_taken(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("a name that was taken is given again")),
    }
}

fn try_hard_links(folder: &Path, first: &Path) -> io::Result<()> {
    let link = folder.join("link");
    fs::hard_link(first, &link)?;
    must_be_taken(fs::hard_link(first, &link))?;
    // Some file systems answer a link with a copy; that can be half made, so it does not count.
    fs::write(first, b"written through the other name")?;
    match fs::read(&link)? == fs::read(first)? {
        true => Ok(()),
        false => Err(io::Error::other("a hard link is a copy")),
    }
}

fn try_exclusive_create(folder: &Path) -> io::Result<()> {
    let create = || {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(folder.join("exclusive"), flags, Mode::RUSR | Mode::WUSR).map(drop).map_err(io::Error::from)
    };
    create()?;
    must_be_taken(create())
}

fn try_rename(folder: &Path) -> io::Result<()> {
    let (from, to) = (folder.join("from"), folder.join("to"));
    fs::write(&from, b"new")?;
    fs::write(&to, b"")?;
    fs::rename(&from, &to)?;
    match fs::read(&to)? == b"new" && !from.exists() {
        true => Ok(()),
        false => Err(io::Error::other("a renamed file is not found under its new name")),
    }
}

/// The time must move on with a later write and must not be one that a file system without times invents.
fn try_times(folder: &Path, first: &File) -> io::Result<()> {
    let before = modified(&first.metadata()?);
    // Longer than the coarsest tick of a kernel clock, and enough to pass a second's edge now and then.
    std::thread::sleep(Duration::from_millis(20));
    let path = folder.join("later");
    fs::write(&path, b"later")?;
    let after = modified(&fs::metadata(&path)?);
    if before.seconds <= 0 || after.seconds <= 0 {
        return Err(io::Error::other("files carry no times"));
    }
    if after < before {
        return Err(io::Error::other("a later file carries an earlier time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hint::Hint;

    fn all_good() -> Capabilities {
        Capabilities {
            hard_links: Ok(()),
            exclusive_create: Ok(()),
            rename: Ok(()),
            sync_file: Ok(()),
            sync_folder: Ok(()),
            object_times: Ok(()),
        }
    }

    fn no() -> Capability {
        Err("Operation not permitted".to_owned())
    }

    fn sync_failure(errno: Errno) -> Result<(), SyncFailure> {
        Err(SyncFailure::new(&errno.into()))
    }

    #[test]
    fn an_ordinary_disk_can_do_everything_and_is_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(probe(directory.path()).unwrap(), all_good());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn hard_links_are_preferred_and_exclusive_creation_serves() {
        let method = |capabilities: Capabilities| capabilities.create_method("/vault");
        assert_eq!(method(all_good()).unwrap(), CreateMethod::HardLink);
        let only_links = Capabilities { exclusive_create: no(), rename: no(), ..all_good() };
        assert_eq!(method(only_links).unwrap(), CreateMethod::HardLink);
        assert_eq!(method(Capabilities { hard_links: no(), ..all_good() }).unwrap(), CreateMethod::Exclusive);
    }

    #[test]
    fn a_place_without_either_is_refused_with_advice() {
        let neither = Capabilities { hard_links: no(), exclusive_create: no(), ..all_good() };
        let not_whole = Capabilities { hard_links: no(), rename: no(), ..all_good() };
        for capabilities in [neither, not_whole] {
            let error = capabilities.create_method("/vault").unwrap_err();
            assert!(matches!(error, StorageError::NoExclusiveCreate { .. }), "{error}");
            assert!(error.to_string().contains("/vault") && error.hint().is_some());
        }
    }

    #[test]
    fn a_folder_that_needs_no_fsync_is_accepted_and_one_that_fails_is_not() {
        let needless = Capabilities { sync_folder: sync_failure(Errno::INVAL), ..all_good() };
        assert_eq!(needless.create_method("/vault").unwrap(), CreateMethod::HardLink);
        for capabilities in [
            Capabilities { sync_folder: sync_failure(Errno::IO), ..all_good() },
            Capabilities { sync_file: sync_failure(Errno::INVAL), ..all_good() },
        ] {
            let error = capabilities.create_method("/vault").unwrap_err();
            assert!(matches!(error, StorageError::NotDurable { .. }), "{error}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_that_names_it() {
        let error = probe(Path::new("/nowhere/vault")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/vault"), "{error}");
    }
}
