//! The parameters of a repository, plain and owner-signed; the highest valid number wins.

use crate::base::clock::Timestamp;
use crate::base::id::RepositoryId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::codec::chunk::ChunkSizes;
use crate::codec::sign::{SigningPublic, SigningSecret};
use crate::repo::crypt::{PUBLIC_KEY_BYTES, public_key};
use crate::repo::error::RepoError;
use crate::repo::format::{KNOWN_FEATURES, object_bytes_max};
use crate::repo::header::XWING_KEM_ID;
use crate::repo::plain;
use crate::repo::secrets::Secrets;
pub use crate::storage::CreateMethod;
use crate::storage::{Published, Storage, StorageError};

/// Parameters fixed for the repository's life, and those the owner may change.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode, serde::Serialize)]
#[cbor(map)]
pub struct RepositoryConfig {
    /// Its id.
    #[n(0)]
    pub repository: RepositoryId,
    /// When it was made.
    #[n(1)]
    pub created: Timestamp,
    /// Feature bits a writer and deleter must understand.
    #[n(2)]
    pub features: u64,
    /// Current key epoch.
    #[n(3)]
    pub epoch: u32,
    /// The owner's Ed25519 verification key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub owner: [u8; 32],
    /// HPKE KEM id: 0x647a, X-Wing (draft-connolly-cfrg-xwing-kem-10).
    #[n(5)]
    pub kem: u16,
    /// The repository's public key.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub public_key: Vec<u8>,
    /// Chunk sizes for files.
    #[n(7)]
    pub files: ChunkSizes,
    /// Chunk sizes for databases.
    #[n(8)]
    pub database: ChunkSizes,
    /// How objects are created.
    #[n(9)]
    pub create: CreateMethod,
    /// Chunk sizes for large files.
    #[n(10)]
    pub large_files: ChunkSizes,
    /// The first length in bytes of a file that is large.
    #[n(11)]
    pub large_from: u64,
    /// IANA name of the time zone in which days begin and end for retention; that of the machine that asks, if absent.
    #[n(12)]
    pub timezone: Option<String>,
}

impl RepositoryConfig {
    /// Default sizes of the `files` class (`docs/decisions/0003-chunk-sizes.md`).
    pub const FILES: ChunkSizes = ChunkSizes { min: 16 << 10, average: 64 << 10, max: 256 << 10 };
    /// Default sizes of the `large files` class.
    pub const LARGE_FILES: ChunkSizes = ChunkSizes { min: 64 << 10, average: 256 << 10, max: 1 << 20 };
    /// Default length from which on a file is large.
    pub const LARGE_FROM: u64 = 64 << 20;
    /// Default sizes of the `database` class.
    pub const DATABASE: ChunkSizes = ChunkSizes { min: 1 << 10, average: 4 << 10, max: 32 << 10 };

    /// Whether files and databases are cut to the same sizes as in another repository.
    pub fn sizes_like(&self, other: &Self) -> bool {
        let sizes = |config: &Self| (config.files, config.large_files, config.large_from, config.database);
        sizes(self) == sizes(other)
    }

    /// Whether the values can be worked with: bounds of every field, and nothing newer than this program.
    fn check(&self, name: &ObjectName) -> Result<SigningPublic, RepoError> {
        let too_new = |what: String| RepoError::TooNew { name: name.clone(), what };
        let damaged = |why: &str| RepoError::damaged(name, why);
        let unknown = self.features & !KNOWN_FEATURES;
        if unknown != 0 {
            return Err(too_new(format!("feature bits {unknown:#x}")));
        }
        if self.kem != XWING_KEM_ID {
            return Err(too_new(format!("key encapsulation {:#06x}", self.kem)));
        }
        if self.epoch == 0 {
            return Err(damaged("its key epoch is 0"));
        }
        if self.public_key.len() != PUBLIC_KEY_BYTES {
            return Err(damaged("its public key has a wrong length"));
        }
        if ![self.files, self.large_files, self.database].iter().all(ChunkSizes::are_valid) {
            return Err(damaged("its chunk sizes are out of bounds"));
        }
        SigningPublic::from_bytes(&self.owner).ok_or_else(|| damaged("its owner's key is no point of the curve"))
    }

    /// Whether the secrets of a slot belong to these parameters: a writer must never seal to a key that no owner
    /// holds.
    pub fn check_secrets(&self, name: &ObjectName, secrets: &Secrets) -> Result<(), RepoError> {
        let damaged = |why: &str| RepoError::damaged(name, why);
        if secrets.epoch(self.epoch).is_none() {
            return Err(damaged("the key slot does not hold the keys of its epoch"));
        }
        match public_key(&secrets.sealing) {
            Ok(key) if key == self.public_key => Ok(()),
            _ => Err(damaged("its public key is not the one of the key slot")),
        }
    }

    /// Stores the parameters under a number, signed. `false`: that number is taken.
    pub fn store(&self, storage: &dyn Storage, number: u64, signing: &SigningSecret) -> Result<bool, RepoError> {
        let name = ObjectName::numbered(ObjectKind::Config, number);
        let stored = plain::encode(signing, &name, self.repository, self.epoch, &plain::encode_body(self));
        Ok(storage.put(&name, &stored)? == Published::Created)
    }

