//! Backing up a node: the data directory, what belongs to it outside, and the facts, as one restore point.

mod consistency;
mod databases;
mod error;
mod frozen;
mod left_out;
mod members;
mod pip;
mod stopped;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::size::ByteCount;
use crate::dss::control::evidence::Evidence;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::StopJournal;
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::proc;
use crate::dss::control::recover::{Recovered, recover};
use crate::dss::control::rotation;
use crate::dss::control::service::Service;
use crate::dss::control::swap_journal::SwapJournal;
use crate::dss::datadir::DataDir;
use crate::dss::datadir::concern::Severity;
use crate::dss::datadir::exclusion::{Exclusion, Wish};
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::ours;
use crate::dss::inspect::as_on_disk;
use crate::dss::jobs::{self, Inquiry, NodeWatch, OnWork};
use crate::postgres::backup::Databases;
use crate::postgres::steward::Dumping;
use crate::repo::Repository;
use crate::repo::snapshot::NodeRecord;
use crate::vault::Context;
use crate::vault::backup::{self, BackupOptions, BackupReport};

pub use consistency::{Asked, Choice};
pub use databases::DatabaseWish;
pub use error::NodeError;

/// Where the data directory stands in a snapshot, and what belongs to it outside.
pub const DATADIR: &str = "datadir";
/// Files of the machine, by their absolute paths, and what was found out.
pub const HOST: &str = "host";
/// The facts, in `host/`.
pub const FACTS_FILE: &str = "inspect.json";

/// What is installed in the Python environments, in `host/`: `pip/builtin.txt`, `pip/code-envs/NAME.txt`.
pub const PIP: &str = "pip";

/// How a node is backed up, besides what every backup is asked.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What every backup is asked. Patterns are those of the user; a leading `/` is the data directory.
    pub backup: BackupOptions,
    /// What is left out by class.
    pub wish: Wish,
    /// How consistent it must be.
    pub consistency: Asked,
    /// Which databases on servers are dumped with it.
    pub databases: DatabaseWish,
    /// Whether an API node is taken out of rotation before the stop, and how long its load balancers are given.
    pub rolling: Option<Duration>,
    /// What is done about work that a stop would kill.
    pub on_work: OnWork,
    /// How that work is looked for.
    pub inquiry: Inquiry,
    /// How long it may be down.
    pub max_downtime: Duration,
    /// How long it is waited for its health.
    pub health_limit: Duration,
    /// More files of the machine to be kept in `host/`.
    pub include_host: Vec<PathBuf>,
    /// This program, to run the guard.
    pub program: PathBuf,
    /// How volumes are frozen.
    pub freezing: crate::fsnap::Options,
}

/// What a backup of a node did.
#[derive(Debug)]
pub struct NodeReport {
    /// As every backup.
    pub backup: BackupReport,
    /// What was seen before it began.
    pub evidence: Evidence,
    /// What should be known, as sentences.
    pub warnings: Vec<String>,
    /// Databases a dry run would dump, and the bytes of their tables.
    pub would_dump: Vec<(String, u64)>,
}

