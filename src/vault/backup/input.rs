//! What one backup reads: its sources, found to go together in one snapshot.

use std::path::{Path, PathBuf};

use crate::repo::snapshot::Member;
use crate::vault::VaultError;
use crate::vault::backup::roots::{self, Root};
use crate::vault::backup::{Archive, Assembled, Source};

/// Sources of one kind.
pub enum Input<'a> {
    /// Files and directories, by their absolute paths, below which they stand in the snapshot too.
    Paths(Vec<PathBuf>),
    /// A tree put together from several places, and the absolute path of what the user named.
    Assembled(&'a Assembled, [PathBuf; 1]),
    /// What a tar archive holds.
    Archive(&'a Archive),
    /// Streams, each a file of its own.
    Streams(Vec<Stream<'a>>),
    /// Nothing but what the steward brings.
    Attended(&'a [Member]),
}

/// Where a stream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream<'a> {
    /// Standard input under this name.
    Stdin {
        /// File name in the snapshot.
        name: &'a str,
    },
    /// What a command prints.
    Command {
        /// File name in the snapshot.
        name: &'a str,
        /// Given to `sh -c`.
        command: &'a str,
    },
}

impl<'a> Input<'a> {
    /// Looks whether the sources go together. Of those that are paths at least one must exist, as with restic.
    pub fn of(sources: &'a [Source]) -> Result<Self, VaultError> {
        let (mut paths, mut streams) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Source::Archive(archive) => {
                    alone(sources, "an archive has a snapshot of its own", "import one after the other")?;
                    return Ok(Self::Archive(archive));
                }
                Source::Assembled(assembled) => {
                    let hint = "back the other sources up in a snapshot of theirs";
                    alone(sources, "a data directory has a snapshot of its own", hint)?;
                    let path = absolute(&assembled.name)?;
                    exists(std::slice::from_ref(&path))?;
                    return Ok(Self::Assembled(assembled, [path]));
                }
                Source::Attended(members) => {
                    alone(
                        sources,
                        "databases have a snapshot of their own",
                        "back the other sources up in another one",
                    )?;
                    return Ok(Self::Attended(members));
                }
                Source::Path(path) => paths.push(absolute(path)?),
                Source::Stdin { name } => streams.push(Stream::Stdin { name }),
                Source::Command { name, command } => streams.push(Stream::Command { name, command }),
            }
        }
        match (paths.is_empty(), streams.is_empty()) {
            (true, true) => Err(request("there is nothing to back up", "name at least one file or directory")),
            (false, false) => {
                Err(request("paths and streams cannot share a snapshot", "back them up one after the other"))
            }
            (true, false) => Ok(Self::Streams(streams)),
            (false, true) => {
                exists(&paths)?;
                Ok(Self::Paths(paths))
            }
        }
    }

    /// The absolute paths the last state of these sources is known by.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Paths(paths) => paths,
            Self::Assembled(_, path) => path,
            Self::Archive(_) | Self::Streams(_) | Self::Attended(_) => &[],
        }
    }

    /// The tree that is walked; nothing of what is no tree.
    pub fn root(&self) -> Root {
        match self {
            Self::Assembled(assembled, _) => Root::Upper(assembled.root.clone()),
            Self::Paths(_) | Self::Archive(_) | Self::Streams(_) | Self::Attended(_) => {
                roots::tree(self.paths().iter().map(PathBuf::as_path))
            }
        }
    }

    /// Kinds and names of the parts, for the manifest.
    pub fn members(&self) -> Vec<Member> {
        let member = |kind: &str, name: &str| Member { kind: kind.to_owned(), name: name.to_owned() };
        match self {
            Self::Paths(paths) => paths.iter().map(|path| member("path", &path.to_string_lossy())).collect(),
            Self::Assembled(assembled, _) => assembled.members.clone(),
            Self::Archive(archive) => archive.members.clone(),
            Self::Attended(members) => members.to_vec(),
            Self::Streams(streams) => {
                let of = |stream: &Stream<'_>| match stream {
                    Stream::Stdin { name } => member("stdin", name),
                    Stream::Command { name, .. } => member("command", name),
                };
                streams.iter().map(of).collect()
            }
        }
    }
}

fn alone(sources: &[Source], what: &str, hint: &str) -> Result<(), VaultError> {
    if sources.len() == 1 { Ok(()) } else { Err(request(what, hint)) }
}

fn absolute(path: &Path) -> Result<PathBuf, VaultError> {
    roots::absolute(path).map_err(|error| VaultError::local("find", path, error))
}

fn exists(paths: &[PathBuf]) -> Result<(), VaultError> {
    if paths.iter().any(|path| path.symlink_metadata().is_ok()) {
        return Ok(());
    }
    let first = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    Err(request(&format!("{first} does not exist"), "check the path"))
}

fn request(what: &str, hint: &str) -> VaultError {
    VaultError::Request { what: what.to_owned(), hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::backup::Layout;

    fn refused(sources: &[Source]) -> String {
        Input::of(sources).err().unwrap().to_string()
    }

    #[test]
    fn sources_of_one_kind_go_together() {
        let paths = [Source::Path("/".into()), Source::Path("/not there".into())];
        let input = Input::of(&paths).unwrap();
        assert_eq!(input.paths(), [PathBuf::from("/"), "/not there".into()]);
        assert_eq!(input.members()[0], Member { kind: "path".into(), name: "/".into() });
        let streams =
            [Source::Stdin { name: "a".into() }, Source::Command { name: "b".into(), command: "true".into() }];
        let input = Input::of(&streams).unwrap();
        assert!(matches!(&input, Input::Streams(streams) if streams.len() == 2) && input.paths().is_empty());
        assert_eq!(input.members()[1], Member { kind: "command".into(), name: "b".into() });
    }

    #[test]
    fn what_does_not_go_together_or_is_not_there_is_refused() {
        let path = || Source::Path("/".into());
        let archive = Archive { path: "a".into(), layout: Layout::default(), members: Vec::new(), counted: None };
        assert!(refused(&[]).contains("nothing"));
        assert!(refused(&[path(), Source::Stdin { name: "a".into() }]).contains("streams"));
        assert!(refused(&[path(), Source::Archive(archive)]).contains("archive"));
        assert!(refused(&[Source::Path("/not there".into())]).contains("/not there does not exist"));
    }
}
