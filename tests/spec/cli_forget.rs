//! `forget`, `undelete`, `pin` and `unpin`, as typed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use dssvault::base::clock::{Clock, SystemClock, Timestamp};

use crate::cli_fixture::Desk;

const DAY: u64 = 86_400;

fn find(folder: PathBuf, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find_map(|path| if path.is_dir() { find(path, name) } else { path.ends_with(name).then_some(path) })
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(SystemClock.now().seconds as u64)
}

/// Daily snapshots, each received by the store on its day; their ids, oldest first.
fn history(days: u64) -> (Desk, Vec<String>) {
    let desk = Desk::with_repository();
    desk.write("src/a", b"a");
    let newest = now() - Duration::from_secs(3600);
    let ids = (0..days).rev().map(|back| backup(&desk, newest - Duration::from_secs(back * DAY))).collect();
    (desk, ids)
}

/// A snapshot of that moment, received by the store at once.
fn backup(desk: &Desk, moment: SystemTime) -> String {
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let time = Timestamp { seconds, nanos: 0 }.to_string();
    let source = desk.text("src");
    let summary =
        desk.run(&["backup", "--json", "-q", "--time", &time, &source]).expect_code(0).json_lines().pop().unwrap();
    let id = summary["snapshot_id"].as_str().unwrap().to_owned();
    let stored = find(desk.path("vault/snapshots"), &id).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o600)).unwrap();
    File::options().write(true).open(stored).unwrap().set_modified(moment).unwrap();
    id
}

