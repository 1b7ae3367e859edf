//! Every byte of a small repository, flipped in turn: checking notices each, and nothing that is read back is ever
//! other than what was stored.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dssvault::base::cancel::Cancel;
use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::repo::Repository;
use dssvault::repo::snapshot::{self, SnapshotRecord};
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::check::{self, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::restore::{self, OwnerMode, RestoreOptions};
use dssvault::vault::{Context, VaultError, dump};

use crate::check_fixture::Vault;

/// Two snapshots of a few files, in several packs.
fn small_vault() -> (Vault, Vec<SnapshotId>, Vec<Files>) {
    let vault = Vault::new(4);
    let one = (b"first content, which shrinks, which shrinks, which shrinks".as_slice(), "one");
    let write = |files: &[(&[u8], &str)]| -> (SnapshotId, Files) {
        files.iter().for_each(|(content, path)| vault.write(path, content));
        let shown = |path: &str| PathBuf::from(&vault.shown(path)[1..]);
        (vault.backup(), files.iter().map(|(content, path)| (shown(path), content.to_vec())).collect())
    };
    let (first, before) = write(&[one, (b"\x8f\x12second", "dir/two")]);
    let (second, after) = write(&[one, (b"changed", "dir/two"), (b"third", "three")]);
    (vault, vec![first, second], vec![before, after])
}

/// A copy of the repository of one thread: its own store and folders.
struct Copy<'a> {
    store: MemoryStore,
    repository: Repository,
    folders: Folders,
    snapshots: &'a [SnapshotId],
    whole: &'a [Vec<u8>],
    /// Content of every file of each snapshot, by its path beneath a restore's target.
    files: &'a [Files],
}

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every byte is flipped; a restore, which writes files, follows some of the flips.
const RESTORE_STRIDE: usize = 37;

impl Copy<'_> {
    fn context<'c>(&'c self, cancel: &'c Cancel) -> Context<'c> {
        Context { progress: &Silent, cancel, folders: &self.folders }
    }

    /// Flips a bit, looks at what is noticed and what is read back, and puts the bit right again.
    fn flip(&self, name: &ObjectName, content: &Arc<[u8]>, at: usize) {
        let mut bytes = content.to_vec();
        bytes[at] ^= 1 << (at % 8);
        self.store.replace(name, bytes);
        let cancel = Cancel::default();
        let report = check::run(&self.repository, ReadData::All, self.context(&cancel)).unwrap();
        let noticed = report.findings.iter().any(|finding| finding.damage && finding.object.contains(name.text()));
        assert!(noticed, "byte {at} of {name} was flipped: {:#?}", report.findings);
        let storage: Arc<dyn Storage> = Arc::new(self.store.clone());
        let keyless = check::storage_only(&storage, self.context(&cancel)).unwrap();
        assert!(!keyless.is_clean(), "byte {at} of {name} was flipped and no key noticed");
        // What reading does not look at cannot make it wrong.
        if matches!(name.kind(), ObjectKind::Pack | ObjectKind::Index | ObjectKind::Snapshot | ObjectKind::Journal) {
            for (id, whole) in self.snapshots.iter().zip(self.whole) {
                if let Ok(bytes) = dumped(&self.repository, id, self.context(&cancel)) {
                    assert!(bytes == *whole, "byte {at} of {name} was flipped and {id} read back wrong");
                }
            }
        }
        if at.is_multiple_of(RESTORE_STRIDE) {
            self.restore(name, at);
        }
        self.store.replace(name, Arc::clone(content));
    }

    /// Restores every snapshot; a file that is there is right, or the report names it.
    fn restore(&self, name: &ObjectName, at: usize) {
        for (id, files) in self.snapshots.iter().zip(self.files) {
            let target = self.folders.cache.join(format!("../restored-{id}"));
            std::fs::create_dir_all(&target).unwrap();
            let options = RestoreOptions { target: target.clone(), owner: OwnerMode::Current, ..Default::default() };
            let cancel = Cancel::default();
            let report = snapshot::load(&self.repository, id).map_err(VaultError::from).and_then(|(_, record)| {
                let SnapshotRecord::Committed(manifest) = record else { panic!("{id} is aborted") };
                restore::run(&self.repository, *id, &manifest, &options, self.context(&cancel))
            });
            for (path, content) in files {
                let there = std::fs::read(target.join(path)).ok();
                let right = there.as_ref() == Some(content);
                let name_of_file = path.file_name().unwrap().to_string_lossy();
                let told = report.as_ref().map_or(true, |report| match &there {
                    Some(_) => report.failures.iter().any(|failure| failure.path.ends_with(&*name_of_file)),
                    None => !report.failures.is_empty(),
                });
                assert!(right || told, "byte {at} of {name} was flipped and {} came back wrong", path.display());
            }
            std::fs::remove_dir_all(&target).unwrap();
        }
    }
}

fn dumped(repository: &Repository, id: &SnapshotId, context: Context<'_>) -> Result<Vec<u8>, VaultError> {
    let mut out = Vec::new();
    let (_, SnapshotRecord::Committed(manifest)) = snapshot::load(repository, id)? else { panic!("{id} is aborted") };
    dump::run(repository, &manifest, b"", context, &mut out)?;
    Ok(out)
}

#[test]
fn every_flipped_byte_is_noticed_and_none_is_read_back() {
    let (vault, snapshots, files) = small_vault();
    let whole: Vec<Vec<u8>> = snapshots.iter().map(|id| dumped(&vault.open(), id, vault.context()).unwrap()).collect();
    assert!(vault.names(ObjectKind::Pack).len() >= 4);
    let contents = vault.store.contents();
    let flips: Vec<(&ObjectName, &Arc<[u8]>, usize)> =
        contents.iter().flat_map(|(name, content)| (0..content.len()).map(move |at| (name, content, at))).collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (vault, snapshots, whole, files, flips, next) = (&vault, &snapshots, &whole, &files, &flips, &next);
            scope.spawn(move || {
                let store = vault.store.fork();
                let home = vault.dir.path().join(format!("thread-{thread}"));
                let folders = Folders { cache: home.join("cache"), state: home.join("state") };
                let copy = Copy { repository: vault.open_store(&store), store, folders, snapshots, whole, files };
                while let Some((name, content, at)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    copy.flip(name, content, *at);
                }
            });
        }
    });
    assert!(flips.len() > 10_000);
}
