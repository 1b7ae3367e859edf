//! Two directories side by side, and everything below them, in bounded memory.

use std::cmp::Ordering;
use std::os::unix::ffi::OsStrExt;

use crate::base::id::ChunkId;
use crate::base::progress::Event;
use crate::repo::RepoError;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX, TreeSource};
use crate::vault::diff::compare::difference;
use crate::vault::diff::{Change, Visit, compare};
use crate::vault::{Context, VaultError};

/// Decoded entries held before those of the directories above are let go of.
const HELD_MAX: usize = 20_000;

/// The same directory on both sides; one may be missing.
struct Level<'s> {
    path: usize,
    before: Half<'s>,
    after: Half<'s>,
}

/// The entries of one side, the next of them looked at.
struct Half<'s> {
    entries: Option<Entries<'s>>,
    next: Option<Entry>,
}

impl<'s> Half<'s> {
    fn new(source: &'s dyn TreeSource, tree: Option<ChunkId>) -> Self {
        Self { entries: tree.map(|tree| Entries::new(source, tree)), next: None }
    }

    fn peek(&mut self) -> Result<Option<&Entry>, RepoError> {
        if self.next.is_none()
            && let Some(entries) = &mut self.entries
        {
            self.next = entries.next().transpose()?;
        }
        Ok(self.next.as_ref())
    }

    fn held(&self) -> usize {
        self.entries.as_ref().map_or(0, Entries::held)
    }

    fn park(&mut self) {
        if let Some(entries) = &mut self.entries {
            entries.park();
        }
    }
}

impl Level<'_> {
    /// The next name, as either side has it.
    fn next(&mut self) -> Result<(Option<Entry>, Option<Entry>), RepoError> {
        let order = match (self.before.peek()?, self.after.peek()?) {
            (Some(before), Some(after)) => before.name.cmp(&after.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok((None, None)),
        };
        let before = if order == Ordering::Greater { None } else { self.before.next.take() };
        let after = if order == Ordering::Less { None } else { self.after.next.take() };
        Ok((before, after))
    }
}

