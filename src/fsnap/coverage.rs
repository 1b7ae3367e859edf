//! What of a directory a frozen volume would not hold: links to other volumes, mounts, nested subvolumes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::NAME_PREFIX;
use crate::fsnap::mountinfo::{self, Mount};
use crate::fsnap::tool::{SystemTools, Tool, Tools};
use crate::fsnap::{LIMIT, btrfs, real_directory};

/// Links are looked for in the directory and in its folders. Administrators link whole folders of a data directory
/// to another disk; looking deeper would cost as much as the backup.
const LEVELS: u32 = 2;

/// Something in the directory that a frozen volume would not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Where, relative to the directory.
    pub path: PathBuf,
    /// What is there.
    pub kind: GapKind,
}

/// Why a frozen volume would not hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GapKind {
    /// A symbolic link to a place on another volume.
    Link {
        /// That place.
        target: PathBuf,
    },
    /// Another file system, or another part of this one, is mounted there.
    Mount {
        /// Its type.
        fs_type: String,
        /// Device or share.
        source: String,
    },
    /// A nested btrfs subvolume: an empty folder in a snapshot.
    Subvolume,
}

/// What a frozen volume would hold of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Data on other volumes: a frozen backup would lack it, or hold another moment of it.
    pub gaps: Vec<Gap>,
    /// Links to single files on other volumes: most often programs and certificates of the machine.
    pub notes: Vec<Gap>,
    /// Folders and links that could not be looked at.
    pub unseen: Vec<PathBuf>,
}

impl Coverage {
    /// Leaves out what the backup leaves out anyway; `kept` is asked with paths relative to the directory.
    #[must_use]
    pub fn retain(mut self, kept: impl Fn(&Path) -> bool) -> Self {
        self.gaps.retain(|gap| kept(&gap.path));
        self.notes.retain(|gap| kept(&gap.path));
        self.unseen.retain(|path| kept(path));
        self
    }

    /// The error that names every gap, if there is one.
    pub fn require_complete(&self, dir: &Path) -> Result<(), FsnapError> {
        if self.gaps.is_empty() {
            return Ok(());
        }
        Err(FsnapError::NotCovered { dir: dir.to_owned(), gaps: self.gaps.clone() })
    }
}

/// What of `dir` the volume that holds it does not hold. Links are followed on the upper two levels; mounts and
/// nested subvolumes are found at any depth (subvolumes by root only).
pub fn coverage(dir: &Path) -> Result<Coverage, FsnapError> {
    let dir = real_directory(dir)?;
    Ok(judge(look(&dir, &SystemTools)?))
}

/// What was seen, before it is judged.
#[derive(Debug, Default)]
struct Sight {
    /// The volume of the directory.
    device: u64,
    links: Vec<Link>,
    mounts: Vec<(PathBuf, Mount)>,
    /// Folders with the mark of a subvolume.
    subvolumes: Vec<PathBuf>,
    unseen: Vec<PathBuf>,
}

#[derive(Debug)]
struct Link {
    path: PathBuf,
    target: PathBuf,
    device: u64,
    is_dir: bool,
}

/// Pure.
fn judge(sight: Sight) -> Coverage {
    let mut coverage = Coverage { unseen: sight.unseen, ..Coverage::default() };
    let mounted: Vec<&PathBuf> = sight.mounts.iter().map(|(path, _)| path).collect();
    for path in sight.subvolumes {
        // A subvolume that is mounted where it lies is one gap, not two; our own snapshots are no data.
        let own = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(format!(".{NAME_PREFIX}").as_bytes()));
        if !own && !mounted.contains(&&path) {
            coverage.gaps.push(Gap { path, kind: GapKind::Subvolume });
        }
    }
    for (path, mount) in sight.mounts {
        let kind = GapKind::Mount { fs_type: mount.fs_type, source: mount.source.to_string_lossy().into_owned() };
        coverage.gaps.push(Gap { path, kind });
    }
    for link in sight.links.into_iter().filter(|link| link.device != sight.device) {
        let gap = Gap { path: link.path, kind: GapKind::Link { target: link.target } };
        if link.is_dir { coverage.gaps.push(gap) } else { coverage.notes.push(gap) }
    }
    coverage.gaps.sort();
    coverage.gaps.dedup();
    coverage.notes.sort();
    coverage
}

fn look(dir: &Path, tools: &dyn Tools) -> Result<Sight, FsnapError> {
    let device = fs::metadata(dir).map_err(FsnapError::io("look at", dir))?.dev();
    let mut sight = Sight { device, ..Sight::default() };
    for mount in mountinfo::all()? {
        if let Ok(path) = mount.point.strip_prefix(dir)
            && !path.as_os_str().is_empty()
        {
            sight.mounts.push((path.to_owned(), mount));
        }
    }
    look_into(dir, dir, LEVELS, &mut sight);
    let holding = mountinfo::holding(dir)?;
    if holding.fs_type == "btrfs" {
        sight.subvolumes.extend(listed_subvolumes(dir, &holding, tools));
    }
    Ok(sight)
}

