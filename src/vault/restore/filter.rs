//! Which entries of the snapshot are wanted.

use crate::sys::pattern::{BadPattern, PatternSet};
use crate::vault::VaultError;
use crate::vault::restore::RestoreOptions;

/// Include and exclude patterns together. Paths begin at what is restored.
pub(super) struct Filter {
    include: PatternSet,
    exclude: PatternSet,
}

/// What is to be done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing, nor with anything below it.
    No,
    /// Only what is wanted below it.
    Below,
    /// It, and all below it that is not excluded.
    Yes,
}

impl Filter {
    pub fn new(options: &RestoreOptions) -> Result<Self, VaultError> {
        let read = |patterns: &[String]| {
            PatternSet::new(patterns).map_err(|error: BadPattern| VaultError::Request {
                what: error.to_string(),
                hint: Some("quote the pattern, and write `\\` before signs that are meant literally".to_owned()),
            })
        };
        Ok(Self { include: read(&options.include)?, exclude: read(&options.exclude)? })
    }

    /// `inside`: a directory above it is included.
    pub fn judge(&self, path: &[u8], is_dir: bool, inside: bool) -> Wanted {
        if self.exclude.matches(path, is_dir) {
            Wanted::No
        } else if inside || self.include.is_empty() || self.include.matches(path, is_dir) {
            Wanted::Yes
        } else if is_dir && self.include.may_match_below(path) {
            Wanted::Below
        } else {
            Wanted::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_is_included_with_all_below_and_excluded_things_never_are() {
        let options = RestoreOptions {
            include: vec!["/etc/ssl".to_owned(), "*.conf".to_owned()],
            exclude: vec!["*.key".to_owned()],
            ..RestoreOptions::default()
        };
        let filter = Filter::new(&options).unwrap();
        assert_eq!(filter.judge(b"etc", true, false), Wanted::Below);
        assert_eq!(filter.judge(b"etc/ssl", true, false), Wanted::Yes);
        assert_eq!(filter.judge(b"etc/ssl/a.pem", false, true), Wanted::Yes);
        assert_eq!(filter.judge(b"etc/ssl/a.key", false, true), Wanted::No);
        assert_eq!(filter.judge(b"etc/a.conf", false, false), Wanted::Yes);
        assert_eq!(filter.judge(b"etc/passwd", false, false), Wanted::No);
    }
}
