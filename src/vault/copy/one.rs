//! One snapshot from the first word of its session to the last.

use std::sync::atomic::Ordering;

use crossbeam_channel::bounded;

use crate::base::id::{ChunkId, SnapshotId};
use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::crypt::Sealer;
use crate::repo::index::Index;
use crate::repo::session::{Session, SessionStart, Standing};
use crate::repo::snapshot::{self, Manifest, SnapshotRecord};
use crate::repo::{RepoError, Repository, plain};
use crate::sys::meta::Names;
use crate::vault::backup::chunkers::Chunkers;
use crate::vault::backup::item::Reading;
use crate::vault::backup::pipeline;
use crate::vault::backup::run::{self, Job, PACKS_AHEAD};
use crate::vault::backup::store::{ChunkStore, TreeChunks};
use crate::vault::copy::End;
use crate::vault::copy::chunks::{Memo, Porter};
use crate::vault::copy::halt::Halt;
use crate::vault::copy::inventory::{Held, Inventory};
use crate::vault::copy::pair::{Earlier, Twins};
use crate::vault::copy::report::{Copied, Travel};
use crate::vault::copy::tree::{Faithful, TreeCopy};
use crate::vault::keys::host_name;
use crate::vault::{VaultError, sealer};

/// What copying a snapshot needs.
pub struct Copier<'a> {
    /// Where it is read.
    pub source: End<'a>,
    /// Where it is written.
    pub target: End<'a>,
    /// The source's index.
    pub index: &'a Index,
    /// The source's snapshots.
    pub here: &'a Inventory,
    /// The target's snapshots.
    pub there: &'a Inventory,
    /// Whether packs that a killed run left are looked for: once is enough.
    pub look_for_orphans: bool,
}

/// A snapshot both repositories have: its id in the target, and its root in both.
struct Base {
    there: SnapshotId,
    roots: Twins,
}

/// What a walk gave.
struct Moved {
    root: ChunkId,
    travel: Travel,
}

