//! Walking the snapshot's tree beside the target: which entries are wanted, which directories are entered, and
//! what the target has that the snapshot has not.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use crossbeam_channel::{Sender, TrySendError};

use crate::base::clock::Timestamp;
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX};
use crate::repo::tree::{Entry, EntryKind};
use crate::sys::beneath::{FileName, list};
use crate::sys::meta::FileKind;
use crate::sys::remove::remove_all;
use crate::vault::restore::execute::abandon;
use crate::vault::restore::filter::{Filter, Wanted};
use crate::vault::restore::folder::Hold;
use crate::vault::restore::job::with_mark;
use crate::vault::restore::plan::Planner;
use crate::vault::restore::record::count;
use crate::vault::restore::room;
use crate::vault::restore::shared::{Pass, Shared};
use crate::vault::restore::window::Window;

/// Directories deeper than this are walked with those above them parked.
const DEPTH_HELD: usize = 32;

/// A walk in progress.
pub(super) struct Walk<'r, 's> {
    shared: &'r Shared<'r>,
    filter: &'r Filter,
    planner: Planner<'r>,
    frames: Vec<Frame<'r>>,
    /// Path from what is restored to the directory of the last frame.
    path: Vec<u8>,
    sender: &'s Sender<Window<'r>>,
}

/// A directory being walked.
struct Frame<'r> {
    entries: Entries<'r>,
    place: FramePlace<'r>,
    path_bytes: usize,
    inside: bool,
    /// Names the target has here and the snapshot has not shown yet; only if they are to be deleted.
    extra: Option<BTreeSet<FileName>>,
    broken: bool,
    /// Since when the directory is marked as damaged.
    marked: Option<Timestamp>,
}

/// Whether the directory is there yet. With include patterns it is made only when something in it is wanted.
enum FramePlace<'r> {
    Made(Hold<'r>),
    ToMake(FileName, Box<Entry>),
    Impossible,
}

impl<'r, 's> Walk<'r, 's> {
    pub fn new(shared: &'r Shared<'r>, filter: &'r Filter, sender: &'s Sender<Window<'r>>) -> Self {
        Self { shared, filter, planner: Planner::new(shared), frames: Vec::new(), path: Vec::new(), sender }
    }

    /// Walks everything below a tree into the target directory. Windows go to the executor as they fill.
    pub fn directory(mut self, tree: crate::base::id::ChunkId, root: Hold<'r>) {
        self.enter(tree, FramePlace::Made(root), true);
        while let Some(frame) = self.frames.last_mut() {
            if self.shared.record.must_stop() {
                break;
            }
            let marked = frame.marked;
            match frame.entries.next() {
                Some(Ok(entry)) => self.entry(entry),
                Some(Err(error)) => {
                    frame.broken = true;
                    let path = self.snapshot_path();
                    let cause = with_mark(&format!("this directory cannot be read wholly: {error}"), marked);
                    self.shared.record.failure(path, cause);
                }
                None => self.leave(),
            }
        }
        self.finish();
    }

    /// Plans one file that was asked for by its path.
    pub fn single(mut self, entry: Entry, root: &Hold<'r>) {
        if let Some(name) = FileName::new(entry.name.clone()) {
            self.planner.entry(root, name, entry, &mut |window| send(self.shared, self.sender, window));
        }
        self.finish();
    }

    fn finish(mut self) {
        let window = std::mem::take(&mut self.planner.window);
        if self.shared.record.must_stop() {
            return abandon(&window);
        }
        send(self.shared, self.sender, window);
    }