fn ids(desk: &Desk, arguments: &[&str]) -> Vec<String> {
    let list = desk.run(&[&["snapshots", "--json"], arguments].concat()).expect_code(0).json();
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_policy_explains_itself_line_by_line_and_is_applied() {
    let (desk, all) = history(6);
    let plan = desk.run(&["forget", "--keep-last", "3", "--dry-run", "--timezone", "UTC"]).expect_code(0);
    for (at, id) in all.iter().enumerate() {
        let line = plan.out.lines().find(|line| line.contains(&id[..8])).unwrap();
        let (word, why) = if at < 3 { ("drop", "last: beyond 3") } else { ("keep", "last 3") };
        assert!(line.starts_with(word) && line.ends_with(why), "{line}");
    }
    assert!(plan.out.contains("policy     last 3; time zone UTC\n"), "{}", plan.out);
    assert!(plan.out.ends_with("would forget 3 snapshots and keep 3\n"), "{}", plan.out);
    assert_eq!(ids(&desk, &[]), all);

    let done = desk.run(&["forget", "-l", "3"]).expect_code(0);
    assert!(done.out.contains("forgot 3 snapshots, 3 kept"), "{}", done.out);
    assert!(done.out.contains("then `prune` frees the space"), "{}", done.out);
    assert_eq!(ids(&desk, &[]), all[3..]);
    assert_eq!(ids(&desk, &["--forgotten"]), all[..3]);
    let again = desk.run(&["forget", "-l", "3"]).expect_code(0);
    assert!(again.out.ends_with("nothing to forget; 3 kept\n"), "{}", again.out);
}

#[test]
fn forgotten_snapshots_cannot_be_restored_until_they_are_brought_back() {
    let (desk, all) = history(4);
    desk.run(&["forget", &all[0]]).expect_code(0);
    let restore = ["restore", &all[0], "--target", &desk.text("back")];
    desk.run(&restore).expect_code(1);
    desk.run(&["ls", &all[0]]).expect_code(1);
    let listed = desk.run(&["snapshots", "--forgotten"]).expect_code(0).out;
    assert!(listed.contains(&all[0][..8]) && listed.contains("(forgotten 20"), "{listed}");
    let back = desk.run(&["undelete", &all[0][..8]]).expect_code(0);
    assert_eq!(back.out, format!("snapshot {} brought back\n", &all[0][..8]));
    desk.run(&restore).expect_code(0);
    let check = desk.run(&["check", "--read-data"]).expect_code(0);
    assert!(check.out.contains("no damage found"), "{}", check.out);
}

#[test]
fn check_still_answers_for_what_was_forgotten() {
    let (desk, all) = history(4);
    desk.run(&["forget", &all[0]]).expect_code(0);
    let summary = desk.run(&["check", "--json"]).expect_code(0).json_lines().pop().unwrap();
    assert_eq!((&summary["snapshots"], &summary["unused_packs"]), (&4.into(), &0.into()));
}

#[test]
fn a_backup_goes_on_when_its_parent_was_forgotten() {
    let (desk, all) = history(4);
    desk.run(&["forget", &all[3]]).expect_code(0);
    let next = backup(&desk, now());
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(shown.as_array().unwrap().last().unwrap()["id"], next.as_str());
    desk.run(&["restore", "latest", "--target", &desk.text("back"), "--verify"]).expect_code(0);
}

#[test]
fn guards_refuse_with_status_21_and_say_how_to_allow_it() {
    let (desk, all) = history(8);
    let done = desk.run(&["forget", "--keep-last", "3"]).expect_code(21);
    assert!(done.out.contains("refused    would forget 5 snapshots and keep 3"), "{}", done.out);
    assert!(done.err.contains("5 of 8") && done.err.contains("--max-drop 63%"), "{}", done.err);
    assert_eq!(ids(&desk, &[]), all);
    let lines = desk.run(&["forget", "--keep-last", "3", "--json"]).expect_code(21);
    assert_eq!(lines.json()["refused"], "5 of 8 snapshots would be forgotten, more than 50 of a hundred");
    desk.run(&["forget", "--keep-last", "3", "--max-drop", "63%"]).expect_code(0);
    // The minimum: last 1 leaves three.
    let kept = desk.run(&["forget", "--keep-last", "1"]).expect_code(0);
    assert!(kept.out.contains("guard: at least 3 of a node"), "{}", kept.out);
    assert_eq!(ids(&desk, &[]), all[5..]);
    let named = desk.run(&["forget", &all[7]]).expect_code(21);
    assert!(named.err.contains("--min-snapshots 2"), "{}", named.err);
    desk.run(&["forget", &all[7], "--min-snapshots", "0"]).expect_code(0);
}

#[test]
fn snapshots_with_made_up_dates_push_nothing_out() {
    let (desk, all) = history(4);
    let garbage: Vec<String> = (0..3)
        .map(|back| {
            let id = backup(&desk, now() - Duration::from_secs(back * DAY + 60));
            let stored = find(desk.path("vault/snapshots"), &id).unwrap();
            let received = now() + Duration::from_secs(30 * DAY);
            File::options().write(true).open(stored).unwrap().set_modified(received).unwrap();
            id
        })
        .collect();
    let plan =
        desk.run(&["forget", "--keep-daily", "4", "--dry-run", "--json", "--timezone", "UTC"]).expect_code(0).json();
    for one in plan["snapshots"].as_array().unwrap() {
        let id = one["id"].as_str().unwrap().to_owned();
        assert!(!all.contains(&id) || one["keep"] == true, "{one}");
        assert_eq!(one["standing"] == "adrift", garbage.contains(&id), "{one}");
    }
    let text = desk.run(&["forget", "--keep-daily", "4", "--dry-run"]).expect_code(0).out;
    assert!(text.contains("before it was first seen)"), "{text}");
}

#[test]
fn a_pinned_snapshot_stays_and_says_why() {
    let (desk, all) = history(5);
    let pinned = desk.run(&["pin", &all[0][..8], "--reason", "case 4711", "--until", "2136-12-31"]).expect_code(0);
    assert!(
        pinned.out.contains("pinned until 2137-01-01 00:00:00") && pinned.out.ends_with(": case 4711\n"),
        "{}",
        pinned.out
    );
    let list = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(list[0]["pin"]["reason"], "case 4711");
    assert!(list[1].get("pin").is_none());
    assert!(desk.run(&["snapshots"]).expect_code(0).out.contains(": case 4711)"));
    let kept = desk.run(&["forget", "--keep-last", "3"]).expect_code(0).out;
    assert!(kept.lines().any(|line| line.starts_with("keep") && line.ends_with(": case 4711")), "{kept}");
    assert_eq!(ids(&desk, &[]), [&all[..1], &all[2..]].concat());
    desk.run(&["forget", &all[0]]).expect_code(21);
    let unpinned = desk.run(&["unpin", &all[0][..8], "--json"]).expect_code(0).json();
    assert_eq!((&unpinned["message_type"], &unpinned["ids"][0]), (&"unpinned".into(), &all[0].as_str().into()));
    desk.run(&["unpin", &all[0][..8]]).expect_code(1);
    desk.run(&["forget", &all[0]]).expect_code(0);
    desk.run(&["pin", &all[2], "--reason", "x", "--until", "2001-01-01"]).expect_code(2);
}

#[test]
fn a_simulation_draws_what_would_be_and_forgets_nothing() {
    let (desk, all) = history(5);
    let drawn = desk.run(&["forget", "--policy", "long", "--simulate", "400d"]).expect_code(0).out;
    assert!(drawn.contains("a backup every 24 h"), "{drawn}");
    assert!(drawn.contains("nothing was forgotten"), "{drawn}");
    let rows: Vec<&str> = drawn.lines().filter(|line| line.ends_with('|')).collect();
    assert_eq!(rows.len(), 10, "{drawn}");
    assert!(rows[9].trim_start().starts_with("400 days"), "{drawn}");
    let json = desk.run(&["forget", "--policy", "long", "--simulate", "400d", "--json"]).expect_code(0).json();
    let last = json[0]["looks"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["after_days"], &json[0]["backups"]), (&400.into(), &400.into()));
    assert_eq!(last["count"].as_u64().unwrap() as usize, last["kept"].as_array().unwrap().len());
    assert_eq!(ids(&desk, &[]), all);
}

