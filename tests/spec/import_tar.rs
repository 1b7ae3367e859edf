//! Archives of the documented cron script become snapshots of their node, with their own dates.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::awkward_tree;
use crate::cli_fixture::{Desk, Done, names};
use crate::datadir::{DATA_DIR, Machine, Shape};
use crate::tree_diff::differences;

/// Runs a program in a folder; it must succeed.
pub fn ok(folder: &Path, program: &str, arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(program).current_dir(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// Imports archives, with days beginning as in UTC.
pub fn import(desk: &Desk, archives: &[&str]) -> Done {
    desk.run(&[&["import-tar", "--json", "--quiet", "--timezone", "UTC"], archives].concat())
}

/// Restores the newest snapshot's `part` to `target`.
fn restore(desk: &Desk, part: &str, target: &str) {
    let snapshot = format!("latest:{part}");
    desk.run(&["restore", "-q", &snapshot, "--target", &desk.text(target)]).expect_code(0);
}

fn snapshots(desk: &Desk) -> Vec<Value> {
    desk.run(&["snapshots", "--json"]).expect_code(0).json().as_array().unwrap().clone()
}

/// A data directory in `machine/data/dss`, and an archive of it as the documented script makes it.
fn archive_of_a_node(desk: &Desk, name: &str) -> PathBuf {
    let machine = Machine::with(&desk.path("machine"), Shape::Design);
    machine.data("config/projects/CHURN/params.json", "{\"name\": \"churn\"}\n");
    machine.data("managed_datasets/CHURN/rows.csv", &"1,2,3\n".repeat(50_000));
    let archive = desk.path(name);
    let data = machine.path("");
    ok(data.parent().unwrap(), "tar", &["-zcf", archive.to_str().unwrap(), "dss"]);
    archive
}

#[test]
fn an_archive_becomes_a_snapshot_of_its_node_with_its_own_date() {
    let desk = Desk::with_repository();
    archive_of_a_node(&desk, "backup-dss-data-2025-11-03.tar.gz");

    let done =
        import(&desk, &["backup-dss-data-2025-11-03.tar.gz", "--tag", "b,a", "--tag", "b"]).expect_code(0).json();

    assert_eq!((done["message_type"].as_str(), done["packing"].as_str()), (Some("imported"), Some("gzip")));
    assert_eq!((done["time"].as_str(), done["time_from"].as_str()), (Some("2025-11-03T00:00:00Z"), Some("name")));
    let node = &done["node"];
    assert_eq!((node["node_type"].as_str(), node["version"].as_str()), (Some("design"), Some("14.2.2")));
    assert_eq!(node["install_id"], "AbCdEfGhIjKlMnOpQrStUvWx");
    assert_eq!((node["port"].as_u64(), node["data_dir"].as_str()), (Some(11000), Some(DATA_DIR)));
    let listed = &snapshots(&desk)[0];
    assert_eq!(
        (listed["time"].as_str(), listed["consistency"].as_str()),
        (Some("2025-11-03T00:00:00Z"), Some("unknown"))
    );
    assert_eq!(listed["imported"]["archive"], "backup-dss-data-2025-11-03.tar.gz");
    assert_eq!(listed["tags"], serde_json::json!(["a", "b"]), "each once, in order");
    restore(&desk, "datadir", "back");
    ok(&desk.path("machine"), "sh", &["-c", "find . -exec touch -h -d 2020-01-01 {} +"]);
    ok(&desk.path("back"), "sh", &["-c", "find . -exec touch -h -d 2020-01-01 {} +"]);
    let original = desk.path("machine").join(&DATA_DIR[1..]);
    assert!(fs::read_dir(desk.path("back")).unwrap().count() > 5);
    let misses = differences(&original, &desk.path("back"));
    let links: Vec<&String> = misses.iter().filter(|miss| !miss.starts_with("mtime")).collect();
    assert!(links.is_empty(), "{misses:?}");
    desk.run(&["check", "--read-data", "-q"]).expect_code(0);
}

#[test]
fn a_data_directory_packed_as_a_dot_or_with_its_whole_path_is_recognised_too() {
    for (folder, what) in [("machine/data/dss", "."), ("machine", "data/dss")] {
        let desk = Desk::with_repository();
        archive_of_a_node(&desk, "first.tar.gz");
        ok(&desk.path(folder), "tar", &["-cf", &desk.text("2025-01-01.tar"), what]);
        import(&desk, &["2025-01-01.tar"]).expect_code(0);
        let listed = desk.run(&["ls", "latest"]).expect_code(0).out;
        assert!(listed.contains("/datadir/install.ini") && !listed.contains("host"), "{listed}");
    }
}

#[test]
fn what_lies_beside_the_data_directory_is_kept_as_files_of_the_machine() {
    let desk = Desk::with_repository();
    archive_of_a_node(&desk, "first.tar.gz");
    desk.write("machine/etc/dataiku/boot.conf", b"x");
    ok(&desk.path("machine"), "tar", &["-cf", &desk.text("2025-01-01.tar"), "etc", "data"]);
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    let listed = desk.run(&["ls", "latest"]).expect_code(0).out;
    assert!(listed.contains("/host/etc/dataiku/boot.conf") && listed.contains("/datadir/install.ini"), "{listed}");
}

#[test]
fn archives_of_other_things_are_plain_files_under_their_own_names() {
    let desk = Desk::with_repository();
    desk.write("src/a/file", b"content");
    ok(&desk.path("."), "tar", &["-cf", "2025-01-01.tar", "src"]);
    let done = import(&desk, &["2025-01-01.tar", "--node", "files", "--tag", "old"]).expect_code(0).json();
    assert!(done["node"].is_null());
    let listed = &snapshots(&desk)[0];
    assert_eq!((listed["node"]["label"].as_str(), listed["tags"][0].as_str()), (Some("files"), Some("old")));
    assert_eq!(desk.run(&["dump", "latest:src/a/file"]).expect_code(0).out, "content");
}

#[test]
fn every_format_brings_back_what_tar_itself_brings_back() {
    let desk = Desk::with_repository();
    let source = desk.path("src");
    let _tree = awkward_tree::make(&source);
    // Deeper than tar itself can unpack.
    ok(&source, "sh", &["-c", "rm -rf deep*"]);
    let full = ["--xattrs", "--xattrs-include=*", "--acls", "--sparse"];
    for (number, (format, options)) in
        [("gnu", &["--sparse"][..]), ("pax", &full), ("posix", &[]), ("ustar", &[])].into_iter().enumerate()
    {
        let archive = format!("2025-01-0{}-{format}.tar", number + 1);
        let mut tar = Command::new("tar");
        tar.current_dir(&source).arg(format!("--format={format}")).args(options);
        if !options.contains(&"--sparse") {
            // It would become a terabyte of zeros.
            tar.arg("--exclude=./only a hole");
        }
        tar.args(["-cf", &desk.text(&archive), "."]);
        // What ustar cannot hold it leaves out, and says so.
        let packed = tar.output().unwrap();
        assert!(packed.status.success() || format == "ustar", "{}", String::from_utf8_lossy(&packed.stderr));
        let (by_tar, by_us) = (format!("tar-{format}"), format!("us-{format}"));
        fs::create_dir(desk.path(&by_tar)).unwrap();
        let mut unpack = vec!["-xpf".to_owned(), desk.text(&archive)];
        unpack.extend(options.iter().filter(|option| **option != "--sparse").map(|option| (*option).to_owned()));
        ok(&desk.path(&by_tar), "tar", &unpack.iter().map(String::as_str).collect::<Vec<_>>());

        import(&desk, &[&archive]).expect_code(0);

        desk.run(&["restore", "-q", "latest", "--target", &desk.text(&by_us)]).expect_code(0);
        let misses = differences(&desk.path(&by_tar), &desk.path(&by_us));
        assert!(misses.is_empty(), "{format}: {misses:#?}");
    }
    desk.run(&["check", "--read-data", "-q"]).expect_code(0);
}

#[test]
fn order_does_not_matter_and_equal_trees_are_stored_once() {
    let desk = Desk::with_repository();
    for number in 0..300 {
        desk.write(&format!("src/dir-{}/sub/file-{number}", number % 7), format!("content {number}").as_bytes());
    }
    let reversed =
        "find src | sort -r > list; tar -cf 2025-01-02.tar --no-recursion -T list; tar -cf 2025-01-01.tar src";
    ok(&desk.path("."), "sh", &["-c", reversed]);
    import(&desk, &["2025-01-01.tar", "--node", "x"]).expect_code(0);
    let again = import(&desk, &["2025-01-02.tar", "--node", "x"]).expect_code(0).json();
    assert_eq!(again["summary"]["data_added"], 0, "{again}");
    let trees: Vec<Value> = snapshots(&desk).iter().map(|one| one["tree"].clone()).collect();
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn the_later_of_two_members_wins_and_links_follow_what_they_named() {
    let desk = Desk::with_repository();
    desk.write("src/file", b"first");
    desk.write("src/large", &[1; 100_000]);
    fs::hard_link(desk.path("src/file"), desk.path("src/z-link")).unwrap();
    fs::hard_link(desk.path("src/large"), desk.path("src/a-large")).unwrap();
    ok(&desk.path("."), "tar", &["-cf", "2025-01-01.tar", "src"]);
    fs::remove_file(desk.path("src/file")).unwrap();
    desk.write("src/file", b"second");
    ok(&desk.path("."), "tar", &["-rf", "2025-01-01.tar", "src/file"]);
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    fs::create_dir(desk.path("tar")).unwrap();
    ok(&desk.path("tar"), "tar", &["-xpf", "../2025-01-01.tar"]);
    desk.run(&["restore", "-q", "latest", "--target", &desk.text("us")]).expect_code(0);
    assert_eq!(differences(&desk.path("tar"), &desk.path("us")), Vec::<String>::new());
    assert_eq!(fs::read(desk.path("us/src/file")).unwrap(), b"second");
    assert_eq!(fs::read(desk.path("us/src/z-link")).unwrap(), b"first");
}

#[test]
fn a_file_that_shared_a_chunk_before_it_got_another_name_comes_back() {
    let desk = Desk::with_repository();
    for name in ["a", "b", "c"] {
        desk.write(&format!("src/{name}"), name.repeat(100).as_bytes());
    }
    ok(&desk.path("."), "tar", &["-cf", "2025-01-01.tar", "src"]);
    fs::hard_link(desk.path("src/b"), desk.path("src/z")).unwrap();
    ok(&desk.path("."), "tar", &["-cf", "2025-01-02.tar", "src"]);
    import(&desk, &["2025-01-01.tar", "2025-01-02.tar"]).expect_code(0);
    fs::create_dir(desk.path("tar")).unwrap();
    ok(&desk.path("tar"), "tar", &["-xpf", "../2025-01-02.tar"]);
    desk.run(&["restore", "-q", "latest", "--target", &desk.text("us")]).expect_code(0);
    assert_eq!(differences(&desk.path("tar"), &desk.path("us")), Vec::<String>::new());
    desk.run(&["check", "--read-data", "-q"]).expect_code(0);
}

#[test]
fn packing_is_told_by_content_and_archives_go_in_oldest_first() {
    let desk = Desk::with_repository();
    desk.write("src/file", b"content");
    ok(&desk.path("."), "sh", &["-c", "tar -cf - src | zstd -q > b-2025-03-01.tar.gz"]);
    ok(&desk.path("."), "sh", &["-c", "tar -cf - src | gzip > c-2025-01-01.tar"]);
    ok(&desk.path("."), "sh", &["-c", "tar -cf a-2025-02-01.tar.zst src"]);
    let done = import(&desk, &["a-2025-02-01.tar.zst", "b-2025-03-01.tar.gz", "c-2025-01-01.tar"]).expect_code(0);
    let told: Vec<(String, String)> = done
        .json_lines()
        .iter()
        .map(|one| (one["packing"].as_str().unwrap().to_owned(), one["time"].as_str().unwrap()[..10].to_owned()))
        .collect();
    let expected = [("gzip", "2025-01-01"), ("plain", "2025-02-01"), ("zstd", "2025-03-01")];
    assert_eq!(told, expected.map(|(packing, day)| (packing.to_owned(), day.to_owned())));
    ok(&desk.path("."), "sh", &["-c", "gzip -dc c-2025-01-01.tar | bzip2 > d.tar || printf 'BZh9' > d.tar"]);
    let refused = import(&desk, &["d.tar"]).expect_code(2);
    assert!(refused.err.contains("bzip2") && refused.err.contains("unpack it"), "{}", refused.err);
}

#[test]
fn times_come_from_the_name_the_file_or_the_user() {
    let desk = Desk::with_repository();
    desk.write("src/file", b"content");
    ok(&desk.path("."), "sh", &["-c", "tar -cf old.tar src; touch -d 2024-05-06T07:08:09Z old.tar"]);
    let time = |arguments: &[&str]| {
        let done = import(&desk, arguments).expect_code(0).json();
        (done["time"].as_str().unwrap().to_owned(), done["time_from"].as_str().unwrap().to_owned())
    };
    let expected = |time: &str, from: &str| (time.to_owned(), from.to_owned());
    assert_eq!(time(&["old.tar"]), expected("2024-05-06T07:08:09Z", "mtime"));
    assert_eq!(time(&["old.tar", "--time", "2023-01-01T00:00:00Z"]), expected("2023-01-01T00:00:00Z", "option"));
    import(&desk, &["old.tar", "--time", "from-name"]).expect_code(2);
    import(&desk, &["old.tar", "old.tar", "--time", "2023-01-01T00:00:00Z"]).expect_code(2);
    desk.run(&["import-tar", "old.tar", "--timezone", "Middle/Earth"]).expect_code(2);
}

#[test]
fn a_dry_run_tells_what_an_archive_is_and_stores_nothing() {
    let desk = Desk::with_repository();
    archive_of_a_node(&desk, "backup-dss-data-2025-11-03.tar.gz");
    let before = names(&desk.path("vault/packs"));
    let done = import(&desk, &["-n", "backup-dss-data-2025-11-03.tar.gz"]).expect_code(0).json();
    assert_eq!(done["node"]["version"], "14.2.2");
    assert!(done["summary"]["dry_run"].as_bool().unwrap());
    assert_eq!((done["packing"].as_str(), done["summary"]["consistency"].as_str()), (Some("gzip"), Some("unknown")));
    assert_eq!(done["archive_bytes"], fs::metadata(desk.path("backup-dss-data-2025-11-03.tar.gz")).unwrap().len());
    assert!(done["summary"]["total_bytes_processed"].as_u64().unwrap() > 300_000);
    assert_eq!(names(&desk.path("vault/packs")), before);
    assert!(snapshots(&desk).is_empty());
}

#[test]
fn an_imported_archive_continues_the_row_of_its_node() {
    let desk = Desk::with_repository();
    archive_of_a_node(&desk, "backup-dss-data-2025-11-03.tar.gz");
    let data_dir = desk.text("machine/data/dss");
    let direct = desk.run(&["backup", "-q", "--json", "--consistency", "live", &data_dir]).expect_code(0);
    drop(direct);
    let done = import(&desk, &["backup-dss-data-2025-11-03.tar.gz"]).expect_code(0).json();
    assert_eq!(done["summary"]["data_added"].as_u64().map(|bytes| bytes < 20_000), Some(true), "{done}");
    let listed = snapshots(&desk);
    assert_eq!(listed[0]["node"], listed[1]["node"]);
    assert_eq!(listed[0]["consistency"], "unknown", "the archive is the older one");
    // Another machine, which has never met the node, finds it in the repository.
    fs::remove_dir_all(desk.path("state")).unwrap();
    import(&desk, &["backup-dss-data-2025-11-03.tar.gz"]).expect_code(0);
    let listed = snapshots(&desk);
    assert_eq!((listed.len(), &listed[0]["node"]), (3, &listed[2]["node"]));
}

#[test]
fn links_that_lead_out_are_only_links() {
    let desk = Desk::with_repository();
    fs::create_dir_all(desk.path("src")).unwrap();
    symlink("/etc", desk.path("src/etc")).unwrap();
    ok(&desk.path("."), "tar", &["-cf", "2025-01-01.tar", "src"]);
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    desk.run(&["restore", "-q", "latest", "--target", &desk.text("us")]).expect_code(0);
    assert_eq!(fs::read_link(desk.path("us/src/etc")).unwrap(), Path::new("/etc"));
}
