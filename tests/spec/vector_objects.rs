//! Bad objects: `tests/vectors/objects/*.json`, small, named by what is wrong with them. All are signed and sealed with
//! the keys of `tests/vectors/repository`, so that what is refused is what the name says. Each must give its error.
//!
//! `DSSVAULT_WRITE_VECTORS=1` writes them anew (seeded: equal code writes equal bytes).

use std::path::PathBuf;
use std::sync::Arc;

use dssvault::base::id::{ChunkId, PackId, SegmentId, SnapshotId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::codec::kdf::plain_hash;
use dssvault::repo::index::segment::Segment;
use dssvault::repo::pack::reader;
use dssvault::repo::snapshot;
use dssvault::repo::tree::reader::{Entries, TreeSource, decode_list};
use dssvault::repo::{RepoError, Repository};
use dssvault::storage::Storage;
use serde_json::Value;

use crate::vector_maker::password;
use crate::vector_objects_maker;
use crate::vector_repository::{seams, vector_store};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/objects")
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn every_bad_object_of_the_folder_gives_its_error() {
    if std::env::var_os("DSSVAULT_WRITE_VECTORS").is_some() {
        vector_objects_maker::write_all(&folder());
    }
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let vector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let error = match read(&vector) {
            Ok(()) => panic!("{name} should be refused"),
            Err(error) => error,
        };
        assert_eq!(variant(&error), vector["error"].as_str().unwrap(), "{name}: {error}");
        let says = vector["says"].as_str().unwrap();
        assert!(error.to_string().contains(says), "{name}: `{error}` should say `{says}`");
        seen += 1;
    }
    assert!(seen >= 25, "{seen} vectors");
}

fn variant(error: &RepoError) -> &'static str {
    match error {
        RepoError::Damaged { .. } => "Damaged",
        RepoError::TooNew { .. } => "TooNew",
        RepoError::BadTree { .. } => "BadTree",
        RepoError::Storage(_) => "Storage",
        _ => "other",
    }
}

/// Puts the object into the vector repository and reads it as its reader does.
fn read(vector: &Value) -> Result<(), RepoError> {
    let bytes = unhex(&vector["bytes"]);
    let store = vector_store();
    let repository = Repository::open(Arc::new(store.clone()), &password(), seams()).unwrap();
    let put = |kind, text: &str| {
        let name = ObjectName::new(kind, text).unwrap();
        store.put(&name, &bytes).unwrap();
    };
    let hash = plain_hash(&bytes);
    match vector["read_as"].as_str().unwrap() {
        "pack" => {
            let id = PackId::from_bytes(hash);
            put(ObjectKind::Pack, &id.to_string());
            reader::read_table(&repository, id, bytes.len() as u64).map(drop)
        }
        "segment" => {
            let id = SegmentId::from_bytes(hash);
            put(ObjectKind::Index, &id.to_string());
            Segment::load(&repository, id).map(drop)
        }
        "snapshot" => {
            let id: SnapshotId = vector["name"].as_str().unwrap().parse().unwrap();
            put(ObjectKind::Snapshot, &id.to_string());
            snapshot::load(&repository, &id).map(drop)
        }
        "tree" => {
            let source = Lone(bytes);
            Entries::new(&source, ChunkId::from_bytes([0; 32])).collect::<Result<Vec<_>, _>>().map(drop)
        }
        "list" => decode_list(&ChunkId::from_bytes([0; 32]), &bytes).map(drop),
        other => panic!("nothing is read as {other}"),
    }
}

/// One chunk, whichever is asked for.
struct Lone(Vec<u8>);

impl TreeSource for Lone {
    fn fetch(&self, _: &ChunkId) -> Result<Vec<u8>, RepoError> {
        Ok(self.0.clone())
    }
}
