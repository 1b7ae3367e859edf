//! Turning one entry of the snapshot into what has to be done for it, given what the target has in its place.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::repo::RepoError;
use crate::repo::tree::reader::for_each_id;
use crate::repo::tree::{Entry, EntryKind, FileContent, HardLink};
use crate::sys::apply::make_accessible;
use crate::sys::beneath::{FileName, make_dir};
use crate::sys::meta::{FileKind, Stat};
use crate::sys::xattr;
use crate::vault::restore::Overwrite;
use crate::vault::restore::folder::{FolderState, Hold};
use crate::vault::restore::job::{FileJob, Progress};
use crate::vault::restore::layout::Layout;
use crate::vault::restore::link::{LinkGroup, LinkJob};
use crate::vault::restore::record::count;
use crate::vault::restore::room;
use crate::vault::restore::shared::{Pass, Shared};
use crate::vault::restore::special::SpecialJob;
use crate::vault::restore::window::{Fragment, Window};

/// Fills windows.
pub(super) struct Planner<'r> {
    shared: &'r Shared<'r>,
    pub window: Window<'r>,
    groups: HashMap<HardLink, Arc<LinkGroup<'r>>>,
}

/// Receives windows that became full in the middle of a long file.
type Overflow<'a, 'r> = &'a mut dyn FnMut(Window<'r>);

/// What is to be done about a regular file.
enum Decision {
    /// Make it.
    Make,
    /// Compare it with what is there and change that.
    Change(Stat),
    /// Its content is right; its attributes may not be.
    Keep(Stat),
    /// Leave it alone.
    Leave,
}

impl<'r> Planner<'r> {
    pub fn new(shared: &'r Shared<'r>) -> Self {
        Self { shared, window: Window::default(), groups: HashMap::new() }
    }

