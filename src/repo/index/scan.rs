//! Walking the whole index without holding it.

use std::sync::Arc;

use crate::repo::error::RepoError;
use crate::repo::index::merge::Merge;
use crate::repo::index::place::{IndexEntry, PackPlace};
use crate::repo::index::run::EntryRecord;
use crate::repo::index::shelf::Fault;
use crate::repo::index::view::View;
use crate::repo::index::{Index, catalog};

/// All entries in order; see [`Index::scan`].
pub struct Scan<'a> {
    index: &'a Index,
    view: Arc<View>,
    merge: Option<Merge>,
    last: Option<EntryRecord>,
    ended: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, view: index.view(), merge: None, last: None, ended: false }
    }

    fn step(&mut self) -> Result<Option<EntryRecord>, Fault> {
        let cache = &self.view.cache;
        let merge = match &mut self.merge {
            Some(merge) => merge,
            None => self.merge.insert(Merge::new(cache, &self.view.contents.runs, self.last.as_ref())?),
        };
        merge.next(cache)
    }

    /// A cache built anew holds the same entries under the same numbers, so the walk goes on behind the last one.
    fn step_or_heal(&mut self) -> Result<Option<EntryRecord>, RepoError> {
        match self.step() {
            Ok(record) => Ok(record),
            Err(_) => {
                self.index.heal(&self.view)?;
                self.view = self.index.view();
                self.merge = None;
                self.step().map_err(|fault| self.index.unusable(&fault))
            }
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<IndexEntry, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step_or_heal() {
                Ok(Some(record)) => {
                    self.last = Some(record);
                    let entry = IndexEntry::from_bytes(&record);
                    if !self.view.contents.gone.contains(entry.place.pack) {
                        return Some(Ok(entry));
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// All packs with their numbers; see [`Index::packs`].
pub struct Packs<'a> {
    index: &'a Index,
    next: u32,
    end: u32,
}

impl<'a> Packs<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, next: 0, end: index.view().contents.record.next_pack }
    }
}

impl Iterator for Packs<'_> {
    type Item = Result<(u32, Arc<PackPlace>), RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let number = self.next;
            self.next += 1;
            // Not through the memory of packs: a walk over all would only push out what is used.
            let pack = self.index.ask(|view| {
                if view.contents.gone.contains(number) { Ok(None) } else { catalog::load_pack(&view.cache, number) }
            });
            match pack {
                Ok(Some(pack)) => return Some(Ok((number, Arc::new(pack)))),
                Ok(None) => {}
                Err(error) => {
                    self.next = self.end;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