/// Backs a node up. Unless the error says otherwise, the node runs afterwards if it ran before.
pub fn run(
    repository: &Repository,
    path: &Path,
    options: &NodeOptions,
    context: Context<'_>,
) -> Result<NodeReport, NodeError> {
    let state = &context.folders.state;
    // First the lock, under the name a restore takes it: what is looked at before may be exchanged meanwhile.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let _lock = DataDirLock::take(state, &place)?;
    refuse_half_exchanged(state, &place)?;
    let DataDir { root, facts } = DataDir::open(path, &Host::new(None))?;
    let instance = Instance::new(&root, &facts);
    let dry_run = options.backup.dry_run;
    let mut warnings = if dry_run { Vec::new() } else { pay_debts(state, &instance, context)? };
    refuse_trouble(&facts, options)?;
    apart(repository, &root)?;
    let found = databases::prepare(&root, &facts, &options.databases, context.cancel)?;
    let evidence = proc::look(&instance);
    let instance = instance.under(evidence.unit());
    let candidate = || frozen::candidate(&root, options);
    // Nothing is stopped, frozen or stored to tell what would be stored.
    let asked = if dry_run { Asked::Live } else { options.consistency };
    let choice = consistency::choose(asked, evidence.running(), &evidence, candidate)?;
    if matches!(choice, Choice::Stop) {
        // What must fail fails before hours of reading.
        Service::of(&instance)?;
        let clock = &*repository.seams.clock;
        let mut watch = NodeWatch::new(&instance, &facts.node_type, &options.inquiry, clock, context.cancel);
        warnings.extend(jobs::begin(options.on_work, &mut watch)?.blind.map(ToOwned::to_owned));
    }
    let wish = as_on_disk(&below(&options.wish, &root), &root);
    let mut exclusion = Exclusion::new(&wish, &facts.situation());
    let (left_out, idle) = left_out::weigh(&root, &facts.situation(), &exclusion, context.cancel)?;
    warnings.extend(idle);
    if options.rolling.is_some() && !rotation::is_out(&root) {
        // What is there for the time of the backup would keep a restored node out of rotation.
        exclusion.patterns.push(format!("/{}", rotation::FILE));
    }
    let mut record = NodeRecord { left_out: Some(left_out), ..record(&facts, &exclusion) };
    // Before the volume is frozen or the node stopped: nobody should wait for it then.
    let packages = if dry_run { Vec::new() } else { pip::freeze_all(&instance, context.cancel) };
    record.caveats.extend(pip::caveat(&packages));
    record.caveats.extend(found.caveats);
    let databases = found.databases;
    let mut subject =
        Subject { repository, root, facts, instance, exclusion, packages, databases, options, context, record };
    let backup = match choice {
        Choice::Plain => stopped::read_stopped(&mut subject)?,
        Choice::Stop => stopped::stop_and_read(&mut subject, &mut warnings)?,
        Choice::Freeze(candidate) => frozen::read_frozen(&mut subject, &candidate)?,
        Choice::Live => stopped::read_live(&mut subject)?,
    };
    warnings.extend(ours::kept(&subject.root).into_iter().map(|(path, bytes)| {
        let (path, bytes) = (path.display(), ByteCount(bytes));
        format!(
            "{path}, kept by a restore, takes {bytes} and is not in the snapshot; `restore --forget-old` removes it"
        )
    }));
    if !dry_run {
        warnings.extend(subject.record.caveats.iter().cloned());
    }
    let would_dump = if dry_run { subject.databases.borrow().expected() } else { Vec::new() };
    Ok(NodeReport { backup, evidence, warnings, would_dump })
}

/// One backup at work.
struct Subject<'s> {
    repository: &'s Repository,
    root: PathBuf,
    facts: Facts,
    instance: Instance,
    exclusion: Exclusion,
    packages: Vec<pip::PackageList>,
    databases: RefCell<Databases>,
    options: &'s NodeOptions,
    context: Context<'s>,
    record: NodeRecord,
}

impl Subject<'_> {
    /// Runs the engine over the directory, read at `read_from`.
    fn back_up(&self, read_from: &Path, steward: &mut dyn backup::Steward) -> Result<BackupReport, NodeError> {
        let members = members::Members::gather(self)?;
        let mut databases = self.databases.borrow_mut();
        let source = members.source(&self.root, read_from, databases.members());
        let mut options = self.options.backup.clone();
        let inside = Path::new("/").join(DATADIR);
        options.exclude = self.exclusion.patterns_below(&inside);
        options.identity = self.facts.install_id.as_ref().map(|id| format!("dss {id}"));
        if options.node.is_none() {
            options.node = Some(label(&self.facts));
        }
        let mut steward = Dumping::new(steward, &mut databases, self.clock(), self.context.cancel);
        let report = backup::run_attended(self.repository, &[source], &options, self.context, &mut steward);
        match steward.into_error() {
            Some(error) => Err(error.into()),
            None => Ok(report?),
        }
    }

    /// Sees what is at work in the node.
    fn watch(&self) -> NodeWatch<'_> {
        let (inquiry, cancel) = (&self.options.inquiry, self.context.cancel);
        NodeWatch::new(&self.instance, &self.facts.node_type, inquiry, self.clock(), cancel)
    }

    fn clock(&self) -> &dyn Clock {
        &*self.repository.seams.clock
    }
}

