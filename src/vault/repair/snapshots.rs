//! Mending snapshots: one that needs lost chunks gets another in its place, in which what is damaged is marked, and is
//! forgotten. It is not deleted; `undelete` brings it back.

use std::cell::Cell;
use std::collections::HashSet;

use crate::base::id::{ChunkId, SnapshotId, StoredHash};
use crate::base::object::ObjectKind;
use crate::codec::kdf::plain_hash;
use crate::repo::chunks::ChunkReader;
use crate::repo::crypt::Sealer;
use crate::repo::format::object_bytes_max;
use crate::repo::index::{Index, IndexOptions, Verdicts};
use crate::repo::journal::{Entry, State};
use crate::repo::secrets::{Content, IdDomain, IdKey, IdOwner};
use crate::repo::session::{Session, SessionStart, SnapshotLink, Standing};
use crate::repo::snapshot::{self, Manifest, Problem, Repaired, SnapshotRecord};
use crate::repo::tree::writer::TreeSink;
use crate::repo::{RepoError, Repository};
use crate::vault::check::{Losses, ReadData, Request, Root};
use crate::vault::keys::host_name;
use crate::vault::repair::rewrite::{Marks, Rewriter};
use crate::vault::{ChunkWriter, Context, VaultError, sealer};

/// Problems a manifest names, at most.
const PROBLEMS_MAX: usize = 10_000;

/// What is to be done about a snapshot that lost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Another one is made in its place.
    Replace,
    /// Another one stands in its place already, made by a run that was killed; this one is forgotten.
    Forget,
    /// Nothing can be marked: its root directory is lost.
    Beyond,
}

/// A snapshot that lost something.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DamagedSnapshot {
    /// Which.
    pub id: SnapshotId,
    /// What is to be done.
    pub action: Action,
    /// What it lacks.
    #[serde(flatten)]
    pub marks: Marks,
    /// The one in its place.
    pub replacement: Option<SnapshotId>,
}

/// What mending snapshots takes, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotsPlan {
    /// Snapshots that something is to be done about.
    pub damaged: Vec<DamagedSnapshot>,
    /// Snapshots that lack something and are marked already.
    pub marked: u64,
    /// Snapshots that cannot be read themselves, and why.
    pub unreadable: Vec<(String, String)>,
}

impl SnapshotsPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.damaged.iter().all(|snapshot| snapshot.action == Action::Beyond)
    }
}

/// Finds out what is lost and what needs it. Packs the journal marked are read, all others are only if `read` is said.
pub fn plan(repository: &Repository, read: ReadData, context: Context<'_>) -> Result<SnapshotsPlan, VaultError> {
    work(repository, read, true, context)
}

/// Does it.
pub fn apply(repository: &Repository, read: ReadData, context: Context<'_>) -> Result<SnapshotsPlan, VaultError> {
    work(repository, read, false, context)
}

fn work(
    repository: &Repository,
    read: ReadData,
    dry_run: bool,
    context: Context<'_>,
) -> Result<SnapshotsPlan, VaultError> {
    let journal = repository.journal().load()?;
    let head = journal.head;
    let index = index(repository, &journal, context)?;
    let request = Request { marked: true, ..read.into() };
    let losses = Losses::find(repository, &index, journal, request, |_, _| true, context)?;
    losses.require_all_known()?;
    let mut plan = SnapshotsPlan { unreadable: losses.unreadable.clone(), ..SnapshotsPlan::default() };
    let bench = Bench { repository, index: &index, losses: &losses, head: Cell::new(head), context };
    for root in losses.roots.iter().filter(|root| !root.forgotten) {
        let stands_in = |other: &&Root| !other.forgotten && other.stands_for == Some(root.snapshot);
        let found = match losses.roots.iter().find(stands_in) {
            // What came back by a later backup, and was brought back, stays.
            Some(_) if losses.is_empty() || bench.examine(root, &mut 0)?.is_none() => None,
            Some(other) => {
                let (action, replacement) = (Action::Forget, Some(other.snapshot));
                Some(DamagedSnapshot { id: root.snapshot, action, marks: Marks::default(), replacement })
            }
            None if losses.is_empty() => None,
            None => bench.examine(root, &mut plan.marked)?,
        };
        let Some(mut damaged) = found else { continue };
        if !dry_run && damaged.action == Action::Replace {
            damaged.replacement = Some(bench.replace(root)?);
        }
        if let Some(replacement) = damaged.replacement.filter(|_| !dry_run) {
            bench.take_place(root.snapshot, replacement)?;
        }
        plan.damaged.push(damaged);
    }
    Ok(plan)
}

