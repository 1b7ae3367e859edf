//! Archives deduplicate as the trees they were made of.

use std::fs;
use std::path::Path;

use crate::cli_fixture::Desk;
use crate::datadir::{Machine, Shape};
use crate::import_tar::{import, ok};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// Text that compresses about as configuration and tables do.
fn text(dice: &mut Dice, bytes: usize) -> String {
    const WORDS: [&str; 12] = [
        "\"name\": ",
        "\"recipe\"",
        "{",
        "}",
        "true, ",
        "\"schema\": [",
        "]",
        "column",
        "12",
        "\n",
        "project",
        "\"type\"",
    ];
    let mut text = String::with_capacity(bytes + 20);
    while text.len() < bytes {
        text.push_str(WORDS[dice.next(WORDS.len())]);
        text.push_str(&format!("{:x}", dice.next(1 << 24)));
    }
    text
}

const PROJECTS: usize = 12;
const RECIPES: usize = 90;

fn fill(machine: &Machine, dice: &mut Dice) {
    for project in 0..PROJECTS {
        for recipe in 0..RECIPES {
            let bytes = 200 + dice.next(3000);
            machine.data(&format!("config/projects/P{project}/recipes/compute_{recipe}.json"), &text(dice, bytes));
        }
        for dataset in 0..4 {
            let bytes = 20_000 + dice.next(400_000);
            machine.data(&format!("managed_datasets/P{project}/d{dataset}/out-s0.csv"), &text(dice, bytes));
        }
    }
    machine.data("databases/jobs.mv.db", &text(dice, 3_000_000));
}

/// A day of work: 2 % of the small files, some tables, some lines in a log, new and removed files.
fn a_day(machine: &Machine, dice: &mut Dice, day: usize) {
    for _ in 0..PROJECTS * RECIPES / 50 {
        let path = format!("config/projects/P{}/recipes/compute_{}.json", dice.next(PROJECTS), dice.next(RECIPES));
        let bytes = 200 + dice.next(3000);
        machine.data(&path, &text(dice, bytes));
    }
    let (project, new) = (dice.next(PROJECTS), text(dice, 150_000));
    machine.data(&format!("managed_datasets/P{project}/d0/out-s0.csv"), &new);
    machine.data(&format!("jobs/P{project}/job-{day}/activity.log"), &text(dice, 5_000));
    let removed = machine.path(&format!("config/projects/P{project}/recipes/compute_{day}.json"));
    let _ = fs::remove_file(removed);
}

fn size(folder: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        sum += if entry.file_type().unwrap().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() };
    }
    sum
}

#[test]
fn ten_archives_take_no_more_room_than_backups_of_their_trees() {
    let (direct, imported) = (Desk::with_repository(), Desk::with_repository());
    let machine = Machine::with(&direct.path("machine"), Shape::Design);
    let data_dir = machine.path("");
    let mut dice = Dice(42);
    fill(&machine, &mut dice);
    let mut archives = Vec::new();
    for day in 1..=10 {
        a_day(&machine, &mut dice, day);
        let name = format!("backup-dss-data-2025-11-{day:02}.tar.gz");
        ok(data_dir.parent().unwrap(), "tar", &["-zcf", &imported.text(&name), "dss"]);
        direct.run(&["backup", "-q", "--consistency", "live", data_dir.to_str().unwrap()]).expect_code(0);
        archives.push(name);
    }

    let done = import(&imported, &archives.iter().map(String::as_str).collect::<Vec<_>>()).expect_code(0);

    assert_eq!(done.json_lines().len(), 10);
    let (direct_bytes, imported_bytes) = (size(&direct.path("vault")), size(&imported.path("vault")));
    let ratio = imported_bytes as f64 / direct_bytes as f64;
    eprintln!("imported {imported_bytes}, direct {direct_bytes}: {ratio:.3}");
    assert!(ratio <= 1.05, "imported {imported_bytes}, direct {direct_bytes}: {ratio:.3}");

    // The last day is what the archive holds, and importing it again stores nothing but a manifest.
    imported.run(&["check", "--read-data", "-q"]).expect_code(0);
    let again = import(&imported, &archives[9..].iter().map(String::as_str).collect::<Vec<_>>()).expect_code(0).json();
    assert_eq!(again["summary"]["data_blobs"], 0, "{again}");
}

#[test]
fn small_files_share_chunks_as_those_of_a_walk() {
    let desk = Desk::with_repository();
    let machine = Machine::with(&desk.path("machine"), Shape::Design);
    fill(&machine, &mut Dice(7));
    let data_dir = machine.path("");
    ok(data_dir.parent().unwrap(), "tar", &["-cf", &desk.text("2025-01-01.tar"), "dss"]);
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    let direct = ["backup", "--json", "-q", "--consistency", "live", data_dir.to_str().unwrap()];
    let done = desk.run(&direct).expect_code(0).json();
    let added = done["data_added"].as_u64().unwrap();
    // The trees are new: an archive tells no fractions of seconds. No file is.
    let total = done["total_bytes_processed"].as_u64().unwrap();
    assert!(added * 20 < total, "{added} of {total} bytes were stored again");
}
