//! From classes to patterns the other way round: which entries of a data directory are brought back if only some
//! classes are wanted. Pure functions; patterns begin at the data directory.

use crate::dss::datadir::classes::{Class, Preset, Situation};
use crate::dss::datadir::exclusion::{Exclusion, Wish, spelled};
use crate::dss::datadir::ours;

/// What of a data directory is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only what one of these means; empty: everything.
    pub include: Vec<String>,
    /// And of that nothing one of these means.
    pub exclude: Vec<String>,
}

/// The entries of some classes; `None` if a node of this type has none. What the table does not know is essential.
pub fn of_classes(wanted: &[Class], situation: &Situation) -> Option<Selection> {
    let is_wanted = |class: Class| wanted.contains(&class);
    let mut exclude = ours::PATTERNS.map(str::to_owned).to_vec();
    if is_wanted(Class::Essential) {
        let classes = Class::DROPPABLE.into_iter().filter(|class| !is_wanted(*class)).collect();
        let wish = Wish { preset: Preset::Full, classes, patterns: Vec::new() };
        exclude.extend(Exclusion::new(&wish, situation).patterns);
        return Some(Selection { include: Vec::new(), exclude });
    }
    let mut include = Vec::new();
    let mut above_wanted = false;
    for row in situation.rows() {
        let row_wanted = is_wanted(situation.class_of(row));
        let is_below = row.name.contains('/');
        match (is_below && above_wanted, row_wanted) {
            (false, true) => include.push(format!("/{}", spelled(row.name))),
            (true, false) => exclude.push(format!("/{}", spelled(row.name))),
            (false, false) | (true, true) => {}
        }
        if !is_below {
            above_wanted = row_wanted;
        }
    }
    (!include.is_empty()).then_some(Selection { include, exclude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::node::NodeType;
    use crate::sys::pattern::PatternSet;

    fn on(node: NodeType) -> Situation {
        Situation { node, migration_unfinished: false }
    }

    /// Whether a path comes back: it or something above it is included, and neither is excluded.
    fn comes(selection: &Selection, path: &str) -> bool {
        let (include, exclude) =
            (PatternSet::new(&selection.include).unwrap(), PatternSet::new(&selection.exclude).unwrap());
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let above: Vec<(&str, bool)> = ends.map(|end| (&path[..end], end < path.len())).collect();
        let any = |set: &PatternSet| above.iter().any(|(path, is_dir)| set.matches(path.as_bytes(), *is_dir));
        (selection.include.is_empty() || any(&include)) && !any(&exclude)
    }

    #[test]
    fn essential_alone_is_what_cannot_be_made_again_and_what_nobody_knows() {
        let selection = of_classes(&[Class::Essential], &on(NodeType::Design)).unwrap();
        for path in ["config/projects/A/params.json", "of-tomorrow/x", "run/audit/audit.log", "code-envs/desc/x"] {
            assert!(comes(&selection, path), "{path}");
        }
        for path in ["managed_datasets/A/x", "jobs/A/x", "tmp/x", "run/backend.log", ".dssvault-before-1/config/x"] {
            assert!(!comes(&selection, path), "{path}");
        }
    }

    #[test]
    fn other_classes_are_just_these() {
        let selection = of_classes(&[Class::Data, Class::Logs], &on(NodeType::Design)).unwrap();
        for path in ["managed_datasets/A/x", "analysis_data/A/x", "jobs/A/x", "run/backend.log", "code-envs/logs/x"] {
            assert!(comes(&selection, path), "{path}");
        }
        for path in ["config/users.json", "of-tomorrow/x", "run/audit/audit.log", "code-envs/desc/x", "tmp/x"] {
            assert!(!comes(&selection, path), "{path}");
        }
    }

    #[test]
    fn a_node_without_such_entries_is_told_apart_from_all_of_it() {
        assert_eq!(of_classes(&[Class::Data], &on(NodeType::Govern)), None);
        assert!(of_classes(&Class::ALL, &on(NodeType::Govern)).unwrap().include.is_empty());
    }
}
