//! One file of a listing.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::cli::text;
use crate::cli::views::snapshots::SnapshotView;
use crate::repo::tree::{DamageMark, Entry, EntryKind};
use crate::vault::VaultError;
use crate::vault::browse::Listed;

/// How owners are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// By name where there is one.
    Names,
    /// By number.
    Numbers,
}

/// The first JSON line of `ls`: which snapshot follows.
#[derive(Debug, Serialize)]
pub struct LsHead {
    message_type: &'static str,
    #[serde(flatten)]
    snapshot: SnapshotView,
}

impl LsHead {
    /// The head of a listing.
    pub fn new(listed: &Listed) -> Self {
        Self { message_type: "snapshot", snapshot: SnapshotView::new(listed) }
    }
}

/// One file. Names that restic has mean the same here.
#[derive(Debug, Serialize)]
pub struct EntryView<'a> {
    message_type: &'static str,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    path: String,
    /// The path's bytes in hexadecimal digits, when they are not UTF-8 and `path` is only for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    uid: u32,
    gid: u32,
    user: Option<&'a str>,
    group: Option<&'a str>,
    size: u64,
    mode: u32,
    permissions: String,
    mtime: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hard_link: bool,
    /// What a repair found missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<&'a DamageMark>,
    #[serde(skip)]
    raw: (&'a [u8], &'a Entry),
}

impl<'a> EntryView<'a> {
    /// The view of an entry at a path (raw bytes, no leading slash).
    pub fn new(path: &'a [u8], entry: &'a Entry) -> Self {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            message_type: "node",
            name: lossy(&entry.name),
            kind: kind_word(entry.kind),
            path: format!("/{}", lossy(path)),
            path_hex: std::str::from_utf8(path).is_err().then(|| hex(path)),
            uid: entry.owner.uid,
            gid: entry.owner.gid,
            user: entry.owner.user.as_deref(),
            group: entry.owner.group.as_deref(),
            size: entry.size,
            mode: entry.mode,
            permissions: text::mode(entry),
            mtime: entry.mtime,
            linktarget: entry.target.as_deref().map(lossy),
            hard_link: entry.hard_link.is_some(),
            damaged: entry.damaged.as_ref(),
            raw: (path, entry),
        }
    }

    /// One line of text.
    pub fn line(&self, long: bool, names: Names) -> String {
        let (path, entry) = self.raw;
        let path = format!("/{}", text::printable(path));
        if !long {
            return path;
        }
        let owner = |name: Option<&str>, number: u32| match (names, name) {
            (Names::Names, Some(name)) => text::printable(name.as_bytes()),
            _ => number.to_string(),
        };
        let (user, group) = (owner(self.user, self.uid), owner(self.group, self.gid));
        let target = entry.target.as_deref().map(|target| format!(" -> {}", text::printable(target)));
        let (permissions, size, time) = (&self.permissions, self.size, self.mtime.local());
        let mark = entry.damaged.as_ref().map(|mark| format!("  [damaged: found on {}]", mark.found.local()));
        let behind = [target, mark].into_iter().flatten().collect::<String>();
        format!("{permissions} {user:<8} {group:<8} {size:>12} {time} {path}{behind}")
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String, VaultError> {
        serde_json::to_string(self).map_err(|why| VaultError::local("write to", "standard output", why))
    }
}

/// The word for a type, as JSON has it.
pub fn kind_word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice => "chardev",
        EntryKind::BlockDevice => "dev",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::snapshot::SnapshotPath;
    use crate::repo::tree::Owner;

    fn link() -> Entry {
        Entry {
            mode: 0o777,
            owner: Owner { uid: 1000, gid: 33, user: Some("dataiku".into()), group: None },
            mtime: Timestamp::new(1_763_795_700, 5).unwrap(),
            target: Some(b"../lo\x1bgs".to_vec()),
            ..Entry::bare(b"now\n".to_vec(), EntryKind::Symlink)
        }
    }

    #[test]
    fn a_long_line_reads_like_that_of_ls() {
        let entry = link();
        let line = EntryView::new(b"data/now\n", &entry).line(true, Names::Names);
        assert!(line.starts_with("lrwxrwxrwx dataiku  33                  0 2025-11-2"), "{line}");
        assert!(line.ends_with(" /data/now\\n -> ../lo\\x1bgs"), "{line}");
    }

    #[test]
    fn a_path_that_is_not_utf8_is_given_exactly_as_well() {
        let entry = link();
        let plain: serde_json::Value =
            serde_json::from_str(&EntryView::new(b"data/x", &entry).json().unwrap()).unwrap();
        assert!(plain.get("path_hex").is_none());
        let odd: serde_json::Value = serde_json::from_str(&EntryView::new(b"r\xe9", &entry).json().unwrap()).unwrap();
        assert_eq!((&odd["path"], &odd["path_hex"]), (&"/r\u{fffd}".into(), &"72e9".into()));
    }

    #[test]
    fn a_listed_path_can_be_given_back_to_the_program() {
        let text = format!("latest:{}", EntryView::new(b"data/with:colon", &link()).path);
        assert_eq!(SnapshotPath::parse(text.as_ref()).unwrap().path(), b"data/with:colon");
    }
}
