//! One snapshot from the first word of its session to the last.

use std::sync::atomic::Ordering;

use crossbeam_channel::bounded;

use crate::base::id::{ChunkId, NodeId, SnapshotId};
use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::crypt::Sealer;
use crate::repo::index::Index;
use crate::repo::session::{Session, SessionStart, Standing, read_record};
use crate::repo::snapshot::{self, Manifest, SnapshotRecord};
use crate::repo::{RepoError, Repository, plain};
use crate::storage::StorageError;
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
use crate::vault::copy::report::{Copied, Failed, Travel};
use crate::vault::copy::tree::{Done, Faithful, Missed, TreeCopy};
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
    missed: Missed,
}

/// The session of the target in which something is stored, and what seals there.
type Hold<'s> = (&'s Session<'s>, &'s Sealer);

impl Copier<'_> {
    /// Copies a snapshot and commits it.
    pub fn copy(&self, held: &Held, memo: &mut Memo) -> Result<Copied, Halt> {
        let manifest = load(self.source.repository, &held.id)?;
        let base = self.base(held);
        let parent = base.as_ref().map(|base| base.there);
        self.in_session(held.node, parent, |session, sealer| {
            let standing = session.standing().map_err(Halt::stop)?;
            // Only what stands whole may be taken over without looking it up (`docs/protocol.md`, W7).
            let base = base.filter(|_| standing == Standing::Whole);
            let (moved, added) = self.with_store(held.node, (session, sealer), |store, index| {
                self.carry(&manifest, base.as_ref(), (store, index), (memo, &mut Done::default()), Care::Strict)
            })?;
            let travel = Travel { bytes: manifest.counts.bytes, ..moved.travel }.with(&added);
            let End { repository: target, context } = self.target;
            context.progress.on(Event::Phase { phase: Phase::Commit, total: None });
            let parent = parent.filter(|_| standing != Standing::None);
            let copy = rewritten(manifest, held, moved.root, &travel, session, parent);
            let known = Job::known_snapshots(target, session, parent).map_err(Halt::stop)?;
            let snapshot = run::commit(session, &copy, &known).map_err(Halt::stop)?;
            Ok(Copied { snapshot: Some(snapshot), travel, ..Copied::planned(held) })
        })
    }

    /// Goes through snapshots of one node that the target has copies of, and brings what is lost of these. The session
    /// commits nothing: all that is stored belongs to the copies. Gives what travelled, and what could not.
    pub fn refill(&self, node: NodeId, pairs: &[(Held, Held)], memo: &mut Memo) -> Result<(Travel, Vec<Failed>), Halt> {
        self.in_session(node, None, |session, sealer| {
            let mut done = Done::default();
            let (outcome, added) = self.with_store(node, (session, sealer), |store, index| {
                let (mut sum, mut failed) = (Travel::default(), Vec::new());
                for (held, copy) in pairs {
                    match self.refill_one(held, copy, (store, index), (memo, &mut done)) {
                        Ok(travel) => sum.add(&travel),
                        Err(Halt::Source { path, cause }) => {
                            failed.push(Failed { present: true, ..Failed::of(held, path, cause) });
                        }
                        Err(stop) => return Err(stop),
                    }
                }
                Ok((sum, failed))
            })?;
            // Somebody may have ended it already: there is nothing to be committed.
            let _ = session.abandon("it stored what copies had lost");
            Ok((outcome.0.with(&added), outcome.1))
        })
    }

    fn refill_one(
        &self,
        held: &Held,
        copy: &Held,
        target: (&ChunkStore<'_>, &Index),
        memory: (&mut Memo, &mut Done),
    ) -> Result<Travel, Halt> {
        let manifest = load(self.source.repository, &held.id)?;
        let name = snapshot::name(&copy.id);
        let there = match read_record(self.target.repository, &name) {
            Ok(SnapshotRecord::Committed(there)) => there.root,
            Ok(SnapshotRecord::Aborted(_)) | Err(RepoError::Storage(StorageError::NotFound { .. })) => {
                return Err(Halt::source(format!("its copy {name} is gone; the next run copies it anew")));
            }
            Err(error) => return Err(Halt::stop(error)),
        };
        let Moved { root, travel, missed } = self.carry(&manifest, None, target, memory, Care::GoOn)?;
        match missed {
            Missed { first: Some((path, cause)), count: 1 } => Err(Halt::Source { path, cause }),
            Missed { first: Some((path, cause)), count } => {
                Err(Halt::Source { path, cause: format!("{cause} (and {} more)", count - 1) })
            }
            Missed { first: None, .. } if root != there => {
                Err(Halt::source(format!("its copy {name} holds something else")))
            }
            Missed { first: None, .. } => Ok(Travel { bytes: manifest.counts.bytes, ..travel }),
        }
    }

    /// Does something in a session of the target, which is ended if that fails.
    fn in_session<T>(
        &self,
        node: NodeId,
        parent: Option<SnapshotId>,
        work: impl FnOnce(&Session<'_>, &Sealer) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let sealer = sealer::begin(self.target.repository).map_err(Halt::stop)?;
        let start = SessionStart { node, parent, host: host_name() };
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

    /// Stores things in the target; when this returns they are durable, and listed. Gives what was added, too.
    fn with_store<T>(
        &self,
        node: NodeId,
        (session, sealer): Hold<'_>,
        work: impl FnOnce(&ChunkStore<'_>, &Index) -> Result<T, Halt>,
    ) -> Result<(T, Travel), Halt> {
        let End { repository: target, context } = self.target;
        let index = Job::index(target, session.journal(), context).map_err(Halt::stop)?;
        if self.look_for_orphans {
            Job::list_orphans(target, &index, sealer, context).map_err(Halt::stop)?;
        }
        let (full_in, full_out) = bounded(PACKS_AHEAD);
        let store = ChunkStore::new(target, &index, sealer, node, full_in);
        context.progress.on(Event::Phase { phase: Phase::Copy, total: None });
        let made = pipeline::with_publisher(&store, &full_out, session, context, || match work(&store, &index) {
            Err(Halt::Stop(error)) => Err(*error),
            // What has arrived is kept for the next try.
            made => Ok(made),
        });
        let made = made.map_err(Halt::stop)??;
        if context.cancel.is_requested() {
            return Err(Halt::stop(VaultError::Interrupted));
        }
        let [chunks_added, bytes_added, bytes_stored] =
            [&store.added.chunks, &store.added.bytes, &store.added.stored].map(|count| count.load(Ordering::Relaxed));
        Ok((made, Travel { chunks_added, bytes_added, bytes_stored, ..Travel::default() }))
    }

    fn carry(
        &self,
        manifest: &Manifest,
        base: Option<&Base>,
        (store, index): (&ChunkStore<'_>, &Index),
        (memo, done): (&mut Memo, &mut Done),
        care: Care,
    ) -> Result<Moved, Halt> {
        let (source, target) = (self.source.repository, self.target.repository);
        let (progress, cancel) = (self.target.context.progress, self.target.context.cancel);
        let (chunkers, names) = (Chunkers::new(target), Names::default());
        let reading = Reading { store, chunkers: &chunkers, names: &names, progress, cancel };
        let (here, there) = (ChunkReader::new(source, self.index), ChunkReader::new(target, index));
        let faithful = Faithful(&here);
        let alike = self.names_alike();
        let mut missed = Missed::default();
        let moved = pipeline::with_spread_lanes(&reading, |spread| {
            let porter = Porter::new(&here, store, spread, (!alike).then_some(memo), (progress, cancel));
            let earlier = base.map(|_| Earlier { source: (!alike).then_some(&here as _), target: &there });
            let notes = (care == Care::GoOn).then_some(&mut missed);
            let mut walk = TreeCopy::new(&faithful, earlier, porter, TreeChunks::new(store), (done, notes));
            let root = walk.run(manifest.root, base.map(|base| base.roots));
            let travel = walk.finished().finish();
            Ok(root.map(|root| (root, travel)))
        });
        let (root, travel) = moved.map_err(Halt::stop)??;
        Ok(Moved { root, travel, missed })
    }
}

/// What is to be done about what the source cannot give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// It ends the walk: a copy with holes would look like a backup.
    Strict,
    /// The rest is brought all the same.
    GoOn,
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
