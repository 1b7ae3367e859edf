//! Exchanging directories by name. Each step is one system call, so that a crash leaves either the old directory in
//! its place or the new one, and both somewhere.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::dss::restore::error::RestoreError;
use crate::dss::restore::place::Place;

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Local { action, path: path.clone(), source }
}

/// Puts `beside` in the place of `data_dir`, which becomes `before`.
pub fn exchange(data_dir: &Path, beside: &Path, before: &Path) -> Result<(), RestoreError> {
    sync(beside);
    match renameat_with(CWD, beside, CWD, data_dir, RenameFlags::EXCHANGE) {
        Ok(()) => std::fs::rename(beside, before).map_err(failed("rename", beside))?,
        // File systems that cannot exchange: for a moment there is no data directory.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::rename(data_dir, before).map_err(failed("rename", data_dir))?;
            if let Err(error) = std::fs::rename(beside, data_dir) {
                // The old one goes back; if even that fails the error names where it is.
                std::fs::rename(before, data_dir).map_err(failed("put back", before))?;
                return Err(failed("rename", beside)(error));
            }
        }
        Err(error) => return Err(failed("exchange", data_dir)(error.into())),
    }
    settle(data_dir);
    Ok(())
}

/// Puts `beside` where nothing, or an empty directory, is.
pub fn put(beside: &Path, data_dir: &Path) -> Result<(), RestoreError> {
    sync(beside);
    std::fs::rename(beside, data_dir).map_err(failed("rename", beside))?;
    settle(data_dir);
    Ok(())
}

/// Exchanges the kept directory with the restored one, which goes.
pub fn put_back(place: &Place) -> Result<(), RestoreError> {
    let Place { data_dir, before, .. } = place;
    if data_dir.symlink_metadata().is_err() {
        return put(before, data_dir);
    }
    match renameat_with(CWD, before, CWD, data_dir, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => return exchange_by_hand(place),
        Err(error) => return Err(failed("exchange", data_dir)(error.into())),
    }
    settle(data_dir);
    retire(place)
}

/// Removes the restored directory after it was exchanged with the kept one. It gets the name back it was made under:
/// half removed under the name of what is kept it would be exchanged again.
pub fn retire(place: &Place) -> Result<(), RestoreError> {
    let Place { data_dir, beside, before, .. } = place;
    std::fs::rename(before, beside).map_err(failed("rename", before))?;
    settle(data_dir);
    sweep(beside)
}

/// Where the file system cannot exchange.
fn exchange_by_hand(place: &Place) -> Result<(), RestoreError> {
    let Place { data_dir, beside, before, .. } = place;
    std::fs::rename(data_dir, beside).map_err(failed("rename", data_dir))?;
    if let Err(error) = std::fs::rename(before, data_dir) {
        std::fs::rename(beside, data_dir).map_err(failed("put back", beside))?;
        return Err(failed("rename", before)(error));
    }
    settle(data_dir);
    sweep(beside)
}

/// Makes the directory to restore to; nobody else's business until it is exchanged.
pub fn make(path: &Path) -> Result<(), RestoreError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path).map_err(failed("make", path))
}

/// Removes a directory we made or kept, if it is there.
pub fn sweep(path: &Path) -> Result<(), RestoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes the restored content out before it takes the place of what was there.
pub fn sync(path: &Path) {
    if let Ok(dir) = std::fs::File::open(path) {
        // Where it is not supported the kernel writes it out in its own time.
        let _ = rustix::fs::syncfs(&dir);
    }
}

/// Makes the renames themselves durable.
fn settle(data_dir: &Path) {
    if let Some(Ok(parent)) = data_dir.parent().map(std::fs::File::open) {
        let _ = parent.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::restore::place::Way;

    #[test]
    fn directories_change_places_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (beside, before) = (path("data.restore"), path("data.before"));
        let place = Place { data_dir: path("data"), way: Way::Beside, beside, before };
        for (dir, content) in [(&place.data_dir, "old"), (&place.beside, "new")] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join("file"), content).unwrap();
        }
        let content = |dir: &Path| std::fs::read_to_string(dir.join("file")).unwrap();
        exchange(&place.data_dir, &place.beside, &place.before).unwrap();
        assert_eq!((content(&place.data_dir), content(&place.before)), ("new".to_owned(), "old".to_owned()));
        assert!(!place.beside.exists());
        put_back(&place).unwrap();
        assert_eq!(content(&place.data_dir), "old");
        assert!(!place.before.exists() && !place.beside.exists());
    }
}
