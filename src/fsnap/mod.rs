//! Freezing a volume while it is backed up: one moment of a directory, readable for as long as reading takes.
//!
//! [`detect`] says who can freeze the volume that holds a directory, [`coverage()`] what of the directory lies
//! elsewhere, [`Candidate::create`] freezes, [`Frozen::verify`] is asked after the last read, [`Frozen::finish`]
//! removes. What is made is written down first, so that [`recover()`] finds what a killed run left. `docs/frozen.md`
//! says what each provider does, needs and leaves.

mod btrfs;
mod coverage;
mod error;
mod frozen;
mod journal;
mod lvm;
mod lvs;
mod mountinfo;
mod mounts;
mod plan;
mod recover;
mod site;
mod tool;
mod zfs;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use coverage::{Coverage, Gap, GapKind, coverage};
pub use error::FsnapError;
pub use frozen::Frozen;
pub use recover::{Recovery, Removed, Stuck, recover};
pub use site::SiteCommands;

use mountinfo::Mount;
use plan::Plan;
use tool::{SystemTools, Tools};

/// How long a tool of a volume manager may take: freezing waits until all that is dirty is written.
const LIMIT: Duration = Duration::from_mins(10);

/// Who freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Read-only snapshot of a btrfs subvolume.
    Btrfs,
    /// LVM snapshot volume, classic or thin.
    Lvm,
    /// ZFS snapshot.
    Zfs,
    /// The site's own pair of commands.
    Command,
}

impl Provider {
    /// Whether also writes that no program made durable are frozen in the order they were made. Where not, a
    /// database that relies on that order may be frozen in a state it never had (`docs/frozen.md`). Of the site's
    /// commands nothing is known.
    pub fn keeps_order_of_cached_writes(self) -> bool {
        match self {
            Self::Lvm | Self::Zfs => true,
            Self::Btrfs | Self::Command => false,
        }
    }
}

/// As in the command line and in manifests.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Btrfs => "btrfs",
            Self::Lvm => "lvm",
            Self::Zfs => "zfs",
            Self::Command => "command",
        })
    }
}

/// What the site may decide.
#[derive(Debug, Clone)]
pub struct Options {
    /// The site's own commands; if there are any they are preferred.
    pub site: Option<SiteCommands>,
    /// Room in bytes for what changes while a classic LVM snapshot exists; `None` is a fifth of the volume, or what
    /// is free if that is less.
    pub lvm_reserve_bytes: Option<u64>,
    /// How long each call of a tool may take. The site's commands have a limit of their own.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { site: None, lvm_reserve_bytes: None, limit: LIMIT }
    }
}

/// A provider that cannot freeze a volume, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unable {
    /// The provider.
    pub provider: Provider,
    /// Why not, as part of a sentence.
    pub reason: String,
}

/// Who can freeze the volume of a directory and who cannot.
#[derive(Debug)]
pub struct Detection {
    /// The directory, without symbolic links.
    pub dir: PathBuf,
    /// Best first.
    pub able: Vec<Candidate>,
    /// With reasons.
    pub unable: Vec<Unable>,
}

impl Detection {
    /// The best candidate, or the error that tells all reasons.
    pub fn best(self) -> Result<Candidate, FsnapError> {
        let (dir, reasons) = (self.dir, self.unable);
        self.able.into_iter().next().ok_or(FsnapError::NoProvider { dir, reasons })
    }
}

/// A way of freezing one directory that should work. Nothing is made before [`create`](Self::create).
#[derive(Debug, Clone)]
pub struct Candidate {
    dir: PathBuf,
    plan: Plan,
    tools: Arc<dyn Tools>,
    limit: Duration,
}

impl Candidate {
    /// Who would freeze.
    pub fn provider(&self) -> Provider {
        self.plan.provider()
    }

    /// Freezes the volume. `label` says in the journal what for; `journal` is a folder on any volume, created if it
    /// is missing, where [`recover()`] finds what a killed run left. If this fails, what it made is removed again.
    pub fn create(&self, label: &str, journal: &Path) -> Result<Frozen, FsnapError> {
        Frozen::create(self, label, journal)
    }
}

/// Finds out who can freeze the volume that holds the directory `dir`. Changes nothing.
pub fn detect(dir: &Path, options: &Options) -> Result<Detection, FsnapError> {
    let tools: Arc<dyn Tools> = Arc::new(SystemTools);
    let dir = real_directory(dir)?;
    let mount = mountinfo::holding(&dir)?;
    let mut detection = Detection { dir: dir.clone(), able: Vec::new(), unable: Vec::new() };
    if let Some(commands) = &options.site {
        let plan = Plan::Command(site::Plan::new(commands.clone(), &dir));
        detection.able.push(Candidate { dir: dir.clone(), plan, tools: tools.clone(), limit: options.limit });
    }
    for provider in [Provider::Btrfs, Provider::Zfs, Provider::Lvm] {
        match suits(provider, &mount, &*tools, options) {
            Ok(plan) => {
                detection.able.push(Candidate { dir: dir.clone(), plan, tools: tools.clone(), limit: options.limit });
            }
            Err(reason) => detection.unable.push(Unable { provider, reason }),
        }
    }
    Ok(detection)
}

fn suits(provider: Provider, mount: &Mount, tools: &dyn Tools, options: &Options) -> Result<Plan, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root may freeze volumes".to_owned());
    }
    let limit = options.limit;
    match provider {
        Provider::Btrfs => btrfs::suits(mount, tools, limit).map(Plan::Btrfs),
        Provider::Zfs => zfs::suits(mount, tools, limit).map(Plan::Zfs),
        Provider::Lvm => lvm::suits(mount, tools, limit, options.lvm_reserve_bytes).map(Plan::Lvm),
        Provider::Command => Err("no commands were given".to_owned()),
    }
}

/// `dir` without symbolic links, if it is a directory.
fn real_directory(dir: &Path) -> Result<PathBuf, FsnapError> {
    let real = dir.canonicalize().map_err(FsnapError::io("find", dir))?;
    let found = fs::metadata(&real).map_err(FsnapError::io("look at", dir))?;
    if found.is_dir() { Ok(real) } else { Err(FsnapError::io("freeze", dir)(io::ErrorKind::NotADirectory.into())) }
}
