//! The machine around a data directory: its `/etc`, its kit, its accounts. Its root is a parameter, so that the disk
//! of a machine that no longer boots can be read from elsewhere, and tests bring an `/etc` of their own.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::sys::meta::Names;
use crate::sys::small_file;

/// Longer account files are not read.
const ACCOUNT_BYTES_MAX: u64 = 16 << 20;

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

    /// Whether it is the machine this runs on.
    pub fn is_this_machine(&self) -> bool {
        self.root.is_none()
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

    /// Entries of a directory of that machine whose names fit, sorted, as paths on that machine.
    pub fn list(&self, folder: &str, fits: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path(folder))? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(&fits) {
                found.push(Path::new(folder).join(name));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The name of a user on that machine.
    pub fn user(&self, uid: u32) -> Option<String> {
        match &self.root {
            None => self.names.user(uid),
            Some(_) => self.field("/etc/passwd", uid, 0),
        }
    }

    /// The name of a group on that machine.
    pub fn group(&self, gid: u32) -> Option<String> {
        match &self.root {
            None => self.names.group(gid),
            Some(_) => self.field("/etc/group", gid, 0),
        }
    }

    /// The home directory of a user on that machine.
    pub fn home(&self, uid: u32) -> Option<PathBuf> {
        match &self.root {
            None => self.names.home(uid),
            Some(_) => self.field("/etc/passwd", uid, 5).map(PathBuf::from),
        }
    }

    /// A field of the line of a number in the account files of a mounted root. Directories of accounts that machine
    /// asked over the network are not asked.
    fn field(&self, file: &str, number: u32, field: usize) -> Option<String> {
        let bytes = small_file::read(&self.path(file), ACCOUNT_BYTES_MAX).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let number = number.to_string();
        let line = text.lines().find(|line| line.split(':').nth(2) == Some(number.as_str()))?;
        line.split(':').nth(field).filter(|value| !value.is_empty()).map(str::to_owned)
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
    fn accounts_of_a_mounted_root_are_its_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), "broken\nroot:x:0:0::/r:\ndss:x:1001:1001::/home/dss:/bin/sh\n")
            .unwrap();
        let host = Host::new(Some(dir.path().to_owned()));
        assert_eq!((host.user(1001).as_deref(), host.home(1001)), (Some("dss"), Some("/home/dss".into())));
        assert_eq!((host.user(7), host.group(0)), (None, None));
    }

    #[test]
    fn without_one_paths_are_what_they_are() {
        let host = Host::new(Some("/".into()));
        assert_eq!(host.path("/opt/kit"), Path::new("/opt/kit"));
        assert!(host.list("/surely/not/there", |_| true).is_err());
    }
}
