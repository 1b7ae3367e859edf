//! What a backup reads and where it stands in the snapshot: upper directories of which only some names count, and the
//! sources below them, which may lie elsewhere than their place in the snapshot says.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A place in the tree of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Everything here is backed up.
    Source,
    /// The directory at this path is backed up as if it were here.
    Moved(PathBuf),
    /// Only some names are.
    Upper(Upper),
}

/// A directory of which only some names are backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// The directory that lends its attributes, and in which sources are looked up by name.
    pub place: PathBuf,
    /// The names.
    pub names: BTreeMap<Vec<u8>, Root>,
}

impl Upper {
    /// Nothing of the directory `place` yet.
    pub fn new(place: impl Into<PathBuf>) -> Self {
        Self { place: place.into(), names: BTreeMap::new() }
    }

    /// Adds a source, given relative to this directory. What lies inside another source adds nothing.
    pub fn add(&mut self, source: &Path) {
        let mut parts = source.components();
        let Some(name) = parts.find_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        }) else {
            return;
        };
        let rest = parts.as_path();
        let below = self.names.entry(name.as_bytes().to_vec());
        if rest.as_os_str().is_empty() {
            below.insert_entry(Root::Source);
        } else if let Root::Upper(upper) = below.or_insert_with(|| Root::Upper(Self::new(self.place.join(name)))) {
            upper.add(rest);
        }
    }
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

/// The tree of absolute sources.
pub fn tree<'p>(sources: impl IntoIterator<Item = &'p Path>) -> Root {
    let mut root = Upper::new("/");
    for source in sources {
        if source == Path::new("/") {
            return Root::Source;
        }
        root.add(source);
    }
    Root::Upper(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_share_their_upper_directories_and_inner_ones_vanish() {
        let tree = tree(["/a/b", "/a/c", "/a/b/inner", "/d"].map(Path::new));
        let upper = |place: &str, pairs: Vec<(&str, Root)>| {
            let names = pairs.into_iter().map(|(name, root)| (name.as_bytes().to_vec(), root)).collect();
            Root::Upper(Upper { place: place.into(), names })
        };
        let a = upper("/a", vec![("b", Root::Source), ("c", Root::Source)]);
        assert_eq!(tree, upper("/", vec![("a", a), ("d", Root::Source)]));
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
