//! What a repository of very many chunks costs: `cargo run --release --all-features --example scale [CHUNKS [DIR]]`.
//!
//! Makes such a repository (20 million chunks unless told otherwise), backs up a small tree into it twice, checks
//! it, weighs it as `prune --dry-run` does, removes a pack and checks again. Each step is a process of its own, whose
//! peak memory is printed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers speaks and fails as tests do"
)]

#[path = "../tests/support/generator.rs"]
mod generator;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use dssvault::app::open::{Location, system_seams};
use dssvault::base::cancel::Cancel;
use dssvault::base::id::{NodeId, SnapshotId};
use dssvault::base::object::ObjectKind;
use dssvault::base::progress::Silent;
use dssvault::base::random::array;
use dssvault::repo::keys::Credential;
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::repo::snapshot::Counts;
use dssvault::repo::tree::Entry;
use dssvault::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry, file_content};
use dssvault::repo::{RepoError, Repository};
use dssvault::vault::backup::{self, BackupOptions, Source};
use dssvault::vault::check::{self, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::prune::{self, PruneOptions};
use dssvault::vault::{Context, init, sealer};

use generator::Stream;

/// Bytes a step may take at its peak.
const PEAK_BYTES_MAX: u64 = 200 << 20;
/// Plaintext bytes of a chunk.
const CHUNK_BYTES: usize = 24;
/// Chunks of a file.
const FILE_CHUNKS: u64 = 64 << 10;
/// Marks the arguments of a process that does one step.
const STEP: &str = "--step";

/// The folders of one trial.
struct Trial(PathBuf);

impl Trial {
    fn location(&self) -> Location {
        Location::Local(self.0.join("repository"))
    }

    fn folders(&self) -> Folders {
        Folders { cache: self.0.join("cache"), state: self.0.join("state") }
    }

    fn source(&self) -> PathBuf {
        self.0.join("source")
    }

    fn open(&self) -> Repository {
        let storage = self.location().existing_store().unwrap();
        Repository::open(storage, &password(), system_seams()).unwrap()
    }

    fn generate(&self, chunks: u64) {
        let (storage, create) = self.location().new_store(None).unwrap();
        init::create(Arc::clone(&storage), create, &password(), false, &system_seams()).unwrap();
        write(&self.open(), chunks).unwrap();
        for number in 0..1000 {
            let folder = self.source().join(format!("folder-{:02}", number % 50));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("file-{number:04}")), format!("file {number}\n").repeat(200)).unwrap();
        }
    }

    fn backup(&self) {
        let (repository, folders, cancel) = (self.open(), self.folders(), Cancel::default());
        let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };
        let report =
            backup::run(&repository, &[Source::Path(self.source())], &BackupOptions::default(), context).unwrap();
        let counts = report.manifest.counts;
        println!("  read {} of {} files, {} new chunks", counts.files_read, counts.files, counts.chunks_added);
    }

    /// Whether the repository is clean.
    fn check(&self) -> bool {
        let (repository, folders, cancel) = (self.open(), self.folders(), Cancel::default());
        let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };
        let report = check::run(&repository, ReadData::None, context).unwrap();
        println!(
            "  {} snapshots, {} tree nodes, {} packs, {} chunks; {} findings",
            report.snapshots,
            report.trees,
            report.packs,
            report.chunks,
            report.findings.len()
        );
        report.findings.iter().take(3).for_each(|finding| println!("  {}: {}", finding.object, finding.cause));
        report.is_clean()
    }

    /// What would be freed: nothing, for everything is needed.
    fn prune(&self) {
        let (repository, folders, cancel) = (self.open(), self.folders(), Cancel::default());
        let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };
        let options = PruneOptions { dry_run: true, ..PruneOptions::default() };
        let report = prune::run(&repository, &options, context).unwrap();
        println!(
            "  {} packs, {} MiB used; {} would be marked",
            report.packs.count,
            report.used_bytes >> 20,
            report.marked.count
        );
    }

    fn remove_a_pack(&self) {
        let storage = self.location().existing_store().unwrap();
        let largest = storage.list(ObjectKind::Pack).unwrap().into_iter().max_by_key(|entry| entry.bytes).unwrap();
        storage.delete(&largest.name).unwrap();
    }
}

