//! The demo runs on a fresh machine, tells true figures and cleans up.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_fixture::{Desk, Done, names};

/// What the demo must leave of its temporary folder.
fn leftovers(desk: &Desk) -> Vec<String> {
    names(&desk.path("")).into_iter().filter(|name| name.starts_with("dssvault-demo-")).collect()
}

#[test]
fn the_demo_brings_two_days_back_identical_and_cleans_up() {
    let desk = Desk::empty();
    let done = Done::of(&mut desk.bare(&["demo"])).expect_code(0);
    assert!(done.out.ends_with("Everything came back identical.\n"), "{}", done.out);
    let widest = done.out.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest} columns:\n{}", done.out);
    assert_eq!(leftovers(&desk), [""; 0]);
    assert!(!desk.path("cache").exists() && !desk.path("state").exists());
}

#[test]
fn the_demo_of_a_given_tree_leaves_it_as_it_was() {
    let desk = Desk::empty();
    let file = desk.write("mine/config/a.json", b"{}\n");
    let times = || {
        let of = |name: &str| std::fs::metadata(desk.path(name)).unwrap().modified().unwrap();
        (of("mine"), of("mine/config"), std::fs::metadata(&file).unwrap().modified().unwrap())
    };
    let before = times();
    let lines = Done::of(&mut desk.bare(&["demo", "--json", "mine"])).expect_code(0).json_lines();
    let end = lines.last().unwrap();
    assert_eq!((&end["message_type"], &end["identical"]), (&"summary".into(), &true.into()));
    assert_eq!(times(), before);
    assert_eq!(names(&desk.path("mine")), ["config"]);
}

#[test]
fn the_demo_refuses_to_back_itself_up() {
    let desk = Desk::empty();
    let done = Done::of(&mut desk.bare(&["demo", "."])).expect_code(2);
    assert!(done.err.contains("TMPDIR"), "{}", done.err);
    assert_eq!(leftovers(&desk), [""; 0]);
}

#[test]
fn an_interrupted_demo_ends_soon_with_status_130_and_cleans_up() {
    let desk = Desk::empty();
    let mut child = desk.bare(&["demo"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    while leftovers(&desk).is_empty() {
        assert!(Instant::now() < limit, "the demo never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let asked = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(leftovers(&desk), [""; 0]);
}
