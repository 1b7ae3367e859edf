//! Giving a finished temporary file its final name without ever replacing an object: of several writers one wins.
//!
//! By hard link this is one step. Where there are no hard links, a rename that refuses to replace serves; where
//! there is none either, the name is first claimed by an empty file created with `O_EXCL`, then the whole object
//! is renamed over the claim. An object is never empty, so an empty file under a final name is a claim whose
//! writer is at work or died (`docs/decisions/0004-creating-without-overwriting.md`).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;

use super::layout::{self, Place};
use crate::base::object::ObjectName;
use crate::storage::{CreateMethod, Published, StorageError};

/// How long a claim of another writer is waited for. Only a rename separates it from a whole object.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Names the file at `temporary`, which is whole and durable, unless the name is taken.
pub(super) fn give_name(
    place: &Place,
    file: &File,
    temporary: &Path,
    name: &ObjectName,
) -> Result<Published, StorageError> {
    match place.create {
        // A repository copied here from an object store: the method with the least to go wrong.
        CreateMethod::HardLink | CreateMethod::Conditional => by_link(place, file, temporary, name),
        CreateMethod::Exclusive => by_rename(place, temporary, name),
    }
}

fn by_link(place: &Place, file: &File, temporary: &Path, name: &ObjectName) -> Result<Published, StorageError> {
    let path = place.path(name);
    let Err(error) = fs::hard_link(temporary, &path) else { return Ok(Published::Created) };
    // The answer of a network file system may get lost and the repeated call meet its own link: the inode tells.
    if is_same_file(file, &path) {
        return Ok(Published::Created);
    }
    match Errno::from_io_error(&error) {
        Some(Errno::EXIST) => Ok(Published::AlreadyThere),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
            Err(StorageError::NoHardLinks { location: place.location(), source: error })
        }
        _ => Err(place.failed("link", &path, error)),
    }
}

fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    ours.dev() == named.dev() && ours.ino() == named.ino()
}

fn by_rename(place: &Place, temporary: &Path, name: &ObjectName) -> Result<Published, StorageError> {
    let path = place.path(name);
    match rustix::fs::renameat_with(CWD, temporary, CWD, &path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Published::Created),
        Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            by_claim(place, temporary, name, PATIENCE)
        }
        Err(error) => Err(place.failed("rename", &path, error.into())),
    }
}

