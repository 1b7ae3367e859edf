//! From classes and presets to patterns: which content of a data directory a backup leaves out. Pure functions.
//!
//! The content of an entry is dropped and the entry itself kept, because DSS expects its folders; exceptions are taken
//! back by name. Patterns are those of `sys::pattern`, tied to the data directory.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dss::datadir::classes::{Class, Preset, Situation, same_name};
use crate::dss::datadir::ours;
use crate::dss::datadir::table::Row;

/// What the user asks to be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// What is kept to begin with.
    pub preset: Preset,
    /// Classes left out besides.
    pub classes: Vec<Class>,
    /// Patterns of the user's own, below the data directory.
    pub patterns: Vec<String>,
}

/// What is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The preset it began with.
    pub preset: Preset,
    /// Classes the user asked to leave out.
    pub asked: Vec<Class>,
    /// Classes whose content is left out, those of the preset too, each once.
    pub classes: Vec<Class>,
    /// Patterns in order; a leading `/` is the data directory. The last one that fits a path decides.
    pub patterns: Vec<String>,
    /// Which of the patterns were given by the user: those from here on.
    pub given_from: usize,
}

impl Exclusion {
    /// What a wish means for a directory. Nothing of a node whose layout is not documented is left out by class.
    pub fn new(wish: &Wish, situation: &Situation) -> Self {
        let mut classes = wish.classes.clone();
        match wish.preset {
            Preset::Full => {}
            Preset::Standard => classes.push(Class::Temp),
            Preset::ConfigOnly => classes.extend(Class::DROPPABLE),
        }
        classes.retain(|class| *class != Class::Essential);
        classes.sort();
        classes.dedup();
        let asked = wish.classes.clone();
        let mut exclusion = Self { preset: wish.preset, asked, classes, patterns: Vec::new(), given_from: 0 };
        exclusion.patterns = exclusion.class_patterns(situation);
        exclusion.given_from = exclusion.patterns.len();
        exclusion.patterns.extend(wish.patterns.iter().cloned());
        exclusion
    }

    /// Whether the content of what a row means is left out.
    pub fn drops(&self, row: &Row, situation: &Situation) -> bool {
        let class = situation.class_of(row);
        // What an unfinished upgrade needs is no configuration, and is kept all the same.
        let spared = row.is_config || class != row.class || situation.rows().all(|row| row.class == Class::Essential);
        self.classes.contains(&class) || (self.preset == Preset::ConfigOnly && !spared)
    }

    fn class_patterns(&self, situation: &Situation) -> Vec<String> {
        let mut patterns = Vec::new();
        let mut above_dropped = false;
        for row in situation.rows() {
            let dropped = self.drops(row, situation);
            let is_below = row.name.contains('/');
            match (is_below, above_dropped, dropped) {
                (false, _, true) | (true, false, true) => patterns.push(format!("/{}/*", spelled(row.name))),
                (true, true, false) => patterns.push(format!("!/{}", spelled(row.name))),
                (false, _, false) | (true, true, true) | (true, false, false) => {}
            }
            if !is_below {
                above_dropped = dropped;
            }
        }
        patterns
    }

    /// The patterns for a walk that begins elsewhere and knows the data directory by this path. Patterns are text:
    /// below a path that is not UTF-8 they fit nothing, so nothing is left out.
    pub fn patterns_below(&self, data_dir: &Path) -> Vec<String> {
        let prefix = escaped(&data_dir.to_string_lossy());
        let prefix = prefix.trim_matches('/');
        self.every_pattern().iter().map(|pattern| tied_to(prefix, pattern)).collect()
    }

    /// The patterns, and behind them those of what is never in a backup, which so have the last word.
    pub fn every_pattern(&self) -> Vec<String> {
        self.patterns.iter().cloned().chain(ours::PATTERNS.map(str::to_owned)).collect()
    }
}

/// Puts a directory in front of a pattern. One that is tied to no place means any place below the directory.
fn tied_to(prefix: &str, pattern: &str) -> String {
    let (not, body) = pattern.strip_prefix('!').map_or(("", pattern), |body| ("!", body));
    let between = if body.starts_with('/') { "" } else { "/**/" };
    let start = if prefix.is_empty() { "" } else { "/" };
    format!("{not}{start}{prefix}{between}{body}")
}

/// A name of the table as a pattern: `-` and `_` mean each other, except in names the installer makes.
pub(super) fn spelled(name: &str) -> String {
    if name.starts_with('_') {
        return name.to_owned();
    }
    name.chars().map(|sign| if matches!(sign, '-' | '_') { "[-_]".to_owned() } else { sign.to_string() }).collect()
}

