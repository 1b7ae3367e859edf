//! A backup from begin to commit. The order of the steps is the safety rule of `docs/format.md`, "Commit".

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::bounded;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, SessionId, SnapshotId, StoredHash};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::{Event, Phase};
use crate::codec::kdf::plain_hash;
use crate::repo::Repository;
use crate::repo::crypt::Sealer;
use crate::repo::index::unlisted::list_unlisted_packs;
use crate::repo::index::{Index, IndexOptions, Verdicts};
use crate::repo::journal::State;
use crate::repo::session::{self, Abandoned, Session, SessionStart, SnapshotLink, Standing};
use crate::repo::snapshot::{Consistency, Counts, Exclusions, Manifest};
use crate::storage::StorageError;
use crate::sys::pattern::PatternSet;
use crate::vault::backup::input::Input;
use crate::vault::backup::lister::{Lister, Rules};
use crate::vault::backup::passes::Passes;
use crate::vault::backup::pipeline::{self, Plan};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::state::StateReader;
use crate::vault::backup::steward::{Steward, Unattended};
use crate::vault::backup::store::ChunkStore;
use crate::vault::backup::stored::Stored;
use crate::vault::backup::{BackupOptions, BackupReport, Source, identity};
use crate::vault::{Context, VaultError, browse, sealer};

/// Packs waiting to be made durable.
pub const PACKS_AHEAD: usize = 2;

/// Backs up the sources into one snapshot.
///
/// What could not be read stands in the manifest's problems; an error means that nothing was committed.
pub fn run(
    repository: &Repository,
    sources: &[Source],
    options: &BackupOptions,
    context: Context<'_>,
) -> Result<BackupReport, VaultError> {
    run_attended(repository, sources, options, context, &mut Unattended)
}

/// The same, with somebody who looks after the sources meanwhile. A dry run asks nobody.
pub fn run_attended(
    repository: &Repository,
    sources: &[Source],
    options: &BackupOptions,
    context: Context<'_>,
    steward: &mut dyn Steward,
) -> Result<BackupReport, VaultError> {
    let job = Job::new(repository, sources, options, context)?;
    if options.dry_run { job.dry_run() } else { job.run(steward) }
}

/// Everything a backup knows before it touches the repository.
pub struct Job<'a> {
    pub repository: &'a Repository,
    pub input: Input<'a>,
    options: &'a BackupOptions,
    pub context: Context<'a>,
    label: String,
    node: NodeId,
    started: Instant,
    pub now: Timestamp,
    pub state_path: PathBuf,
}

impl<'a> Job<'a> {
    fn new(
        repository: &'a Repository,
        sources: &'a [Source],
        options: &'a BackupOptions,
        context: Context<'a>,
    ) -> Result<Self, VaultError> {
        let input = Input::of(sources)?;
        let label = options.node.clone().unwrap_or_else(identity::host_name);
        let entropy = &*repository.seams.entropy;
        let known_by = options.identity.as_deref().unwrap_or(&label);
        let node = identity::node_id(&context.folders.state, repository.id(), known_by, entropy)?;
        std::fs::create_dir_all(&context.folders.cache)
            .map_err(|error| VaultError::local("create", &context.folders.cache, error))?;
        let state_path = state_path(&context.folders.cache, node, input.paths());
        let now = repository.seams.clock.now();
        let started = Instant::now();
        Ok(Self { repository, input, options, context, label, node, started, now, state_path })
    }

    fn run(&self, steward: &mut dyn Steward) -> Result<BackupReport, VaultError> {
        let old_state = self.old_state();
        let parent = old_state.as_ref().map(|state| state.snapshot);
        let sealer = sealer::begin(self.repository)?;
        let start = SessionStart { node: self.node, parent, host: identity::host_name() };
        let session = Session::begin(self.repository, &sealer, start)?;
        match self.work(&session, &sealer, old_state, steward) {
            Ok(report) => Ok(report),
            Err(error) => {
                // Best effort: a session that cannot say that it gave up is fenced when its lease runs out.
                let _ = session.abandon(&error.to_string());
                Err(error)
            }
        }
    }