    fn entry(&mut self, entry: Entry) {
        let Some(name) = FileName::new(entry.name.clone()) else { return };
        let Some(frame) = self.frames.last_mut() else { return };
        if let Some(extra) = &mut frame.extra {
            extra.remove(&name);
        }
        let is_dir = entry.kind == EntryKind::Directory;
        let inside = frame.inside;
        let path_bytes = self.path.len();
        if path_bytes > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&entry.name);
        let wanted = self.filter.judge(&self.path, is_dir, inside);
        match (wanted, entry.tree) {
            (Wanted::No, _) => {}
            (_, Some(tree)) => return self.descend(name, entry, tree, wanted == Wanted::Yes),
            (_, None) => self.leaf(name, entry),
        }
        self.path.truncate(path_bytes);
    }

    fn leaf(&mut self, name: FileName, entry: Entry) {
        if let Some(hold) = self.materialise() {
            self.planner.entry(&hold, name, entry, &mut |window| send(self.shared, self.sender, window));
            self.offer();
        }
    }

    fn descend(&mut self, name: FileName, entry: Entry, tree: crate::base::id::ChunkId, wanted: bool) {
        if self.frames.len() >= TREE_DEPTH_MAX {
            let path = self.snapshot_path();
            self.shared.record.failure(path, "directories are nested too deep".to_owned());
            return self.pop_path();
        }
        if let Some(frame) = self.frames.get_mut(DEPTH_HELD..).and_then(<[_]>::last_mut) {
            frame.entries.park();
        }
        self.enter(tree, FramePlace::ToMake(name, Box::new(entry)), wanted);
        if wanted && self.materialise().is_none() {
            // Reported already; nothing below it can be made.
            self.frames.pop();
            self.pop_path();
        }
    }

    fn enter(&mut self, tree: crate::base::id::ChunkId, place: FramePlace<'r>, wanted: bool) {
        let above = self.frames.last().is_some_and(|frame| frame.inside);
        let inside = above || (wanted && !self.frames.is_empty());
        let marked = match &place {
            FramePlace::ToMake(_, entry) => entry.damaged.as_ref().map(|mark| mark.found),
            _ => None,
        };
        let mut frame = Frame {
            marked,
            entries: Entries::new(self.shared.reader, tree),
            place,
            path_bytes: self.path.len(),
            inside,
            extra: None,
            broken: false,
        };
        if let FramePlace::Made(hold) = &frame.place {
            frame.extra = self.extra_of(hold);
        }
        self.frames.push(frame);
    }

    /// Makes the directories on the way that are not there yet; `None` if one of them cannot be.
    fn materialise(&mut self) -> Option<Hold<'r>> {
        let first = self.frames.iter().rposition(|frame| !matches!(frame.place, FramePlace::ToMake(..)))?;
        for index in first + 1..self.frames.len() {
            let FramePlace::Made(parent) = &self.frames[index - 1].place else { return None };
            let parent = parent.clone();
            let place = std::mem::replace(&mut self.frames[index].place, FramePlace::Impossible);
            let FramePlace::ToMake(name, entry) = place else { return None };
            let hold = self.planner.folder(&parent, name, *entry)?;
            self.frames[index].extra = self.extra_of(&hold);
            self.frames[index].place = FramePlace::Made(hold);
        }
        match self.frames.last().map(|frame| &frame.place) {
            Some(FramePlace::Made(hold)) => Some(hold.clone()),
            _ => None,
        }
    }

    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.path.truncate(frame.path_bytes);
        if let (FramePlace::Made(hold), Some(extra), false) = (&frame.place, &frame.extra, frame.broken) {
            extra.iter().for_each(|name| self.remove_extra(hold, name, frame.inside));
        }
        self.pop_path();
        self.offer();
    }

    /// Takes the last component off the path.
    fn pop_path(&mut self) {
        let end = self.path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.path.truncate(end);
    }

    fn extra_of(&self, hold: &Hold<'r>) -> Option<BTreeSet<FileName>> {
        let delete = self.shared.options.delete && self.shared.pass != Pass::Verify;
        if !delete || !hold.state.existed {
            return None;
        }
        let listed = hold.open().and_then(|open| list(&*open));
        match listed {
            Ok(names) => Some(names.into_iter().collect()),
            Err(error) => {
                self.shared.record.failure(hold.path(), format!("it cannot be listed: {error}"));
                None
            }
        }
    }

    fn remove_extra(&self, hold: &Hold<'r>, name: &FileName, inside: bool) {
        let removed = hold.open().and_then(|open| {
            let Some(there) = room::look(open.as_fd(), name)? else { return Ok(0) };
            let mut path = self.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            let is_dir = there.kind == FileKind::Directory;
            if self.filter.judge(&path, is_dir, inside) != Wanted::Yes {
                return Ok(0);
            }
            if self.shared.pass == Pass::Write { remove_all(open.as_fd(), name) } else { Ok(1) }
        });
        match removed {
            Ok(entries) => count(&self.shared.record.tally.deleted, entries),
            Err(error) => self.shared.record.failure(hold.path_of(name), format!("it cannot be removed: {error}")),
        }
    }

    /// Gives the window away if it is full, or if it is worth it and the executor has nothing to do.
    fn offer(&mut self) {
        if self.planner.window.is_full() {
            send(self.shared, self.sender, std::mem::take(&mut self.planner.window));
        } else if self.planner.window.is_worthwhile() {
            match self.sender.try_send(std::mem::take(&mut self.planner.window)) {
                Ok(()) => {}
                Err(TrySendError::Full(window) | TrySendError::Disconnected(window)) => self.planner.window = window,
            }
        }
    }

    fn snapshot_path(&self) -> Vec<u8> {
        let parts = [self.shared.prefix.as_slice(), &self.path];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b'/')
    }
}

/// Waits for the executor. If it is gone the restore is over and nothing may stay half done.
fn send<'r>(shared: &Shared<'r>, sender: &Sender<Window<'r>>, window: Window<'r>) {
    if window.is_empty() {
        return;
    }
    if let Err(refused) = sender.send(window) {
        debug_assert!(shared.record.must_stop(), "the executor only ends early when stopped");
        abandon(&refused.0);
    }
}
