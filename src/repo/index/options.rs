//! How an index is opened, and what it has to say afterwards.

use std::collections::HashSet;
use std::path::Path;

use crate::base::id::{PackId, SegmentId};
use crate::base::object::ObjectName;
use crate::repo::journal::Facts;

/// What to do with a listed segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Open without it: it is reported as a problem, and its packs can be adopted.
    #[default]
    Lenient,
    /// Fail, naming it.
    Strict,
}

/// What the journal says of packs and segments. All it does not name are live.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// May be deleted later: readable, but nothing new may rely on them.
    pub marked: HashSet<PackId>,
    /// Being deleted: as if they were not there.
    pub doomed: HashSet<PackId>,
    /// The same for segments.
    pub doomed_segments: HashSet<SegmentId>,
    /// The last entry that says packs are gone; 0 if there is none.
    pub last_swept: u64,
}

impl Verdicts {
    /// Those of a journal. It must have been read before the index is opened with them.
    pub fn of(journal: &Facts) -> Self {
        Self {
            marked: journal.packs.marked.keys().copied().collect(),
            doomed: journal.packs.doomed.keys().copied().collect(),
            doomed_segments: journal.segments.doomed.keys().copied().collect(),
            last_swept: journal.last_swept.unwrap_or(0),
        }
    }
}

/// How an index is opened.
pub struct IndexOptions<'a> {
    /// Where the cache lives; belongs to this repository alone.
    pub cache_dir: &'a Path,
    /// What a damaged segment means.
    pub strictness: Strictness,
    /// The journal's verdicts.
    pub verdicts: Verdicts,
}

impl<'a> IndexOptions<'a> {
    /// All packs live, damaged segments reported.
    pub fn new(cache_dir: &'a Path) -> Self {
        Self { cache_dir, strictness: Strictness::Lenient, verdicts: Verdicts::default() }
    }
}

/// A segment of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSegment {
    /// Its name.
    pub id: SegmentId,
    /// Packs it names.
    pub packs: u32,
    /// Those among them that are doomed, and that no segment before it names.
    pub doomed: u32,
}

/// A segment or pack that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexProblem {
    /// The object.
    pub name: ObjectName,
    /// Why.
    pub cause: String,
}
