//! Symbolic links at the top of a data directory that lead out of it. What they point to is not in a backup.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dss::datadir::concern::{Concern, ConcernKind};
use crate::dss::datadir::install::shown;
use crate::dss::datadir::look::Look;

/// Links told of; a hostile directory may hold any number.
const LINKS_MAX: usize = 1000;

/// A link that leads out of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavingLink {
    /// The link, below the data directory.
    pub path: String,
    /// What is stored in it.
    pub target: String,
    /// Where it leads, on that machine.
    pub leads_to: String,
    /// Whether that is there; `None` if this account may not look.
    pub exists: Option<bool>,
    /// Whether it leads to a directory: data on another volume, very likely.
    pub is_directory: bool,
}

impl LeavingLink {
    /// Where it leads from another place of the directory: a relative one to somewhere else.
    pub fn seen_from(&self, data_dir: &Path) -> PathBuf {
        if Path::new(&self.target).is_absolute() {
            return PathBuf::from(&self.leads_to);
        }
        let link = data_dir.join(&self.path);
        let mut reached = link.parent().unwrap_or(data_dir).to_owned();
        for part in Path::new(&self.target).components() {
            match part {
                Component::ParentDir => {
                    reached.pop();
                }
                Component::CurDir => {}
                part => reached.push(part),
            }
        }
        reached
    }

    /// Whether nothing is ever written through it: programs, and single files of libraries.
    pub fn is_only_read(&self) -> bool {
        let top = self.path.split('/').next().unwrap_or_default();
        top == "bin" || (matches!(top, "lib" | "java") && !self.is_directory)
    }

    /// A directory elsewhere holds data no backup of this directory has.
    pub fn concern(&self) -> Option<Concern> {
        self.is_directory.then(|| {
            Concern::warning(
                ConcernKind::DataOutside,
                format!(
                    "{} is a link to {}, whose content is not in a backup of this directory",
                    self.path, self.leads_to
                ),
                "back that directory up too",
            )
        })
    }
}

/// Links among the entries of the directory and of its folders that lead out of it. Those every installation has, into
/// its kit and to its interpreters, are no news.
pub fn find(look: &Look<'_>, install_dir: Option<&str>) -> Vec<LeavingLink> {
    let mut found = Vec::new();
    for (name, kind) in look.list("") {
        if kind.is_symlink() {
            found.extend(leaving(look, &name));
        } else if kind.is_dir() && !matches!(name.as_str(), "pyenv" | "condaenv") {
            for (child, kind) in look.list(&name) {
                if kind.is_symlink() && found.len() < LINKS_MAX {
                    found.extend(leaving(look, &format!("{name}/{child}")));
                }
            }
        }
    }
    found.retain(|link| !install_dir.is_some_and(|kit| Path::new(&link.leads_to).starts_with(kit)));
    found
}

fn leaving(look: &Look<'_>, path: &str) -> Option<LeavingLink> {
    let target = look.link(path)?;
    let parent = look.at(path).parent().map(PathBuf::from)?;
    // On the machine it belongs to: its absolute targets begin at its own root.
    let on_host = if target.is_absolute() { target.clone() } else { look.host.name_of(&parent).join(&target) };
    let here = look.host.path(&on_host);
    let real = here.canonicalize();
    let reached = real.as_deref().unwrap_or(&here);
    if reached.starts_with(&look.root) && !has_parent(reached) {
        return None;
    }
    Some(LeavingLink {
        path: path.to_owned(),
        target: shown(&target),
        leads_to: shown(&look.host.name_of(reached)),
        exists: look.host.exists(&on_host),
        is_directory: reached.is_dir(),
    })
}

fn has_parent(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::dss::datadir::testing::Sample;

    #[test]
    fn links_that_leave_are_told_and_others_are_not() {
        let sample = Sample::design();
        sample.host("big/jobs/x", "");
        sample.folder("managed_datasets");
        sample.folder("lib");
        let link = |target: &str, name: &str| symlink(target, sample.data(name)).unwrap();
        link("/big/jobs", "jobs");
        link("../../../big", "managed_datasets/PROJ");
        link("/gone/jar", "lib/driver.jar");
        link("../config", "managed_datasets/inside");
        link("/data/dss/config", "absolute-inside");
        link("/opt/kit/scripts/dsscli", "bin/dsscli");
        let facts = sample.facts();
        let told: Vec<_> = facts
            .links
            .iter()
            .map(|link| (link.path.as_str(), link.leads_to.as_str(), link.exists, link.is_directory))
            .collect();
        assert_eq!(
            told,
            [
                ("jobs", "/big/jobs", Some(true), true),
                ("lib/driver.jar", "/gone/jar", Some(false), false),
                ("managed_datasets/PROJ", "/big", Some(true), true),
            ]
        );
        let seen: Vec<_> = facts.links.iter().map(|link| link.seen_from(Path::new("/srv/copy"))).collect();
        assert_eq!(seen, ["/big/jobs", "/gone/jar", "/big"].map(PathBuf::from));
        assert_eq!(facts.links[2].seen_from(Path::new("/a/b/c/copy")), Path::new("/a/b/big"));
        let read: Vec<_> = facts.links.iter().map(LeavingLink::is_only_read).collect();
        assert_eq!(read, [false, true, false]);
        let concerns = facts.concerns.iter().filter(|concern| concern.kind == ConcernKind::DataOutside);
        assert_eq!(concerns.count(), 2);
    }

    #[test]
    fn a_link_to_itself_is_told_as_leading_nowhere_or_not_at_all() {
        let sample = Sample::design();
        symlink("loop", sample.data("loop")).unwrap();
        assert!(sample.facts().links.is_empty());
    }
}
