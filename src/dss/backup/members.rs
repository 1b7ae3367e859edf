//! What a snapshot of a node is put together from: `datadir/` and `host/`.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::dss::backup::error::NodeError;
use crate::dss::backup::pip::PackageList;
use crate::dss::backup::{DATADIR, FACTS_FILE, HOST, PIP, Subject};
use crate::dss::datadir::outside::OutsideKind;
use crate::repo::snapshot::Member;
use crate::vault::VaultError;
use crate::vault::backup::{Assembled, Root, Source, Upper};

/// Files of the machine kept without being asked: small, no secrets beyond what the directory has.
const ALWAYS: [&str; 1] = ["/etc/os-release"];

/// The parts besides the data directory. What was made for the snapshot goes when this goes.
pub struct Members {
    made: TempDir,
    /// Whether package lists are among it.
    has_lists: bool,
    outside: Vec<PathBuf>,
}

impl Members {
    /// Finds and makes them.
    pub fn gather(subject: &Subject<'_>) -> Result<Self, NodeError> {
        let state = &subject.context.folders.state;
        let local = |error: io::Error| VaultError::local("write the facts in", state, error);
        let made = tempfile::Builder::new().prefix("host-").tempdir_in(state).map_err(local)?;
        let facts = serde_json::to_vec_pretty(&subject.facts).map_err(|error| local(io::Error::other(error)))?;
        std::fs::write(made.path().join(FACTS_FILE), facts).map_err(local)?;
        write_lists(&made.path().join(PIP), &subject.packages).map_err(local)?;
        let has_lists = !subject.packages.is_empty();
        let kept = |kind| matches!(kind, OutsideKind::Boot | OutsideKind::SecurityConfig | OutsideKind::Sudoers);
        let named = subject.facts.outside.iter().filter(|outside| kept(outside.kind) && outside.exists == Some(true));
        let always = ALWAYS.iter().map(PathBuf::from).filter(|path| path.exists());
        let mut outside: Vec<PathBuf> = named.map(|outside| PathBuf::from(&outside.path)).chain(always).collect();
        outside.extend(subject.options.include_host.iter().cloned());
        outside.retain(|path| path.is_absolute());
        Ok(Self { made, has_lists, outside })
    }

    /// The tree: the data directory, read at `read_from`, and the rest.
    pub fn source(&self, data_dir: &Path, read_from: &Path, databases: Vec<Member>) -> Source {
        let mut machine = Upper::new("/");
        for path in &self.outside {
            machine.add(path);
        }
        let mut host = Upper { place: self.made.path().to_owned(), names: machine.names };
        host.add(Path::new(FACTS_FILE));
        if self.has_lists {
            host.add(Path::new(PIP));
        }
        let mut root = Upper::new("/");
        root.names.insert(DATADIR.as_bytes().to_vec(), Root::Moved(read_from.to_owned()));
        root.names.insert(HOST.as_bytes().to_vec(), Root::Upper(host));
        let shown = |path: &Path| path.display().to_string();
        let mut members = vec![Member { kind: DATADIR.to_owned(), name: shown(data_dir) }];
        members.extend(self.outside.iter().map(|path| Member { kind: HOST.to_owned(), name: shown(path) }));
        members.extend(databases);
        Source::Assembled(Assembled { name: data_dir.to_owned(), members, root })
    }
}

fn write_lists(folder: &Path, lists: &[PackageList]) -> io::Result<()> {
    for list in lists {
        let path = folder.join(&list.place);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, &list.text)?;
    }
    Ok(())
}