    /// Makes or finds a directory. Failure is recorded.
    pub fn folder(&mut self, parent: &Hold<'r>, name: FileName, entry: Entry) -> Option<Hold<'r>> {
        if self.shared.failed_before(|| parent.path_of(&name)) {
            return None;
        }
        let attributes = self.shared.attributes(entry);
        match self.folder_state(parent, &name) {
            Ok(state) => {
                if self.shared.pass != Pass::Verify {
                    count(&self.shared.record.tally.directories, 1);
                }
                let attributes = Some(attributes).filter(|_| self.shared.pass == Pass::Write);
                Some(parent.child(name, attributes, state))
            }
            Err(error) => {
                self.shared.record.note_full_disk(&error);
                let cause = format!("the directory cannot be made: {error}");
                self.shared.record.failure(parent.path_of(&name), cause);
                None
            }
        }
    }

    fn folder_state(&self, parent: &Hold<'r>, name: &FileName) -> io::Result<FolderState> {
        let fresh = FolderState { existed: false, absent: false, hands_down: parent.state.hands_down };
        let absent = FolderState { absent: true, ..fresh };
        if parent.state.absent {
            return Ok(absent);
        }
        let open = parent.open()?;
        let there = if parent.state.existed { room::look(open.as_fd(), name)? } else { None };
        match there {
            Some(there) if there.kind == FileKind::Directory => {
                if self.shared.pass == Pass::Write && !self.shared.account.is_root() && there.mode & 0o700 != 0o700 {
                    make_accessible(open.as_fd(), name, &there)?;
                }
                let hands_down = parent.state.hands_down || has_default_acl(open.as_fd(), name);
                return Ok(FolderState { existed: true, absent: false, hands_down });
            }
            Some(_) if self.shared.keeps_existing() => return Err(io::Error::other("something else is in its place")),
            Some(there) => room::clear(self.shared, open.as_fd(), name, &there)?,
            None => {}
        }
        match self.shared.pass {
            Pass::Write => make_dir(&*open, name).map(|()| fresh),
            Pass::DryRun => Ok(absent),
            Pass::Verify => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Plans anything but a directory.
    pub fn entry(&mut self, folder: &Hold<'r>, name: FileName, mut entry: Entry, overflow: Overflow<'_, 'r>) {
        if entry.kind == EntryKind::File {
            return self.file(folder, name, entry, overflow);
        }
        if self.shared.pass == Pass::Verify {
            return;
        }
        let (kind, device) = (entry.kind, entry.device.unwrap_or(0));
        let target = entry.target.take().unwrap_or_default();
        let attributes = self.shared.attributes(entry);
        self.window.special(SpecialJob { folder: folder.clone(), name, kind, target, device, attributes });
    }

    fn file(&mut self, folder: &Hold<'r>, name: FileName, mut entry: Entry, overflow: Overflow<'_, 'r>) {
        let group = match entry.hard_link {
            None => None,
            Some(key) => match self.groups.get(&key) {
                Some(group) => return self.window.link(Arc::clone(group), LinkJob { folder: folder.clone(), name }),
                None => {
                    let group = Arc::new(LinkGroup::new(self.shared, folder.clone(), name.clone()));
                    self.groups.insert(key, Arc::clone(&group));
                    Some(group)
                }
            },
        };
        if self.shared.failed_before(|| folder.path_of(&name)) {
            return group.into_iter().for_each(|group| group.settle(false));
        }
        let decision = match self.decide(folder, &name, &entry) {
            Ok(decision) => decision,
            Err(error) => {
                self.shared.record.failure(folder.path_of(&name), format!("it cannot be restored: {error}"));
                return group.into_iter().for_each(|group| group.settle(false));
            }
        };
        let mut content = entry.content.take();
        let marked = entry.damaged.take().map(|mark| mark.found);
        let found = match decision {
            Decision::Leave => {
                count(&self.shared.record.tally.unchanged, 1);
                self.shared.record.advanced(0, 1);
                return group.into_iter().for_each(|group| group.settle(true));
            }
            Decision::Make => None,
            Decision::Change(there) => Some(there),
            Decision::Keep(there) => {
                // No chunk to look at: only the attributes are set.
                content = None;
                Some(there)
            }
        };
        let layout = content.as_ref().and_then(|content| content.extents.as_deref()).map(Layout::new);
        let (size, kept) = (entry.size, content.is_none() && entry.size > 0);
        let job = Arc::new(FileJob {
            shared: self.shared,
            number: self.shared.next_number(),
            folder: folder.clone(),
            name,
            attributes: self.shared.attributes(entry),
            size,
            layout,
            kept,
            found,
            group,
            marked,
            progress: Progress::default(),
        });
        self.content(&job, content.as_ref(), overflow);
    }

    fn content(&mut self, job: &Arc<FileJob<'r>>, content: Option<&FileContent>, overflow: Overflow<'_, 'r>) {
        self.window.begin(job, false);
        let listed = content.is_some_and(|content| content.list_depth.unwrap_or(0) > 0);
        let fragment = content.and_then(|content| content.fragment);
        let fragment = fragment.map(|offset| Fragment { offset, length: job.size as u32 });
        let window = &mut self.window;
        let shared = self.shared;
        let expanded = content.map_or(Ok(()), |content| {
            for_each_id::<Stop>(shared.reader, content, &mut |id| {
                window.push(id, fragment);
                if listed && window.is_full() {
                    if shared.record.must_stop() {
                        return Err(Stop::Asked);
                    }
                    overflow(std::mem::take(window));
                    window.begin(job, true);
                }
                Ok(())
            })
        });
        if let Err(Stop::Unreadable(error)) = expanded {
            job.fail(error);
        }
        self.window.end();
        shared.record.planned(job.data_bytes());
    }

    fn decide(&self, folder: &Hold<'r>, name: &FileName, entry: &Entry) -> io::Result<Decision> {
        if folder.state.absent || !folder.state.existed {
            return Ok(Decision::Make);
        }
        let open = folder.open()?;
        let Some(there) = room::look(open.as_fd(), name)? else {
            return if self.shared.pass == Pass::Verify {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(Decision::Make)
            };
        };
        if self.shared.pass == Pass::Verify {
            return Ok(Decision::Change(there));
        }
        if self.shared.keeps_existing() {
            return Ok(Decision::Leave);
        }
        let linked = there.nlink > 1;
        if there.kind != FileKind::File || (linked && !may_stay_linked(entry)) {
            room::clear(self.shared, open.as_fd(), name, &there)?;
            return Ok(Decision::Make);
        }
        let same = there.size == entry.size && there.mtime == entry.mtime;
        if self.shared.options.overwrite == Overwrite::IfChanged && same {
            return Ok(Decision::Keep(there));
        }
        Ok(Decision::Change(there))
    }
}

/// A file that has other names here may only stay if it has other names in the snapshot, and only while it is
/// planned at once, so that it can still be replaced when it turns out to differ.
fn may_stay_linked(entry: &Entry) -> bool {
    let listed = entry.content.as_ref().is_some_and(|content| content.list_depth.unwrap_or(0) > 0);
    entry.hard_link.is_some() && !listed
}

fn has_default_acl(dir: std::os::fd::BorrowedFd<'_>, name: &FileName) -> bool {
    let held = xattr::xattrs_of(dir, name.as_c_str(), FileKind::Directory).unwrap_or_default();
    held.iter().any(|(name, _)| name == b"system.posix_acl_default")
}

/// Why the ids of a file were not all seen.
enum Stop {
    Asked,
    Unreadable(RepoError),
}

impl From<RepoError> for Stop {
    fn from(error: RepoError) -> Self {
        Self::Unreadable(error)
    }
}
