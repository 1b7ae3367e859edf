//! Exchanging the entries of a directory that cannot itself be renamed: a mount point, or one in a directory of somebody
//! else. The old entries are moved away one by one, then the new ones are moved in; the journal knows which of the two is
//! under way, so that from any moment on it can be completed or turned round.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{RenameFlags, renameat, renameat_with};
use rustix::io::Errno;

use crate::dss::control::swap_journal::{Dress, Phase, Swap, SwapJournal};
use crate::dss::datadir::ours;
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::swap;
use crate::sys::apply::{Attributes, Origin, apply_open};
use crate::sys::beneath::{FileName, list, open_root_itself};
use crate::sys::meta::{fstat, lstat_at, xattrs_of_fd};

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Local { action, path: path.clone(), source }
}

/// What a directory has besides its entries.
pub fn dress_of(path: &Path) -> Result<Dress, RestoreError> {
    let look = || -> io::Result<Dress> {
        let open = open_root_itself(path)?;
        let stat = fstat(&open)?;
        Ok(Dress {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime_seconds: stat.mtime.seconds,
            mtime_nanos: stat.mtime.nanos,
            xattrs: xattrs_of_fd(&open)?,
        })
    };
    look().map_err(failed("look at", path))
}

/// Begins an exchange and brings it to its end; if that fails it is turned round. Only if that fails too, or the process
/// dies, does it stay half done.
pub fn exchange(journal: &SwapJournal, swap: Swap) -> Result<(), RestoreError> {
    journal.write(&swap)?;
    match complete(journal, swap.clone()) {
        Ok(()) => Ok(()),
        Err(error) => {
            // The journal knows better than `swap` how far it came.
            let turned = journal.read()?.map(Swap::turned);
            match turned.map(|turned| go_on_with(journal, turned)) {
                None | Some(Ok(())) => Err(error),
                Some(Err(worse)) => {
                    let Swap { data_dir, snapshot, .. } = swap;
                    Err(RestoreError::HalfExchanged { data_dir, snapshot, cause: Some(Box::new(worse)) })
                }
            }
        }
    }
}

/// Goes on with an exchange that was left half done, in its direction or, turned, in the other.
pub fn go_on_with(journal: &SwapJournal, swap: Swap) -> Result<(), RestoreError> {
    journal.write(&swap)?;
    complete(journal, swap)
}

fn complete(journal: &SwapJournal, mut swap: Swap) -> Result<(), RestoreError> {
    if swap.phase == Phase::Clearing {
        make(&swap.clear_to)?;
        move_entries(&swap.data_dir, &swap.clear_to, Phase::Clearing)?;
        swap.phase = Phase::Filling;
        journal.write(&swap)?;
    }
    move_entries(&swap.fill_from, &swap.data_dir, Phase::Filling)?;
    // Nothing is in it any more, or only what is never moved.
    swap::sweep(&swap.fill_from)?;
    // Nothing was there, so nothing is kept.
    let _ = std::fs::remove_dir(&swap.clear_to);
    // The directory last: its time changes with each of its entries.
    dress(&swap.clear_to, swap.outgoing)?;
    dress(&swap.data_dir, swap.incoming)?;
    sync_folder(&swap.data_dir)?;
    Ok(journal.clear()?)
}

/// Removes a folder of ours without leaving a trace in the time of the directory.
pub fn sweep(data_dir: &Path, folder: &Path) -> Result<(), RestoreError> {
    untouched(data_dir, || swap::sweep(folder))
}

/// Does something to folders of ours without leaving a trace in the time of the directory.
pub fn untouched(data_dir: &Path, act: impl FnOnce() -> Result<(), RestoreError>) -> Result<(), RestoreError> {
    let before = dress_of(data_dir)?;
    act()?;
    dress(data_dir, before)
}

