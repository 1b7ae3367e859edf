//! Which paths are meant: globs as users of restic and rsync write them. The only door to the `globset` crate.
//!
//! Paths are bytes, so names that are not UTF-8 work; `?` and `[…]` stand for one byte of those.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns in the order given; the last one that fits a path decides.
///
/// - without a slash, a pattern fits a name at any depth; with one inside, a run of components at any depth;
/// - a leading `/` ties it to the root of the tree; a trailing `/` lets it fit directories only;
/// - `*` and `?` stop at `/`, `**` does not; `[a-z]`, `[!a]` and `{one,two}` work; `\` takes a sign literally;
/// - a leading `!` takes back what an earlier pattern said.
///
/// A walk that leaves out a directory leaves out all that is below, so nothing there can be taken back.
#[derive(Debug, Clone)]
pub struct PatternSet {
    set: GlobSet,
    rules: Vec<Rule>,
    plain: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    negated: bool,
    directories_only: bool,
    /// Leading components without wildcards, if the pattern is tied to the root.
    anchor: Option<Vec<Vec<u8>>>,
}

/// What a set says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The pattern that decides, counted from 0 in the order given.
    pub number: usize,
    /// Whether the path is meant; `false` if it was taken back.
    pub meant: bool,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{pattern}` cannot be used: {why}")]
pub struct BadPattern {
    /// As given.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl PatternSet {
    /// Reads patterns.
    pub fn new(patterns: &[String]) -> Result<Self, BadPattern> {
        let mut builder = GlobSetBuilder::new();
        let mut rules = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let bad = |why: &dyn std::fmt::Display| BadPattern { pattern: pattern.clone(), why: why.to_string() };
            let (rule, glob) = Rule::parse(pattern).map_err(|why| bad(&why))?;
            let glob = GlobBuilder::new(&glob)
                .literal_separator(true)
                .backslash_escape(true)
                .empty_alternates(true)
                .build()
                .map_err(|error| bad(&error.kind()))?;
            builder.add(glob);
            rules.push(rule);
        }
        let set = builder.build().map_err(|error| BadPattern {
            pattern: error.glob().unwrap_or_default().to_owned(),
            why: error.kind().to_string(),
        })?;
        let plain = rules.iter().all(|rule| !rule.negated && !rule.directories_only);
        Ok(Self { set, rules, plain })
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the patterns mean this path itself (what lies above it is not asked). A leading slash is ignored.
    pub fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        let candidate = Candidate::from_bytes(path.strip_prefix(b"/").unwrap_or(path));
        if !self.set.is_match_candidate(&candidate) {
            return false;
        }
        self.plain || self.decided(&candidate, is_dir).is_some_and(|verdict| verdict.meant)
    }

    /// Which pattern decides about a path, and how; `None` if none fits.
    pub fn verdict(&self, path: &[u8], is_dir: bool) -> Option<Verdict> {
        self.decided(&Candidate::from_bytes(path.strip_prefix(b"/").unwrap_or(path)), is_dir)
    }

    fn decided(&self, candidate: &Candidate<'_>, is_dir: bool) -> Option<Verdict> {
        let matching = self.set.matches_candidate(candidate);
        let rules = matching.into_iter().rev().filter_map(|number| Some((number, self.rules.get(number)?)));
        let last = rules.into_iter().find(|(_, rule)| is_dir || !rule.directories_only);
        last.map(|(number, rule)| Verdict { number, meant: !rule.negated })
    }

    /// Whether some path below this directory could be meant; `false` is certain, `true` is not.
    pub fn may_match_below(&self, directory: &[u8]) -> bool {
        let directory = directory.strip_prefix(b"/").unwrap_or(directory);
        self.rules.iter().filter(|rule| !rule.negated).any(|rule| match &rule.anchor {
            None => true,
            Some(anchor) => {
                let names = directory.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
                names.zip(anchor).all(|(name, wanted)| name == wanted.as_slice())
            }
        })
    }
}

impl Rule {
    fn parse(pattern: &str) -> Result<(Self, String), &'static str> {
        let (negated, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (directories_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let anchored = rest.starts_with('/');
        let body = rest.trim_start_matches('/');
        if body.is_empty() {
            return Err("it names nothing");
        }
        let literal = |name: &&str| !name.contains(['*', '?', '[', ']', '{', '}', '\\', ',']);
        let anchor = anchored.then(|| body.split('/').take_while(literal).map(|n| n.as_bytes().to_vec()).collect());
        let glob = if anchored { body.to_owned() } else { format!("**/{body}") };
        Ok((Self { negated, directories_only, anchor }, glob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> PatternSet {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        PatternSet::new(&patterns).unwrap()
    }

    #[test]
    fn a_pattern_without_a_slash_fits_a_name_at_any_depth() {
        let set = set(&["*.o", "cache"]);
        assert!(set.matches(b"x.o", false) && set.matches(b"a/b/x.o", false) && set.matches(b"a/cache", true));
        assert!(!set.matches(b"x.old", false) && !set.matches(b"a/cached", true) && !set.matches(b"cache/file", false));
    }

    #[test]
    fn a_slash_inside_asks_for_neighbouring_components() {
        let set = set(&["logs/*.txt"]);
        assert!(set.matches(b"logs/a.txt", false) && set.matches(b"deep/er/logs/a.txt", false));
        assert!(!set.matches(b"logs/sub/a.txt", false));
    }

    #[test]
    fn a_leading_slash_ties_to_the_root_and_a_double_star_crosses_directories() {
        let set = set(&["/home/*/tmp", "/data/**/core"]);
        assert!(set.matches(b"home/ann/tmp", true) && set.matches(b"/home/ann/tmp", true));
        assert!(set.matches(b"data/core", false) && set.matches(b"data/a/b/core", false));
        assert!(!set.matches(b"x/home/ann/tmp", true) && !set.matches(b"home/a/b/tmp", true));
    }

    #[test]
    fn a_trailing_slash_fits_directories_only() {
        let set = set(&["build/"]);
        assert!(set.matches(b"a/build", true));
        assert!(!set.matches(b"a/build", false));
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let set = set(&["*.log", "!keep.log", "/old/keep.log"]);
        assert!(set.matches(b"a.log", false) && set.matches(b"old/keep.log", false));
        assert!(!set.matches(b"keep.log", false) && !set.matches(b"new/keep.log", false));
    }

    #[test]
    fn the_pattern_that_decides_can_be_asked_for() {
        let set = set(&["*.log", "!keep.log", "dir/"]);
        assert_eq!(set.verdict(b"a.log", false), Some(Verdict { number: 0, meant: true }));
        assert_eq!(set.verdict(b"x/keep.log", false), Some(Verdict { number: 1, meant: false }));
        assert_eq!((set.verdict(b"dir", false), set.verdict(b"other", true)), (None, None));
    }

    #[test]
    fn names_that_are_not_utf8_or_hold_newlines_are_matched_as_bytes() {
        let set = set(&["*.tmp", "a*b"]);
        assert!(set.matches(b"dir\xff/\xfe\n.tmp", false) && set.matches(b"a\xff\nb", false));
    }

    #[test]
    fn directories_no_pattern_can_reach_are_told_apart() {
        let anchored = set(&["/etc/ssl/*.pem", "!/etc/other"]);
        assert!(
            anchored.may_match_below(b"") && anchored.may_match_below(b"etc") && anchored.may_match_below(b"etc/ssl")
        );
        assert!(anchored.may_match_below(b"etc/ssl/deeper"), "below the literal part everything is possible");
        assert!(!anchored.may_match_below(b"usr") && !anchored.may_match_below(b"etc/other"));
        assert!(set(&["*.pem"]).may_match_below(b"usr"));
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused_by_name() {
        for bad in ["", "!", "/", "!/", "a[", "{a"] {
            let error = PatternSet::new(&[bad.to_owned()]).unwrap_err();
            assert_eq!(error.pattern, bad, "{error}");
        }
    }

    #[test]
    fn no_pattern_means_no_path() {
        assert!(set(&[]).is_empty() && !set(&[]).matches(b"anything", false));
    }
}