#[test]
fn presets_and_options_add_up() {
    let (desk, _) = history(2);
    let json =
        desk.run(&["forget", "--policy", "dataiku", "--keep-yearly", "unlimited", "--keep-tag", "a,b", "-n", "--json"]);
    let policy = json.expect_code(0).json()["policy"].clone();
    let wanted = ["hourly within 24h", "every 12h within 7d", "daily within 15d", "yearly, all", "tag a+b"];
    assert_eq!(policy, serde_json::json!(wanted));
}

#[test]
fn command_lines_that_say_too_little_or_too_much_are_refused() {
    let (desk, all) = history(1);
    assert!(desk.run(&["forget"]).expect_code(2).err.contains("--policy long"));
    desk.run(&["forget", &all[0], "--keep-last", "1"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "0"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "some"]).expect_code(2);
    desk.run(&["forget", "--keep-every", "12h"]).expect_code(2);
    desk.run(&["forget", "--keep-within", "7x"]).expect_code(2);
    desk.run(&["forget", "--policy", "forever"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "1", "--timezone", "Mars/Base"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "1", "--max-drop", "200%"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "1", "--simulate", "400d", "-n"]).expect_code(2);
    desk.run(&["forget", "--keep-last", "1", "--simulate", "400d", "--group-by", "none"]).expect_code(2);
    desk.run(&["forget", "--keep-tag", ""]).expect_code(2);
    desk.run(&["forget", "--keep-last", "1", "--keep-tag", " , "]).expect_code(2);
    for space in [["--undo-window", "30d"], ["--grace", "0s"], ["--max-unused", "10%"]] {
        let done = desk.run(&[&["forget", "--keep-last", "1"][..], &space].concat()).expect_code(2);
        assert!(done.err.contains("--prune"), "{}", done.err);
    }
    desk.run(&["forget", "ffffffff"]).expect_code(1);
    desk.run(&["undelete", "ffffffff"]).expect_code(1);
    desk.run(&["pin", &all[0]]).expect_code(2);
    assert_eq!(ids(&desk, &[]), all);
}

#[test]
fn several_may_forget_pin_and_back_up_at_once() {
    let (desk, all) = history(7);
    let source = desk.text("src");
    let calls: [&[&str]; 5] = [
        &["forget", "--keep-last", "3", "--max-drop", "100%"],
        &["forget", "--keep-last", "4", "--max-drop", "100%"],
        &["pin", &all[0], "--reason", "case 4711"],
        &["pin", &all[1], "--reason", "case 4712"],
        &["backup", &source],
    ];
    let running: Vec<_> = calls.map(|call| desk.command(call).stdout(Stdio::null()).spawn().unwrap()).into();
    let codes: Vec<i32> = running.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
    assert_eq!((codes[0], codes[1], codes[4]), (0, 0, 0), "{codes:?}");
    let shown = ids(&desk, &[]);
    // Whoever was pinned first stays; whoever was forgotten first cannot be pinned.
    for (pinned, id) in [(codes[2], &all[0]), (codes[3], &all[1])] {
        assert_eq!(shown.contains(id), pinned == 0, "{codes:?}");
        assert!(pinned == 0 || pinned == 1, "{codes:?}");
    }
    assert!(!shown.contains(&all[2]) && shown.contains(&all[6]), "{shown:?}");
    assert_eq!(shown.len() + ids(&desk, &["--forgotten"]).len(), 8, "nobody is lost");
    desk.run(&["check", "--read-data"]).expect_code(0);
}

#[test]
fn the_repository_may_say_where_days_begin() {
    let (desk, _) = history(2);
    let zone = |arguments: &[&str]| {
        let command = [&["forget", "--json", "-n", "--keep-daily", "3"], arguments].concat();
        desk.run(&command).expect_code(0).json()["timezone"].clone()
    };
    assert!(desk.run(&["config"]).expect_code(0).out.contains("time zone  that of each machine\n"));
    let shown = desk.run(&["config", "--timezone", "Europe/Paris"]).expect_code(0);
    assert!(shown.out.contains("time zone  Europe/Paris\n"), "{}", shown.out);
    assert_eq!((zone(&[]), zone(&["--timezone", "Asia/Tokyo"])), ("Europe/Paris".into(), "Asia/Tokyo".into()));
    desk.run(&["config", "--timezone", "Mars/Olympus"]).expect_code(2);
    assert_eq!(desk.run(&["config", "--json"]).expect_code(0).json()["timezone"], "Europe/Paris");
    assert_eq!(fs::read_dir(desk.path("vault/config")).unwrap().count(), 2, "the next number, and the old one stays");
    desk.run(&["config", "--timezone", "local"]).expect_code(0);
    assert!(desk.run(&["config"]).expect_code(0).out.contains("that of each machine"));
    desk.run(&["check"]).expect_code(0);
}
