//! Chunks of files on their way from one repository to the other, and what they are called there.

use std::collections::HashMap;

use crate::base::cancel::Cancel;
use crate::base::id::ChunkId;
use crate::base::progress::{Event, Progress};
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::secrets::{Content, IdDomain, IdOwner};
use crate::repo::tree::FileContent;
use crate::repo::tree::content::ContentWriter;
use crate::repo::tree::reader::for_each_id;
use crate::repo::tree::writer::TreeSink;
use crate::vault::VaultError;
use crate::vault::backup::store::{ChunkStore, Filler, Lane};
use crate::vault::copy::halt::Halt;
use crate::vault::copy::report::Travel;

/// Names remembered in each of two generations: some tens of megabytes, whatever the repository's size.
const MEMO_MAX: usize = 1 << 18;

/// What chunks of the source are called in the target, for those met last: small files share chunks, and files are
/// repeated. It says nothing of whether the target has them.
#[derive(Default)]
pub struct Memo {
    young: HashMap<ChunkId, ChunkId>,
    old: HashMap<ChunkId, ChunkId>,
}

impl Memo {
    fn get(&mut self, id: &ChunkId) -> Option<ChunkId> {
        if let Some(name) = self.young.get(id) {
            return Some(*name);
        }
        let name = self.old.remove(id)?;
        self.put(*id, name);
        Some(name)
    }

    fn put(&mut self, id: ChunkId, name: ChunkId) {
        if self.young.len() >= MEMO_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, name);
    }
}

/// Takes full blocks away, to be compressed on another thread.
pub type Spread<'c> = &'c dyn Fn(Lane, Filler) -> Result<(), RepoError>;

/// Reads chunks here and stores them there.
pub struct Porter<'c> {
    source: &'c ChunkReader<'c>,
    store: &'c ChunkStore<'c>,
    spread: Spread<'c>,
    /// `None` if both repositories name chunks alike.
    memo: Option<&'c mut Memo>,
    data: Filler,
    private: Filler,
    progress: &'c dyn Progress,
    cancel: &'c Cancel,
    /// What was read so far.
    pub travel: Travel,
}

impl<'c> Porter<'c> {
    /// A porter; give it back with [`finish`](Self::finish).
    pub fn new(
        source: &'c ChunkReader<'c>,
        store: &'c ChunkStore<'c>,
        spread: Spread<'c>,
        memo: Option<&'c mut Memo>,
        (progress, cancel): (&'c dyn Progress, &'c Cancel),
    ) -> Self {
        let (data, private) = (store.filler(Lane::Data), store.filler(Lane::Private));
        Self { source, store, spread, memo, data, private, progress, cancel, travel: Travel::default() }
    }

    /// Returns the begun blocks to the store.
    pub fn finish(self) -> Travel {
        self.store.put_back(Lane::Data, self.data);
        self.store.put_back(Lane::Private, self.private);
        self.travel
    }

    /// Carries the content of a file over; gives it under the names of the target.
    pub fn content(&mut self, content: &FileContent, sink: &mut dyn TreeSink) -> Result<FileContent, Halt> {
        let (source, mut writer) = (self.source, ContentWriter::default());
        for_each_id::<Halt>(source, content, &mut |id| {
            let name = self.chunk(id)?;
            writer.push(name, sink).map_err(Halt::stop)
        })?;
        let made = writer.finish(sink).map_err(Halt::stop)?;
        let FileContent { extents, node_domain, fragment, .. } = content.clone();
        Ok(FileContent { extents, node_domain, fragment, ..made })
    }

    /// Says that a file is done.
    pub fn file_done(&self) {
        self.progress.on(Event::Advanced { bytes: 0, files: 1 });
    }

    /// Ends the work if that was asked for.
    pub fn check_cancel(&self) -> Result<(), Halt> {
        if self.cancel.is_requested() { Err(Halt::stop(VaultError::Interrupted)) } else { Ok(()) }
    }

    fn chunk(&mut self, id: ChunkId) -> Result<ChunkId, Halt> {
        if let Some(name) = self.name_of(&id)
            && self.store.has(&name).map_err(Halt::stop)?
        {
            return Ok(name);
        }
        self.check_cancel()?;
        let (bytes, domain) = self.source.read_with_domain(&id)?;
        let lane = lane_of(domain).ok_or_else(|| other_domain(&id))?;
        self.travel.chunks_read += 1;
        self.travel.bytes_read += bytes.len() as u64;
        self.progress.on(Event::Advanced { bytes: bytes.len() as u64, files: 0 });
        let filler = if lane == Lane::Private { &mut self.private } else { &mut self.data };
        let (name, full) = self.store.add(lane, filler, &bytes).map_err(Halt::stop)?;
        if let Some(full) = full {
            (self.spread)(lane, full).map_err(Halt::stop)?;
        }
        match &mut self.memo {
            Some(memo) => memo.put(id, name),
            None if name != id => {
                return Err(other_domain(&id));
            }
            None => {}
        }
        Ok(name)
    }

    fn name_of(&mut self, id: &ChunkId) -> Option<ChunkId> {
        self.memo.as_mut().map_or(Some(*id), |memo| memo.get(id))
    }
}

/// Where a chunk of a file goes; `None` for one of a directory.
fn lane_of(domain: IdDomain) -> Option<Lane> {
    match (domain.content, domain.owner) {
        (Content::Data, IdOwner::Shared) => Some(Lane::Data),
        (Content::Data, IdOwner::Node(_)) => Some(Lane::Private),
        (Content::Tree, _) => None,
    }
}

fn other_domain(id: &ChunkId) -> Halt {
    Halt::source(format!("chunk {id} is no data of this node"))
}
