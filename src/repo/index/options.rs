//! How an index is opened, and what it has to say afterwards.

use std::collections::HashSet;
use std::path::Path;

use crate::base::id::PackId;
use crate::base::object::ObjectName;

/// What to do with a listed segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Open without it: it is reported as a problem, and its packs can be adopted.
    #[default]
    Lenient,
    /// Fail, naming it.
    Strict,
}

/// Packs the journal speaks of. All others are live.
#[derive(Debug, Clone, Default)]
pub struct PackVerdicts {
    /// May be deleted later: readable, but nothing new may rely on them.
    pub marked: HashSet<PackId>,
    /// Being deleted: as if they were not there.
    pub doomed: HashSet<PackId>,
}

/// How an index is opened.
pub struct IndexOptions<'a> {
    /// Where the cache lives; belongs to this repository alone.
    pub cache_dir: &'a Path,
    /// What a damaged segment means.
    pub strictness: Strictness,
    /// The journal's verdicts on packs.
    pub verdicts: PackVerdicts,
}

impl<'a> IndexOptions<'a> {
    /// All packs live, damaged segments reported.
    pub fn new(cache_dir: &'a Path) -> Self {
        Self { cache_dir, strictness: Strictness::Lenient, verdicts: PackVerdicts::default() }
    }
}

/// A segment or pack that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexProblem {
    /// The object.
    pub name: ObjectName,
    /// Why.
    pub cause: String,
}
