//! A machine with two repositories: one it backs up to, and one to copy to.

use std::path::Path;
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::SystemClock;
use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::base::random::SystemEntropy;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::keys::{Credential, SlotCosts};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::repo::snapshot::Manifest;
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::backup::{self, BackupOptions, BackupReport, Source};
use dssvault::vault::browse::{self, Filter, Listed};
use dssvault::vault::check::{self, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::copy::{self, CopyOptions, CopyReport, End};
use dssvault::vault::init::{Founding, found_like};
use dssvault::vault::{Context, VaultError};
use zeroize::Zeroizing;

use crate::machine::{Machine, PASSWORD, found_in};

/// Whether the second repository names and cuts chunks as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    Alike,
    Strange,
}

pub const BOTH: [Kinship; 2] = [Kinship::Alike, Kinship::Strange];

pub struct Office {
    pub machine: Machine,
    pub home: MemoryStore,
    pub away: MemoryStore,
    pub away_folders: Folders,
    cancel: Cancel,
}

impl Office {
    pub fn new(kinship: Kinship) -> Self {
        let machine = Machine::new();
        let home = MemoryStore::new();
        found_in(&home);
        let away_folders = Folders { cache: machine.path("away-cache"), state: machine.path("away-state") };
        let mut office = Self { machine, home, away: MemoryStore::new(), away_folders, cancel: Cancel::default() };
        office.away = office.another(kinship);
        office
    }

    /// One more repository, like the first or not.
    pub fn another(&self, kinship: Kinship) -> MemoryStore {
        let store = MemoryStore::new();
        let home = (kinship == Kinship::Alike).then(|| self.open(&self.home));
        let founding = Founding {
            create: CreateMethod::HardLink,
            with_recovery: false,
            costs: SlotCosts::MIN,
            host: "host".to_owned(),
        };
        let password = Credential::Password(Zeroizing::new(PASSWORD.to_owned()));
        let seams = Seams { entropy: Arc::new(SystemEntropy), clock: Arc::new(SystemClock) };
        found_like(&store, &password, &founding, home.as_ref(), &seams).unwrap();
        store
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        self.machine.write(name, content);
    }

    pub fn open(&self, store: &MemoryStore) -> Repository {
        self.machine.open(&shared(store)).unwrap()
    }

    pub fn back_up(&self) -> Listed {
        self.back_up_with(&BackupOptions::default())
    }

    pub fn back_up_with(&self, options: &BackupOptions) -> Listed {
        let report = self.try_back_up(options).unwrap();
        Listed { id: report.snapshot.unwrap(), manifest: report.manifest }
    }

    pub fn try_back_up(&self, options: &BackupOptions) -> Result<BackupReport, VaultError> {
        // Files touched within the last 20 ms are read again in any case.
        std::thread::sleep(std::time::Duration::from_millis(25));
        let context = self.context(&self.machine.folders);
        let sources = [Source::Path(self.machine.source())];
        backup::run(&self.open(&self.home), &sources, options, context)
    }

    pub fn context<'a>(&'a self, folders: &'a Folders) -> Context<'a> {
        Context { progress: &Silent, cancel: &self.cancel, folders }
    }

    /// Copies all.
    pub fn copy(&self) -> CopyReport {
        self.copy_with(&CopyOptions::default()).unwrap()
    }

    pub fn copy_with(&self, options: &CopyOptions) -> Result<CopyReport, VaultError> {
        self.copy_between(&shared(&self.home), &shared(&self.away), &self.away_folders, options)
    }

    pub fn copy_between(
        &self,
        home: &Arc<dyn Storage>,
        away: &Arc<dyn Storage>,
        away_folders: &Folders,
        options: &CopyOptions,
    ) -> Result<CopyReport, VaultError> {
        self.copy_opened(&self.machine.open(home)?, &self.machine.open(away)?, away_folders, options)
    }

    /// The same for repositories that are open: trying a password costs more than all else.
    pub fn copy_opened(
        &self,
        source: &Repository,
        target: &Repository,
        away_folders: &Folders,
        options: &CopyOptions,
    ) -> Result<CopyReport, VaultError> {
        let from = End { repository: source, context: self.context(&self.machine.folders) };
        let to = End { repository: target, context: self.context(away_folders) };
        copy::run(from, to, options, &mut |_| {})
    }

    /// The snapshots of the second repository, oldest first.
    pub fn copies(&self) -> Vec<Listed> {
        browse::list(&self.open(&self.away), &Filter::default()).unwrap().snapshots
    }

    /// How a copy, brought back, differs from a plain copy of the source.
    pub fn misses(&self, manifest: &Manifest, plain: &Path) -> Vec<String> {
        self.machine.misses(&shared(&self.away), &self.away_folders, manifest, plain)
    }

    /// Damage that a check of the second repository finds when it reads everything.
    pub fn findings(&self) -> Vec<String> {
        self.findings_in(&self.open(&self.away))
    }

    pub fn findings_in(&self, away: &Repository) -> Vec<String> {
        let report = check::run(away, ReadData::All, self.context(&self.away_folders)).unwrap();
        let damage = report.findings.iter().filter(|finding| finding.damage);
        damage.map(|finding| format!("{}: {}", finding.object, finding.cause)).collect()
    }
}

pub fn shared(store: &MemoryStore) -> Arc<dyn Storage> {
    Arc::new(store.clone())
}

pub fn names(store: &MemoryStore, kind: ObjectKind) -> Vec<ObjectName> {
    store.contents().into_keys().filter(|name| name.kind() == kind).collect()
}

pub fn named(ids: &[SnapshotId]) -> CopyOptions {
    CopyOptions { snapshots: ids.iter().map(SnapshotId::to_string).collect(), ..CopyOptions::default() }
}
