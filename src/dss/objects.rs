//! Which project and which of its objects a file of a data directory belongs to: what a list of changed files means to
//! those who work in DSS. Knows folders, never content.

use std::collections::BTreeMap;

/// Folders of `config/projects/KEY/` and what an object in each is called, as exported projects have them. The list need
/// not be whole: other folders go by their own names.
const KINDS: [(&str, &str); 15] = [
    ("recipes", "recipe"),
    ("datasets", "dataset"),
    ("saved_models", "model"),
    ("analysis", "analysis"),
    ("dashboards", "dashboard"),
    ("insights", "insight"),
    ("notebooks", "notebook"),
    ("sql_notebooks", "SQL notebook"),
    ("scenarios", "scenario"),
    ("web_apps", "web app"),
    ("managed_folders", "managed folder"),
    ("model_evaluation_stores", "model evaluation store"),
    ("streaming_endpoints", "streaming endpoint"),
    ("lambda_services", "API service"),
    ("wiki", "wiki article"),
];

/// Folders beside the configuration that have one of each project, and what lies in it.
const CONTENT: [(&str, &str); 6] = [
    ("config/ipython_notebooks", "notebook"),
    ("managed_datasets", "content of a dataset"),
    ("managed_folders", "content of a managed folder"),
    ("saved_models", "content of a model"),
    ("analysis-data", "content of an analysis"),
    ("uploads", "uploaded file"),
];

const PROJECTS: &str = "config/projects";

/// An object of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectOf<'a> {
    /// Key of the project; raw bytes.
    pub project: &'a [u8],
    /// What it is, in the singular.
    pub kind: Kind<'a>,
    /// Its name, without the ending of the file.
    pub name: &'a [u8],
    /// Whether this file or folder is the object itself, and not only a part of it.
    pub is_main: bool,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind<'a> {
    /// A word for it.
    Known(&'static str),
    /// The folder it lies in; raw bytes.
    Folder(&'a [u8]),
}

impl<'a> ObjectOf<'a> {
    /// The object a path below the data directory belongs to. Version control and what belongs to no project is none.
    pub fn of(path: &'a [u8]) -> Option<Self> {
        if let Some(rest) = below(path, PROJECTS) {
            return in_project(rest);
        }
        let (rest, kind) = CONTENT.iter().find_map(|(folder, kind)| Some((below(path, folder)?, *kind)))?;
        let (project, rest) = split(rest)?;
        object(project, Kind::Known(kind), rest)
    }
}

fn in_project(rest: &[u8]) -> Option<ObjectOf<'_>> {
    let Some((project, rest)) = split(rest) else {
        let kind = Kind::Known("project");
        return Some(ObjectOf { project: rest, kind, name: rest, is_main: true });
    };
    let Some((folder, rest)) = split(rest) else {
        // `params.json` and the like; a folder of its own says nothing yet.
        let is_file = rest.contains(&b'.') && !rest.starts_with(b".");
        return is_file.then_some(ObjectOf { project, kind: Kind::Known("setting"), name: stem(rest), is_main: true });
    };
    if folder.starts_with(b".") {
        return None;
    }
    let known = KINDS.iter().find(|(name, _)| name.as_bytes() == folder);
    object(project, known.map_or(Kind::Folder(folder), |(_, kind)| Kind::Known(kind)), rest)
}

/// The object that begins a path: `NAME.json`, `NAME.py` and `NAME/…` are one.
fn object<'a>(project: &'a [u8], kind: Kind<'a>, rest: &'a [u8]) -> Option<ObjectOf<'a>> {
    match split(rest) {
        Some((name, _)) => Some(ObjectOf { project, kind, name, is_main: false }),
        None if rest.is_empty() => None,
        None => {
            // Code and pictures lie beside the file that makes the object.
            let is_main = match rest.rsplit(|byte| *byte == b'.').next() {
                Some(ending) if ending.len() < rest.len() => [&b"json"[..], b"ipynb", b"md"].contains(&ending),
                _ => true,
            };
            Some(ObjectOf { project, kind, name: stem(rest), is_main })
        }
    }
}

fn below<'a>(path: &'a [u8], folder: &str) -> Option<&'a [u8]> {
    path.strip_prefix(folder.as_bytes())?.strip_prefix(b"/").filter(|rest| !rest.is_empty())
}

fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().position(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

fn stem(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[..dot],
        _ => name,
    }
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is not what it was.
    Changed,
}

/// Objects of one kind, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Fates {
    /// New objects.
    pub added: u64,
    /// Objects that are gone.
    pub removed: u64,
    /// Objects of which something is new, gone or changed.
    pub changed: u64,
}

