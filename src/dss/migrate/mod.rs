//! Bringing a node to another machine, path, port, account or newer version, and trying a copy of it (a drill). What is
//! done is a plan first: a value that can be shown, written down and gone on with.

mod arguments;
mod aside;
mod attended;
mod conditions;
mod configure;
mod error;
mod files;
mod ground;
mod journal;
mod note;
mod perform;
mod plan;
mod quiet;
mod source;
mod step;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::id::SnapshotId;
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::swap_journal::SwapJournal;
use crate::dss::migrate::attended::Attended;
use crate::dss::migrate::ground::{Ground, Questions};
use crate::dss::migrate::journal::{Journal, Progress};
use crate::dss::migrate::source::Source;
use crate::dss::restore::RestoreError;
use crate::postgres::restore::Ready;
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::vault::Context;
use crate::vault::restore::RestoreReport;

pub use error::MigrateError;
pub use journal::State;
pub use plan::{START, STOP};
pub use step::{Act, By, Offered, Plan, Step};

/// What is asked for. What is absent is as it was.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// Where the node shall come to.
    pub data_dir: Option<PathBuf>,
    /// The software it shall run on.
    pub install_dir: Option<PathBuf>,
    /// The first of its ports.
    pub port: Option<u16>,
    /// The account it shall run as.
    pub user: Option<String>,
    /// The Python its built-in environment is made from.
    pub python: Option<PathBuf>,
    /// A copy that is tried and stopped again; `data_dir` says where.
    pub drill: bool,
    /// Start it in the end.
    pub start: bool,
    /// Take also the steps that need root or the internet.
    pub all_steps: bool,
    /// Names of steps to be left out.
    pub skip: Vec<String>,
    /// Change nothing; only make the plan.
    pub dry_run: bool,
    /// Read everything back and compare.
    pub verify: bool,
    /// How long it is waited for its health.
    pub health_limit: Duration,
    /// Whether it was said that databases on servers are left as they are, for the node to use.
    pub keep_databases: bool,
}

/// A database that is put back with the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    /// What it is to DSS.
    pub kind: String,
    /// Whether it goes elsewhere than it came from.
    pub moved: bool,
    /// What is done, as a sentence without a stop.
    pub says: String,
}

/// What was asked for, with every gap filled from the snapshot.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where to.
    pub data_dir: PathBuf,
    /// On which software.
    pub kit: PathBuf,
    /// The first port.
    pub port: Option<u16>,
    /// Whether that was asked for or chosen, and is not the one it had.
    pub port_is_new: bool,
    /// The account.
    pub user: String,
    /// The Python, if it was asked for.
    pub python: Option<PathBuf>,
    /// Whether it is a drill.
    pub drill: bool,
    /// Whether it is started.
    pub start: bool,
    /// The new install id of a copy.
    pub install_id: Option<String>,
    /// Databases that are put back.
    pub databases: Vec<PutBack>,
    /// Whether those that are not are meant to be used as they are.
    pub keep_databases: bool,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct MigrateReport {
    /// The plan.
    pub plan: Plan,
    /// What became of each step; nothing in a dry run.
    pub states: Vec<(String, State)>,
    /// Whether an earlier run was gone on with.
    pub resumed: bool,
    /// The restore of the files, if it was done in this run.
    pub files: Option<RestoreReport>,
    /// The directory that was there before and is kept.
    pub kept: Option<PathBuf>,
    /// Whether it answers; `None` if it was not started.
    pub healthy: Option<Result<(), String>>,
}