/// Writes a snapshot of `chunks` distinct tiny chunks into the repository.
fn write(repository: &Repository, chunks: u64) -> Result<SnapshotId, RepoError> {
    let node = NodeId::from_bytes(array(&*repository.seams.entropy));
    let sealer = sealer::begin(repository)?;
    let session = generator::begin(repository, &sealer, node)?;
    let mut data = Stream::new(repository, &sealer, IdDomain { content: Content::Data, owner: IdOwner::Shared });
    let mut trees = Stream::new(repository, &sealer, IdDomain { content: Content::Tree, owner: IdOwner::Node(node) });
    let mut directory = DirectoryWriter::default();
    let mut files = 0;
    for first in (0..chunks).step_by(FILE_CHUNKS as usize) {
        let count = FILE_CHUNKS.min(chunks - first);
        let ids = (first..first + count).map(|number| data.store(format!("{number:0CHUNK_BYTES$}").as_bytes()));
        let content = file_content(ids.collect::<Result<_, _>>()?, &mut trees)?;
        let name = format!("file-{files:08}").into_bytes();
        let entry = Entry { content: Some(content), size: count * CHUNK_BYTES as u64, ..generator::file(name) };
        directory.push(&entry.name, &encode_entry(&entry), &mut trees)?;
        files += 1;
    }
    let root = directory.finish(&mut trees)?;
    data.finish()?;
    trees.finish()?;
    let counts = Counts { files, directories: 1, bytes: chunks * CHUNK_BYTES as u64, ..Counts::default() };
    let now = repository.seams.clock.now();
    session.commit(generator::manifest(&session, now, node, root, counts), &[])
}

fn password() -> Credential {
    Credential::Password("scale".to_owned().into())
}

fn step(name: &str, trial: &Trial, chunks: u64) {
    match name {
        "generate" => trial.generate(chunks),
        "backup" => trial.backup(),
        "prune" => trial.prune(),
        "check" => assert!(trial.check(), "the repository is not clean"),
        "check-damaged" => assert!(!trial.check(), "the missing pack was not noticed"),
        _ => panic!("there is no step `{name}`"),
    }
    println!("  peak memory {} MiB", peak_bytes() >> 20);
    assert!(name == "generate" || peak_bytes() <= PEAK_BYTES_MAX, "more than was allowed");
}

fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let below = if meta.is_dir() {
        fs::read_dir(path).unwrap().map(|entry| disk_bytes(&entry.unwrap().path())).sum()
    } else {
        0
    };
    meta.blocks() * 512 + below
}

fn run_step(title: &str, name: &str, trial: &Trial, chunks: u64) {
    println!("{title}");
    let started = Instant::now();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([STEP, name, &chunks.to_string()])
        .arg(&trial.0)
        .status()
        .unwrap();
    let folders = trial.folders();
    let sizes = [trial.0.join("repository"), folders.cache, folders.state].map(|path| disk_bytes(&path) >> 20);
    let seconds = started.elapsed().as_secs_f64();
    println!("  {seconds:.1} s; repository {} MiB, cache {} MiB, state {} MiB", sizes[0], sizes[1], sizes[2]);
    assert!(status.success(), "{title} failed");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mark, name, chunks, folder] = arguments.as_slice()
        && mark == STEP
    {
        return step(name, &Trial(PathBuf::from(folder)), chunks.parse().unwrap());
    }
    let chunks = arguments.first().map_or(20_000_000, |count| count.parse().expect("a number of chunks"));
    let temporary = tempfile::tempdir().unwrap();
    let trial = Trial(arguments.get(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from));
    run_step(&format!("making a repository of {chunks} chunks"), "generate", &trial, chunks);
    run_step("first backup of a small tree, without a cache", "backup", &trial, chunks);
    run_step("the same again, unchanged", "backup", &trial, chunks);
    run_step("check", "check", &trial, chunks);
    run_step("prune, as a dry run", "prune", &trial, chunks);
    trial.remove_a_pack();
    run_step("check with one pack removed", "check-damaged", &trial, chunks);
}
