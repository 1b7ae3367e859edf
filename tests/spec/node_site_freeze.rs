//! A node whose volume the site freezes with its own commands, as the command line hands them on.

use std::fs;

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::volume::Volume;

/// A snapshot of the whole volume, with an id of its own; what it is told goes into a log.
const FREEZE: &str = r#"
    folder="$(dirname "$DSSVAULT_FROZEN_DIR")" top="$(dirname "$folder")"
    echo "freeze $DSSVAULT_FROZEN_NAME $DSSVAULT_FROZEN_MOUNT" >> "$folder/log"
    env >> "$folder/environment"
    btrfs subvolume snapshot -r "$top" "$top/site-$DSSVAULT_FROZEN_NAME" >&2 &&
    echo "$top/site-$DSSVAULT_FROZEN_NAME/${DSSVAULT_FROZEN_DIR#"$top"/}" && echo "id-$DSSVAULT_FROZEN_NAME"
"#;
/// From the name alone.
const THAW: &str = r#"
    folder="$(dirname "$DSSVAULT_FROZEN_DIR")" top="$(dirname "$folder")"
    echo "thaw $DSSVAULT_FROZEN_ID $DSSVAULT_FROZEN_PATH" >> "$folder/log"
    [ ! -e "$top/site-$DSSVAULT_FROZEN_NAME" ] || btrfs subvolume delete "$top/site-$DSSVAULT_FROZEN_NAME"
"#;

/// A node that runs on a volume. Dropped in this order.
struct OnVolume {
    node: Node,
    desk: Desk,
    volume: Volume,
}

impl OnVolume {
    fn new() -> Result<Self, String> {
        if !node::is_possible() {
            return Err("only root may run a node as its account".to_owned());
        }
        let volume = Volume::btrfs(512, &[])?;
        let node = Node::at("design", tempfile::tempdir_in(volume.top()).unwrap());
        node.start();
        Ok(Self { node, desk: Desk::with_repository(), volume })
    }

    fn back_up(&self, options: &[&str]) -> Done {
        self.desk.run(&[&["backup", self.node.data_dir().to_str().unwrap()], options].concat())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.node.folder().join("log")).unwrap()
    }

    fn is_clean(&self) {
        assert_eq!(self.volume.subvolumes(), [""; 0]);
    }
}

macro_rules! or_skip {
    ($test:literal) => {
        match OnVolume::new() {
            Ok(made) => made,
            Err(reason) => return skip(concat!("node_site_freeze::", $test), &reason),
        }
    };
}

#[test]
fn the_sites_commands_freeze_a_running_node_and_the_snapshot_names_what_they_made() {
    let on = or_skip!("the_sites_commands_freeze_a_running_node_and_the_snapshot_names_what_they_made");
    let pid = on.node.text("run/supervisord.pid");
    for mode in ["frozen", "auto"] {
        on.back_up(&["--consistency", mode, "--freeze-command", FREEZE, "--thaw-command", THAW]).expect_code(0);
        let shown = on.desk.run(&["snapshots", "--json"]).expect_code(0).json();
        let manifest = shown.as_array().unwrap().last().unwrap();
        assert_eq!(manifest["consistency"], "frozen");
        let frozen = manifest["dss"]["frozen"].as_str().unwrap();
        assert!(frozen.starts_with("command id-dssvault-frozen-"), "{frozen}");
        let environment = fs::read_to_string(on.node.folder().join("environment")).unwrap();
        assert!(environment.contains("DSSVAULT_REPO=") && !environment.contains("DSSVAULT_PASSWORD"), "{environment}");
        assert_eq!(manifest["dss"]["data_dir"], on.node.data_dir().to_str().unwrap());
        on.is_clean();
    }
    assert!(on.node.is_running() && on.node.text("run/supervisord.pid") == pid);
    let log = on.log();
    assert_eq!(log.matches("freeze ").count(), 2, "{log}");
    assert_eq!(log.matches("thaw id-dssvault-frozen-").count(), 2, "{log}");
}

#[test]
fn a_freeze_that_fails_is_thawed_and_makes_no_snapshot() {
    let on = or_skip!("a_freeze_that_fails_is_thawed_and_makes_no_snapshot");
    let failing = format!("{FREEZE}\necho 'the array is busy' >&2; exit 3");
    let done =
        on.back_up(&["--consistency", "frozen", "--freeze-command", &failing, "--thaw-command", THAW]).expect_code(1);
    assert!(done.err.contains("the array is busy"), "{}", done.err);
    assert!(!done.err.contains("btrfs subvolume snapshot"), "the text of commands is not shown: {}", done.err);
    assert!(on.log().contains("thaw "));
    on.is_clean();
    let hung = ["--freeze-command", "sleep 100", "--thaw-command", "true", "--freeze-timeout", "1s"];
    on.back_up(&[&["--consistency", "frozen"], &hung[..]].concat()).expect_code(1);
    assert_eq!(on.desk.run(&["snapshots", "--json"]).expect_code(0).json().as_array().unwrap().len(), 0);
    assert!(on.node.is_running());
}

#[test]
fn the_pair_is_asked_for_as_a_pair_and_only_where_something_is_frozen() {
    let desk = Desk::with_repository();
    desk.run(&["backup", "/etc", "--freeze-command", "true"]).expect_code(2);
    desk.run(&["backup", "/etc", "--thaw-command", "true"]).expect_code(2);
    let on = or_skip!("the_pair_is_asked_for_as_a_pair_and_only_where_something_is_frozen");
    for mode in ["stopped", "live"] {
        let done =
            on.back_up(&["--consistency", mode, "--freeze-command", FREEZE, "--thaw-command", THAW]).expect_code(2);
        assert!(done.err.contains("--consistency frozen"), "{}", done.err);
    }
    assert!(on.node.is_running());
}
