//! Directories being restored: found again by descriptor, finished when nothing below them is left to do.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::sys::apply::{Attributes, Origin, apply_open};
use crate::sys::beneath::{FileName, open_dirs};
use crate::sys::meta;
use crate::vault::restore::shared::Shared;

/// A directory of the target.
pub(super) struct Folder<'r> {
    shared: &'r Shared<'r>,
    number: u64,
    parent: Option<Hold<'r>>,
    name: Option<FileName>,
    /// What it gets when all below it is done; `None` leaves it alone.
    attributes: Option<Attributes>,
    /// What is known of it before anything is made in it.
    pub state: FolderState,
}

/// What a directory was like before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FolderState {
    /// It was there, so entries may be too.
    pub existed: bool,
    /// It is not there, for this is a dry run.
    pub absent: bool,
    /// It hands an ACL down to what is made in it.
    pub hands_down: bool,
}

/// A share in a directory: whoever still has something to do in or below it. When the last share goes the
/// directory gets its own attributes, so its time is right, and then its parent may.
pub(super) struct Hold<'r>(Option<Arc<Folder<'r>>>);

impl<'r> Hold<'r> {
    /// The target itself.
    pub fn root(shared: &'r Shared<'r>, attributes: Option<Attributes>, state: FolderState) -> Self {
        Self::make(shared, None, None, attributes, state)
    }

    /// A directory in this one.
    pub fn child(&self, name: FileName, attributes: Option<Attributes>, state: FolderState) -> Self {
        Self::make(self.shared, Some(self.clone()), Some(name), attributes, state)
    }

    fn make(
        shared: &'r Shared<'r>,
        parent: Option<Self>,
        name: Option<FileName>,
        attributes: Option<Attributes>,
        state: FolderState,
    ) -> Self {
        let number = shared.next_number();
        Self(Some(Arc::new(Folder { shared, number, parent, name, attributes, state })))
    }
}

impl Clone for Hold<'_> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'r> Deref for Hold<'r> {
    type Target = Folder<'r>;

    #[expect(clippy::expect_used, reason = "only `drop` takes the share out")]
    fn deref(&self) -> &Folder<'r> {
        self.0.as_ref().expect("a hold holds until it is dropped")
    }
}

/// Not recursive: a thousand directories may end with one file.
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut last = self.0.take();
        while let Some(folder) = last.and_then(Arc::into_inner) {
            last = folder.finish();
        }
    }
}

impl<'r> Folder<'r> {
    /// An open descriptor of it.
    pub fn open(&self) -> io::Result<Arc<File>> {
        let open_folders = &self.shared.open_folders;
        let mut way = Vec::new();
        let mut at = self;
        let from = loop {
            if let Some(open) = open_folders.get(at.number) {
                break Some(open);
            }
            let (Some(parent), Some(name)) = (&at.parent, &at.name) else { break None };
            way.push(name);
            at = parent;
        };
        if let (Some(open), true) = (&from, way.is_empty()) {
            return Ok(Arc::clone(open));
        }
        way.reverse();
        let from = match &from {
            Some(open) => open.as_fd(),
            None => self.shared.root()?,
        };
        let open = Arc::new(File::from(open_dirs(from, &way)?));
        open_folders.keep(self.number, &open);
        Ok(open)
    }

    /// Its path in the snapshot.
    pub fn path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self;
        while let (Some(parent), Some(name)) = (&at.parent, &at.name) {
            names.push(name.as_bytes());
            at = parent;
        }
        names.push(&self.shared.prefix);
        names.reverse();
        names.retain(|name| !name.is_empty());
        names.join(&b'/')
    }

    /// The path in the snapshot of an entry in it.
    pub fn path_of(&self, name: &FileName) -> Vec<u8> {
        let mut path = self.path();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        path
    }

    /// What the kernel may have added to things made in it.
    pub fn origin(&self) -> Origin {
        if self.state.hands_down { Origin::Found } else { Origin::Fresh }
    }

    /// Everything below is done: gives it its attributes. Returns what is left of the parent's share.
    fn finish(mut self) -> Option<Arc<Folder<'r>>> {
        if let Some(attributes) = self.attributes.take().filter(|_| !self.shared.record.must_stop()) {
            match self.open().and_then(|open| self.adorn(open.as_fd(), &attributes)) {
                Ok(()) => {}
                Err(error) => self.shared.record.failure(self.path(), format!("its attributes cannot be set: {error}")),
            }
        }
        self.shared.open_folders.drop(self.number);
        self.parent.take().and_then(|mut parent| parent.0.take())
    }

    fn adorn(&self, open: BorrowedFd<'_>, attributes: &Attributes) -> io::Result<()> {
        let now = meta::fstat(open)?;
        let origin = if self.state.existed || self.state.hands_down { Origin::Found } else { Origin::Fresh };
        for trouble in apply_open(open, attributes, &now, origin) {
            self.shared.note_trouble(|| self.path(), &trouble);
        }
        Ok(())
    }
}
