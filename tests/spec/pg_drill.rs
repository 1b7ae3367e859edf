//! Trying a dump in a throw-away server.

use std::fs;

use crate::cli_fixture::Desk;
use crate::pg_dumps::furnish;
use crate::postgres::Server;

fn leftovers(desk: &Desk) -> Vec<String> {
    let names = fs::read_dir(desk.path("scratch")).unwrap().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_good_dump_is_counted_and_nothing_stays_of_the_trial() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 1);
    desk.run(&["backup", "--database", &server.url("gov")]).expect_code(0);
    let scratch = desk.write("scratch/x", b"").parent().unwrap().to_owned();
    fs::remove_file(scratch.join("x")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    // The server's account must get there.
    for folder in [scratch.parent().unwrap(), &scratch] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = server.log().len();
    let done = desk.run(&["drill-database", "latest", "--json", "--scratch", scratch.to_str().unwrap()]).expect_code(0);
    let report: serde_json::Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    let tables = report["databases"][0]["tables"].as_array().unwrap();
    let rows = |name: &str| tables.iter().find(|table| table["name"] == name).unwrap()["rows"].as_u64().unwrap();
    assert_eq!((rows("gov_items"), rows("other_items"), rows("things")), (512, 1, 1));
    assert_eq!(report["databases"][0]["large_objects"], 20);
    assert_eq!(server.log().len(), before, "the server it came from is not asked");
    assert_eq!(leftovers(&desk), Vec::<String>::new());
}

#[test]
fn a_damaged_dump_is_no_success_and_nothing_stays_either() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 4);
    desk.run(&["backup", "--database", &server.url("gov")]).expect_code(0);
    // The largest pack holds the dump.
    let mut packs: Vec<_> = Vec::new();
    for folder in fs::read_dir(desk.path("vault/packs")).unwrap().flatten() {
        packs.extend(fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()));
    }
    packs.sort_by_key(|path| fs::metadata(path).unwrap().len());
    let pack = packs.pop().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    fs::create_dir(desk.path("scratch")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    for folder in [desk.path(""), desk.path("scratch")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let done = desk.run(&["drill-database", "latest", "--scratch", &desk.text("scratch")]).expect_code(1);
    assert!(done.err.starts_with("error: "), "{}", done.err);
    assert_eq!(leftovers(&desk), Vec::<String>::new());
    // Nor is anything put back into a real one.
    server.sql("postgres", "CREATE DATABASE target");
    let map = format!("gov={}", server.url("target"));
    desk.run(&["restore", "latest", "--database-map", &map]).expect_code(1);
    assert_eq!(server.sql("target", "SELECT count(*) FROM pg_class WHERE relname = 'gov_items'"), "0");
}