fn make(path: &Path) -> Result<(), RestoreError> {
    match swap::make(path) {
        Err(RestoreError::Local { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Moves every entry of the node from one directory to the other; durable when this returns. Both lie in a directory of
/// another account, so they are held open, and a link in the place of either is an error.
fn move_entries(from: &Path, to: &Path, phase: Phase) -> Result<(), RestoreError> {
    let source = match open_root_itself(from) {
        Ok(source) => source,
        // It had moved everything when it was interrupted.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", from)(error)),
    };
    let target = open_root_itself(to).map_err(failed("open", to))?;
    let mut names = list(&source).map_err(failed("list", from))?;
    names.retain(|name| !ours::is_ours(name.as_bytes()));
    names.sort_by_key(|name| rank(name.as_bytes(), phase));
    for name in names {
        let shown = from.join(OsStr::from_bytes(name.as_bytes()));
        rename(source.as_fd(), target.as_fd(), &name).map_err(failed("move", &shown))?;
    }
    rustix::fs::fsync(&source).map_err(|error| failed("write out", from)(error.into()))?;
    rustix::fs::fsync(&target).map_err(|error| failed("write out", to)(error.into()))
}

/// Half a node must not be started, and must be known for what it is: its programs leave first and come last, and what
/// makes it a data directory stays longest.
fn rank(name: &[u8], phase: Phase) -> i8 {
    let leaving = match name {
        b"bin" => 0,
        b"install-support" => 1,
        b"dss-version.json" => 3,
        _ => 2,
    };
    if phase == Phase::Clearing { leaving } else { -leaving }
}

/// Nothing is ever replaced: what has the name already was put there by somebody else.
fn rename(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &FileName) -> io::Result<()> {
    let name = name.as_c_str();
    match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        // File systems that cannot promise it.
        Err(Errno::INVAL | Errno::NOSYS) if lstat_at(to, name).is_err() => Ok(renameat(from, name, to, name)?),
        done => Ok(done?),
    }
}

fn dress(path: &Path, dress: Dress) -> Result<(), RestoreError> {
    let open = match open_root_itself(path) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let now = fstat(&open).map_err(failed("look at", path))?;
    match apply_open(&open, &Attributes::from(dress), &now, Origin::Found).into_iter().next() {
        None => Ok(()),
        Some(trouble) => Err(failed("give its attributes to", path)(io::Error::other(trouble.to_string()))),
    }
}

fn sync_folder(path: &Path) -> Result<(), RestoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("write out", path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::dss::control::swap_journal::tests::swap as sample;

    const ENTRIES: [&str; 4] = ["bin", "config", "dss-version.json", "install.ini"];

    struct Place {
        folder: tempfile::TempDir,
        journal: SwapJournal,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let journal = SwapJournal::of(&folder.path().join("state"), &folder.path().join("data"));
            let place = Self { folder, journal };
            for (dir, content) in [(place.swap().fill_from, "new"), (place.data_dir(), "old")] {
                fs::create_dir_all(&dir).unwrap();
                for name in ENTRIES {
                    fs::write(dir.join(name), content).unwrap();
                }
            }
            fs::write(place.data_dir().join("only-old"), "old").unwrap();
            fs::create_dir(place.data_dir().join("lost+found")).unwrap();
            place
        }

        fn data_dir(&self) -> PathBuf {
            self.folder.path().join("data")
        }

        fn swap(&self) -> Swap {
            sample(&self.data_dir())
        }

        /// What the entries say, and the permissions of the directory.
        fn state(&self) -> (Vec<(String, String)>, u32) {
            let entries = fs::read_dir(self.data_dir()).unwrap().flatten();
            let named = entries.filter(|entry| !ours::is_ours(entry.file_name().as_bytes()));
            let mut found: Vec<(String, String)> = named
                .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
                .collect();
            found.sort();
            (found, fs::metadata(self.data_dir()).unwrap().permissions().mode() & 0o7777)
        }

        fn is_new(&self) {
            let (entries, mode) = self.state();
            assert_eq!(entries, ENTRIES.map(|name| (name.to_owned(), "new".to_owned())));
            assert_eq!(mode, 0o711);
            assert!(!self.swap().fill_from.exists() && self.swap().clear_to.join("only-old").exists());
        }

        fn is_old(&self) {
            let (entries, mode) = self.state();
            assert_eq!(entries.len(), ENTRIES.len() + 1);
            assert!(entries.iter().all(|(_, content)| content == "old"), "{entries:?}");
            assert_eq!(mode, 0o755);
            assert!(!self.swap().clear_to.exists());
        }

        /// The state after a death at a moment: so many entries moved in this phase.
        fn died(&self, phase: Phase, moved: usize) -> Swap {
            let begun = self.swap();
            let swap = Swap { phase, ..begun.clone() };
            fs::create_dir_all(&begun.clear_to).unwrap();
            if phase == Phase::Filling {
                move_entries(&begun.data_dir, &begun.clear_to, Phase::Clearing).unwrap();
            }
            let (from, to) = match phase {
                Phase::Clearing => (&begun.data_dir, &begun.clear_to),
                Phase::Filling => (&begun.fill_from, &begun.data_dir),
            };
            let (source, target) = (open_root_itself(from).unwrap(), open_root_itself(to).unwrap());
            let mut names = list(&source).unwrap();
            names.retain(|name| !ours::is_ours(name.as_bytes()));
            names.sort_by_key(|name| rank(name.as_bytes(), phase));
            names.iter().take(moved).for_each(|name| rename(source.as_fd(), target.as_fd(), name).unwrap());
            self.journal.write(&swap).unwrap();
            swap
        }
    }

    #[test]
    fn all_entries_change_places_and_the_directory_itself_is_dressed() {
        let place = Place::new();
        exchange(&place.journal, place.swap()).unwrap();
        place.is_new();
        assert!(place.data_dir().join("lost+found").exists());
        assert_eq!(place.journal.read().unwrap(), None);
        // And the way back is the same.
        let back = Swap { phase: Phase::Clearing, ..place.swap().turned() };
        exchange(&place.journal, back).unwrap();
        place.is_old();
    }

    #[test]
    fn from_every_moment_it_is_completed_or_turned_round() {
        for phase in [Phase::Clearing, Phase::Filling] {
            for moved in 0..=ENTRIES.len() + 1 {
                let place = Place::new();
                let left = place.died(phase, moved);
                go_on_with(&place.journal, left).unwrap();
                place.is_new();

                let place = Place::new();
                let left = place.died(phase, moved);
                go_on_with(&place.journal, left.turned()).unwrap();
                place.is_old();
                assert!(place.swap().fill_from.join("config").exists());
            }
        }
    }

    #[test]
    fn a_turn_that_died_goes_on_either_way() {
        let place = Place::new();
        let left = place.died(Phase::Filling, ENTRIES.len() - 1);
        // It died when it had turned and moved one entry back.
        let turned = left.turned();
        fs::rename(place.data_dir().join("config"), turned.clear_to.join("config")).unwrap();
        go_on_with(&place.journal, turned.clone().turned()).unwrap();
        place.is_new();
        let place = Place::new();
        let turned = place.died(Phase::Filling, 2).turned();
        go_on_with(&place.journal, turned).unwrap();
        place.is_old();
    }

    #[test]
    fn an_entry_in_the_way_is_never_replaced_and_everything_goes_back() {
        let place = Place::new();
        fs::create_dir_all(place.swap().clear_to).unwrap();
        fs::write(place.swap().clear_to.join("config"), "of somebody").unwrap();
        let error = exchange(&place.journal, place.swap()).unwrap_err();
        assert!(matches!(error, RestoreError::HalfExchanged { .. }), "{error}");
        fs::remove_file(place.swap().clear_to.join("config")).unwrap();
        let left = place.journal.read().unwrap().unwrap();
        go_on_with(&place.journal, left).unwrap();
        place.is_old();
    }

    #[test]
    fn a_link_in_the_place_of_either_folder_is_never_followed() {
        for is_before in [true, false] {
            let place = Place::new();
            let elsewhere = place.folder.path().join("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            fs::write(elsewhere.join("precious"), "").unwrap();
            let linked = if is_before { place.swap().clear_to } else { place.swap().fill_from };
            let _ = fs::remove_dir_all(&linked);
            std::os::unix::fs::symlink(&elsewhere, &linked).unwrap();
            exchange(&place.journal, place.swap()).unwrap_err();
            assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
        }
    }

    #[test]
    fn programs_leave_first_and_come_last() {
        let sorted = |phase| {
            let mut names = ["config", "dss-version.json", "bin", "install-support"];
            names.sort_by_key(|name| rank(name.as_bytes(), phase));
            names
        };
        assert_eq!(sorted(Phase::Clearing), ["bin", "install-support", "config", "dss-version.json"]);
        assert_eq!(sorted(Phase::Filling), ["dss-version.json", "config", "install-support", "bin"]);
    }
}
