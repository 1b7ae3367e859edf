//! `SNAPSHOT` and `SNAPSHOT:PATH` on the command line, and the filters that say whose `latest` is meant.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::cli::error::CliError;
use crate::repo::Repository;
use crate::vault::browse::{self, Filter, Listed};

/// A snapshot, and maybe something inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPath {
    /// Id prefix, `latest` or `latest~N`.
    pub snapshot: String,
    /// Raw bytes as in the tree: no leading slash; `None` means everything.
    pub path: Option<Vec<u8>>,
}

impl SnapshotPath {
    /// Reads `SNAPSHOT[:PATH]`.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let (snapshot, path) = match bytes.iter().position(|&byte| byte == b':') {
            Some(colon) => (&bytes[..colon], Some(clean_path(&bytes[colon + 1..])?)),
            None => (bytes, None),
        };
        let snapshot = std::str::from_utf8(snapshot).map_err(|_| "a snapshot's name is plain text".to_owned())?;
        if snapshot.is_empty() {
            return Err("no snapshot stands before the colon; write `latest:PATH` or `ID:PATH`".to_owned());
        }
        Ok(Self { snapshot: snapshot.to_owned(), path: path.filter(|path| !path.is_empty()) })
    }

    /// What clap needs to know.
    pub fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(|text: OsString| Self::parse(&text))
    }

    /// The path, or nothing for everything.
    pub fn path(&self) -> &[u8] {
        self.path.as_deref().unwrap_or_default()
    }
}

/// A path inside snapshots, without its first slash.
pub fn inner_path(text: &OsStr) -> Result<Vec<u8>, String> {
    clean_path(text.as_bytes())
}

/// Drops empty and `.` components; `..` has no meaning inside a snapshot.
fn clean_path(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut parts = Vec::new();
    for part in bytes.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("`..` has no meaning in a path inside a snapshot; name the path from its root".into()),
            name => parts.push(name),
        }
    }
    Ok(parts.join(&b'/'))
}

/// Options that narrow which snapshots count.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which snapshots count")]
pub struct FilterArgs {
    /// Only snapshots of this node (label or id)
    #[arg(long, value_name = "LABEL")]
    pub node: Option<String>,
    /// Only snapshots made on this host
    #[arg(long, short = 'H', value_name = "NAME")]
    pub host: Option<String>,
    /// Only snapshots with this tag; given again or with commas: with all of them
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
}

impl FilterArgs {
    /// The library's form.
    pub fn filter(self) -> Filter {
        Filter { node: self.node, host: self.host, tags: self.tags }
    }
}

/// Finds the snapshot that is meant.
pub fn find(repository: &Repository, wanted: &SnapshotPath, filter: FilterArgs) -> Result<Listed, CliError> {
    Ok(browse::find(repository, &wanted.snapshot, &filter.filter())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<(String, String), String> {
        SnapshotPath::parse(OsStr::from_bytes(text))
            .map(|found| (found.snapshot.clone(), String::from_utf8_lossy(found.path()).into_owned()))
    }

    fn found(snapshot: &str, path: &str) -> Result<(String, String), String> {
        Ok((snapshot.to_owned(), path.to_owned()))
    }

    #[test]
    fn the_first_colon_parts_snapshot_and_path() {
        assert_eq!(parse(b"latest"), found("latest", ""));
        assert_eq!(parse(b"latest~2:/data//dss/./config/"), found("latest~2", "data/dss/config"));
        assert_eq!(parse(b"1a2b:dir/with:colon"), found("1a2b", "dir/with:colon"));
        assert_eq!(parse(b"1a2b:/"), found("1a2b", ""));
    }

    #[test]
    fn paths_are_bytes() {
        let parsed = SnapshotPath::parse(OsStr::from_bytes(b"latest:/r\xe9sum\xe9\n")).unwrap();
        assert_eq!(parsed.path(), b"r\xe9sum\xe9\n");
    }

    #[test]
    fn what_names_no_place_is_refused() {
        assert!(parse(b"latest:/a/../b").unwrap_err().contains("`..`"));
        assert!(parse(b":/a").is_err());
        assert!(parse(b"").is_err());
    }
}