/// Visits what differs below two trees, of which one may be missing. What cannot be read is told to the progress: the
/// rest of a directory is passed over, and a file counts as changed. Gives how often that was so.
pub fn run(
    source: &dyn TreeSource,
    before: Option<ChunkId>,
    after: Option<ChunkId>,
    context: Context<'_>,
    visit: &mut Visit<'_>,
) -> Result<u64, VaultError> {
    let (mut path, mut unreadable) = (Vec::new(), 0);
    let mut stack = Vec::new();
    descend(source, (before, after), &path, &mut stack)?;
    while let Some(level) = stack.last_mut() {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        path.truncate(level.path);
        let (before, after) = match level.next() {
            Ok(next) => next,
            Err(error) => {
                unreadable += tell(&path, error, context)?;
                stack.pop();
                continue;
            }
        };
        let Some(name) = before.as_ref().or(after.as_ref()).map(|entry| &entry.name) else {
            stack.pop();
            continue;
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        match (&before, &after) {
            (Some(before), None) => visit(&path, Change::Removed(before))?,
            (None, Some(after)) => visit(&path, Change::Added(after))?,
            (Some(before), Some(after)) => {
                let difference = match compare(source, before, after) {
                    Ok(difference) => difference,
                    Err(error) => {
                        unreadable += tell(&path, error, context)?;
                        difference(before, after, true)
                    }
                };
                if let Some(difference) = difference {
                    visit(&path, Change::Changed { before, after, difference })?;
                }
            }
            (None, None) => {}
        }
        let tree = |entry: Option<Entry>| entry.and_then(|entry| entry.tree);
        descend(source, (tree(before), tree(after)), &path, &mut stack)?;
    }
    Ok(unreadable)
}

/// Tells of what is damaged. A store that does not answer is an error.
fn tell(path: &[u8], error: RepoError, context: Context<'_>) -> Result<u64, VaultError> {
    if error.is_of_store() {
        return Err(error.into());
    }
    let shown = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    context.progress.on(Event::Problem { path: shown, cause: &error.to_string() });
    Ok(1)
}

/// Enters a directory, unless it is the same tree on both sides.
fn descend<'s>(
    source: &'s dyn TreeSource,
    (before, after): (Option<ChunkId>, Option<ChunkId>),
    path: &[u8],
    stack: &mut Vec<Level<'s>>,
) -> Result<(), VaultError> {
    if before == after {
        return Ok(());
    }
    if stack.len() >= TREE_DEPTH_MAX {
        return Err(VaultError::Request {
            what: format!("directories are nested deeper than {TREE_DEPTH_MAX} at `{}`", String::from_utf8_lossy(path)),
            hint: None,
        });
    }
    if stack.iter().map(|level| level.before.held() + level.after.held()).sum::<usize>() > HELD_MAX {
        for level in &mut *stack {
            level.before.park();
            level.after.park();
        }
    }
    stack.push(Level { path: path.len(), before: Half::new(source, before), after: Half::new(source, after) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::progress::Silent;
    use crate::repo::tree::testing::{MemoryTrees, file, folder};
    use crate::vault::context::Folders;

    fn walked(trees: &MemoryTrees, before: ChunkId, after: ChunkId) -> Vec<String> {
        let folders = Folders { cache: "unused".into(), state: "unused".into() };
        let cancel = Cancel::default();
        let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };
        let mut found = Vec::new();
        let mut visit = |path: &[u8], change: Change<'_>| {
            let sign = match change {
                Change::Added(_) => '+',
                Change::Removed(_) => '-',
                Change::Changed { .. } => 'M',
            };
            found.push(format!("{sign} {}", String::from_utf8_lossy(path)));
            Ok(())
        };
        let unreadable = run(trees, Some(before), Some(after), context, &mut visit).unwrap();
        found.extend((unreadable > 0).then(|| format!("{unreadable} unreadable")));
        found
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told_and_the_others_are_compared() {
        let trees = MemoryTrees::default();
        let [one, other, lost, last] = [1, 2, 3, 4].map(|chunk| trees.directory(&[file("x", chunk)]));
        let before = trees.directory(&[folder("a", one), folder("b", one), folder("c", one)]);
        let after = trees.directory(&[folder("a", other), folder("b", lost), folder("c", last)]);
        trees.lose(&lost);
        assert_eq!(walked(&trees, before, after), ["M a/x", "M c/x", "1 unreadable"]);
    }

    #[test]
    fn a_directory_that_is_the_same_on_both_sides_is_not_read() {
        let trees = MemoryTrees::default();
        let many: Vec<Entry> = (0..1000).map(|number| file(&format!("{number:04}"), 1)).collect();
        let same = trees.directory(&many);
        let (one, other) = (trees.directory(&[file("x", 1)]), trees.directory(&[file("x", 2)]));
        let before = trees.directory(&[folder("a", same), folder("b", one)]);
        let after = trees.directory(&[folder("a", same), folder("b", other)]);
        trees.lose(&same);
        assert_eq!(walked(&trees, before, after), ["M b/x"]);
        assert_eq!(trees.fetched.get(), 4);
        assert_eq!(walked(&trees, before, before), [""; 0]);
        assert_eq!(trees.fetched.get(), 4);
    }

    #[test]
    fn what_is_let_go_of_in_deep_and_wide_trees_is_read_again_where_it_was_left() {
        let trees = MemoryTrees::default();
        let level = |below: Option<ChunkId>, chunk| {
            let mut entries: Vec<Entry> = (0..900).map(|number| file(&format!("{number:04}"), 1)).collect();
            entries.insert(10, below.map_or(file("0009-leaf", chunk), |below| folder("0009-way", below)));
            entries.push(file("last", chunk));
            trees.directory(&entries)
        };
        let nested = |chunk| (0..40).fold(None, |below, _| Some(level(below, chunk))).unwrap();
        let found = walked(&trees, nested(1), nested(2));
        let mut expected: Vec<String> = (0..40).map(|depth| format!("M {}last", "0009-way/".repeat(depth))).collect();
        expected.push(format!("M {}0009-leaf", "0009-way/".repeat(39)));
        expected.sort_by_key(|path| std::cmp::Reverse(path.len()));
        assert_eq!(found.len(), expected.len());
        assert_eq!(found, expected);
    }
}
