//! Listing a folder: every object, or an error. Anything that cannot be an object is passed over.

use std::fs::{self, DirEntry, FileType};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::layout::{self, Place};
use super::publish;
use crate::base::clock::Timestamp;
use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{CreateMethod, ObjectEntry, StorageError};

pub(super) fn list(place: &Place, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
    let folder = place.folder(kind);
    let mut found = Vec::new();
    if kind.may_be_absent() && place.root.is_dir() && is_absent(&folder) {
        return Ok(found);
    }
    if !layout::is_fanned_out(kind) {
        visit(place, kind, &folder, |entry, text| add(place, kind, entry, text, &mut found))?;
        return Ok(found);
    }
    visit(place, kind, &folder, |entry, fan| {
        if !file_type(place, entry)?.is_some_and(|of| of.is_dir()) {
            return Ok(());
        }
        visit(place, kind, &entry.path(), |entry, text| match layout::fan(text) == fan {
            true => add(place, kind, entry, text, &mut found),
            false => Ok(()),
        })
    })?;
    Ok(found)
}

fn is_absent(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Calls `each` for every entry whose name is UTF-8, as the names of all objects are.
fn visit(
    place: &Place,
    kind: ObjectKind,
    folder: &Path,
    mut each: impl FnMut(&DirEntry, &str) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => StorageError::NoFolder { folder: kind.folder(), location: place.location() },
        _ => place.failed("list", folder, source),
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(text) = entry.file_name().to_str() {
            each(&entry, text)?;
        }
    }
    Ok(())
}

fn add(
    place: &Place,
    kind: ObjectKind,
    entry: &DirEntry,
    text: &str,
    found: &mut Vec<ObjectEntry>,
) -> Result<(), StorageError> {
    let Some(name) = ObjectName::new(kind, text) else { return Ok(()) };
    if !file_type(place, entry)?.is_some_and(|of| of.is_file()) {
        return Ok(());
    }
    let Some(metadata) = still_there(place, entry, entry.metadata())? else { return Ok(()) };
    let mut bytes = metadata.len();
    if bytes == 0 && place.create == CreateMethod::Exclusive {
        let Some(settled) = still_there(place, entry, publish::settled_bytes(&entry.path(), publish::PATIENCE))? else {
            return Ok(());
        };
        bytes = settled;
    }
    found.push(ObjectEntry { name, bytes, created: modified(&metadata) });
    Ok(())
}

fn file_type(place: &Place, entry: &DirEntry) -> Result<Option<FileType>, StorageError> {
    still_there(place, entry, entry.file_type())
}

/// An entry deleted while the listing went on was not there to its end, and may be left out.
fn still_there<T>(place: &Place, entry: &DirEntry, result: io::Result<T>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(place.failed("look at", &entry.path(), error)),
    }
}

/// When a file was last written, by the clock of its file system.
pub(super) fn modified(metadata: &fs::Metadata) -> Timestamp {
    Timestamp::new(metadata.mtime(), metadata.mtime_nsec() as u32).unwrap_or_default()
}
