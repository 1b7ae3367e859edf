//! A repository in memory, with cheap slots, for the specifications of keys, journal and sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dssvault::base::clock::{Clock, Timestamp};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::random::SeededEntropy;
use dssvault::repo::RepoError;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::keys::{Credential, SlotCosts};
use dssvault::repo::repository::{Repository, Seams};
use dssvault::storage::{ObjectEntry, Published, Staged, Storage, StorageError};
use dssvault::vault::VaultError;
use dssvault::vault::init::{Created, Founding, found};
use zeroize::Zeroizing;

type Objects = Arc<Mutex<BTreeMap<ObjectName, Vec<u8>>>>;

/// Objects in memory, open to tampering.
#[derive(Clone, Default)]
pub struct Memory(Objects);

impl Memory {
    pub fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        self.0.lock().unwrap().keys().filter(|name| name.kind() == kind).cloned().collect()
    }

    pub fn bytes(&self, name: &ObjectName) -> Vec<u8> {
        self.0.lock().unwrap()[name].clone()
    }

    /// Writes over whatever is there, as no program may.
    pub fn tamper(&self, name: &ObjectName, bytes: Vec<u8>) {
        self.0.lock().unwrap().insert(name.clone(), bytes);
    }
}

struct Stage(Objects, Vec<u8>);

impl Staged for Stage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.1.extend_from_slice(bytes);
        Ok(())
    }

    fn publish(self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError> {
        let mut objects = self.0.lock().unwrap();
        if objects.contains_key(name) {
            return Ok(Published::AlreadyThere);
        }
        objects.insert(name.clone(), self.1);
        Ok(Published::Created)
    }
}

impl Storage for Memory {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        Ok(Box::new(Stage(Arc::clone(&self.0), Vec::new())))
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        let objects = self.0.lock().unwrap();
        let bytes = objects
            .get(name)
            .ok_or_else(|| StorageError::NotFound { name: name.clone(), location: self.location() })?;
        if bytes.len() as u64 > limit {
            return Err(StorageError::TooLarge { name: name.clone(), bytes: bytes.len() as u64, limit });
        }
        Ok(bytes.clone())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let wanted = offset + length as u64;
        let bytes = self.get(name, u64::MAX)?;
        bytes
            .get(offset as usize..wanted as usize)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| StorageError::Truncated { name: name.clone(), wanted })
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        let entry = |name: ObjectName| ObjectEntry {
            bytes: self.bytes(&name).len() as u64,
            name,
            created: Timestamp::default(),
        };
        Ok(self.names(kind).into_iter().map(entry).collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// Time that stands still.
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp { seconds: 1_763_812_800, nanos: 0 }
    }
}

pub fn seams(seed: u64) -> Seams {
    Seams { entropy: Arc::new(SeededEntropy::new(seed)), clock: Arc::new(Noon) }
}

pub fn password(text: &str) -> Credential {
    Credential::Password(Zeroizing::new(text.to_owned()))
}

pub fn words(text: &str) -> Credential {
    Credential::RecoveryWords(Zeroizing::new(text.to_owned()))
}

pub fn init(store: &Memory, secret: &str, seed: u64) -> Result<Created, VaultError> {
    let founding = Founding {
        create: CreateMethod::HardLink,
        with_recovery: true,
        costs: SlotCosts::MIN,
        host: "host".to_owned(),
    };
    found(store, &password(secret), &founding, &seams(seed))
}

pub fn open(store: &Memory, credential: &Credential) -> Result<Repository, RepoError> {
    Repository::open(Arc::new(store.clone()), credential, seams(99))
}

/// A store with a repository whose password is `correct`.
pub fn repository() -> (Memory, Repository) {
    let store = Memory::default();
    init(&store, "correct", 1).unwrap();
    let repository = open(&store, &password("correct")).unwrap();
    (store, repository)
}