    /// The valid configuration of highest number, signed by `owner`.
    pub fn load(
        storage: &dyn Storage,
        repository: RepositoryId,
        owner: &SigningPublic,
    ) -> Result<LoadedConfig, RepoError> {
        Survey::read(storage)?.choose(repository, owner)
    }

    /// How the store's configuration says objects are created. Asked before any key is known, so it is only a
    /// claim; a wrong one makes creations fail and nothing worse.
    pub fn announced_create_method(storage: &dyn Storage) -> CreateMethod {
        let newest = Survey::read(storage).ok().and_then(|survey| survey.valid.into_iter().next_back());
        newest.map_or(CreateMethod::HardLink, |(_, config, _)| config.create)
    }
}

/// A configuration in force.
#[derive(Debug)]
pub struct LoadedConfig {
    /// Its number.
    pub number: u64,
    /// The parameters.
    pub config: RepositoryConfig,
    /// Configurations of higher number that are not valid, and why: somebody should look.
    pub warnings: Vec<RepoError>,
}

impl LoadedConfig {
    /// The object it was read from.
    pub fn name(&self) -> ObjectName {
        ObjectName::numbered(ObjectKind::Config, self.number)
    }
}

/// Every configuration object of a store, each checked against the owner it names itself. Which owner is the
/// right one is known only once a slot has opened.
pub struct Survey {
    /// Ascending.
    valid: Vec<(u64, RepositoryConfig, SigningPublic)>,
    faults: Vec<(u64, RepoError)>,
}

impl Survey {
    /// Reads all of them. Fails if there is none, or none that is valid.
    pub fn read(storage: &dyn Storage) -> Result<Self, RepoError> {
        let mut names: Vec<ObjectName> =
            storage.list(ObjectKind::Config)?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        let mut survey = Self { valid: Vec::new(), faults: Vec::new() };
        for name in &names {
            let number = name.number().unwrap_or(u64::MAX);
            match read(storage, name) {
                Ok((config, owner)) => survey.valid.push((number, config, owner)),
                // What a second try may read must not be passed over for an older number.
                Err(RepoError::Storage(fault @ StorageError::Io { .. })) => return Err(fault.into()),
                Err(fault) => survey.faults.push((number, fault)),
            }
        }
        if !survey.valid.is_empty() {
            return Ok(survey);
        }
        match survey.faults.pop() {
            Some((_, fault)) => Err(fault),
            None => Err(absent(storage)?),
        }
    }

    /// The owners that are named, oldest first.
    pub fn authorities(&self) -> Vec<(RepositoryId, SigningPublic)> {
        let mut found = Vec::new();
        for (_, config, owner) in &self.valid {
            if !found.contains(&(config.repository, *owner)) {
                found.push((config.repository, *owner));
            }
        }
        found
    }

    /// The configuration in force for an owner. One of higher number that only a newer program understands is
    /// refused; one that is damaged or signed by somebody else is a warning.
    pub fn choose(self, repository: RepositoryId, owner: &SigningPublic) -> Result<LoadedConfig, RepoError> {
        let ours =
            |config: &RepositoryConfig, signer: &SigningPublic| config.repository == repository && signer == owner;
        let mut chosen = None;
        let mut warnings = Vec::new();
        for (number, config, signer) in self.valid {
            if ours(&config, &signer) {
                chosen = Some((number, config));
            } else {
                let name = ObjectName::numbered(ObjectKind::Config, number);
                warnings.push((number, RepoError::damaged(&name, "it is signed by another owner")));
            }
        }
        let name = ObjectName::numbered(ObjectKind::Config, 1);
        let (number, config) =
            chosen.ok_or_else(|| RepoError::damaged(&name, "no configuration is signed by the repository's owner"))?;
        warnings.extend(self.faults);
        warnings.retain(|(other, _)| *other > number);
        warnings.sort_by_key(|(other, _)| *other);
        if let Some(at) = warnings.iter().position(|(_, fault)| matches!(fault, RepoError::TooNew { .. })) {
            return Err(warnings.swap_remove(at).1);
        }
        Ok(LoadedConfig { number, config, warnings: warnings.into_iter().map(|(_, fault)| fault).collect() })
    }
}

fn read(storage: &dyn Storage, name: &ObjectName) -> Result<(RepositoryConfig, SigningPublic), RepoError> {
    let stored = storage.get(name, object_bytes_max(ObjectKind::Config))?;
    if name.number().is_none_or(|number| number == 0) {
        return Err(RepoError::damaged(name, "its name is not a number"));
    }
    let frame = plain::Unverified::parse(name, &stored)?;
    let config: RepositoryConfig = plain::decode_body(name, frame.body)?;
    let owner = config.check(name)?;
    frame.verify(&owner, config.repository)?;
    if frame.epoch != config.epoch {
        return Err(RepoError::damaged(name, "its frame is of another epoch"));
    }
    Ok((config, owner))
}

/// A store without configuration is no repository, unless there are objects only a repository could have.
fn absent(storage: &dyn Storage) -> Result<RepoError, RepoError> {
    for kind in [ObjectKind::Snapshot, ObjectKind::Index, ObjectKind::Pack] {
        if !storage.list(kind)?.is_empty() {
            let name = ObjectName::numbered(ObjectKind::Config, 1);
            let why = format!("it is missing, although {} has objects", kind.folder());
            return Ok(RepoError::damaged(&name, why));
        }
    }
    Ok(RepoError::NoRepository { location: storage.location() })
}