/// Claims the name, then puts the object over the claim.
fn by_claim(place: &Place, temporary: &Path, name: &ObjectName, patience: Duration) -> Result<Published, StorageError> {
    let path = place.path(name);
    let deadline = Instant::now() + patience;
    loop {
        if claim(place, &path).map_err(|source| place.failed("create", &path, source))? {
            return over_claim(place, temporary, &path);
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.len() > 0 => return Ok(Published::AlreadyThere),
            Ok(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            // Equal name is equal content here, so finishing a dead writer's work harms nobody.
            Ok(_) if name.kind().is_named_by_hash() => {
                let renamed = fs::rename(temporary, &path);
                renamed.map_err(|source| place.failed("rename", &path, source))?;
                return Ok(Published::AlreadyThere);
            }
            Ok(_) => return Err(StorageError::Unfinished { name: name.clone(), location: place.location() }),
            // Its writer failed and gave the name back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(place.failed("look at", &path, source)),
        }
    }
}

/// Creates the empty file; `false` if the name is taken.
fn claim(place: &Place, path: &Path) -> io::Result<bool> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(path, flags, layout::file_mode(place.modes)) {
        Ok(_) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn over_claim(place: &Place, temporary: &Path, path: &Path) -> Result<Published, StorageError> {
    match fs::rename(temporary, path) {
        Ok(()) => Ok(Published::Created),
        Err(source) => {
            // Only an empty file is ours to take back: a rename that failed may still have happened.
            if fs::symlink_metadata(path).is_ok_and(|found| found.len() == 0) {
                let _ = fs::remove_file(path);
            }
            Err(place.failed("rename", path, source))
        }
    }
}

/// Waits until a file that another writer has claimed is whole, or patience ends. Returns its size.
pub(super) fn settled_bytes(file: &Path, patience: Duration) -> io::Result<u64> {
    let deadline = Instant::now() + patience;
    loop {
        let bytes = fs::symlink_metadata(file)?.len();
        if bytes > 0 || Instant::now() >= deadline {
            return Ok(bytes);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;

    use super::super::layout::Modes;
    use super::*;
    use crate::base::object::ObjectKind;

    const SHORT: Duration = Duration::from_millis(50);

    fn place() -> (TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("snapshots")).unwrap();
        fs::create_dir_all(directory.path().join("packs/ab")).unwrap();
        let place = Place::new(directory.path().to_owned(), CreateMethod::Exclusive, Modes::default());
        (directory, place)
    }

    fn name(kind: ObjectKind) -> ObjectName {
        ObjectName::new(kind, "abcdef").unwrap()
    }

    fn write(place: &Place, file: &str, content: &[u8]) -> std::path::PathBuf {
        let path = place.root.join(file);
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn of_many_claims_exactly_one_wins_and_all_see_its_object() {
        let (_directory, place) = place();
        for _ in 0..20 {
            let (start, winners) = (Barrier::new(16), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for thread in 0..16_u8 {
                    let (place, start, winners) = (&place, &start, &winners);
                    scope.spawn(move || {
                        let temporary = write(place, &thread.to_string(), &[thread; 100]);
                        start.wait();
                        match by_claim(place, &temporary, &name(ObjectKind::Snapshot), PATIENCE).unwrap() {
                            Published::Created => winners.fetch_add(1, Ordering::SeqCst),
                            Published::AlreadyThere => 0,
                        };
                        assert_eq!(fs::read(place.path(&name(ObjectKind::Snapshot))).unwrap().len(), 100);
                    });
                }
            });
            assert_eq!(winners.into_inner(), 1);
            fs::remove_file(place.path(&name(ObjectKind::Snapshot))).unwrap();
        }
    }

    #[test]
    fn a_name_claimed_by_a_dead_writer_is_never_taken_over() {
        let (_directory, place) = place();
        write(&place, "snapshots/abcdef", b"");
        let temporary = write(&place, "temporary", b"later");
        let error = by_claim(&place, &temporary, &name(ObjectKind::Snapshot), SHORT).unwrap_err();
        assert!(matches!(error, StorageError::Unfinished { .. }), "{error}");
        assert_eq!(fs::read(place.path(&name(ObjectKind::Snapshot))).unwrap(), b"");
    }

    #[test]
    fn a_pack_whose_writer_died_is_finished_by_the_next_one() {
        let (_directory, place) = place();
        write(&place, "packs/ab/abcdef", b"");
        let temporary = write(&place, "temporary", b"same bytes");
        let published = by_claim(&place, &temporary, &name(ObjectKind::Pack), SHORT).unwrap();
        assert_eq!(published, Published::AlreadyThere);
        assert_eq!(fs::read(place.path(&name(ObjectKind::Pack))).unwrap(), b"same bytes");
    }

    #[test]
    fn a_claim_that_cannot_be_filled_is_given_back() {
        let (_directory, place) = place();
        let missing = place.root.join("missing");
        assert!(by_claim(&place, &missing, &name(ObjectKind::Snapshot), SHORT).is_err());
        assert!(!place.path(&name(ObjectKind::Snapshot)).exists());
    }

    #[test]
    fn a_link_whose_answer_was_lost_still_counts_as_ours() {
        let (_directory, place) = place();
        let temporary = write(&place, "temporary", b"whole");
        let file = File::open(&temporary).unwrap();
        fs::hard_link(&temporary, place.path(&name(ObjectKind::Snapshot))).unwrap();
        let published = by_link(&place, &file, &temporary, &name(ObjectKind::Snapshot)).unwrap();
        assert_eq!(published, Published::Created);
    }
}
