//! A snapshot written back as the archive of the documented script.

use std::fs;
use std::path::Path;

use crate::awkward_tree;
use crate::cli_fixture::{Desk, Done, names};
use crate::datadir::{Machine, Shape};
use crate::import_tar::{import, ok};
use crate::tree_diff::differences;

fn node(desk: &Desk) -> Machine {
    let machine = Machine::with(&desk.path("machine"), Shape::Design);
    machine.data("managed_datasets/CHURN/rows.csv", &"1,2,3\n".repeat(50_000));
    let data_dir = machine.path("");
    desk.run(&["backup", "-q", "--consistency", "live", data_dir.to_str().unwrap()]).expect_code(0);
    machine
}

#[test]
fn a_node_comes_back_with_tar_alone_under_its_own_name() {
    let desk = Desk::with_repository();
    let machine = node(&desk);
    for (option, archive) in [("--gzip", "dss.tar.gz"), ("--zstd", "dss.tar.zst"), ("--tar", "dss.tar")] {
        let more: &[&str] = if option == "--tar" { &[] } else { &[option] };
        let done =
            desk.run(&[&["export", "latest", "--tar", "--json", "-q", "-o", archive], more].concat()).expect_code(0);
        assert!(done.json()["members"].as_u64().unwrap() > 20, "{}", done.out);
        fs::create_dir_all(desk.path(option)).unwrap();
        ok(&desk.path(option), "tar", &["-xpf", &desk.text(archive)]);
        assert_eq!(names(&desk.path(option)), ["dss"]);
        assert_eq!(differences(&machine.path(""), &desk.path(option).join("dss")), Vec::<String>::new());
    }
    let private = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(desk.path("dss.tar")).unwrap().permissions());
    assert_eq!(private & 0o077, 0, "others must not read what is in it");
}

#[test]
fn an_archive_imported_and_exported_again_holds_what_it_held() {
    let desk = Desk::with_repository();
    let source = desk.path("src");
    let _tree = awkward_tree::make(&source);
    // Deeper than tar itself can unpack.
    ok(&source, "sh", &["-c", "rm -rf deep*"]);
    let attributes = ["--xattrs", "--xattrs-include=*", "--acls"];
    ok(
        &desk.path("."),
        "tar",
        &[&["--format=pax", "--sparse"][..], &attributes, &["-cf", "2025-01-01.tar", "src"]].concat(),
    );
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    desk.run(&["export", "latest:src", "--tar", "-q", "-o", "again.tar"]).expect_code(0);
    for (archive, target) in [("../2025-01-01.tar", "before"), ("../again.tar", "after")] {
        fs::create_dir(desk.path(target)).unwrap();
        ok(&desk.path(target), "tar", &[&attributes[..], &["-xpf", archive]].concat());
    }
    let misses = differences(&desk.path("before"), &desk.path("after"));
    assert!(misses.is_empty(), "{misses:#?}");
    // What an export wrote, an import understands, attributes and all: nothing in it is new.
    let done = import(&desk, &["again.tar", "--time", "2025-01-02T00:00:00Z"]).expect_code(0).json();
    assert!(done["summary"]["data_blobs"].as_u64().unwrap() < 10, "{done}");
}

#[test]
fn a_data_directory_of_unknown_path_has_the_name_it_had_in_its_archive() {
    let desk = Desk::with_repository();
    desk.write("my-dss/dss-version.json", b"{\"product_version\": \"14.2.2\"}");
    desk.write("my-dss/install.ini", b"[general]\ninstallid = AbCd\n");
    ok(&desk.path("."), "tar", &["-cf", "2025-01-01.tar", "my-dss"]);
    import(&desk, &["2025-01-01.tar"]).expect_code(0);
    desk.run(&["export", "latest", "--tar", "-q", "-o", "again.tar"]).expect_code(0);
    let listed = String::from_utf8(ok(&desk.path("."), "tar", &["-tf", "again.tar"])).unwrap();
    assert_eq!(listed, "my-dss/\nmy-dss/dss-version.json\nmy-dss/install.ini\n");
}

#[test]
fn a_part_of_a_snapshot_and_plain_files_are_exported_under_their_own_names() {
    let desk = Desk::with_snapshot();
    let source = desk.text("src");
    desk.run(&["export", &format!("latest:{source}/config"), "--tar", "-q", "-o", "part.tar"]).expect_code(0);
    let listed = String::from_utf8(ok(&desk.path("."), "tar", &["-tf", "part.tar"])).unwrap();
    assert_eq!(listed, "config/\nconfig/a.json\nconfig/b.json\n");
    desk.run(&["export", &format!("latest:{source}/data.bin"), "--tar", "-q", "-o", "one.tar"]).expect_code(0);
    assert_eq!(ok(&desk.path("."), "tar", &["-tf", "one.tar"]), b"data.bin\n");
    let piped = desk.command(&["export", "latest", "--tar"]).output().unwrap();
    assert_eq!(piped.status.code(), Some(0));
    fs::write(desk.path("piped.tar"), piped.stdout).unwrap();
    assert!(String::from_utf8(ok(&desk.path("."), "tar", &["-tf", "piped.tar"])).unwrap().contains("data.bin"));
}

#[test]
fn what_exists_is_not_replaced_and_what_fails_leaves_nothing() {
    let desk = Desk::with_snapshot();
    desk.write("there.tar", b"precious");
    let refused = desk.run(&["export", "latest", "--tar", "-o", "there.tar"]).expect_code(2);
    assert!(refused.err.contains("exists already"), "{}", refused.err);
    assert_eq!(fs::read(desk.path("there.tar")).unwrap(), b"precious");
    desk.run(&["export", "latest"]).expect_code(2);
    let before = names(&desk.path("."));
    desk.run(&["export", "nosuch", "--tar", "-o", "new.tar"]).expect_code(1);
    damage_data(&desk.path("vault/packs"));
    let broken: Done = desk.run(&["export", "latest", "--tar", "-o", "new.tar"]).expect_code(1);
    assert!(broken.err.contains("error:"), "{}", broken.err);
    assert_eq!(names(&desk.path(".")), before, "neither the archive nor a part of it");
}

#[test]
fn a_full_disk_is_told_as_what_it_is_whatever_the_archive_is_packed_with() {
    let desk = Desk::with_snapshot();
    for more in [&[][..], &["--gzip"], &["--zstd"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = desk.command(&[&["export", "latest", "--tar"], more].concat());
        let done = Done::from(
            command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap(),
        );
        let done = done.expect_code(1);
        assert!(done.err.contains("cannot write to standard output: No space left"), "{more:?}: {}", done.err);
    }
}

/// Flips bytes in the middle of every pack.
fn damage_data(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage_data(&path);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 32].iter_mut().for_each(|byte| *byte ^= 0xff);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        fs::set_permissions(&path, permissions).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}