/// Brings the node there.
pub fn run(
    repository: &Repository,
    snapshot: SnapshotId,
    manifest: &Manifest,
    options: &MigrateOptions,
    databases: &[Ready<'_>],
    context: Context<'_>,
) -> Result<MigrateReport, MigrateError> {
    let source = Source::read(repository, snapshot, manifest, context)?;
    let mut wish = wish(&source, options)?;
    wish.databases = databases.iter().map(put_back).collect();
    let _lock = DataDirLock::take(&context.folders.state, &wish.data_dir)?;
    let journal = Journal::of(&context.folders.state, &wish.data_dir);
    if let Some(swap) = SwapJournal::of(&context.folders.state, &wish.data_dir).read()? {
        let (data_dir, snapshot) = (swap.data_dir, swap.snapshot);
        return Err(RestoreError::HalfExchanged { data_dir, snapshot, cause: None }.into());
    }
    let asked = asked(options, &wish);
    let unfinished = unfinished(&journal, snapshot, &asked, &wish)?;
    let resumed = unfinished.is_some();
    let mut progress = match unfinished {
        Some(progress) => progress,
        None => {
            if options.drill {
                dress_up(&mut wish, &source, repository)?;
            }
            let ground = Ground::look(&questions(&wish, &source), &source);
            let plan = plan::plan(&source, &wish, &ground)?;
            files::nothing_kept(&plan, &snapshot)?;
            Progress { snapshot: snapshot.to_string(), asked, plan, states: Vec::new(), kept: None, healthy: None }
        }
    };
    let unknown = options.skip.iter().find(|name| progress.plan.step(name).is_none());
    if let Some(name) = unknown {
        return Err(MigrateError::NoStep { name: name.clone() });
    }
    if progress.state(plan::DATABASES) != Some(State::Done) {
        databases.iter().try_for_each(Ready::is_free).map_err(RestoreError::from)?;
    }
    if options.dry_run {
        let Progress { plan, states, kept, healthy, .. } = progress;
        return Ok(MigrateReport { plan, states, resumed, files: None, kept, healthy });
    }
    let restored = RefCell::new(None);
    let (source, journal) = (&source, &journal);
    let attended = Attended { repository, manifest, snapshot, source, options, databases, context, journal, restored };
    attended.steps(&mut progress)?;
    journal.clear()?;
    let Progress { plan, states, kept, healthy, .. } = progress;
    Ok(MigrateReport { plan, states, resumed, files: attended.restored.into_inner(), kept, healthy })
}

fn wish(source: &Source, options: &MigrateOptions) -> Result<Wish, MigrateError> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(MigrateError::local("find", path));
    let missing = |what: &str, option: &str| {
        MigrateError::refused(format!("the snapshot does not tell {what}"), format!("say it with `{option}`"))
    };
    let kit = options.install_dir.clone().or_else(|| source.record.install_dir.clone().map(PathBuf::from));
    let user = options.user.clone().or_else(|| source.record.owner.clone()).or_else(|| source.facts.owner.user.clone());
    let recorded = Some(Path::new(&source.record.data_dir)).filter(|path| path.is_absolute());
    let data_dir = options.data_dir.as_deref().or(recorded).ok_or_else(|| missing("its directory", "--data-dir"))?;
    Ok(Wish {
        data_dir: real(&absolute(data_dir)?),
        kit: real(&absolute(&kit.ok_or_else(|| missing("its kit", "--install-dir"))?)?),
        port: options.port.or(source.record.port),
        port_is_new: options.port.is_some_and(|port| Some(port) != source.record.port),
        user: user.ok_or_else(|| missing("its account", "--user"))?,
        python: options.python.clone(),
        drill: options.drill,
        start: options.start || options.drill,
        install_id: None,
        databases: Vec::new(),
        keep_databases: options.keep_databases,
    })
}

fn put_back(ready: &Ready<'_>) -> PutBack {
    let kind = ready.kind().unwrap_or_default().to_owned();
    PutBack { kind, moved: ready.is_moved(), says: ready.says() }
}

/// Without links as far as it exists: DSS compares real paths.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(below)) = (above.canonicalize(), path.strip_prefix(above)) {
            return if below.as_os_str().is_empty() { real } else { real.join(below) };
        }
    }
    path.to_owned()
}

/// A copy is another installation: other ports, another id.
fn dress_up(wish: &mut Wish, source: &Source, repository: &Repository) -> Result<(), MigrateError> {
    let old = source.record.port;
    if !wish.port_is_new {
        wish.port = old.and_then(ground::free_base);
        wish.port_is_new = true;
    }
    if wish.port.is_none() {
        return Err(MigrateError::refused("a copy needs ports of its own", "name the first of ten with `--port`"));
    }
    wish.install_id = Some(configure::new_install_id(&*repository.seams.entropy));
    Ok(())
}

fn questions<'q>(wish: &'q Wish, source: &'q Source) -> Questions<'q> {
    let facts = &source.facts;
    let mut files: Vec<PathBuf> = facts.outside.iter().map(|outside| PathBuf::from(&outside.path)).collect();
    files.extend(facts.python.iter().filter_map(|python| python.base.clone()).map(PathBuf::from));
    files.extend(facts.java.iter().map(|java| PathBuf::from(&java.path)));
    files.extend(wish.python.clone());
    files.extend(facts.links.iter().map(|link| link.seen_from(&wish.data_dir)));
    let Wish { data_dir, kit, user, port, port_is_new, .. } = wish;
    Questions { data_dir, kit, user, port: *port, port_is_new: *port_is_new, files }
}

/// What makes two runs the same: where to, on what, for whom.
fn asked(options: &MigrateOptions, wish: &Wish) -> String {
    let Wish { data_dir, kit, user, python, drill, start, databases, .. } = wish;
    // Those of a drill go to another throw-away server each time.
    let databases = databases.iter().filter(|_| !drill).map(|one| format!(" {}", one.says)).collect::<String>();
    let shown = |path: Option<&Path>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let port = options.port.map(|port| port.to_string()).unwrap_or_default();
    let words = [shown(Some(data_dir)), shown(Some(kit)), port, user.clone(), shown(python.as_deref())];
    format!("{} drill={drill} start={start}{databases}", words.join(" "))
}

fn unfinished(
    journal: &Journal,
    snapshot: SnapshotId,
    asked: &str,
    wish: &Wish,
) -> Result<Option<Progress>, MigrateError> {
    let Some(progress) = journal.read()? else { return Ok(None) };
    if progress.snapshot == snapshot.to_string() && progress.asked == asked {
        return Ok(Some(progress));
    }
    Err(MigrateError::Unfinished {
        snapshot: progress.snapshot,
        data_dir: wish.data_dir.clone(),
        journal: journal.path().to_owned(),
    })
}