/// Text of which no sign is special in a pattern.
pub fn escaped(text: &str) -> String {
    let special = |sign: char| matches!(sign, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' | ',');
    text.chars().flat_map(|sign| special(sign).then_some('\\').into_iter().chain([sign])).collect()
}

/// A user's pattern with its first name spelled as on disk, where the user wrote `-` for `_` or the other way round.
pub fn spelled_as_on_disk(pattern: &str, entries: &[String]) -> String {
    let lead = pattern.len() - pattern.trim_start_matches('!').trim_start_matches('/').len();
    let (lead, body) = pattern.split_at(lead);
    let end = body.find('/').unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    if name.contains(['*', '?', '[', '{', '\\']) || entries.iter().any(|entry| entry == name) {
        return pattern.to_owned();
    }
    match entries.iter().find(|entry| same_name(entry, name)) {
        Some(entry) => format!("{lead}{}{rest}", escaped(entry)),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::node::NodeType;
    use crate::sys::pattern::PatternSet;

    fn situation(node: NodeType) -> Situation {
        Situation { node, migration_unfinished: false }
    }

    fn design() -> Situation {
        situation(NodeType::Design)
    }

    fn exclusion(preset: Preset, classes: &[Class], situation: &Situation) -> Exclusion {
        Exclusion::new(&Wish { preset, classes: classes.to_vec(), patterns: Vec::new() }, situation)
    }

    /// Whether a walk would see a path: it and everything above it must be wanted.
    fn kept(exclusion: &Exclusion, path: &str) -> bool {
        let set = PatternSet::new(&exclusion.patterns).unwrap();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().all(|end| !set.matches(&path.as_bytes()[..end], end < path.len()))
    }

    #[test]
    fn the_default_leaves_out_the_content_of_temporary_folders_and_keeps_the_folders() {
        let standard = exclusion(Preset::default(), &[], &design());
        assert_eq!(standard.patterns, ["/tmp/*", "/caches/*", "/data[-_]catalog/*"]);
        assert!(kept(&standard, "tmp") && !kept(&standard, "tmp/x") && !kept(&standard, "data_catalog/a/b"));
        assert!(kept(&standard, "config/tmp/x") && kept(&standard, "jobs/PROJ/log"), "only at the top");
    }

    #[test]
    fn the_full_preset_leaves_out_nothing() {
        assert!(exclusion(Preset::Full, &[], &design()).patterns.is_empty());
    }

    #[test]
    fn the_audit_trail_and_the_install_log_stay_when_logs_go() {
        let logs = exclusion(Preset::Full, &[Class::Logs], &design());
        for path in ["run", "run/audit/audit.log.1", "run/api-queries/x", "run/install.log", "code-envs/desc/python/x"]
        {
            assert!(kept(&logs, path), "{path}");
        }
        for path in [
            "run/backend.log",
            "run/nginx/error.log",
            "jobs/PROJ",
            "scenarios/PROJ/x",
            "code_envs/logs/x",
            "run/install.log.1",
        ] {
            assert!(!kept(&logs, path), "{path}");
        }
        let ignorable = exclusion(Preset::Full, &[Class::Ignorable], &design());
        assert!(kept(&ignorable, "exports/jupyter-notebooks/n.html") && !kept(&ignorable, "exports/x.csv"));
        assert!(!kept(&ignorable, "_pre_migration_backup_20260102-030405/config"));
    }

    #[test]
    fn what_an_unfinished_upgrade_needs_is_kept_whatever_is_wished() {
        let broken = Situation { node: NodeType::Design, migration_unfinished: true };
        for preset in [Preset::Full, Preset::Standard, Preset::ConfigOnly] {
            let rule = exclusion(preset, &Class::DROPPABLE, &broken);
            assert!(kept(&rule, "_pre_migration_backup_20260102-030405/config/users.json"), "{preset:?}");
        }
    }

    #[test]
    fn configuration_alone_keeps_projects_and_descriptions_but_no_data() {
        let rule = exclusion(Preset::ConfigOnly, &[], &design());
        for path in [
            "config/projects/P/params.json",
            "plugins/dev/p",
            "lib/python/x.py",
            "code-envs/desc/python/e/desc.json",
            "run/audit/a",
            "of-tomorrow/unknown",
        ] {
            assert!(kept(&rule, path), "{path}");
        }
        for path in
            ["managed_datasets/P/d", "code-envs/python/e/bin/python", "uploads/P/f", "pyenv/bin/python", "jobs/P"]
        {
            assert!(!kept(&rule, path), "{path}");
        }
    }

    #[test]
    fn nothing_is_left_out_of_nodes_whose_layout_nobody_documents() {
        for node in [NodeType::FleetManager, NodeType::Other("quantum".into())] {
            assert!(exclusion(Preset::ConfigOnly, &Class::DROPPABLE, &situation(node)).patterns.is_empty());
        }
        let govern = exclusion(Preset::Standard, &[], &situation(NodeType::Govern));
        assert!(govern.patterns.is_empty() && kept(&govern, "tmp/x"));
        let automation = exclusion(Preset::Full, &Class::DROPPABLE, &situation(NodeType::Automation));
        assert!(kept(&automation, "bundles/PROJ/v1.zip"));
    }

    #[test]
    fn patterns_can_be_tied_to_where_the_directory_lies() {
        let wish = Wish { patterns: vec!["*.o".into(), "!/keep.o".into()], ..Wish::default() };
        let rule = Exclusion::new(&wish, &design());
        assert_eq!(rule.given_from, 3);
        let tied = rule.patterns_below(Path::new("/data/d[1]/"));
        assert_eq!(tied[0], r"/data/d\[1\]/tmp/*");
        let set = PatternSet::new(&tied).unwrap();
        assert!(set.matches(b"data/d[1]/tmp/x", false) && set.matches(b"data/d[1]/a/b.o", false));
        assert!(!set.matches(b"data/d1/tmp/x", false) && !set.matches(b"data/d[1]/keep.o", false));
        assert!(!set.matches(b"elsewhere/b.o", false));
    }

    #[test]
    fn names_the_user_gives_are_spelled_as_on_disk() {
        let entries = ["analysis-data".to_owned(), "managed_datasets".to_owned(), "a-b".to_owned(), "a_b".to_owned()];
        let spelled = |pattern: &str| spelled_as_on_disk(pattern, &entries);
        assert_eq!(spelled("analysis_data"), "analysis-data");
        assert_eq!(spelled("!/managed-datasets/P"), "!/managed_datasets/P");
        assert_eq!([spelled("a_b"), spelled("*_b"), spelled("x_y")], ["a_b", "*_b", "x_y"]);
        assert_eq!([spelled(""), spelled("!"), spelled("/")], ["", "!", "/"]);
    }
}
