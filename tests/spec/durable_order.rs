//! A real backup, as the kernel saw it: nothing is named before it is durable, and nothing before what it rests on.

use std::path::PathBuf;

use crate::machine::{Machine, noise};
use crate::skip::skip;
use crate::strace::{self, published, require_order, written_in_place};

#[test]
fn a_backup_makes_packs_durable_before_their_segment_and_segments_before_the_snapshot() {
    if let Err(reason) = strace::available() {
        let test = "durable_order::a_backup_makes_packs_durable_before_their_segment_and_segments_before_the_snapshot";
        return skip(test, &reason);
    }
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    machine.write("large.bin", &noise(1, 50 << 20));
    machine.write("folder/small.txt", b"small");
    let like = machine.backup_program("vault");

    let events = strace::trace(like.get_program().as_ref(), |command| {
        command.args(like.get_args()).envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    });

    let root = machine.path("vault");
    let objects = published(&events, &root).unwrap();
    let count = |folder: &str| objects.iter().filter(|object| object.path.starts_with(root.join(folder))).count();
    assert_eq!((count("index"), count("snapshots")), (1, 1), "{objects:#?}");
    assert!(count("packs") >= 3, "{objects:#?}");
    assert!(count("sessions") >= 2, "{objects:#?}");
    assert_eq!(written_in_place(&events, &root), [] as [PathBuf; 0]);
    for (first, then) in [("sessions", "packs"), ("packs", "index"), ("index", "snapshots"), ("packs", "snapshots")] {
        require_order(&objects, &root, first, then).unwrap();
    }
    assert_eq!(machine.snapshots(&store).len(), 1);
}
