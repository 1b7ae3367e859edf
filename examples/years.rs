//! Makes a repository of years of daily snapshots: `cargo run --release --all-features --example years DIR [DAYS]`.
//!
//! A tree as large as the made DSS directory at scale 1 (32,400 directories, 121,500 files) in real sealed packs, real
//! segments and real snapshots, 1,000 days of it unless told otherwise: each day 1,000 files in 330 directories change.
//! Only the files are small: 256 bytes each, so that what is measured is names and not the disk. The password is
//! `years`. `benches/thousand-days` measures what the program does with it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers speaks and fails as tests do"
)]

#[path = "../tests/support/generator.rs"]
mod generator;

use std::path::PathBuf;
use std::sync::Arc;

use dssvault::app::open::{Location, system_seams};
use dssvault::base::clock::Timestamp;
use dssvault::base::id::{ChunkId, NodeId};
use dssvault::base::random::{SeededEntropy, array};
use dssvault::repo::keys::Credential;
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::repo::snapshot::Counts;
use dssvault::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry, file_content};
use dssvault::repo::tree::{Entry, EntryKind};
use dssvault::repo::{RepoError, Repository};
use dssvault::vault::{init, sealer};

use generator::Stream;

const PARENTS: usize = 180;
const CHILDREN: usize = 180;
/// Three and four files in turns.
const FILES: [u64; 4] = [4, 4, 4, 3];
const FILE_BYTES: usize = 256;
const CHANGED_DIRECTORIES: usize = 330;
const CHANGED_FILES: u64 = 3;
const DAY_SECONDS: i64 = 86_400;

/// A directory of files: the chunk of each.
struct Leaf {
    files: Vec<ChunkId>,
    node: ChunkId,
}

/// The tree as it is on a day.
struct Tree {
    entropy: SeededEntropy,
    leaves: Vec<Leaf>,
    parents: Vec<ChunkId>,
}

impl Tree {
    /// The first day.
    fn grow(data: &mut Stream<'_>, trees: &mut Stream<'_>) -> Result<Self, RepoError> {
        let mut tree = Self { entropy: SeededEntropy::new(1), leaves: Vec::new(), parents: Vec::new() };
        for number in 0..PARENTS * CHILDREN {
            let files: Vec<ChunkId> =
                (0..FILES[number % FILES.len()]).map(|_| tree.content(data)).collect::<Result<_, _>>()?;
            tree.leaves.push(Leaf { node: leaf(&files, trees)?, files });
        }
        for parent in 0..PARENTS {
            let node = tree.parent(parent, trees)?;
            tree.parents.push(node);
        }
        Ok(tree)
    }

    /// A file of new content.
    fn content(&self, data: &mut Stream<'_>) -> Result<ChunkId, RepoError> {
        data.store(&array::<FILE_BYTES>(&self.entropy))
    }

    fn below(&self, bound: usize) -> usize {
        u64::from_le_bytes(array(&self.entropy)) as usize % bound
    }

    /// Another day: a third of what changes lies together, as jobs have it.
    fn change(&mut self, data: &mut Stream<'_>, trees: &mut Stream<'_>) -> Result<(), RepoError> {
        let busy = self.below(PARENTS);
        let mut touched = std::collections::BTreeSet::new();
        for number in 0..CHANGED_DIRECTORIES {
            let parent = if number % 3 == 0 { busy } else { self.below(PARENTS) };
            let at = parent * CHILDREN + self.below(CHILDREN);
            for _ in 0..CHANGED_FILES {
                let (content, file) = (self.content(data)?, self.below(self.leaves[at].files.len()));
                self.leaves[at].files[file] = content;
            }
            self.leaves[at].node = leaf(&self.leaves[at].files, trees)?;
            touched.insert(parent);
        }
        for parent in touched {
            self.parents[parent] = self.parent(parent, trees)?;
        }
        Ok(())
    }

    fn parent(&self, parent: usize, trees: &mut Stream<'_>) -> Result<ChunkId, RepoError> {
        let leaves = &self.leaves[parent * CHILDREN..(parent + 1) * CHILDREN];
        directory(leaves.iter().map(|leaf| leaf.node), trees)
    }
}

fn leaf(files: &[ChunkId], trees: &mut Stream<'_>) -> Result<ChunkId, RepoError> {
    let mut writer = DirectoryWriter::default();
    for (number, id) in files.iter().enumerate() {
        let content = file_content(vec![*id], trees)?;
        let name = format!("params-{number}.json").into_bytes();
        let entry = Entry { content: Some(content), size: FILE_BYTES as u64, ..generator::file(name) };
        writer.push(&entry.name, &encode_entry(&entry), trees)?;
    }
    writer.finish(trees)
}

fn directory(nodes: impl Iterator<Item = ChunkId>, trees: &mut Stream<'_>) -> Result<ChunkId, RepoError> {
    let mut writer = DirectoryWriter::default();
    for (number, node) in nodes.enumerate() {
        let name = format!("project-{number:04}").into_bytes();
        let entry = Entry { kind: EntryKind::Directory, mode: 0o755, tree: Some(node), ..generator::file(name) };
        writer.push(&entry.name, &encode_entry(&entry), trees)?;
    }
    writer.finish(trees)
}

fn write(repository: &Repository, days: i64) -> Result<(), RepoError> {
    let node = NodeId::from_bytes(array(&*repository.seams.entropy));
    let domains = [
        IdDomain { content: Content::Data, owner: IdOwner::Shared },
        IdDomain { content: Content::Tree, owner: IdOwner::Node(node) },
    ];
    let today = repository.seams.clock.now();
    let mut tree: Option<Tree> = None;
    for day in 0..days {
        let sealer = sealer::begin(repository)?;
        let session = generator::begin(repository, &sealer, node)?;
        let [mut data, mut trees] = domains.map(|domain| Stream::new(repository, &sealer, domain));
        match &mut tree {
            Some(tree) => tree.change(&mut data, &mut trees)?,
            none => *none = Some(Tree::grow(&mut data, &mut trees)?),
        }
        let parents = tree.as_ref().unwrap().parents.iter().copied();
        let root = directory(parents, &mut trees)?;
        data.finish()?;
        trees.finish()?;
        let time = Timestamp { seconds: today.seconds - (days - day) * DAY_SECONDS, ..today };
        let counts = Counts { files: 121_500, directories: 32_581, ..Counts::default() };
        session.commit(generator::manifest(&session, time, node, root, counts), &[])?;
    }
    Ok(())
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a directory for the repository"));
    let days = arguments.next().map_or(1000, |text| text.parse().expect("a number of days"));
    let location = Location::Local(folder);
    let password = Credential::Password("years".to_owned().into());
    let (storage, create) = location.new_store(None).unwrap();
    init::create(Arc::clone(&storage), create, &password, false, &system_seams()).unwrap();
    let storage = location.existing_store().unwrap();
    write(&Repository::open(storage, &password, system_seams()).unwrap(), days).unwrap();
    println!("{days} snapshots");
}
