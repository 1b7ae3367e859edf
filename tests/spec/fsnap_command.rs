//! A site's own pair of commands freezes a volume; here they are real ones, on btrfs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dssvault::fsnap::{Candidate, FsnapError, Options, Provider, SiteCommands, detect, recover};

use crate::skip::skip;
use crate::volume::Volume;

/// What the site's administrator wrote: the snapshot beside the directory, its name as the id.
const CREATE: &str = r#"
    snapshot="$(dirname "$DSSVAULT_FROZEN_DIR")/site-$DSSVAULT_FROZEN_NAME"
    btrfs subvolume snapshot -r "$DSSVAULT_FROZEN_DIR" "$snapshot" >&2 && echo "$snapshot" && echo "id-$DSSVAULT_FROZEN_NAME"
"#;
/// Works from the name alone, for create may have been killed before it said anything.
const DROP: &str = r#"
    echo "$DSSVAULT_FROZEN_ID" >> "$(dirname "$DSSVAULT_FROZEN_DIR")/dropped"
    snapshot="$(dirname "$DSSVAULT_FROZEN_DIR")/site-$DSSVAULT_FROZEN_NAME"
    [ ! -e "$snapshot" ] || btrfs subvolume delete "$snapshot"
"#;
/// Mounts on the folder it is given and leaves a thing there to be read.
const CREATE_MOUNT: &str = r#"
    mount -t tmpfs frozen "$DSSVAULT_FROZEN_MOUNT" && cp "$DSSVAULT_FROZEN_DIR"/* "$DSSVAULT_FROZEN_MOUNT" &&
    echo "$DSSVAULT_FROZEN_MOUNT"
"#;

macro_rules! volume {
    ($test:literal) => {
        match Volume::btrfs(256, &[]) {
            Ok(volume) => volume,
            Err(reason) => return skip(concat!("fsnap_command::", $test), &reason),
        }
    };
}

fn candidate(dir: &Path, create: &str, drop: &str) -> Candidate {
    let limit = Duration::from_secs(30);
    let site = SiteCommands { create: create.to_owned(), drop: drop.to_owned(), limit };
    let options = Options { site: Some(site), ..Options::default() };
    let candidate = detect(dir, &options).unwrap().best().unwrap();
    assert_eq!(candidate.provider(), Provider::Command, "what the site gave comes first");
    candidate
}

#[test]
fn the_site_freezes_says_where_and_drops_by_its_own_id() {
    let volume = volume!("the_site_freezes_says_where_and_drops_by_its_own_id");
    let dir = volume.subvolume("data");
    fs::write(dir.join("file"), b"then").unwrap();

    let frozen = candidate(&dir, CREATE, DROP).create("a node", &volume.journal()).unwrap();

    let id = format!("id-{}", frozen.name());
    assert_eq!(frozen.snapshot_id(), Some(id.as_str()));
    fs::write(dir.join("file"), b"now").unwrap();
    assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then");
    frozen.verify().unwrap();
    frozen.finish().unwrap();
    assert_eq!(fs::read_to_string(volume.top().join("dropped")).unwrap().trim(), id);
    volume.require_clean(&["data"]);
}

#[test]
fn a_site_may_mount_on_the_folder_it_is_given_and_keep_its_snapshot() {
    let volume = volume!("a_site_may_mount_on_the_folder_it_is_given_and_keep_its_snapshot");
    let dir = volume.subvolume("data");
    fs::write(dir.join("file"), b"then").unwrap();
    let frozen = candidate(&dir, CREATE_MOUNT, "true").create("a node", &volume.journal()).unwrap();
    assert_eq!(frozen.snapshot_id(), None);
    assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then");
    assert_eq!(volume.mounts(), [frozen.read_path()]);
    frozen.finish().unwrap();
    volume.require_clean(&["data"]);
}

#[test]
fn a_create_that_fails_halfway_is_dropped_by_name() {
    let volume = volume!("a_create_that_fails_halfway_is_dropped_by_name");
    let dir = volume.subvolume("data");
    let halfway = format!("{CREATE}\n echo the array said no >&2; exit 4");

    let error = candidate(&dir, &halfway, DROP).create("a node", &volume.journal()).unwrap_err();

    let said = error.to_string();
    assert!(said.contains("exit code 4") && said.contains("the array said no"), "{said}");
    assert!(!said.contains("btrfs subvolume"), "the text of the command, which may hold secrets, is told: {said}");
    assert_eq!(fs::read_to_string(volume.top().join("dropped")).unwrap(), "\n", "drop ran once, without an id");
    volume.require_clean(&["data"]);
}

#[test]
fn an_answer_that_cannot_be_read_from_is_refused_and_dropped() {
    let volume = volume!("an_answer_that_cannot_be_read_from_is_refused_and_dropped");
    let dir = volume.subvolume("data");
    let live = format!("echo {}", dir.display());
    let answers = ["true", "echo relative/path", "echo /no/such/place", live.as_str(), "echo Done.; echo /tmp"];
    for answer in answers {
        let error = candidate(&dir, answer, DROP).create("a node", &volume.journal()).unwrap_err();
        assert!(matches!(error, FsnapError::BadOutput { .. }), "{answer}: {error}");
    }
    let dropped = fs::read_to_string(volume.top().join("dropped")).unwrap();
    assert_eq!(dropped.lines().count(), answers.len());
    volume.require_clean(&["data"]);
}

#[test]
fn a_drop_that_fails_is_tried_again_by_the_next_run() {
    let volume = volume!("a_drop_that_fails_is_tried_again_by_the_next_run");
    let dir = volume.subvolume("data");
    let flag = volume.beside("array is reachable");
    let when_reachable = format!("[ -e '{}' ] || exit 7\n{DROP}", flag.display());
    let frozen = candidate(&dir, CREATE, &when_reachable).create("a node", &volume.journal()).unwrap();
    assert!(frozen.finish().unwrap_err().to_string().contains("exit code 7"));
    assert_eq!(recover(&volume.journal()).unwrap().stuck.len(), 1);
    fs::write(&flag, b"").unwrap();

    let found = recover(&volume.journal()).unwrap();

    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0), "{found:?}");
    volume.require_clean(&["data"]);
}

#[test]
fn a_command_that_hangs_is_ended_and_dropped() {
    let volume = volume!("a_command_that_hangs_is_ended_and_dropped");
    let dir = volume.subvolume("data");
    let site =
        SiteCommands { create: format!("{CREATE}\n sleep 600"), drop: DROP.to_owned(), limit: Duration::from_secs(2) };
    let options = Options { site: Some(site), ..Options::default() };
    let error = detect(&dir, &options).unwrap().best().unwrap().create("a node", &volume.journal()).unwrap_err();
    assert!(matches!(error, FsnapError::TimedOut { .. }), "{error}");
    volume.require_clean(&["data"]);
}
