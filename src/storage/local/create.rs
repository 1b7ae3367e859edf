//! Laying out a new repository directory, and telling whether one is there.

use std::fs;
use std::io;
use std::path::Path;

use super::LocalStore;
use super::layout::{self, Modes, Place, TEMPORARY};
use super::list;
use super::probe::{Capabilities, PROBE_FOLDER, probe};
use crate::base::object::ObjectKind;
use crate::storage::{CreateMethod, StorageError};

/// The folder every fresh ext file system has; nobody put it there.
const LOST_AND_FOUND: &str = "lost+found";

impl LocalStore {
    /// What `init` does to a directory: creates it, probes its file system, and lays out the repository's folders
    /// if that file system can hold one. [`Capabilities::create_method`] of the answer is how objects are to be
    /// created. A place that is refused is left as it was found.
    pub fn prepare(root: impl AsRef<Path>, modes: Modes) -> Result<Capabilities, StorageError> {
        let place = Place::new(root.as_ref().to_owned(), CreateMethod::HardLink, modes);
        let was_there = place.root.exists();
        let prepared = make_root(&place)
            .and_then(|()| refuse_foreign_content(&place))
            .and_then(|()| probe(&place.root))
            .and_then(|capabilities| capabilities.create_method(&place.location()).map(|_| capabilities))
            .and_then(|capabilities| Self::create_layout(&place.root, modes).map(|()| capabilities));
        if prepared.is_err() && !was_there {
            // Removes nothing that anybody has put there.
            let _ = fs::remove_dir(&place.root);
        }
        prepared
    }

    /// Creates the directory `root` with the folders of a repository, durably, parents included. What an
    /// interrupted call left is completed. A directory holding anything else is refused with `NotEmpty`.
    pub fn create_layout(root: impl AsRef<Path>, modes: Modes) -> Result<(), StorageError> {
        let place = Place::new(root.as_ref().to_owned(), CreateMethod::HardLink, modes);
        make_root(&place)?;
        refuse_foreign_content(&place)?;
        for folder in ObjectKind::ALL.map(ObjectKind::folder).into_iter().chain([TEMPORARY]) {
            let path = place.root.join(folder);
            layout::make_folder(&path, modes).map_err(|source| place.failed("create", &path, source))?;
        }
        place.sync_folder(&place.root)
    }

    /// Whether `root` holds something that looks like a repository: a configuration, or what is left of one that lost
    /// it.
    pub fn exists(root: impl AsRef<Path>) -> Result<bool, StorageError> {
        let place = Place::new(root.as_ref().to_owned(), CreateMethod::HardLink, Modes::default());
        for kind in [ObjectKind::Config, ObjectKind::Snapshot, ObjectKind::Index, ObjectKind::Pack] {
            match list::list(&place, kind) {
                Ok(found) if found.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(StorageError::NoFolder { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

fn make_root(place: &Place) -> Result<(), StorageError> {
    let root = std::path::absolute(&place.root).map_err(|source| place.failed("create", &place.root, source))?;
    make_with_parents(place, &root)?;
    // Also a directory that was there: it is in the way of the group otherwise.
    layout::give_folder(&place.root, place.modes).map_err(|source| place.failed("share", &place.root, source))
}

/// Creates a folder and what is missing above it, each durable in its parent before anything is put into it.
fn make_with_parents(place: &Place, path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    let failed = |source| place.failed("create", path, source);
    let parent = path.parent().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    make_with_parents(place, parent)?;
    layout::make_folder(path, Modes::PRIVATE).map_err(failed)?;
    place.sync_folder(parent)
}

fn refuse_foreign_content(place: &Place) -> Result<(), StorageError> {
    let failed = |source| place.failed("list", &place.root, source);
    for entry in fs::read_dir(&place.root).map_err(failed)? {
        let entry = entry.map_err(failed)?.file_name();
        if entry.to_string_lossy().starts_with(PROBE_FOLDER) {
            // Of a killed probe; another one at work this very moment would fail and say so.
            let left = place.root.join(&entry);
            fs::remove_dir_all(&left).map_err(|source| place.failed("remove", &left, source))?;
            continue;
        }
        let ours = |folder: &str| entry == folder;
        let expected = ObjectKind::ALL.map(ObjectKind::folder).into_iter().chain([TEMPORARY, LOST_AND_FOUND]);
        if !expected.into_iter().any(ours) {
            let found = entry.to_string_lossy().into_owned();
            return Err(StorageError::NotEmpty { location: place.location(), found });
        }
    }
    Ok(())
}
