//! The cache at one moment, as readers see it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::id::{ChunkId, PackId};
use crate::repo::index::builder::Contents;
use crate::repo::index::catalog::{self, Origin};
use crate::repo::index::options::{ListedSegment, Verdicts};
use crate::repo::index::place::{ChunkPlace, PackPlace, prefix_of};
use crate::repo::index::run::Run;
use crate::repo::index::shelf::{Cache, Fault};

/// The cache at one moment. Readers keep the one they began with.
pub struct View {
    /// What it stands on.
    pub cache: Arc<Cache>,
    /// What that holds.
    pub contents: Contents,
    /// Numbers of packs that no segment lists.
    pub adopted: HashSet<u32>,
    /// Numbers of packs that may be deleted later.
    pub marked: HashSet<u32>,
}

/// A view after a change, and the runs only older views need.
pub type Changed = (View, Vec<Arc<Run>>);

impl View {
    /// The view of a cache under the journal's verdicts.
    pub fn new(cache: Arc<Cache>, contents: Contents, verdicts: &Verdicts) -> Result<Self, Fault> {
        let number_of = |id: &PackId| contents.number_of(&cache, id).transpose();
        let marked = verdicts.marked.iter().filter_map(number_of).collect::<Result<_, _>>()?;
        let adopted = contents.sources.iter().filter(|source| matches!(source.origin, Origin::Adopted(_)));
        let adopted = adopted.map(|source| source.first_pack).collect();
        Ok(Self { cache, contents, adopted, marked })
    }

    /// Whether nothing new may rely on this pack.
    pub fn is_unreliable(&self, pack: u32) -> bool {
        self.marked.contains(&pack) || self.adopted.contains(&pack)
    }

    /// All copies in packs that count.
    pub fn places(&self, id: &ChunkId) -> Result<Vec<ChunkPlace>, Fault> {
        let (prefix, mut places) = (prefix_of(id), Vec::new());
        for run in &self.contents.runs {
            run.find(&self.cache, &prefix, |entry| places.push(entry.place))?;
        }
        places.retain(|place| !self.contents.gone.contains(place.pack));
        Ok(places)
    }

    /// Whether a segment lists this pack.
    pub fn lists(&self, pack: &PackId) -> Result<bool, Fault> {
        let number = self.contents.number_of(&self.cache, pack)?;
        Ok(number.is_some_and(|number| !self.adopted.contains(&number)))
    }

    /// The segments, and how many doomed packs each brought in.
    pub fn segments(&self, verdicts: &Verdicts) -> Result<Vec<ListedSegment>, Fault> {
        let sources = &self.contents.sources;
        let positions: HashMap<_, _> =
            sources.iter().enumerate().filter_map(|(index, source)| Some((source.segment()?, index))).collect();
        let mut doomed = HashMap::<usize, u32>::new();
        for pack in &verdicts.doomed {
            let number = catalog::number_of(&self.cache, &self.contents.record, pack)?;
            if let Some(source) = number.and_then(|number| self.contents.source_of(number)) {
                // What a merged segment took over is named there.
                let cover = sources.get(source).and_then(|source| source.covered_by);
                let names = cover.and_then(|cover| positions.get(&cover).copied()).unwrap_or(source);
                *doomed.entry(names).or_default() += 1;
            }
        }
        let listed = sources.iter().enumerate().filter_map(|(index, source)| {
            let doomed = doomed.get(&index).copied().unwrap_or(0);
            Some(ListedSegment { id: source.segment()?, packs: source.packs, doomed })
        });
        Ok(listed.collect())
    }

    /// The pack of a number, from memory if it was asked for lately; `None` if no pack has it. One that does not count
    /// any more still has its number.
    pub fn pack(&self, number: u32) -> Result<Option<Arc<PackPlace>>, Fault> {
        if number >= self.contents.record.next_pack {
            return Ok(None);
        }
        if let Some(pack) = self.cache.packs().get(&number) {
            return Ok(Some(pack));
        }
        let Some(pack) = catalog::load_pack(&self.cache, number)?.map(Arc::new) else { return Ok(None) };
        self.cache.packs().insert(number, Arc::clone(&pack), pack.blocks.len() + 16);
        Ok(Some(pack))
    }
}