    fn work(
        &self,
        session: &Session<'_>,
        sealer: &Sealer,
        old_state: Option<StateReader>,
        steward: &mut dyn Steward,
    ) -> Result<BackupReport, VaultError> {
        let standing = session.standing()?;
        let index = Self::index(self.repository, session.journal(), self.context)?;
        Self::list_orphans(self.repository, &index, sealer, self.context)?;
        let (full_in, full_out) = bounded(PACKS_AHEAD);
        let store = ChunkStore::new(self.repository, &index, sealer, self.node, full_in);
        let problems = ProblemLog::new(self.context.progress);
        self.phase(Phase::Backup);
        let gathered = pipeline::with_publisher(&store, &full_out, session, self.context, || {
            let passes =
                Passes { job: self, store: &store, index: &index, problems: &problems, snapshot: session.snapshot() };
            passes.run(old_state, standing == Standing::Whole, steward)
        })?;
        self.phase(Phase::Commit);
        let mut counts = gathered.counts;
        counts.chunks_added = store.added.chunks.load(Ordering::Relaxed);
        counts.bytes_added = store.added.bytes.load(Ordering::Relaxed);
        counts.bytes_stored = store.added.stored.load(Ordering::Relaxed);
        let parent = session.parent().filter(|_| standing != Standing::None);
        let mut manifest = self.manifest(gathered.root, counts, gathered.left_out, &problems, (session.id(), parent));
        manifest.seen = Some(session.journal().head);
        if gathered.imported.is_some() {
            manifest.consistency = Consistency::Unknown;
            manifest.imported = gathered.imported;
        }
        steward.testify(&mut manifest)?;
        if self.context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let known = Self::known_snapshots(self.repository, session, parent)?;
        let snapshot = commit(session, &manifest, &known)?;
        if let Some(state) = gathered.state {
            // Without it the next backup reads everything again, which is slow but right.
            let _ = state.finish();
        }
        Ok(BackupReport { snapshot: Some(snapshot), manifest, seconds: self.started.elapsed().as_secs_f64() })
    }

    fn dry_run(&self) -> Result<BackupReport, VaultError> {
        let problems = ProblemLog::new(self.context.progress);
        let nothing = (ChunkId::from_bytes([0; 32]), (SessionId::from_bytes([0; 16]), None));
        if let Input::Archive(archive) = &self.input {
            self.phase(Phase::Backup);
            let (counts, imported) = archive.look(self.context)?;
            let mut manifest = self.manifest(nothing.0, counts, (0, 0), &problems, nothing.1);
            manifest.consistency = Consistency::Unknown;
            manifest.imported = Some(imported);
            return Ok(BackupReport { snapshot: None, manifest, seconds: self.started.elapsed().as_secs_f64() });
        }
        let lister = Lister::new(self.rules()?);
        let root = self.input.root();
        let state = self.old_state();
        let doubted = self.doubted(state.as_ref())?;
        let doubt = doubted.as_ref().map(|index| Stored::new(self.repository, index, None));
        let grafts = Vec::new();
        let plan = Plan { root, lister: &lister, state, doubt, next_state: None, problems: &problems, grafts };
        self.phase(Phase::Backup);
        let (counts, left_out) = pipeline::dry_walk(plan, self.context)?;
        let manifest = self.manifest(nothing.0, counts, left_out, &problems, nothing.1);
        Ok(BackupReport { snapshot: None, manifest, seconds: self.started.elapsed().as_secs_f64() })
    }

    /// The index, if what the last state says is stored may not be believed.
    fn doubted(&self, state: Option<&StateReader>) -> Result<Option<Index>, VaultError> {
        let Some(parent) = state.map(|state| state.snapshot) else { return Ok(None) };
        let journal = self.repository.journal().load()?;
        match session::standing(self.repository, &journal, Some(parent))? {
            Standing::Whole => Ok(None),
            Standing::Doubtful | Standing::None => Self::index(self.repository, &journal, self.context).map(Some),
        }
    }

    pub fn old_state(&self) -> Option<StateReader> {
        if self.options.force { None } else { StateReader::open(&self.state_path, self.repository.id()) }
    }

    /// The snapshots of this node that are nearest in time to the one to be: one before, one after.
    pub fn neighbours(&self) -> Result<Vec<Manifest>, VaultError> {
        let time = self.options.time.unwrap_or(self.now);
        let (mut before, mut after): (Option<Manifest>, Option<Manifest>) = (None, None);
        browse::each(self.repository, |_, manifest| {
            let Ok(manifest) = manifest else { return };
            if manifest.node != self.node {
                return;
            }
            let (nearest, is_nearer): (_, fn(Timestamp, Timestamp) -> bool) = if manifest.time <= time {
                (&mut before, |new, old| new >= old)
            } else {
                (&mut after, |new, old| new < old)
            };
            if nearest.as_ref().is_none_or(|old| is_nearer(manifest.time, old.time)) {
                *nearest = Some(manifest);
            }
        })?;
        Ok(before.into_iter().chain(after).collect())
    }

    /// The index by a journal: that which a session read when it began.
    pub fn index(repository: &Repository, journal: &State, context: Context<'_>) -> Result<Index, VaultError> {
        let Context { progress, cancel, folders } = context;
        progress.on(Event::Phase { phase: Phase::Index, total: None });
        let mut options = IndexOptions::new(&folders.cache);
        options.verdicts = Verdicts::of(journal);
        Ok(Index::open_with(repository, options, progress, cancel)?)
    }

    /// Packs of a backup that was killed before it listed them are listed now, so that nothing in them is
    /// uploaded twice. Looking for them costs a listing of all packs, so it is done only after such a backup.
    pub fn list_orphans(
        repository: &Repository,
        index: &Index,
        sealer: &Sealer,
        context: Context<'_>,
    ) -> Result<(), VaultError> {
        if !unfinished_sessions(repository, sealer.session())? {
            return Ok(());
        }
        let Context { progress, cancel, .. } = context;
        list_unlisted_packs(repository, index, sealer, progress, cancel)?;
        Ok(())
    }

