//! From the paths a user gave to one tree: the upper directories are made of names only, the sources hang below.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A place in the tree of sources.
#[derive(Debug, PartialEq, Eq)]
pub enum Root {
    /// Everything here is backed up.
    Source,
    /// Only these names are.
    Upper(BTreeMap<Vec<u8>, Root>),
}

/// The absolute form of a source, without `.` and `..`; the last component may be a link and stays one.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if !path.components().any(|part| part == Component::ParentDir) {
        return Ok(path);
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => path.canonicalize(),
    }
}

/// The tree of absolute sources. A source inside another one adds nothing.
pub fn tree<'p>(sources: impl IntoIterator<Item = &'p Path>) -> Root {
    let mut root = Root::Upper(BTreeMap::new());
    for source in sources {
        let mut place = &mut root;
        for part in source.components() {
            if let Component::Normal(name) = part {
                let Root::Upper(names) = place else { break };
                place = names.entry(name.as_bytes().to_vec()).or_insert_with(|| Root::Upper(BTreeMap::new()));
            }
        }
        *place = Root::Source;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_share_their_upper_directories_and_inner_ones_vanish() {
        let tree = tree(["/a/b", "/a/c", "/a/b/inner", "/d"].map(Path::new));
        let upper = |pairs: Vec<(&str, Root)>| {
            Root::Upper(pairs.into_iter().map(|(name, root)| (name.as_bytes().to_vec(), root)).collect())
        };
        let a = upper(vec![("b", Root::Source), ("c", Root::Source)]);
        assert_eq!(tree, upper(vec![("a", a), ("d", Root::Source)]));
    }

    #[test]
    fn an_outer_source_given_later_takes_the_inner_one_in() {
        assert_eq!(tree(["/a/b", "/"].map(Path::new)), Root::Source);
    }

    #[test]
    fn relative_sources_become_absolute_without_dots() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute(Path::new("./x")).unwrap(), here.join("x"));
        assert_eq!(absolute(Path::new("src/../Cargo.toml")).unwrap(), here.join("Cargo.toml"));
    }
}
