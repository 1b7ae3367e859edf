//! A machine that backs up: a source tree, a cache and a state folder of its own. The repository is handed to it,
//! so that one machine can meet many stores and one store many machines.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::SystemClock;
use dssvault::base::id::SnapshotId;
use dssvault::base::progress::Silent;
use dssvault::base::random::SystemEntropy;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::journal::{Entry, State};
use dssvault::repo::keys::{Credential, SlotCosts};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::repo::snapshot::{self, Manifest, SnapshotRecord};
use dssvault::storage::Storage;
use dssvault::storage::local::{LocalStore, Modes};
use dssvault::vault::backup::{self, BackupOptions, BackupReport, Source};
use dssvault::vault::check::{self, CheckReport, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::init::{Founding, found};
use dssvault::vault::prune::{self, PruneOptions, PruneReport, Unused};
use dssvault::vault::restore::{self, RestoreOptions};
use dssvault::vault::{Context, VaultError};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::tree_diff::{differences, restored};

pub struct Machine {
    dir: TempDir,
    pub folders: Folders,
    pub cancel: Cancel,
}

impl Machine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders { cache: dir.path().join("cache"), state: dir.path().join("state") };
        std::fs::create_dir(dir.path().join("source")).unwrap();
        Self { dir, folders, cancel: Cancel::default() }
    }

    /// The tree it backs up.
    pub fn source(&self) -> PathBuf {
        self.path("source")
    }

    /// A place of its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        let path = self.source().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A plain copy of the source as it is now.
    pub fn copy_source(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        copy_tree(&self.source(), &copy);
        copy
    }

    /// Cache and state of another moment, to begin from there again. The source is shared.
    pub fn folders_like(&self, other: &Folders, name: &str) -> Folders {
        let folders =
            Folders { cache: self.path(&format!("{name}-cache")), state: self.path(&format!("{name}-state")) };
        copy_tree(&other.cache, &folders.cache);
        copy_tree(&other.state, &folders.state);
        folders
    }

    pub fn open(&self, store: &Arc<dyn Storage>) -> Result<Repository, VaultError> {
        Ok(Repository::open(Arc::clone(store), &password(), seams())?)
    }

    pub fn back_up(&self, store: &Arc<dyn Storage>, folders: &Folders) -> Result<BackupReport, VaultError> {
        let context = Context { progress: &Silent, cancel: &self.cancel, folders };
        backup::run(&self.open(store)?, &[Source::Path(self.source())], &BackupOptions::default(), context)
    }

    pub fn check(&self, store: &Arc<dyn Storage>, folders: &Folders) -> Result<CheckReport, VaultError> {
        let context = Context { progress: &Silent, cancel: &self.cancel, folders };
        check::run(&self.open(store)?, ReadData::All, context)
    }

    pub fn prune(
        &self,
        store: &Arc<dyn Storage>,
        folders: &Folders,
        options: &PruneOptions,
    ) -> Result<PruneReport, VaultError> {
        let context = Context { progress: &Silent, cancel: &self.cancel, folders };
        prune::run(&self.open(store)?, options, context)
    }

    /// Forgets one snapshot, whatever guards say.
    pub fn forget(&self, store: &Arc<dyn Storage>, id: SnapshotId) {
        let repository = self.open(store).unwrap();
        let decide = |_: &State| Ok(Some(Entry::Forget(vec![id])));
        repository.journal().append(&repository.secrets, &SystemClock, decide).unwrap();
    }

    /// A repository on disk, in a place of this machine.
    pub fn found_on_disk(&self, name: &str) -> Arc<dyn Storage> {
        let root = self.path(name);
        LocalStore::create_layout(&root, Modes::default()).unwrap();
        let store = self.store_on_disk(name);
        found_in(&*store);
        store
    }

    /// The same, which is there already.
    pub fn store_on_disk(&self, name: &str) -> Arc<dyn Storage> {
        Arc::new(LocalStore::open(self.path(name), CreateMethod::HardLink).unwrap())
    }

    /// The program, on the repository in a place of this machine, with cache and state of its own.
    pub fn program(&self, vault: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dssvault"));
        command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("DSSVAULT_REPO", self.path(vault)).env("DSSVAULT_PASSWORD", PASSWORD);
        command.env("XDG_CACHE_HOME", self.path("program-cache")).env("XDG_STATE_HOME", self.path("program-state"));
        command.env("TMPDIR", self.dir.path()).env("HOME", self.dir.path());
        command
    }

    /// The program backing up the source.
    pub fn backup_program(&self, vault: &str) -> Command {
        self.program(vault, &["backup", "--json", "-q", self.source().to_str().unwrap()])
    }

    /// Names and sizes of the files of one folder of a repository on disk.
    pub fn objects_on_disk(&self, vault: &str, folder: &str) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut left = vec![self.path(vault).join(folder)];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                if meta.is_dir() { left.push(entry.path()) } else { found.push((entry.path(), meta.len())) }
            }
        }
        found
    }

    /// Every committed snapshot.
    pub fn snapshots(&self, store: &Arc<dyn Storage>) -> Vec<(SnapshotId, Manifest)> {
        let repository = self.open(store).unwrap();
        let listed = snapshot::list(&repository).unwrap();
        let records = listed.iter().map(|stored| (stored.id, snapshot::load(&repository, &stored.id).unwrap().1));
        records
            .filter_map(|(id, record)| match record {
                SnapshotRecord::Committed(manifest) => Some((id, *manifest)),
                SnapshotRecord::Aborted(_) => None,
            })
            .collect()
    }

    /// How the snapshot, brought back, differs from a plain copy of its source.
    pub fn misses(&self, store: &Arc<dyn Storage>, folders: &Folders, manifest: &Manifest, copy: &Path) -> Vec<String> {
        self.misses_of(store, folders, manifest, &self.source(), copy)
    }

    /// The same for a snapshot of another source.
    pub fn misses_of(
        &self,
        store: &Arc<dyn Storage>,
        folders: &Folders,
        manifest: &Manifest,
        source: &Path,
        copy: &Path,
    ) -> Vec<String> {
        let target = self.path("target");
        let _ = std::fs::remove_dir_all(&target);
        let context = Context { progress: &Silent, cancel: &self.cancel, folders };
        let options = RestoreOptions { target: target.clone(), ..RestoreOptions::default() };
        let repository = self.open(store).unwrap();
        let report = restore::run(&repository, SnapshotId::from_bytes([0; 16]), manifest, &options, context);
        match report {
            Ok(report) => {
                let failures = report.failures.iter().map(|failure| format!("{}: {}", failure.path, failure.cause));
                failures.chain(differences(copy, &restored(&target, source))).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }
}

/// Makes a repository whose password costs little to try.
pub fn found_in(store: &dyn Storage) {
    let founding = Founding {
        create: CreateMethod::HardLink,
        with_recovery: false,
        costs: SlotCosts::MIN,
        host: "host".to_owned(),
    };
    found(store, &password(), &founding, &seams()).unwrap();
}

/// Everything that can go goes now.
pub fn at_once() -> PruneOptions {
    let (none, day) = (Duration::ZERO, Duration::from_secs(86_400));
    PruneOptions {
        max_unused: Unused::Bytes(0),
        grace: none,
        undo_window: none,
        fence_after: day,
        ..Default::default()
    }
}

/// The password of every repository made here.
pub const PASSWORD: &str = "correct";

fn password() -> Credential {
    Credential::Password(Zeroizing::new(PASSWORD.to_owned()))
}

fn seams() -> Seams {
    Seams { entropy: Arc::new(SystemEntropy), clock: Arc::new(SystemClock) }
}

/// `cp -a`: a copy made by somebody else.
pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg("--").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "{} could not be copied", from.display());
}

/// Bytes that do not shrink.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    use dssvault::base::random::{Entropy, SeededEntropy};
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes
}