impl Copier<'_> {
    /// Copies a snapshot and commits it.
    pub fn copy(&self, held: &Held, memo: &mut Memo) -> Result<Copied, Halt> {
        let manifest = load(self.source.repository, &held.id)?;
        let base = self.base(held);
        let parent = base.as_ref().map(|base| base.there);
        self.in_session(held, parent, |session, sealer| {
            // Only what stands whole may be taken over without looking it up (`docs/protocol.md`, W7).
            let whole = session.standing().map_err(Halt::stop)? == Standing::Whole;
            let base = base.filter(|_| whole);
            let Moved { root, travel } = self.bring(held, &manifest, base.as_ref(), (session, sealer), memo)?;
            self.target.context.progress.on(Event::Phase { phase: Phase::Commit, total: None });
            let target = self.target.repository;
            let parent = base.map(|base| base.there);
            let copy = rewritten(manifest, held, root, &travel, session, parent);
            let known = Job::known_snapshots(target, session, parent).map_err(Halt::stop)?;
            let snapshot = run::commit(session, &copy, &known).map_err(Halt::stop)?;
            Ok(Copied { snapshot: Some(snapshot), travel, ..Copied::planned(held) })
        })
    }

    /// Brings what the target has lost of a copy it holds. The session commits nothing: all that is stored belongs to
    /// that copy.
    pub fn refill(&self, held: &Held, copy: &Held, memo: &mut Memo) -> Result<Travel, Halt> {
        let manifest = load(self.source.repository, &held.id)?;
        let there = load(self.target.repository, &copy.id)?;
        self.in_session(held, Some(copy.id), |session, sealer| {
            let Moved { root, travel } = self.bring(held, &manifest, None, (session, sealer), memo)?;
            if root != there.root {
                return Err(Halt::source(format!("its copy {} holds something else", snapshot::name(&copy.id))));
            }
            let reason = format!("it stored what {} had lost", snapshot::name(&copy.id));
            session.abandon(&reason).map_err(Halt::stop)?;
            Ok(travel)
        })
    }

    /// Does something in a session of the target, which is ended if that fails.
    fn in_session<T>(
        &self,
        held: &Held,
        parent: Option<SnapshotId>,
        work: impl FnOnce(&Session<'_>, &Sealer) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let sealer = sealer::begin(self.target.repository).map_err(Halt::stop)?;
        let start = SessionStart { node: held.node, parent, host: host_name() };
        let session = Session::begin(self.target.repository, &sealer, start).map_err(Halt::stop)?;
        work(&session, &sealer).inspect_err(|halt| {
            // Best effort: a session that cannot say that it gave up is fenced when its lease runs out.
            let _ = session.abandon(&halt.reason());
        })
    }

    /// A snapshot of the same node that both have. Anything wrong with it only costs the shorter way.
    fn base(&self, held: &Held) -> Option<Base> {
        let names = self.names_alike();
        let here = |other: &Held| self.here.copy_of(&other.origin);
        let found = self.there.neighbour(held.node, held.time, |other| names || here(other).is_some())?;
        let target = load(self.target.repository, &found.id).ok()?.root;
        let source = if names { target } else { load(self.source.repository, &here(found)?.id).ok()?.root };
        Some(Base { there: found.id, roots: Twins { source, target } })
    }

    fn names_alike(&self) -> bool {
        self.source.repository.secrets.names_like(&self.target.repository.secrets)
    }

    /// Stores what the target has not, up to the root.
    fn bring(
        &self,
        held: &Held,
        manifest: &Manifest,
        base: Option<&Base>,
        (session, sealer): (&Session<'_>, &Sealer),
        memo: &mut Memo,
    ) -> Result<Moved, Halt> {
        let End { repository: target, context } = self.target;
        let index = Job::index(target, session, context).map_err(Halt::stop)?;
        if self.look_for_orphans {
            Job::list_orphans(target, &index, sealer, context).map_err(Halt::stop)?;
        }
        let (full_in, full_out) = bounded(PACKS_AHEAD);
        let store = ChunkStore::new(target, &index, sealer, held.node, full_in);
        context.progress.on(Event::Phase { phase: Phase::Copy, total: None });
        let moved = pipeline::with_publisher(&store, &full_out, session, context, || {
            match self.carry(manifest, base, &store, &index, memo) {
                Err(Halt::Stop(error)) => Err(*error),
                // What has arrived is kept for the next try.
                moved => Ok(moved),
            }
        });
        let Moved { root, mut travel } = moved.map_err(Halt::stop)??;
        if context.cancel.is_requested() {
            return Err(Halt::stop(VaultError::Interrupted));
        }
        travel.bytes = manifest.counts.bytes;
        travel.bytes_skipped = travel.bytes.saturating_sub(travel.bytes_read);
        travel.chunks_added = store.added.chunks.load(Ordering::Relaxed);
        travel.bytes_added = store.added.bytes.load(Ordering::Relaxed);
        travel.bytes_stored = store.added.stored.load(Ordering::Relaxed);
        Ok(Moved { root, travel })
    }

    fn carry(
        &self,
        manifest: &Manifest,
        base: Option<&Base>,
        store: &ChunkStore<'_>,
        index: &Index,
        memo: &mut Memo,
    ) -> Result<Moved, Halt> {
        let (source, target) = (self.source.repository, self.target.repository);
        let (progress, cancel) = (self.target.context.progress, self.target.context.cancel);
        let (chunkers, names) = (Chunkers::new(target), Names::default());
        let reading = Reading { store, chunkers: &chunkers, names: &names, progress, cancel };
        let (here, there) = (ChunkReader::new(source, self.index), ChunkReader::new(target, index));
        let faithful = Faithful(&here);
        let alike = self.names_alike();
        let moved = pipeline::with_spread_lanes(&reading, |spread| {
            let porter = Porter::new(&here, store, spread, (!alike).then_some(memo), (progress, cancel));
            let earlier = base.map(|_| Earlier { source: (!alike).then_some(&here as _), target: &there });
            let mut walk = TreeCopy::new(&faithful, earlier, porter, TreeChunks::new(store));
            let root = walk.run(manifest.root, base.map(|base| base.roots));
            let travel = walk.finished().finish();
            Ok(root.map(|root| Moved { root, travel }))
        });
        moved.map_err(Halt::stop)?
    }
}

/// The manifest of a snapshot, if this program would write it just so.
fn load(repository: &Repository, id: &SnapshotId) -> Result<Manifest, Halt> {
    let name = snapshot::name(id);
    let body = repository.unseal(&name)?.body;
    let record: SnapshotRecord = plain::decode_body(&name, &body)?;
    if plain::encode_body(&record) != *body {
        let what = "it says more than this version understands; copy it with the version that wrote it".to_owned();
        return Err(RepoError::TooNew { name, what }.into());
    }
    match record {
        SnapshotRecord::Committed(manifest) => Ok(*manifest),
        SnapshotRecord::Aborted(why) => Err(Halt::source(format!("{name} was ended without a snapshot: {why}"))),
    }
}

/// The copy's manifest: what was backed up stays, what it cost and where it lies is the target's.
fn rewritten(
    manifest: Manifest,
    held: &Held,
    root: ChunkId,
    travel: &Travel,
    session: &Session<'_>,
    parent: Option<SnapshotId>,
) -> Manifest {
    let seen = Some(session.journal().head);
    let (session, origin) = (session.id(), Some(held.origin));
    let mut copy = Manifest { root, parent, session, origin, seen, repaired: None, ..manifest };
    copy.counts.chunks_added = travel.chunks_added;
    copy.counts.bytes_added = travel.bytes_added;
    copy.counts.bytes_stored = travel.bytes_stored;
    copy
}