/// Patterns with the data directory's own path in front, as users of plain backups write them, mean what is below it.
fn below(wish: &Wish, root: &Path) -> Wish {
    let shorten = |pattern: &String| {
        let (not, body) = pattern.strip_prefix('!').map_or(("", pattern.as_str()), |body| ("!", body));
        let inside = Path::new(body).strip_prefix(root).ok().filter(|rest| !rest.as_os_str().is_empty());
        inside.map_or_else(|| pattern.clone(), |rest| format!("{not}/{}", rest.display()))
    };
    Wish { patterns: wish.patterns.iter().map(shorten).collect(), ..wish.clone() }
}

/// What a node is called if nobody says: its type and machine, for one machine may have several.
fn label(facts: &Facts) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match &facts.node_id {
        Some(id) => id.clone(),
        None => format!("{host}-{}", facts.node_type.word()),
    }
}

/// A start that an earlier run still owes comes before anything else.
fn pay_debts(state: &Path, instance: &Instance, context: Context<'_>) -> Result<Vec<String>, NodeError> {
    let frozen = crate::fsnap::recover(&state.join("frozen"))?;
    let mut warnings: Vec<String> = frozen
        .removed
        .iter()
        .map(|removed| {
            format!("a killed run had left a frozen volume ({} {}); it is gone now", removed.provider, removed.id)
        })
        .collect();
    warnings.extend(frozen.stuck.iter().map(|stuck| format!("a frozen volume of a killed run stays: {}", stuck.cause)));
    match recover(&StopJournal::of(state, instance), context.cancel)? {
        Recovered::Nothing => {}
        Recovered::Rejoined => warnings.push("an earlier run had left the node out of rotation; it is back".to_owned()),
        Recovered::Ran => warnings.push("an earlier run had not noted that the node runs again".to_owned()),
        Recovered::Started => warnings.push("an earlier run had left the node stopped; it was started".to_owned()),
        Recovered::Unhealthy(why) => {
            warnings
                .push(format!("an earlier run had left the node stopped; it was started and does not answer: {why}"));
        }
    }
    Ok(warnings)
}

/// Half of one state and half of another is no state of the node at all.
pub fn refuse_half_exchanged(state: &Path, path: &Path) -> Result<(), NodeError> {
    let Ok(root) = path.canonicalize() else { return Ok(()) };
    match SwapJournal::of(state, &root).read()? {
        Some(swap) => Err(NodeError::HalfExchanged { data_dir: root, snapshot: swap.snapshot }),
        None => Ok(()),
    }
}

fn refuse_trouble(facts: &Facts, options: &NodeOptions) -> Result<(), NodeError> {
    if options.rolling.is_some() && facts.node_type != NodeType::Api {
        return Err(NodeError::NotRolling { node_type: facts.node_type.to_string() });
    }
    Ok(())
}

/// A repository inside of what it backs up would grow with itself; a data directory inside of a repository is a mistake.
fn apart(repository: &Repository, root: &Path) -> Result<(), NodeError> {
    let Some(place) = repository.storage.local_folder() else { return Ok(()) };
    let Ok(place) = place.canonicalize() else { return Ok(()) };
    if place.starts_with(root) || root.starts_with(&place) {
        return Err(NodeError::Nested { repository: place, data_dir: root.to_owned() });
    }
    Ok(())
}

fn record(facts: &Facts, exclusion: &Exclusion) -> NodeRecord {
    // Restored, it would be in the same trouble.
    let stops = facts.concerns.iter().filter(|concern| concern.severity == Severity::Stop);
    let caveats: Vec<String> = stops.map(|concern| format!("{}: {}", concern.message, concern.next)).collect();
    NodeRecord {
        node_type: facts.node_type.word().to_owned(),
        version: facts.version.as_ref().map(ToString::to_string),
        conf_version: facts.conf_version,
        install_id: facts.install_id.clone(),
        data_dir: facts.path.clone(),
        install_dir: facts.kit.as_ref().map(|kit| kit.path.clone()),
        port: facts.ports.as_ref().map(|ports| ports.base),
        owner: facts.owner.user.clone(),
        classes_left_out: exclusion.classes.iter().map(|class| class.word().to_owned()).collect(),
        caveats,
        ..NodeRecord::default()
    }
}
