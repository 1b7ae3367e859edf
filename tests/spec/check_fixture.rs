//! A small repository in memory, made by real backups, for the specifications of looking and checking.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::{Clock, Timestamp};
use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::{Event, Progress};
use dssvault::base::random::SeededEntropy;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::keys::{Credential, SlotCosts};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::Context;
use dssvault::vault::backup::{self, BackupOptions, Source};
use dssvault::vault::check::{self, CheckReport, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::init::{Founding, found};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// An hour passes with every look.
pub struct Hourly(AtomicI64);

impl Clock for Hourly {
    fn now(&self) -> Timestamp {
        Timestamp { seconds: 1_763_812_800 + 3600 * self.0.fetch_add(1, Ordering::Relaxed), nanos: 0 }
    }
}

/// Remembers problems.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<String>>);

impl Progress for Told {
    fn on(&self, event: Event<'_>) {
        if let Event::Problem { path, cause } = event {
            self.0.lock().unwrap().push(format!("{}: {cause}", path.display()));
        }
    }
}

pub struct Vault {
    pub store: MemoryStore,
    pub dir: TempDir,
    pub told: Told,
    pub cancel: Cancel,
    folders: Folders,
    seams: Seams,
}

impl Vault {
    /// A repository without snapshots.
    pub fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders { cache: dir.path().join("cache"), state: dir.path().join("state") };
        std::fs::create_dir(dir.path().join("source")).unwrap();
        let seams = Seams { entropy: Arc::new(SeededEntropy::new(seed)), clock: Arc::new(Hourly(AtomicI64::new(0))) };
        let store = MemoryStore::new();
        let founding = Founding {
            create: CreateMethod::HardLink,
            with_recovery: false,
            costs: SlotCosts::MIN,
            host: "host".to_owned(),
        };
        found(&store, &password(), &founding, &seams).unwrap();
        Self { store, dir, told: Told::default(), cancel: Cancel::default(), folders, seams }
    }

    /// What is backed up.
    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    /// Writes a file below the source.
    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.source().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn open(&self) -> Repository {
        self.open_store(&self.store)
    }

    pub fn open_store(&self, store: &MemoryStore) -> Repository {
        Repository::open(Arc::new(store.clone()), &password(), self.seams.clone()).unwrap()
    }

    /// Opens a copy that lies elsewhere, or refuses to.
    pub fn open_with(&self, storage: Arc<dyn Storage>) -> Result<Repository, dssvault::repo::RepoError> {
        Repository::open(storage, &password(), self.seams.clone())
    }

    pub fn context(&self) -> Context<'_> {
        Context { progress: &self.told, cancel: &self.cancel, folders: &self.folders }
    }

    pub fn backup(&self) -> SnapshotId {
        self.backup_with(&BackupOptions::default())
    }

    pub fn backup_with(&self, options: &BackupOptions) -> SnapshotId {
        let sources = [Source::Path(self.source())];
        backup::run(&self.open(), &sources, options, self.context()).unwrap().snapshot.unwrap()
    }

    pub fn check(&self, read: ReadData) -> CheckReport {
        check::run(&self.open(), read, self.context()).unwrap()
    }

    /// Findings as lines: `!` for damage, `?` for a warning.
    pub fn findings(&self, read: ReadData) -> Vec<String> {
        lines(&self.check(read))
    }

    pub fn storage_only(&self) -> CheckReport {
        check::storage_only(&(Arc::new(self.store.clone()) as Arc<dyn Storage>), self.context()).unwrap()
    }

    pub fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        self.store.contents().into_keys().filter(|name| name.kind() == kind).collect()
    }

    pub fn bytes(&self, name: &ObjectName) -> Vec<u8> {
        self.store.contents()[name].to_vec()
    }

    /// Objects that appeared between two looks.
    pub fn new_names(&self, kind: ObjectKind, before: &BTreeMap<ObjectName, Arc<[u8]>>) -> Vec<ObjectName> {
        self.names(kind).into_iter().filter(|name| !before.contains_key(name)).collect()
    }

    pub fn flip(&self, name: &ObjectName, at: usize) {
        let mut bytes = self.bytes(name);
        bytes[at] ^= 1;
        self.store.replace(name, bytes);
    }

    /// The path of a file as findings show it.
    pub fn shown(&self, path: &str) -> String {
        self.source().join(path).display().to_string()
    }
}

pub fn lines(report: &CheckReport) -> Vec<String> {
    let line = |finding: &check::Finding| {
        format!("{} {}: {}", if finding.damage { '!' } else { '?' }, finding.object, finding.cause)
    };
    report.findings.iter().map(line).collect()
}

fn password() -> Credential {
    Credential::Password(Zeroizing::new("correct".to_owned()))
}

/// Bytes that do not shrink.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    use dssvault::base::random::Entropy;
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes
}
