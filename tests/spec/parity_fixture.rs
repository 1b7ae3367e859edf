//! A store of nothing but packs, for what needs no key: packs are any bytes under the name of their hash.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::id::PackId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::check::{self, CheckReport, Mending};
use dssvault::vault::context::Folders;
use dssvault::vault::parity::{self, AddOptions, AddReport, ListReport, Overhead};
use dssvault::vault::{Context, VaultError};

use crate::machine::noise;

/// Bytes of a shard of the groups that are made.
pub const SHARD: usize = 256 << 10;

pub struct Shelf {
    pub store: MemoryStore,
    pub packs: BTreeMap<PackId, Vec<u8>>,
    pub cancel: Cancel,
    pub folders: Folders,
}

impl Shelf {
    /// A store with packs of these sizes.
    pub fn with(sizes: &[usize]) -> Self {
        let folders = Folders { cache: PathBuf::new(), state: PathBuf::new() };
        let mut shelf = Self { store: MemoryStore::new(), packs: BTreeMap::new(), cancel: Cancel::default(), folders };
        sizes.iter().enumerate().for_each(|(seed, size)| _ = shelf.put(seed as u64 + 1, *size));
        shelf
    }

    /// One more pack.
    pub fn put(&mut self, seed: u64, size: usize) -> PackId {
        let bytes = noise(seed, size);
        let id = PackId::from_bytes(*blake3::hash(&bytes).as_bytes());
        self.store.put(&pack(id), &bytes).unwrap();
        self.packs.insert(id, bytes);
        id
    }

    pub fn ids(&self) -> Vec<PackId> {
        self.packs.keys().copied().collect()
    }

    pub fn context(&self) -> Context<'_> {
        Context { progress: &Silent, cancel: &self.cancel, folders: &self.folders }
    }

    /// Adds parity of so many percent.
    pub fn add(&self, percent: u16) -> AddReport {
        self.try_add(&self.store, percent).unwrap()
    }

    pub fn try_add(&self, store: &dyn Storage, percent: u16) -> Result<AddReport, VaultError> {
        let overhead = Overhead::from_hundredths(percent * 100);
        parity::add(store, &AddOptions { overhead, dry_run: false }, self.context())
    }

    pub fn list(&self) -> ListReport {
        parity::list(&self.store, self.context()).unwrap()
    }

    pub fn check(&self, mending: Mending) -> CheckReport {
        self.try_check(Arc::new(self.store.clone()), mending).unwrap()
    }

    pub fn try_check(&self, store: Arc<dyn Storage>, mending: Mending) -> Result<CheckReport, VaultError> {
        check::storage_only_mending(&store, mending, self.context())
    }

    /// Findings of packs, mended copies and parity, as lines. A shelf is no repository, which is no news.
    pub fn findings(&self, report: &CheckReport) -> Vec<String> {
        let lines = crate::check_fixture::lines(report);
        let of_shelf = |line: &&String| !["config", "keys", "journal"].iter().any(|kind| line[2..].starts_with(kind));
        lines.iter().filter(of_shelf).cloned().collect()
    }

    pub fn is_clean(&self, report: &CheckReport) -> bool {
        self.findings(report).iter().all(|line| line.starts_with('?'))
    }

    pub fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        self.store.contents().into_keys().filter(|name| name.kind() == kind).collect()
    }

    pub fn flip(&self, name: &ObjectName, at: usize) {
        let mut bytes = self.store.contents()[name].to_vec();
        bytes[at] ^= 0x10;
        self.store.replace(name, bytes);
    }

    pub fn cut(&self, name: &ObjectName, length: usize) {
        let bytes = self.store.contents()[name][..length].to_vec();
        self.store.replace(name, bytes);
    }

    /// What a reader gets for a pack: itself if it is right, else its mended copy if that is.
    pub fn readable(&self, id: PackId) -> bool {
        readable_in(&self.store, id)
    }

    /// Every object under a hash is what the hash says, but for those that were damaged by hand.
    pub fn mended_are_right(&self) {
        for (name, bytes) in self.store.contents() {
            if name.kind() == ObjectKind::Mended {
                assert_eq!(blake3::hash(&bytes).to_hex().as_str(), name.text());
            }
        }
    }
}

pub fn readable_in(store: &MemoryStore, id: PackId) -> bool {
    let contents = store.contents();
    [pack(id), mended(id)]
        .iter()
        .any(|name| contents.get(name).is_some_and(|bytes| blake3::hash(bytes).as_bytes() == id.as_bytes()))
}

pub fn pack(id: PackId) -> ObjectName {
    ObjectName::of(ObjectKind::Pack, id)
}

pub fn mended(id: PackId) -> ObjectName {
    ObjectName::of(ObjectKind::Mended, id)
}
