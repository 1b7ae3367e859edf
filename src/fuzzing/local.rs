//! Parsers of what lies on this machine or is typed: nothing of it is trusted either.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::cli::fuzz::{SnapshotPath, owner_rules};
use crate::repo::heads::Heads;
use crate::sys::pattern::PatternSet;
use crate::vault::{backup, browse};

pub(super) fn owner_map(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (number, _, rule) in owner_rules(text) {
        assert!(number >= 1);
        assert!(rule.is_none_or(|rule| !rule.from.is_empty() && !rule.to.is_empty()));
    }
}

pub(super) fn owner_map_seeds() -> Vec<Vec<u8>> {
    vec![b"# moved\nuser:1000:dataiku\ngroup:old:new\n".to_vec()]
}

pub(super) fn snapshot_spec(data: &[u8]) {
    if let Ok(found) = SnapshotPath::parse(OsStr::from_bytes(data)) {
        let path = found.path();
        assert!(!path.starts_with(b"/") && path.split(|&byte| byte == b'/').all(|name| name != b".."));
        let _ = browse::could_name_a_snapshot(&found.snapshot);
    }
}

pub(super) fn snapshot_spec_seeds() -> Vec<Vec<u8>> {
    [b"latest~2:/data/config".as_slice(), b"1a2b3c4d", b"latest"].map(<[u8]>::to_vec).to_vec()
}

/// The last line is the path; those before it are the patterns.
pub(super) fn exclude_patterns(data: &[u8]) {
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let path = lines.pop().unwrap_or_default();
    let patterns: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let Ok(set) = PatternSet::new(&patterns) else { return };
    let parent = path.iter().rposition(|&byte| byte == b'/').map_or(&path[..0], |slash| &path[..slash]);
    for is_dir in [false, true] {
        if set.matches(path, is_dir) && !path.windows(2).any(|pair| pair == b"//") {
            assert!(set.may_match_below(parent), "what is meant lies where it was said that something may");
        }
    }
}

pub(super) fn exclude_seeds() -> Vec<Vec<u8>> {
    [b"*.tmp\n/data/**/cache/\n!keep.tmp\ndata/x/keep.tmp".as_slice(), b"[a-z]?{one,two}\na/bxone"]
        .map(<[u8]>::to_vec)
        .to_vec()
}

pub(super) fn heads(data: &[u8]) {
    if let Ok(heads) = serde_json::from_slice::<Heads>(data) {
        let text = serde_json::to_vec(&heads).unwrap_or_default();
        assert!(serde_json::from_slice::<Heads>(&text).is_ok_and(|again| again == heads));
    }
}

pub(super) fn heads_seeds() -> Vec<Vec<u8>> {
    vec![b"{\"config\":1,\"journal\":42}\n".to_vec()]
}

pub(super) fn last_state(data: &[u8]) {
    backup::fuzz_state::read(data);
}

pub(super) fn last_state_seeds() -> Vec<Vec<u8>> {
    let page = backup::fuzz_state::page();
    vec![backup::fuzz_state::file(&page), page]
}