    pub fn rules(&self) -> Result<Rules, VaultError> {
        let bad = |error: crate::sys::pattern::BadPattern| VaultError::Request {
            what: error.to_string(),
            hint: Some("see `dssvault backup --help` for the form of patterns".to_owned()),
        };
        let never = self.context.folders.cache.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
        let never = never.and_then(|folder| folder.metadata().ok()).map(|meta| (meta.dev(), meta.ino()));
        Ok(Rules {
            patterns: PatternSet::new(&self.options.exclude).map_err(bad)?,
            if_present: self.options.exclude_if_present.iter().map(|name| name.as_bytes().to_vec()).collect(),
            one_file_system: self.options.one_file_system,
            never: never.into_iter().collect::<HashSet<_>>(),
        })
    }

    fn manifest(
        &self,
        root: ChunkId,
        counts: Counts,
        left_out: (u64, u64),
        problems: &ProblemLog<'_>,
        origin: (SessionId, Option<SnapshotId>),
    ) -> Manifest {
        let (problems, problem_count) = problems.take();
        let mut tags = self.options.tags.clone();
        tags.sort();
        tags.dedup();
        let rules = self.options.exclude.iter().map(|pattern| format!("exclude {pattern}"));
        let present = self.options.exclude_if_present.iter().map(|name| format!("exclude-if-present {name}"));
        let one = self.options.one_file_system.then(|| "one-file-system".to_owned());
        Manifest {
            time: self.options.time.unwrap_or(self.now),
            ended: self.repository.seams.clock.now(),
            node: self.node,
            label: self.label.clone(),
            host: identity::host_name(),
            user: identity::user_name(),
            members: self.input.members(),
            root,
            consistency: Consistency::Live,
            counts,
            problems,
            problem_count,
            exclusions: Exclusions {
                rules: rules.chain(present).chain(one).collect(),
                entries: left_out.0,
                bytes: left_out.1,
            },
            tags,
            program: concat!("dssvault ", env!("CARGO_PKG_VERSION")).to_owned(),
            parent: origin.1,
            session: origin.0,
            dss: None,
            imported: None,
            databases: None,
            repaired: None,
            origin: None,
            seen: None,
        }
    }

    /// The parent, as the chain of this node's snapshots records it.
    pub fn known_snapshots(
        repository: &Repository,
        session: &Session<'_>,
        parent: Option<SnapshotId>,
    ) -> Result<Vec<SnapshotLink>, VaultError> {
        let Some(parent) = parent.filter(|parent| *parent != session.snapshot()) else { return Ok(Vec::new()) };
        let name = ObjectName::of(ObjectKind::Snapshot, parent);
        let limit = crate::repo::format::object_bytes_max(ObjectKind::Snapshot);
        let stored = repository.storage.get(&name, limit)?;
        Ok(vec![SnapshotLink { snapshot: parent, hash: StoredHash::from_bytes(plain_hash(&stored)) }])
    }

    fn phase(&self, phase: Phase) {
        self.context.progress.on(Event::Phase { phase, total: None });
    }
}

/// Commits. If the answer of the store was lost, giving up finds out what became of the snapshot, so that nobody
/// is told of a failure that was none.
pub fn commit(session: &Session<'_>, manifest: &Manifest, known: &[SnapshotLink]) -> Result<SnapshotId, VaultError> {
    session.commit(manifest.clone(), known).or_else(|error| match session.abandon(&error.to_string()) {
        Ok(Abandoned::Committed(snapshot)) => Ok(snapshot),
        Ok(Abandoned::Ended) | Err(_) => Err(error.into()),
    })
}

/// Whether some other session neither committed nor gave up.
fn unfinished_sessions(repository: &Repository, own: SessionId) -> Result<bool, VaultError> {
    let names = repository.storage.list(ObjectKind::Session)?;
    for name in names.iter().map(|entry| &entry.name) {
        let Some((session, 0)) = session::parse_name(name) else { continue };
        if session == own {
            continue;
        }
        // A record that cannot be read is check's business; here it only means a closer look.
        let Ok(record) = session::load(repository, name) else { return Ok(true) };
        let snapshot = ObjectName::of(ObjectKind::Snapshot, record.snapshot);
        if !exists(repository, &snapshot)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn exists(repository: &Repository, name: &ObjectName) -> Result<bool, VaultError> {
    match repository.storage.get_range(name, 0, 1) {
        Ok(_) => Ok(true),
        // A file of no bytes is a name that somebody was about to fill.
        Err(StorageError::NotFound { .. } | StorageError::Truncated { .. } | StorageError::Unfinished { .. }) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the last state of these paths of this node is kept.
fn state_path(cache: &Path, node: NodeId, paths: &[PathBuf]) -> PathBuf {
    let mut sorted: Vec<&[u8]> = paths.iter().map(|path| path.as_os_str().as_bytes()).collect();
    sorted.sort_unstable();
    let key = [node.as_bytes().as_slice(), &sorted.join(&0)].concat();
    let hash = StoredHash::from_bytes(plain_hash(&key)).to_string();
    cache.join(format!("files-{}", &hash[..24]))
}
