//! Rewriting a tree: directories bottom-up, each with the entries it had and the names its content has in the target.

use std::collections::HashMap;

use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX, TreeSource, decode_node};
use crate::repo::tree::writer::{DirectoryWriter, encode_entry};
use crate::vault::backup::store::TreeChunks;
use crate::vault::copy::chunks::Porter;
use crate::vault::copy::halt::Halt;
use crate::vault::copy::pair::{Earlier, Known, Pair, Twins};

/// Decoded entries held before those of the directories above are let go of.
const HELD_MAX: usize = 20_000;
/// Finished directories remembered, so that what was moved or is repeated is not walked again.
const TREES_MAX: usize = 1 << 18;

/// Reads directories, and refuses those that say more than this program would write again.
pub struct Faithful<'a>(pub &'a ChunkReader<'a>);

impl TreeSource for Faithful<'_> {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let bytes = self.0.read(id)?;
        let node = decode_node(id, &bytes)?;
        if minicbor::to_vec(&node).unwrap_or_default() == bytes {
            return Ok(bytes);
        }
        let why = "it says more than this version of dssvault understands; copy it with the version that wrote it";
        Err(RepoError::BadTree { id: *id, why: why.to_owned() })
    }
}

/// Directories finished in a session, here and there: all below them is stored, or was found.
#[derive(Default)]
pub struct Done(HashMap<ChunkId, ChunkId>);

impl Done {
    fn note(&mut self, source: ChunkId, target: ChunkId) {
        if self.0.len() >= TREES_MAX {
            self.0.clear();
        }
        self.0.insert(source, target);
    }
}

/// What a walk that goes on without what the source cannot give has left out.
#[derive(Debug, Default)]
pub struct Missed {
    /// The first of it: path and cause.
    pub first: Option<(Option<Vec<u8>>, String)>,
    /// How much there was: files, or directories with all below them.
    pub count: u64,
}

/// Copies one tree.
pub struct TreeCopy<'c> {
    source: &'c dyn TreeSource,
    earlier: Option<Earlier<'c>>,
    porter: Porter<'c>,
    sink: TreeChunks<'c, 'c>,
    done: &'c mut Done,
    /// Takes what the source cannot give; without it that ends the walk.
    missed: Option<&'c mut Missed>,
    path: Vec<u8>,
}

/// A directory on the way to where the walk is.
struct Level<'c> {
    /// Length of its path.
    path: usize,
    /// Its tree in the source.
    tree: ChunkId,
    /// Its own entry, which waits for its tree; the root has none.
    entry: Option<Entry>,
    entries: Entries<'c>,
    before: Option<Pair<'c>>,
    writer: DirectoryWriter,
    /// Whether something in it was missed.
    torn: bool,
}

enum Step<'c> {
    Went,
    Down(Box<Level<'c>>),
    End,
}

impl<'c> TreeCopy<'c> {
    /// A copy of what `source` reads; `earlier` reads what was copied before.
    pub fn new(
        source: &'c dyn TreeSource,
        earlier: Option<Earlier<'c>>,
        porter: Porter<'c>,
        sink: TreeChunks<'c, 'c>,
        (done, missed): (&'c mut Done, Option<&'c mut Missed>),
    ) -> Self {
        Self { source, earlier, porter, sink, done, missed, path: Vec::new() }
    }

    /// Copies everything below a root; gives its name in the target. `before` is the root of an earlier snapshot.
    pub fn run(&mut self, root: ChunkId, before: Option<Twins>) -> Result<ChunkId, Halt> {
        if let Some(twins) = before.filter(|twins| twins.source == root) {
            self.porter.travel.directories_taken_over += 1;
            return Ok(twins.target);
        }
        let mut stack = vec![self.level(root, None, before)];
        loop {
            let Some(level) = stack.last_mut() else { return Err(lost("the walk has no directory")) };
            self.path.truncate(level.path);
            self.porter.check_cancel()?;
            match self.step(level)? {
                Step::Went => {}
                Step::Down(below) => deepen(&mut stack, *below, &self.path)?,
                Step::End => {
                    let Some(level) = stack.pop() else { return Err(lost("a directory is gone")) };
                    let made = self.finish(level, stack.last_mut())?;
                    if stack.is_empty() {
                        return Ok(made);
                    }
                }
            }
        }
    }

