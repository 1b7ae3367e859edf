//! Small files that are replaced as a whole: after a crash there is the old content or the new one, never a part.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

/// Writes a file of our own, readable for this account alone, with the folders it is in. Durable when it returns.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(path)
}

/// Writes a value as such a file.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    replace(path, &serde_json::to_vec_pretty(value)?)
}

/// Reads such a value; `None` if there is no file. One that cannot be understood is `InvalidData`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes such a file if it is there; it does not come back with a power failure.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes new content in the place of a file of somebody else, to whom it goes on to belong, with the same mode.
pub fn replace_keeping_owner(path: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    give(path, content, (metadata.uid(), metadata.gid()), metadata.mode() & 0o7777)
}

/// Writes a file for somebody else, in a folder that is there. What a killed run left of it is replaced too.
pub fn give(path: &Path, content: &[u8], owner: (u32, u32), mode: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.dssvault-new"));
    match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let given = stage(&staged, content, owner, mode).and_then(|()| std::fs::rename(&staged, path));
    if given.is_err() {
        // What went wrong first is what counts.
        let _ = std::fs::remove_file(&staged);
    }
    given?;
    sync_folder(path)
}

fn stage(staged: &Path, content: &[u8], owner: (u32, u32), mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged)?;
    file.write_all(content)?;
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) != owner {
        std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1))?;
    }
    // Behind the owner, for changing that takes bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// The folder a path lies in; that of a bare name is the one we are in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the name of a file durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Makes a folder, and those it lies in, so that none of their names is lost with the power.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    make_folder(folder_of(folder))?;
    match std::fs::create_dir(folder) {
        Ok(()) => sync_folder(folder),
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_with_its_folders_for_us_alone_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file");
        replace(&path, b"a longer first content").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_value_is_read_back_until_it_is_removed_and_nonsense_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &7).unwrap();
        assert_eq!(read_json(&path).unwrap(), Some(7));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_bare_name_lies_in_the_folder_we_are_in() {
        assert_eq!(folder_of(Path::new("file")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/file")), Path::new("a"));
        sync_folder(Path::new("file")).unwrap();
        remove(Path::new("a file that is not there")).unwrap();
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("below")).unwrap();
        let owner = folder.path().metadata().map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        assert!(give(&path, b"new", owner, 0o600).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_accounts_file_stays_that_accounts_file_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), Some(1235)).unwrap();
        }
        let before = path.metadata().unwrap();
        replace_keeping_owner(&path, b"new").unwrap();
        let after = path.metadata().unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(replace_keeping_owner(&link, b"else").is_err());
    }
}
