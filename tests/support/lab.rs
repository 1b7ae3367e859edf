//! A repository in memory, a folder for sources and targets, and the two verbs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::SystemClock;
use dssvault::base::id::SnapshotId;
use dssvault::base::progress::Silent;
use dssvault::base::random::SeededEntropy;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::keys::{Credential, SlotCosts};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::repo::snapshot::Manifest;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::backup::{self, BackupOptions, Source};
use dssvault::vault::context::Folders;
use dssvault::vault::init::{Founding, found};
use dssvault::vault::restore::{self, RestoreOptions, RestoreReport};
use dssvault::vault::{Context, VaultError};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub struct Lab {
    folder: TempDir,
    pub store: MemoryStore,
    pub repository: Repository,
    pub cancel: Cancel,
}

impl Lab {
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let seams = Seams { entropy: Arc::new(SeededEntropy::new(7)), clock: Arc::new(SystemClock) };
        let password = Credential::Password(Zeroizing::new("correct".to_owned()));
        let shared = Arc::new(store.clone());
        let founding = Founding {
            create: CreateMethod::HardLink,
            with_recovery: false,
            costs: SlotCosts::MIN,
            host: "host".to_owned(),
        };
        found(&store, &password, &founding, &seams).unwrap();
        let repository = Repository::open(shared, &password, seams).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), store, repository, cancel: Cancel::default() }
    }

    /// A path in the lab's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn back_up(&self, source: &Path) -> Manifest {
        let folders = self.folders();
        let sources = [Source::Path(source.to_owned())];
        let report =
            backup::run(&self.repository, &sources, &BackupOptions::default(), self.context(&folders)).unwrap();
        assert_eq!(report.manifest.problems, []);
        report.manifest
    }

    pub fn restore(&self, manifest: &Manifest, options: &RestoreOptions) -> Result<RestoreReport, VaultError> {
        let folders = self.folders();
        let snapshot = SnapshotId::from_bytes([0; 16]);
        restore::run(&self.repository, snapshot, manifest, options, self.context(&folders))
    }

    /// Restores what lies at `source` in the snapshot directly into the lab's folder of this name.
    pub fn restore_part(&self, manifest: &Manifest, source: &Path, into: &str) -> RestoreReport {
        self.restore(manifest, &self.part(source, into)).unwrap()
    }

    pub fn part(&self, source: &Path, into: &str) -> RestoreOptions {
        use std::os::unix::ffi::OsStrExt;
        RestoreOptions {
            target: self.path(into),
            subpath: Some(source.as_os_str().as_bytes().to_vec()),
            ..RestoreOptions::default()
        }
    }

    pub fn folders(&self) -> Folders {
        Folders { cache: self.path("cache"), state: self.path("state") }
    }

    pub fn context<'a>(&'a self, folders: &'a Folders) -> Context<'a> {
        Context { progress: &Silent, cancel: &self.cancel, folders }
    }
}
