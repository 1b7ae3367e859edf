//! Reading several runs as one sorted list.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::repo::index::place::ENTRY_BYTES;
use crate::repo::index::run::{EntryRecord, Run};
use crate::repo::index::shelf::{Cache, Fault};

/// The records of several runs in order.
pub struct Merge {
    cursors: Vec<Cursor>,
    heap: BinaryHeap<Reverse<(EntryRecord, usize)>>,
}

impl Merge {
    /// All records above `after`, or all.
    pub fn new(cache: &Cache, runs: &[Arc<Run>], after: Option<&EntryRecord>) -> Result<Self, Fault> {
        let mut merge = Self { cursors: Vec::with_capacity(runs.len()), heap: BinaryHeap::new() };
        for run in runs {
            let page = after.map_or(Ok(0), |record| run.page_of(cache, record))?;
            merge.cursors.push(Cursor { run: Arc::clone(run), page, bytes: Vec::new(), at: 0 });
            let number = merge.cursors.len() - 1;
            while let Some(record) = merge.cursors[number].next(cache)? {
                if after.is_none_or(|after| record > *after) {
                    merge.heap.push(Reverse((record, number)));
                    break;
                }
            }
        }
        Ok(merge)
    }

    /// The next record.
    pub fn next(&mut self, cache: &Cache) -> Result<Option<EntryRecord>, Fault> {
        let Some(Reverse((record, number))) = self.heap.pop() else { return Ok(None) };
        if let Some(next) = self.cursors[number].next(cache)? {
            self.heap.push(Reverse((next, number)));
        }
        Ok(Some(record))
    }
}

struct Cursor {
    run: Arc<Run>,
    page: u32,
    bytes: Vec<u8>,
    at: usize,
}

impl Cursor {
    fn next(&mut self, cache: &Cache) -> Result<Option<EntryRecord>, Fault> {
        if self.at >= self.bytes.len() {
            if self.page >= self.run.info().pages {
                return Ok(None);
            }
            self.bytes = cache.page_once(self.run.info().id, self.page)?;
            self.page += 1;
            self.at = 0;
        }
        let record = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<ENTRY_BYTES>().copied());
        self.at += ENTRY_BYTES;
        record.map(Some).ok_or_else(|| Fault(format!("a page of run {} is cut", self.run.info().id)))
    }
}
