use std::fs;

use super::*;
use crate::dss::datadir::classes::Preset;
use crate::dss::datadir::exclusion::Wish;
use crate::dss::datadir::node::NodeType;

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn with(files: &[(&str, usize)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, length) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; *length]).unwrap();
        }
        Self { dir }
    }

    fn weigh(&self, wish: &Wish) -> Inventory {
        let situation = Situation { node: NodeType::Design, migration_unfinished: false };
        let exclusion = Exclusion::new(wish, &situation);
        let patterns = PatternSet::new(&exclusion.patterns).unwrap();
        measure(self.dir.path(), &situation, &exclusion, &patterns, &Cancel::default()).unwrap()
    }
}

fn wish(preset: Preset, classes: &[Class], patterns: &[&str]) -> Wish {
    Wish { preset, classes: classes.to_vec(), patterns: patterns.iter().map(|&text| text.to_owned()).collect() }
}

fn entry<'a>(inventory: &'a Inventory, path: &str) -> &'a EntryWeight {
    inventory.entries.iter().find(|entry| entry.path == path).unwrap_or_else(|| panic!("{path}: {inventory:#?}"))
}

#[test]
fn entries_come_largest_first_with_their_class_and_classes_add_up() {
    let scene = Scene::with(&[
        ("config/a", 10),
        ("config/deep/er/b", 20),
        ("jobs/P/log", 100),
        ("tmp/x", 7),
        ("of-tomorrow/y", 5),
        ("instance-id.txt", 3),
    ]);
    let inventory = scene.weigh(&Wish::default());
    let order: Vec<(&str, u64)> =
        inventory.entries.iter().map(|entry| (entry.path.as_str(), entry.weight.bytes)).collect();
    assert_eq!(order, [("jobs", 100), ("config", 30), ("tmp", 7), ("of-tomorrow", 5), ("instance-id.txt", 3)]);
    let classes: Vec<u64> = inventory.classes.iter().map(|sum| sum.weight.bytes).collect();
    assert_eq!(classes, [38, 0, 100, 0, 7]);
    assert_eq!((inventory.total.bytes, inventory.total.files), (145, 6));
    let unknown = entry(&inventory, "of-tomorrow");
    assert!(!unknown.known && unknown.class == Class::Essential && unknown.lost.is_none());
}

#[test]
fn what_a_backup_would_leave_out_is_what_the_patterns_leave_out() {
    let scene = Scene::with(&[
        ("tmp/a/b", 7),
        ("run/backend.log", 40),
        ("run/audit/audit.log", 9),
        ("run/install.log", 2),
        ("run/nginx/x", 1),
        ("config/c", 5),
    ]);
    let inventory = scene.weigh(&wish(Preset::Standard, &[Class::Logs], &[]));
    assert_eq!(inventory.total.left_out_bytes, 48);
    assert_eq!((entry(&inventory, "run").weight.bytes, entry(&inventory, "run").weight.left_out_bytes), (41, 41));
    for kept in ["run/audit", "run/install.log", "config"] {
        assert_eq!(entry(&inventory, kept).weight.left_out_bytes, 0, "{kept}");
    }
    assert_eq!(entry(&inventory, "run/audit").class, Class::Essential);
    assert_eq!(inventory.idle, [""; 0]);
}

#[test]
fn exclusions_that_fit_nothing_are_told() {
    let scene = Scene::with(&[("config/c", 5), ("jobs/P/log", 5)]);
    let inventory = scene.weigh(&wish(Preset::Standard, &[Class::Logs, Class::Ignorable], &["/confg", "*.log", "log"]));
    assert_eq!(inventory.idle, ["class ignorable", "/confg", "*.log", "log"], "what is left out already fits no more");
    let inventory = scene.weigh(&wish(Preset::Full, &[], &["log", "!/jobs"]));
    assert_eq!(inventory.idle, ["!/jobs"; 0].as_slice(), "to take back is to fit");
    assert_eq!(inventory.total.left_out_files, 1);
}

#[test]
fn links_are_not_followed_pipes_not_opened_holes_and_second_names_not_counted() {
    let scene = Scene::with(&[("config/file", 5_000)]);
    let at = |name: &str| scene.dir.path().join(name);
    fs::hard_link(at("config/file"), at("config/again")).unwrap();
    fs::File::create(at("config/sparse")).unwrap().set_len(1 << 30).unwrap();
    std::os::unix::fs::symlink("/", at("config/root")).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, at("config/.stdin.x"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let inventory = scene.weigh(&Wish::default());
    assert_eq!((inventory.total.bytes, inventory.total.files, inventory.total.others), (5_000, 3, 3));
}

#[test]
fn names_that_are_no_text_are_weighed_too() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::with(&[]);
    let odd = scene.dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff\n"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("x"), b"123").unwrap();
    let inventory = scene.weigh(&Wish::default());
    assert_eq!((inventory.total.bytes, inventory.entries[0].known), (3, false));
}

#[test]
fn a_request_to_stop_ends_the_walk() {
    let scene = Scene::with(&[("config/file", 5)]);
    let situation = Situation { node: NodeType::Design, migration_unfinished: false };
    let exclusion = Exclusion::new(&Wish::default(), &situation);
    let cancel = Cancel::default();
    cancel.request();
    let patterns = PatternSet::new(&exclusion.patterns).unwrap();
    let ended = measure(scene.dir.path(), &situation, &exclusion, &patterns, &cancel);
    assert!(matches!(ended, Err(DatadirError::Interrupted)));
}