    fn step(&mut self, level: &mut Level<'c>) -> Result<Step<'c>, Halt> {
        match level.entries.next() {
            None => Ok(Step::End),
            Some(Ok(entry)) => match self.entry(level, entry) {
                Ok(Some(below)) => Ok(Step::Down(Box::new(below))),
                Ok(None) => Ok(Step::Went),
                Err(halt) => self.miss(level, halt).map(|()| Step::Went),
            },
            Some(Err(error)) => self.miss(level, Halt::from(error).at(&self.path)).map(|()| Step::End),
        }
    }

    /// Goes on without what the source cannot give, if that is wanted.
    fn miss(&mut self, level: &mut Level<'c>, halt: Halt) -> Result<(), Halt> {
        match (halt, &mut self.missed) {
            (Halt::Source { path, cause }, Some(missed)) => {
                level.torn = true;
                missed.count += 1;
                missed.first.get_or_insert((path, cause));
                Ok(())
            }
            (halt, _) => Err(halt),
        }
    }

    /// Gives the porter back, and the begun blocks to the store.
    pub fn finished(self) -> Porter<'c> {
        self.sink.finish();
        self.porter
    }

    fn level(&self, tree: ChunkId, entry: Option<Entry>, before: Option<Twins>) -> Level<'c> {
        let pair = self.earlier.zip(before).map(|(earlier, twins)| Pair::new(earlier, twins));
        let entries = Entries::new(self.source, tree);
        Level {
            path: self.path.len(),
            tree,
            entry,
            entries,
            before: pair,
            writer: DirectoryWriter::default(),
            torn: false,
        }
    }

    /// Takes an entry over; a directory that must be walked is given back as the next level.
    fn entry(&mut self, level: &mut Level<'c>, mut entry: Entry) -> Result<Option<Level<'c>>, Halt> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&entry.name);
        // All of it is read here, or the copy fails: whatever a repair missed has come back.
        entry.damaged = None;
        let known = level.before.as_mut().and_then(|before| before.find(&entry.name));
        if let Some(tree) = entry.tree {
            match self.known_tree(known.as_ref(), tree) {
                Some(made) => entry.tree = Some(made),
                None => return Ok(Some(self.level(tree, Some(entry), known.and_then(|known| known.twins())))),
            }
        } else if let Some(content) = &entry.content {
            let taken = known.and_then(|known| known.content(&entry));
            let made = match taken {
                Some(taken) => Ok(taken),
                None => self.porter.content(content, &mut self.sink),
            };
            entry.content = Some(made.map_err(|halt| halt.at(&self.path))?);
            self.porter.file_done();
        }
        self.push(level, &entry)?;
        Ok(None)
    }

    fn known_tree(&mut self, known: Option<&Known>, tree: ChunkId) -> Option<ChunkId> {
        let made = known.and_then(|known| known.tree(tree)).or_else(|| self.done.0.get(&tree).copied())?;
        self.porter.travel.directories_taken_over += 1;
        Some(made)
    }

    fn push(&mut self, level: &mut Level<'c>, entry: &Entry) -> Result<(), Halt> {
        level.writer.push(&entry.name, &encode_entry(entry), &mut self.sink).map_err(Halt::stop)
    }

    fn finish(&mut self, level: Level<'c>, above: Option<&mut Level<'c>>) -> Result<ChunkId, Halt> {
        let made = level.writer.finish(&mut self.sink).map_err(Halt::stop)?;
        if !level.torn {
            self.done.note(level.tree, made);
        }
        if let (Some(above), Some(mut entry)) = (above, level.entry) {
            above.torn |= level.torn;
            entry.tree = Some(made);
            self.push(above, &entry)?;
        }
        Ok(made)
    }
}

fn deepen<'c>(stack: &mut Vec<Level<'c>>, below: Level<'c>, path: &[u8]) -> Result<(), Halt> {
    if stack.len() >= TREE_DEPTH_MAX {
        let cause = format!("directories are nested deeper than {TREE_DEPTH_MAX}");
        return Err(Halt::source(cause).at(path));
    }
    let held = |level: &Level<'_>| level.entries.held() + level.before.as_ref().map_or(0, Pair::held);
    if stack.iter().map(held).sum::<usize>() > HELD_MAX {
        for level in &mut *stack {
            level.entries.park();
            if let Some(before) = &mut level.before {
                before.park();
            }
        }
    }
    stack.push(below);
    Ok(())
}

fn lost(why: &str) -> Halt {
    Halt::stop(RepoError::Local { action: "walk", what: "a tree".to_owned(), why: why.to_owned() })
}
