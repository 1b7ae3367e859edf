//! The repository of `tests/vectors/repository` must open for ever, and give back what it was made from.
//!
//! `DSSVAULT_WRITE_VECTORS=1` makes it anew; `tests/stranger/run` reads it without this crate.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::base::random::SystemEntropy;
use dssvault::repo::Repository;
use dssvault::repo::keys::Credential;
use dssvault::repo::repository::Seams;
use dssvault::repo::snapshot::{self, Manifest, SnapshotRecord};
use dssvault::storage::Storage;
use dssvault::storage::local::LocalStore;
use dssvault::storage::testing::MemoryStore;
use dssvault::vault::check::{self, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::restore::{self, OwnerMode, RestoreOptions};
use dssvault::vault::{Context, dump};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::vector_maker::{Still, make, password};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The stored objects of the vector repository, in memory.
pub fn vector_store() -> MemoryStore {
    let store = MemoryStore::new();
    for kind in ObjectKind::ALL.into_iter().filter(|kind| !kind.may_be_absent()) {
        for file in files_below(&vectors().join("repository").join(kind.folder())) {
            let text = file.file_name().unwrap().to_str().unwrap();
            store.put(&ObjectName::new(kind, text).unwrap(), &std::fs::read(&file).unwrap()).unwrap();
        }
    }
    store
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn seams() -> Seams {
    Seams { entropy: Arc::new(SystemEntropy), clock: Arc::new(Still) }
}

/// A line of `expected.tsv`: snapshot, path with `\xHH` for odd bytes, file with the content.
fn expected() -> Vec<(SnapshotId, Vec<u8>, Vec<u8>)> {
    let table = std::fs::read_to_string(vectors().join("expected.tsv")).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let content = std::fs::read(vectors().join(fields[2])).unwrap();
        (fields[0].parse().unwrap(), unescaped(fields[1]), content)
    };
    table.lines().map(line).collect()
}

fn escaped(path: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    path.iter().map(|&b| if plain(b) { char::from(b).to_string() } else { format!("\\x{b:02x}") }).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}

/// Folders of one test.
struct Desk {
    dir: TempDir,
    folders: Folders,
    cancel: Cancel,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders { cache: dir.path().join("cache"), state: dir.path().join("state") };
        Self { dir, folders, cancel: Cancel::default() }
    }

    fn context(&self) -> Context<'_> {
        Context { progress: &Silent, cancel: &self.cancel, folders: &self.folders }
    }
}

fn committed(repository: &Repository) -> Vec<(SnapshotId, Manifest)> {
    let records = snapshot::list(repository).unwrap();
    let load = |id| match snapshot::load(repository, &id).unwrap().1 {
        SnapshotRecord::Committed(manifest) => Some((id, *manifest)),
        SnapshotRecord::Aborted(_) => None,
    };
    records.iter().filter_map(|stored| load(stored.id)).collect()
}

#[test]
fn the_vector_repository_opens_and_every_file_is_what_it_was() {
    let repository = Repository::open(Arc::new(vector_store()), &password(), seams()).unwrap();
    let (desk, snapshots) = (Desk::new(), committed(&repository));
    assert_eq!(snapshots.len(), 2);
    let expected = expected();
    assert_eq!(expected.len(), 14);
    for (id, path, content) in expected {
        let manifest = &snapshots.iter().find(|(found, _)| *found == id).unwrap().1;
        let mut out = Vec::new();
        dump::run(&repository, manifest, &path, desk.context(), &mut out).unwrap();
        assert!(out == content, "{} of {id} differs", escaped(&path));
    }
}

#[test]
fn the_vector_repository_opens_with_its_recovery_words() {
    let words = std::fs::read_to_string(vectors().join("recovery-words.txt")).unwrap();
    let words = Credential::RecoveryWords(Zeroizing::new(words));
    assert!(Repository::open(Arc::new(vector_store()), &words, seams()).is_ok());
}

#[test]
fn the_vector_repository_restores_links_holes_and_odd_names_from_a_directory() {
    let desk = Desk::new();
    let copy = desk.dir.path().join("repository");
    let status = std::process::Command::new("cp").arg("-r").arg(vectors().join("repository")).arg(&copy).status();
    assert!(status.unwrap().success());
    let storage = LocalStore::open(&copy, dssvault::repo::config::CreateMethod::HardLink).unwrap();
    let repository = Repository::open(Arc::new(storage), &password(), seams()).unwrap();
    for (id, manifest) in committed(&repository) {
        let target = desk.dir.path().join(id.to_string());
        let options = RestoreOptions {
            target: target.clone(),
            owner: OwnerMode::Current,
            verify: true,
            ..RestoreOptions::default()
        };
        let report = restore::run(&repository, id, &manifest, &options, desk.context()).unwrap();
        assert_eq!(report.failures, []);
        for (_, path, content) in expected().into_iter().filter(|(snapshot, _, _)| *snapshot == id) {
            let file = target.join(OsString::from_vec(path));
            assert!(std::fs::read(&file).unwrap() == content, "{}", file.display());
        }
        let link = std::fs::read_link(target.join("demo/link")).unwrap();
        assert_eq!(link.as_os_str().as_bytes(), b"config/dip.properties");
        assert_eq!(std::fs::read_dir(target.join("demo/empty-folder")).unwrap().count(), 0);
    }
}

#[test]
fn the_vector_repository_is_clean() {
    let repository = Repository::open(Arc::new(vector_store()), &password(), seams()).unwrap();
    let desk = Desk::new();
    let report = check::run(&repository, ReadData::All, desk.context()).unwrap();
    let damage: Vec<_> = report.findings.iter().filter(|finding| finding.damage).collect();
    assert!(damage.is_empty(), "{damage:#?}");
}

#[test]
fn vectors_can_be_written_anew() {
    if std::env::var_os("DSSVAULT_WRITE_VECTORS").is_none() {
        return;
    }
    let made = make();
    let root = vectors();
    for folder in ["repository", "expected"] {
        let _ = std::fs::remove_dir_all(root.join(folder));
    }
    for (name, bytes) in made.store.contents() {
        let folder = root.join("repository").join(name.kind().folder());
        let fan = matches!(name.kind(), ObjectKind::Pack | ObjectKind::Index);
        let folder = if fan { folder.join(&name.text()[..2]) } else { folder };
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name.text()), &bytes).unwrap();
    }
    let mut table = String::new();
    std::fs::create_dir_all(root.join("expected")).unwrap();
    for (number, (id, files)) in made.snapshots.iter().enumerate() {
        for (path, content) in files {
            let base = path.rsplit(|byte| *byte == b'/').next().unwrap();
            let file = format!("expected/{}-{}", number + 1, String::from_utf8_lossy(base));
            std::fs::write(root.join(&file), content).unwrap();
            table += &format!("{id}\t{}\t{file}\n", escaped(path));
        }
    }
    std::fs::write(root.join("expected.tsv"), table).unwrap();
    std::fs::write(root.join("recovery-words.txt"), made.words + "\n").unwrap();
}

#[test]
fn making_the_vectors_twice_gives_the_same_bytes() {
    let (one, two) = (make(), make());
    assert_eq!(one.store.contents(), two.store.contents());
}
