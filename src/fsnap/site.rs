//! A pair of commands of the site, for volumes only it knows how to freeze (cloud disks, storage arrays).
//!
//! `docs/frozen.md` is the contract. Both run as `/bin/sh -c TEXT` with `DSSVAULT_FROZEN_NAME`, `_DIR` and `_MOUNT`;
//! *create* writes the path of the frozen content and, on a second line, an id if it has one; *drop* is given both
//! back as `_PATH` and `_ID`.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Record, Stage};
use crate::fsnap::mounts;
use crate::fsnap::plan::{self, Acts};
use crate::fsnap::tool::Tool;

const CREATE: &str = "the site's command that creates a frozen volume";
const DROP: &str = "the site's command that drops a frozen volume";
const ID_BYTES_MAX: usize = 1024;

/// A site's own way of freezing a volume: shell text, run by `/bin/sh -c`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteCommands {
    /// Freezes, makes the content readable, and writes where to its standard output.
    pub create: String,
    /// Undoes that. Must succeed also when nothing, or only a part, is there to undo. May keep the snapshot itself.
    pub drop: String,
    /// How long either may take.
    pub limit: Duration,
}

/// The texts may hold secrets.
impl fmt::Debug for SiteCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteCommands").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What is needed to drop it, by another process if need be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The pair.
    pub commands: SiteCommands,
    /// The directory that is backed up.
    pub dir: PathBuf,
    /// Where its frozen content can be read, once *create* said so.
    pub path: Option<PathBuf>,
    /// What the site calls its snapshot, if it said.
    pub snapshot_id: Option<String>,
}

impl Plan {
    pub fn new(commands: SiteCommands, dir: &Path) -> Self {
        Self { commands, dir: dir.to_owned(), path: None, snapshot_id: None }
    }

    pub fn make(mut self, dir: &Path, record: &mut Record, acts: &Acts<'_>) -> Result<PathBuf, FsnapError> {
        record.begin(acts)?;
        let said = acts.tools.run(&self.tool(&self.commands.create, CREATE, acts))?;
        let (path, snapshot_id) =
            answer(&said).map_err(|why| FsnapError::BadOutput { command: CREATE.to_owned(), why })?;
        self.path = Some(path.clone());
        self.snapshot_id = snapshot_id;
        record.plan = plan::Plan::Command(self);
        acts.entry.write(record)?;
        check(&path, dir).map_err(|why| FsnapError::BadOutput { command: CREATE.to_owned(), why })?;
        Ok(path)
    }

    pub fn remove(&self, stage: Stage, acts: &Acts<'_>) -> Result<(), FsnapError> {
        if stage != Stage::Prepared {
            let path = self.path.as_deref().unwrap_or(Path::new(""));
            let tool = self.tool(&self.commands.drop, DROP, acts);
            let tool = tool.env("DSSVAULT_FROZEN_PATH", path);
            acts.tools.run(&tool.env("DSSVAULT_FROZEN_ID", self.snapshot_id.as_deref().unwrap_or_default()))?;
        }
        mounts::unmount(acts)
    }

    fn tool(&self, text: &str, shown: &str, acts: &Acts<'_>) -> Tool {
        Tool::new("/bin/sh", self.commands.limit)
            .args(["-c", text])
            .env("DSSVAULT_FROZEN_NAME", acts.entry.snapshot_name())
            .env("DSSVAULT_FROZEN_DIR", &self.dir)
            .env("DSSVAULT_FROZEN_MOUNT", acts.entry.mount_point())
            .shown_as(shown)
    }
}

/// Path and id from what *create* wrote.
fn answer(said: &str) -> Result<(PathBuf, Option<String>), String> {
    let mut lines = said.lines().map(str::trim_end);
    let path = lines.next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(format!("must write an absolute path first, not `{path}`"));
    }
    let id = lines.next().filter(|id| !id.is_empty());
    if let Some(id) = id.filter(|id| id.len() > ID_BYTES_MAX || id.chars().any(char::is_control)) {
        return Err(format!("wrote an id of {} bytes that cannot be one", id.len()));
    }
    if let Some(more) = lines.find(|line| !line.is_empty()) {
        return Err(format!("wrote more than a path and an id: `{}`", more.chars().take(80).collect::<String>()));
    }
    Ok((path.into(), id.map(str::to_owned)))
}

/// The live directory itself would be the worst answer: a backup that claims to be frozen and is not.
fn check(path: &Path, dir: &Path) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|why| format!("named {}: {why}", path.display()))?;
    if !found.is_dir() {
        return Err(format!("named {}, which is no directory", path.display()));
    }
    let live = std::fs::metadata(dir).map_err(|why| format!("left no {}: {why}", dir.display()))?;
    if (found.dev(), found.ino()) == (live.dev(), live.ino()) {
        return Err(format!("named {}, which is the live directory itself", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone_or_with_an_id_is_an_answer() {
        assert_eq!(answer("/mnt/x\n"), Ok(("/mnt/x".into(), None)));
        assert_eq!(answer("/mnt/a b\nsnap-0123\n\n"), Ok(("/mnt/a b".into(), Some("snap-0123".to_owned()))));
        assert_eq!(answer("/mnt/x\n\n"), Ok(("/mnt/x".into(), None)));
    }

    #[test]
    fn anything_else_is_none() {
        for bad in ["", "\n/mnt/x", "mnt/x", "created snapshot\n/mnt/x", "/mnt/x\nid\nmore", "/mnt/x\nid\u{7}"] {
            assert!(answer(bad).is_err(), "{bad:?}");
        }
        assert!(answer(&format!("/mnt/x\n{}", "x".repeat(2_000))).is_err());
    }

    #[test]
    fn the_live_directory_is_no_frozen_one() {
        let dir = tempfile::tempdir().unwrap();
        let (live, link) = (dir.path().join("live"), dir.path().join("link"));
        std::fs::create_dir(&live).unwrap();
        std::os::unix::fs::symlink(&live, &link).unwrap();
        assert!(check(&link, &live).unwrap_err().contains("live directory"));
        assert!(check(dir.path(), &live).is_ok());
        assert!(check(&dir.path().join("none"), &live).is_err());
    }
}