fn look_into(dir: &Path, folder: &Path, levels: u32, sight: &mut Sight) {
    let relative = |path: &Path| path.strip_prefix(dir).unwrap_or(path).to_owned();
    let Ok(entries) = fs::read_dir(folder) else { return sight.unseen.push(relative(folder)) };
    for entry in entries {
        let Ok(entry) = entry else { return sight.unseen.push(relative(folder)) };
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_symlink() => match fs::metadata(&path) {
                Ok(found) => sight.links.push(Link {
                    target: path.canonicalize().unwrap_or_default(),
                    path: relative(&path),
                    device: found.dev(),
                    is_dir: found.is_dir(),
                }),
                // It leads nowhere, so it leads to no data.
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
                Err(_) => sight.unseen.push(relative(&path)),
            },
            Ok(kind) if kind.is_dir() => match fs::symlink_metadata(&path) {
                Ok(found) if found.dev() == sight.device => {
                    if levels > 1 {
                        look_into(dir, &path, levels - 1, sight);
                    }
                }
                Ok(found) if found.ino() == btrfs::SUBVOLUME_INODE => sight.subvolumes.push(relative(&path)),
                Ok(_) => {}
                Err(_) => sight.unseen.push(relative(&path)),
            },
            Ok(_) => {}
            Err(_) => sight.unseen.push(relative(&path)),
        }
    }
}

/// Subvolumes nested anywhere below `dir`, as the file system lists them; none if it may not be asked.
fn listed_subvolumes(dir: &Path, mount: &Mount, tools: &dyn Tools) -> Vec<PathBuf> {
    let Some(inside) = mount.path_inside(dir) else { return Vec::new() };
    let tool = Tool::new("btrfs", LIMIT).args(["subvolume", "list", "-o"]).arg(dir);
    match tools.run(&tool) {
        Ok(said) => said.lines().filter_map(|line| listed_below(line, &inside)).collect(),
        Err(why) => {
            tracing::debug!("nested subvolumes are looked for on {LEVELS} levels only: {why}");
            Vec::new()
        }
    }
}

/// `ID 258 gen 9 top level 256 path data/nested`, with the path from the top of the file system.
fn listed_below(line: &str, inside: &Path) -> Option<PathBuf> {
    let (_, path) = line.split_once(" path ")?;
    let below = Path::new(path).strip_prefix(inside).ok()?;
    Some(below.to_owned()).filter(|below| !below.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, device: u64, is_dir: bool) -> Link {
        Link { path: path.into(), target: "/elsewhere".into(), device, is_dir }
    }

    fn paths(gaps: &[Gap]) -> Vec<&str> {
        gaps.iter().map(|gap| gap.path.to_str().unwrap()).collect()
    }

    #[test]
    fn linked_folders_of_other_volumes_are_gaps_and_linked_files_are_notes() {
        let links = vec![link("jobs", 2, true), link("bin/dss", 2, false), link("lib64", 1, true)];
        let coverage = judge(Sight { device: 1, links, ..Sight::default() });
        assert_eq!((paths(&coverage.gaps), paths(&coverage.notes)), (vec!["jobs"], vec!["bin/dss"]));
        let error = coverage.require_complete(Path::new("/data")).unwrap_err().to_string();
        assert!(error.contains("jobs") && error.contains("/elsewhere") && !error.contains("bin/dss"), "{error}");
        let kept = coverage.retain(|path| !path.starts_with("jobs"));
        assert!(kept.require_complete(Path::new("/data")).is_ok());
    }

    #[test]
    fn a_subvolume_seen_twice_is_one_gap_and_our_own_snapshots_are_none() {
        let subvolumes = ["a/b", "a/b", ".dssvault-frozen-0123"].map(PathBuf::from).to_vec();
        let coverage = judge(Sight { device: 1, subvolumes, ..Sight::default() });
        assert_eq!(paths(&coverage.gaps), ["a/b"]);
    }

    #[test]
    fn listed_paths_are_those_below_the_directory() {
        let line = |path: &str| format!("ID 258 gen 9 top level 256 path {path}");
        assert_eq!(listed_below(&line("data/a path b"), Path::new("data")), Some("a path b".into()));
        assert_eq!(listed_below(&line("database/x"), Path::new("data")), None);
        assert_eq!(listed_below(&line("data"), Path::new("data")), None);
        assert_eq!(listed_below("nonsense", Path::new("data")), None);
    }
}
