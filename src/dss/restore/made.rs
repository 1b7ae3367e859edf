//! Which directory beside a node we have made to restore to. Its name alone does not tell: if a restore dies between the
//! exchange and the renaming after it, the node that was replaced has that name. The inode and the time of its birth go
//! with the directory, so they are written down when it is made. (A device's number does not: the next boot may give it
//! another.)

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::dss::control::instance::key_of;
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::{Place, swap};
use crate::sys::durable;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Mark {
    inode: u64,
    /// Seconds and nanoseconds after 1970; not every file system knows.
    #[serde(default)]
    born: Option<(u64, u32)>,
}

impl Mark {
    /// Whether that lies there.
    fn is_at(&self, path: &Path) -> bool {
        let is_same = |born| self.born.is_none_or(|noted| Some(noted) == born);
        mark_of(path).is_ok_and(|there| there.inode == self.inode && is_same(there.born))
    }
}

fn mark_of(path: &Path) -> io::Result<Mark> {
    let found = path.symlink_metadata()?;
    let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    Ok(Mark { inode: found.ino(), born: born.map(|born| (born.as_secs(), born.subsec_nanos())) })
}

fn file(state: &Path, path: &Path) -> PathBuf {
    state.join("restores").join(format!("{}.json", key_of(path)))
}

fn noted(state: &Path, path: &Path) -> Option<Mark> {
    durable::read_json(&file(state, path)).ok()?
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |source| RestoreError::Local { action, path, source }
}

/// Makes the directory to restore to and notes that it is ours.
pub fn make(state: &Path, path: &Path) -> Result<(), RestoreError> {
    swap::make(path)?;
    let noted = mark_of(path).and_then(|mark| durable::write_json(&file(state, path), &mark));
    noted.map_err(failed("note that we made", path))
}

/// Whether what we made beside a directory has taken its place.
pub fn has_arrived(state: &Path, place: &Place) -> bool {
    noted(state, &place.beside).is_some_and(|noted| noted.is_at(&place.data_dir))
}

/// What an interrupted restore has left beside a node: content of ours goes, a node that was replaced gets the name it
/// was to be kept under. Whatever else has the name stays, and is an error.
pub fn settle(state: &Path, place: &Place) -> Result<(), RestoreError> {
    let Place { beside, before, data_dir, .. } = place;
    if beside.symlink_metadata().is_err() {
        return Ok(());
    }
    let noted = noted(state, beside);
    let is_noted = |path: &Path| noted.as_ref().is_some_and(|noted| noted.is_at(path));
    // It may have died before it could note anything.
    if is_noted(beside) || std::fs::remove_dir(beside).is_ok() {
        swap::sweep(beside)?;
    } else if is_noted(data_dir) && before.symlink_metadata().is_err() {
        std::fs::rename(beside, before).map_err(failed("rename", beside))?;
    } else {
        return Err(RestoreError::InTheWay { path: beside.clone() });
    }
    Ok(())
}

/// Exchanges the kept directory with the restored one, which goes. One that died in the middle is gone on with.
pub fn put_back(state: &Path, place: &Place) -> Result<(), RestoreError> {
    let Place { beside, before, .. } = place;
    settle(state, place)?;
    if noted(state, beside).is_some_and(|noted| noted.is_at(before)) {
        // It had been exchanged already: what is kept is what was restored.
        return swap::retire(place);
    }
    swap::put_back(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::SnapshotId;

    struct Desk {
        folder: tempfile::TempDir,
        place: Place,
    }

    fn desk() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        std::fs::write(data_dir.join("old"), "").unwrap();
        let place = Place::at(&data_dir, &SnapshotId::from_bytes([7; 16])).unwrap();
        Desk { folder, place }
    }

    impl Desk {
        fn state(&self) -> PathBuf {
            self.folder.path().join("state")
        }

        fn restored(&self) {
            make(&self.state(), &self.place.beside).unwrap();
            std::fs::write(self.place.beside.join("new"), "").unwrap();
        }
    }

    #[test]
    fn half_a_restore_is_swept_and_the_node_stays() {
        let desk = desk();
        desk.restored();
        settle(&desk.state(), &desk.place).unwrap();
        assert!(!desk.place.beside.exists() && desk.place.data_dir.join("old").exists());
        // Killed before it could be noted.
        std::fs::create_dir(&desk.place.beside).unwrap();
        settle(&desk.state(), &desk.place).unwrap();
        assert!(!desk.place.beside.exists());
    }

    #[test]
    fn a_node_that_was_just_replaced_is_never_swept() {
        let desk = desk();
        desk.restored();
        let Place { data_dir, beside, before, .. } = &desk.place;
        // As the exchange leaves it, if the process dies right then.
        let third = desk.folder.path().join("third");
        std::fs::rename(data_dir, &third).unwrap();
        std::fs::rename(beside, data_dir).unwrap();
        std::fs::rename(&third, beside).unwrap();
        settle(&desk.state(), &desk.place).unwrap();
        assert!(before.join("old").exists() && data_dir.join("new").exists() && !beside.exists());
    }

    #[test]
    fn a_way_back_that_died_is_gone_on_with_and_never_turned_round() {
        let desk = desk();
        desk.restored();
        let Place { data_dir, beside, before, .. } = &desk.place;
        swap::exchange(data_dir, beside, before).unwrap();
        // Killed right after the exchange: the restored content has the name of what is kept.
        let third = desk.folder.path().join("third");
        std::fs::rename(data_dir, &third).unwrap();
        std::fs::rename(before, data_dir).unwrap();
        std::fs::rename(&third, before).unwrap();
        put_back(&desk.state(), &desk.place).unwrap();
        assert!(data_dir.join("old").exists() && !before.exists() && !beside.exists());
    }

    #[test]
    fn a_way_back_that_died_while_it_removed_what_was_restored_never_puts_that_back() {
        let desk = desk();
        desk.restored();
        let Place { data_dir, beside, before, .. } = &desk.place;
        swap::exchange(data_dir, beside, before).unwrap();
        // A device that has another number after the next boot, and what a killed run leaves of what it removes.
        let note = file(&desk.state(), beside);
        let mut noted: serde_json::Value = durable::read_json(&note).unwrap().unwrap();
        noted["device"] = 4711.into();
        durable::write_json(&note, &noted).unwrap();
        std::fs::write(before.join("precious"), "").unwrap();
        std::fs::rename(data_dir, desk.folder.path().join("third")).unwrap();
        std::fs::rename(before, data_dir).unwrap();
        std::fs::rename(desk.folder.path().join("third"), before).unwrap();
        std::fs::remove_file(before.join("new")).unwrap();
        put_back(&desk.state(), &desk.place).unwrap();
        assert!(data_dir.join("precious").exists() && !before.exists() && !beside.exists());
    }

    #[test]
    fn what_somebody_else_put_there_stays() {
        let desk = desk();
        std::fs::create_dir(&desk.place.beside).unwrap();
        std::fs::write(desk.place.beside.join("precious"), "").unwrap();
        let error = settle(&desk.state(), &desk.place).unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert!(desk.place.beside.join("precious").exists());
    }
}