/// One line of the summary.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ObjectCount {
    /// Key of the project; lossy UTF-8.
    pub project: String,
    /// What they are.
    pub kind: String,
    /// How many, and what became of them.
    #[serde(flatten)]
    pub fates: Fates,
}

/// Counts objects while the changes of their files go by. Paths must come in order: then the files of a kind in a
/// project are together, and no more than those are held.
#[derive(Default)]
pub struct ObjectTally {
    counts: BTreeMap<(String, String), Fates>,
    at: Option<(String, String)>,
    objects: BTreeMap<Vec<u8>, Fate>,
}

impl ObjectTally {
    /// Takes a changed file or folder in, by its path below the data directory.
    pub fn count(&mut self, path: &[u8], fate: Fate) {
        let Some(object) = ObjectOf::of(path) else { return };
        let kind = match object.kind {
            Kind::Known(word) => word.to_owned(),
            Kind::Folder(name) => String::from_utf8_lossy(name).into_owned(),
        };
        let at = (String::from_utf8_lossy(object.project).into_owned(), kind);
        if self.at.as_ref() != Some(&at) {
            self.close();
            self.at = Some(at);
        }
        let fate = if object.is_main { fate } else { Fate::Changed };
        let known = self.objects.entry(object.name.to_vec()).or_insert(fate);
        // That the object itself came or went says more than that a part of it changed.
        if object.is_main && fate != Fate::Changed {
            *known = fate;
        }
    }

    /// The counts, by project and kind.
    pub fn finish(mut self) -> Vec<ObjectCount> {
        self.close();
        let line = |((project, kind), fates)| ObjectCount { project, kind, fates };
        self.counts.into_iter().map(line).collect()
    }

    fn close(&mut self) {
        let objects = std::mem::take(&mut self.objects);
        let Some(at) = self.at.take() else { return };
        let fates = self.counts.entry(at).or_default();
        for fate in objects.into_values() {
            match fate {
                Fate::Added => fates.added += 1,
                Fate::Removed => fates.removed += 1,
                Fate::Changed => fates.changed += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str) -> Option<String> {
        let object = ObjectOf::of(path.as_bytes())?;
        let kind = match object.kind {
            Kind::Known(word) => word.to_owned(),
            Kind::Folder(name) => String::from_utf8_lossy(name).into_owned(),
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let main = if object.is_main { "!" } else { "" };
        Some(format!("{} {kind} {}{main}", text(object.project), text(object.name)))
    }

    #[test]
    fn files_belong_to_objects_of_projects() {
        for (path, expected) in [
            ("config/projects/CHURN", "CHURN project CHURN!"),
            ("config/projects/CHURN/params.json", "CHURN setting params!"),
            ("config/projects/CHURN/recipes/compute_x.json", "CHURN recipe compute_x!"),
            ("config/projects/CHURN/recipes/compute_x.py", "CHURN recipe compute_x"),
            ("config/projects/CHURN/web_apps/abc/app.js", "CHURN web app abc"),
            ("config/projects/CHURN/brand_new/abc.json", "CHURN brand_new abc!"),
            ("config/ipython_notebooks/CHURN/look at v1.2.ipynb", "CHURN notebook look at v1.2!"),
            ("saved_models/CHURN/m1/versions/2/model.pkl", "CHURN content of a model m1"),
        ] {
            assert_eq!(said(path).as_deref(), Some(expected), "{path}");
        }
        for path in [
            "config/users.json",
            "config/projects",
            "config/projects/CHURN/.git/HEAD",
            "config/projects/CHURN/recipes",
            "run/x",
        ] {
            assert_eq!(said(path), None, "{path}");
        }
    }

    #[test]
    fn an_object_of_several_files_counts_once_and_its_own_file_decides() {
        let mut tally = ObjectTally::default();
        let recipes = |name: &str| format!("config/projects/A/recipes/{name}").into_bytes();
        tally.count(&recipes("new.json"), Fate::Added);
        tally.count(&recipes("new.py"), Fate::Added);
        tally.count(&recipes("old-code.py"), Fate::Added);
        tally.count(&recipes("gone.json"), Fate::Removed);
        tally.count(&recipes("gone.py"), Fate::Removed);
        tally.count(b"config/projects/B/datasets/d.json", Fate::Changed);
        let counts = tally.finish();
        let line = |project: &str, kind: &str, added, removed, changed| ObjectCount {
            project: project.to_owned(),
            kind: kind.to_owned(),
            fates: Fates { added, removed, changed },
        };
        assert_eq!(counts, [line("A", "recipe", 1, 1, 1), line("B", "dataset", 0, 0, 1)]);
    }
}