fn index(repository: &Repository, journal: &State, context: Context<'_>) -> Result<Index, VaultError> {
    let options = IndexOptions { verdicts: Verdicts::of(journal), ..IndexOptions::new(&context.folders.cache) };
    Ok(Index::open_with(repository, options, context.progress, context.cancel)?)
}

/// What snapshots are mended with.
struct Bench<'a> {
    repository: &'a Repository,
    index: &'a Index,
    losses: &'a Losses,
    /// The entry up to which the journal was read before the index was opened; later ones are all of this run.
    head: Cell<u64>,
    context: Context<'a>,
}

impl Bench<'_> {
    /// What a snapshot lacks, without writing anything; `None` if nothing that is not marked.
    fn examine(&self, root: &Root, marked: &mut u64) -> Result<Option<DamagedSnapshot>, VaultError> {
        let manifest = self.manifest(root)?;
        let key = self.repository.secrets.id_key(trees_of(&manifest));
        let chunks = ChunkReader::new(self.repository, self.index);
        let rewritten = self.rewriter(&chunks).run(root.tree, &mut Nowhere(key))?;
        let marks = rewritten.marks;
        let damaged = |action| DamagedSnapshot { id: root.snapshot, action, marks, replacement: None };
        if rewritten.tree != root.tree {
            return Ok(Some(damaged(Action::Replace)));
        }
        if rewritten.root_is_torn {
            return Ok(Some(damaged(Action::Beyond)));
        }
        *marked += u64::from(marks != Marks::default());
        Ok(None)
    }

    fn rewriter<'c>(&'c self, chunks: &'c ChunkReader<'c>) -> Rewriter<'c> {
        let (losses, context) = (self.losses, self.context);
        Rewriter { chunks, losses, found: self.repository.seams.clock.now(), context }
    }

    fn manifest(&self, root: &Root) -> Result<Manifest, VaultError> {
        match snapshot::load(self.repository, &root.snapshot)?.1 {
            SnapshotRecord::Committed(manifest) => Ok(*manifest),
            SnapshotRecord::Aborted(_) => {
                Err(RepoError::damaged(&snapshot::name(&root.snapshot), "it is no snapshot any more").into())
            }
        }
    }

    /// Makes a snapshot in the place of one, as a session like any other whose parent it is.
    fn replace(&self, root: &Root) -> Result<SnapshotId, VaultError> {
        let (manifest, sealer) = (self.manifest(root)?, sealer::begin(self.repository)?);
        let start = SessionStart { node: manifest.node, parent: Some(root.snapshot), host: host_name() };
        let session = Session::begin(self.repository, &sealer, start)?;
        let made = self.commit(&session, &sealer, manifest, root);
        if let Err(error) = &made {
            // Best effort: a session that cannot say that it gave up is fenced when its lease runs out.
            let _ = session.abandon(&error.to_string());
        }
        made
    }

    fn commit(
        &self,
        session: &Session<'_>,
        sealer: &Sealer,
        manifest: Manifest,
        root: &Root,
    ) -> Result<SnapshotId, VaultError> {
        // Directories that are not rewritten are taken over without a look (W7).
        if session.standing()? == Standing::None {
            return Err(VaultError::Request {
                what: format!("snapshot {} was forgotten meanwhile", root.snapshot.short()),
                hint: Some("run the command again".to_owned()),
            });
        }
        // The index may be older than what the session read of the journal only if nobody else wrote anything (W8).
        let newer = match session.journal().head == self.head.get() {
            true => None,
            false => Some(index(self.repository, session.journal(), self.context)?),
        };
        let index = newer.as_ref().unwrap_or(self.index);
        let chunks = ChunkReader::new(self.repository, index);
        let domain = trees_of(&manifest);
        let key = self.repository.secrets.id_key(domain);
        let writer = ChunkWriter::new(self.repository, sealer, index);
        let mut sink = NewTrees { index, key, domain, writer, stored: HashSet::new() };
        let rewritten = self.rewriter(&chunks).run(root.tree, &mut sink)?;
        sink.writer.finish()?;
        // Rewriting may have taken long.
        session.renew()?;
        let now = self.repository.seams.clock.now();
        let Marks { files, directories } = rewritten.marks;
        let mut problems = manifest.problems;
        if problems.len() < PROBLEMS_MAX {
            // As any snapshot that lacks content: policies do not prefer it to a whole one.
            let cause = format!("{files} files and {directories} directories lacked something when it was repaired");
            problems.push(Problem { path: "/".to_owned(), cause, lost: true });
        }
        let manifest = Manifest {
            problems,
            problem_count: manifest.problem_count + 1,
            root: rewritten.tree,
            parent: Some(root.snapshot),
            session: session.id(),
            repaired: Some(Repaired { of: root.snapshot, time: now, files, directories }),
            // What it is a copy of has an equal tree; this has not.
            origin: None,
            // Its content is the parent's: nothing more was looked up than what is marked.
            seen: manifest.seen,
            ..manifest
        };
        let name = snapshot::name(&root.snapshot);
        let stored = self.repository.storage.get(&name, object_bytes_max(ObjectKind::Snapshot))?;
        let hash = StoredHash::from_bytes(plain_hash(&stored));
        Ok(session.commit(manifest, &[SnapshotLink { snapshot: root.snapshot, hash }])?)
    }

    /// Moves the pin, then forgets: each an entry that follows from the journal alone.
    fn take_place(&self, old: SnapshotId, new: SnapshotId) -> Result<(), VaultError> {
        let Repository { secrets, seams, .. } = self.repository;
        let next = |state: &State| match state.pins.get(&old) {
            Some(pin) if !state.pins.contains_key(&new) && !state.is_purged(&new) => Some(Entry::Pin(new, pin.clone())),
            Some(_) => Some(Entry::Unpin(vec![old])),
            None if state.is_forgotten(&old) => None,
            None => Some(Entry::Forget(vec![old])),
        };
        let mut open = true;
        while open {
            let state = self.repository.journal().append(secrets, &*seams.clock, |state| {
                let entry = next(state);
                open = entry.is_some();
                Ok(entry)
            })?;
            if open && state.head == self.head.get() + 1 {
                self.head.set(state.head);
            }
        }
        Ok(())
    }
}

fn trees_of(manifest: &Manifest) -> IdDomain {
    IdDomain { content: Content::Tree, owner: IdOwner::Node(manifest.node) }
}

/// Names nodes and stores none.
struct Nowhere(IdKey);

impl TreeSink for Nowhere {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        Ok(self.0.id(plaintext))
    }
}

/// Stores nodes that no reliable pack holds.
struct NewTrees<'a> {
    index: &'a Index,
    key: IdKey,
    domain: IdDomain,
    writer: ChunkWriter<'a>,
    stored: HashSet<ChunkId>,
}

impl TreeSink for NewTrees<'_> {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        let id = self.key.id(plaintext);
        if !self.index.contains(&id)? && self.stored.insert(id) {
            self.writer.add(self.domain, id, plaintext.to_vec())?;
        }
        Ok(id)
    }
}
