//! Names of members, as archives have them, and as paths below the root of a snapshot.

use crate::base::signs::steers;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::TREE_DEPTH_MAX;

/// Directories a path leaves for where it will stand in a snapshot.
const DEPTH_MAX: usize = TREE_DEPTH_MAX - 64;
/// Bytes of a name an error shows.
const SHOWN_BYTES_MAX: usize = 400;

/// A name no file of a snapshot can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It leads out of the archive.
    #[error("its name has `..` in it, which leads out of the archive")]
    LeadsOut,
    /// A part of it is too long, or holds a NUL.
    #[error("its name is none a file can have")]
    Impossible,
    /// It lies too deep.
    #[error("it lies too deep")]
    TooDeep,
}

/// The path a name means: without leading slashes, as tar itself unpacks it, without `.` and empty parts. The root of
/// the archive is empty.
pub fn path_of(name: &[u8]) -> Result<Vec<u8>, BadName> {
    let mut path = Vec::with_capacity(name.len());
    let mut depth = 0;
    for part in name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
        if part == b".." {
            return Err(BadName::LeadsOut);
        }
        if !Entry::name_is_safe(part) {
            return Err(BadName::Impossible);
        }
        depth += 1;
        if depth > DEPTH_MAX {
            return Err(BadName::TooDeep);
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    Ok(path)
}

/// What of `path` lies below `folder`; the folder itself is empty. Everything lies below the empty folder.
pub fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    if folder.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(folder)? {
        b"" => Some(b""),
        rest => rest.strip_prefix(b"/"),
    }
}

/// A name for an error: what a terminal would obey is written out, and a name of a megabyte is cut.
pub fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(&name[..name.len().min(SHOWN_BYTES_MAX)]);
    let signs = text.chars().flat_map(|sign| {
        let plain = (!steers(sign)).then_some(sign);
        plain.into_iter().chain(sign.escape_default().filter(move |_| plain.is_none()))
    });
    let cut = if name.len() > SHOWN_BYTES_MAX { "…" } else { "" };
    signs.chain(cut.chars()).collect()
}

/// Folder and last part.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_below_the_archive() {
        for (name, path) in [
            ("dss_data/config/", "dss_data/config"),
            ("./config//a", "config/a"),
            ("/data/dss", "data/dss"),
            ("./", ""),
            ("", ""),
            ("a/./b/.", "a/b"),
            ("...", "..."),
        ] {
            assert_eq!(path_of(name.as_bytes()).unwrap(), path.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_leads_out_or_fits_nowhere_is_refused() {
        assert_eq!(path_of(b"../etc/passwd"), Err(BadName::LeadsOut));
        assert_eq!(path_of(b"a/b/../../../c"), Err(BadName::LeadsOut));
        assert_eq!(path_of(b"a\0b"), Err(BadName::Impossible));
        assert_eq!(path_of(&[b'x'; 256]), Err(BadName::Impossible));
        assert_eq!(path_of(&b"a/".repeat(20_000)), Err(BadName::TooDeep));
    }

    #[test]
    fn a_terminal_obeys_no_name() {
        assert_eq!(shown("größe\x1b[31m\n".as_bytes()), "größe\\u{1b}[31m\\n");
        assert_eq!(shown(&[b'x'; 100_000]).chars().count(), 401);
    }

    #[test]
    fn below_a_folder_means_whole_names() {
        assert_eq!(below(b"dss/config", b"dss"), Some(b"config".as_slice()));
        assert_eq!(below(b"dss", b"dss"), Some(b"".as_slice()));
        assert_eq!(below(b"dss2/config", b"dss"), None);
        assert_eq!(below(b"config", b""), Some(b"config".as_slice()));
        assert_eq!(split(b"a/b/c"), (b"a/b".as_slice(), b"c".as_slice()));
        assert_eq!(split(b"c"), (b"".as_slice(), b"c".as_slice()));
    }
}
