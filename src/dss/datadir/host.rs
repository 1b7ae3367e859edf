//! The machine around a data directory: its `/etc`, its kit, its accounts. Its root is a parameter, so that the disk
//! of a machine that no longer boots can be read from elsewhere, and tests bring an `/etc` of their own.

use std::path::{Component, Path, PathBuf};

use crate::sys::meta::Names;

/// A file system as a DSS installation sees it.
#[derive(Default)]
pub struct Host {
    root: Option<PathBuf>,
    names: Names,
}

impl Host {
    /// This machine, or the one whose root directory is mounted at `root`.
    pub fn new(root: Option<PathBuf>) -> Self {
        let real = |root: PathBuf| root.canonicalize().unwrap_or(root);
        Self { root: root.map(real).filter(|root| root != Path::new("/")), names: Names::default() }
    }

    /// Where a path of that machine is found here.
    pub fn path(&self, on_host: impl AsRef<Path>) -> PathBuf {
        let on_host = on_host.as_ref();
        match &self.root {
            None => on_host.to_owned(),
            // `..` at the root of a machine stays there; joined to another root it would leave it.
            Some(root) => {
                let mut found = root.clone();
                let depth = root.components().count();
                for part in on_host.components() {
                    match part {
                        Component::Normal(name) => found.push(name),
                        Component::ParentDir if found.components().count() > depth => {
                            found.pop();
                        }
                        _ => {}
                    }
                }
                found
            }
        }
    }

    /// The name of a path found here on that machine.
    pub fn name_of(&self, found: &Path) -> PathBuf {
        match self.root.as_ref().and_then(|root| found.strip_prefix(root).ok()) {
            Some(below) => Path::new("/").join(below),
            None => found.to_owned(),
        }
    }

    /// Whether something is there, links followed; `None` if that cannot be told.
    pub fn exists(&self, on_host: impl AsRef<Path>) -> Option<bool> {
        self.path(on_host).try_exists().ok()
    }

    /// Entries of a directory of that machine whose names fit, sorted, as paths on that machine. A directory that is
    /// not there is empty.
    pub fn list(&self, folder: &str, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<PathBuf> =
            names.filter(|name| fits(name)).map(|name| Path::new(folder).join(name)).collect();
        found.sort();
        found
    }

    /// The accounts known here.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_root_stands_in_front_of_every_path_and_is_never_left() {
        let host = Host::new(Some("/mnt/old".into()));
        assert_eq!(host.path("/opt/kit"), Path::new("/mnt/old/opt/kit"));
        assert_eq!(host.path("/opt/../../../etc"), Path::new("/mnt/old/etc"));
        assert_eq!(host.name_of(Path::new("/mnt/old/data/dss")), Path::new("/data/dss"));
        assert_eq!(host.name_of(Path::new("/elsewhere")), Path::new("/elsewhere"));
    }

    #[test]
    fn without_one_paths_are_what_they_are() {
        let host = Host::new(Some("/".into()));
        assert_eq!(host.path("/opt/kit"), Path::new("/opt/kit"));
        assert!(host.list("/surely/not/there", |_| true).is_empty());
    }
}
