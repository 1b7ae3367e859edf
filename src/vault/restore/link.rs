//! Files with several names: the first name gets the content, the others are links to it.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use crate::sys::beneath::{FileName, link};
use crate::sys::meta::lstat_at;
use crate::vault::restore::folder::Hold;
use crate::vault::restore::record::count;
use crate::vault::restore::room;
use crate::vault::restore::shared::{Pass, Shared};

/// All names of one file. It holds the directory of the first, which must be reachable for the others.
pub(super) struct LinkGroup<'r> {
    shared: &'r Shared<'r>,
    folder: Hold<'r>,
    name: FileName,
    state: Mutex<State<'r>>,
}

enum State<'r> {
    /// The first name is not finished yet.
    Waiting(Vec<LinkJob<'r>>),
    Restored,
    Failed,
}

/// Another name.
pub(super) struct LinkJob<'r> {
    pub folder: Hold<'r>,
    pub name: FileName,
}

impl<'r> LinkGroup<'r> {
    /// A group whose first name is this one.
    pub fn new(shared: &'r Shared<'r>, folder: Hold<'r>, name: FileName) -> Self {
        Self { shared, folder, name, state: Mutex::new(State::Waiting(Vec::new())) }
    }

    /// The first name is finished: the others follow.
    pub fn settle(&self, restored: bool) {
        let settled = if restored { State::Restored } else { State::Failed };
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), settled);
        if let State::Waiting(jobs) = before {
            jobs.iter().for_each(|job| self.link(job, restored));
        }
    }

    /// Links another name now, or as soon as the first is finished.
    pub fn add(&self, job: LinkJob<'r>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let restored = match &mut *state {
            State::Waiting(jobs) => return jobs.push(job),
            State::Restored => true,
            State::Failed => false,
        };
        drop(state);
        self.link(&job, restored);
    }

    fn link(&self, job: &LinkJob<'r>, restored: bool) {
        let record = self.shared.record;
        let path = || job.folder.path_of(&job.name);
        if !restored && self.shared.failed_before(path) {
            return;
        }
        if !restored {
            let first = self.folder.path_of(&self.name);
            let cause = format!("it is a link to {}, which was not restored", String::from_utf8_lossy(&first));
            return record.failure(path(), cause);
        }
        if self.shared.pass == Pass::Verify {
            return;
        }
        match self.make(job) {
            Ok(true) => count(&record.tally.files, 1),
            Ok(false) => count(&record.tally.unchanged, 1),
            Err(error) => {
                record.note_full_disk(&error);
                record.failure(path(), format!("it cannot be linked: {error}"));
            }
        }
        record.advanced(0, 1);
    }

    /// Whether a link had to be made.
    fn make(&self, job: &LinkJob<'r>) -> io::Result<bool> {
        if job.folder.state.absent || self.folder.state.absent {
            return Ok(true);
        }
        let (first, other) = (self.folder.open()?, job.folder.open()?);
        let there = if job.folder.state.existed { room::look(other.as_fd(), &job.name)? } else { None };
        if let Some(there) = there {
            let same = lstat_at(first.as_fd(), self.name.as_c_str());
            let same = same.is_ok_and(|first| (first.device, first.inode) == (there.device, there.inode));
            if same || self.shared.keeps_existing() {
                return Ok(false);
            }
            room::clear(self.shared, other.as_fd(), &job.name, &there)?;
        }
        if self.shared.pass == Pass::Write {
            link(&*first, &self.name, &*other, &job.name)?;
        }
        Ok(true)
    }
}
