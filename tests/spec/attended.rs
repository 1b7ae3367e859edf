//! Trees put together from several places, and backups in two passes with somebody who stops and starts the source.

use std::fs;
use std::path::{Path, PathBuf};

use dssvault::repo::snapshot::{Consistency, Manifest, Member};
use dssvault::vault::VaultError;
use dssvault::vault::backup::{self, Assembled, BackupOptions, BackupReport, Root, Source, Steward, Upper};
use dssvault::vault::restore::RestoreOptions;

use crate::lab::Lab;
use crate::tree_diff::differences;

fn member(kind: &str, name: &Path) -> Member {
    Member { kind: kind.to_owned(), name: name.display().to_string() }
}

/// `datadir` read from one place, `host` with a part of another.
fn assembled(datadir: &Path, read_from: &Path, host: &Path) -> Source {
    let mut root = Upper::new("/");
    root.names.insert(b"datadir".to_vec(), Root::Moved(read_from.to_owned()));
    let mut outside = Upper::new(host);
    outside.add(Path::new("etc/dataiku/boot.conf"));
    root.names.insert(b"host".to_vec(), Root::Upper(outside));
    Source::Assembled(Assembled { name: datadir.to_owned(), members: vec![member("datadir", datadir)], root })
}

fn back_up(lab: &Lab, source: Source, steward: &mut dyn Steward) -> Result<BackupReport, VaultError> {
    let folders = lab.folders();
    let options = BackupOptions { identity: Some("installid".to_owned()), ..BackupOptions::default() };
    backup::run_attended(&lab.repository, &[source], &options, lab.context(&folders), steward)
}

fn restored(lab: &Lab, manifest: &Manifest, part: &str) -> PathBuf {
    let target = lab.path("target");
    let options =
        RestoreOptions { target: target.clone(), subpath: Some(part.as_bytes().to_vec()), ..Default::default() };
    assert_eq!(lab.restore(manifest, &options).unwrap().failures, []);
    target
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn scene() -> Lab {
    let lab = Lab::new();
    write(&lab.path("data/config/a.json"), "a");
    write(&lab.path("data/jobs/log"), "log");
    write(&lab.path("outside/etc/dataiku/boot.conf"), "boot");
    write(&lab.path("outside/etc/passwd"), "secret");
    // Files touched within the last 20 ms are read again in any case.
    std::thread::sleep(std::time::Duration::from_millis(30));
    lab
}

#[test]
fn parts_stand_where_the_snapshot_wants_them_and_nothing_else_comes_along() {
    let lab = scene();
    let (data, outside) = (lab.path("data"), lab.path("outside"));
    let report = back_up(&lab, assembled(&data, &data, &outside), &mut backup::Unattended).unwrap();
    assert_eq!(report.manifest.members, [member("datadir", &data)]);
    assert_eq!(report.manifest.problems, []);
    assert_eq!(differences(&data, &restored(&lab, &report.manifest, "datadir")), Vec::<String>::new());
    let host = lab.path("host");
    let options = RestoreOptions { target: host.clone(), subpath: Some(b"host".to_vec()), ..Default::default() };
    lab.restore(&report.manifest, &options).unwrap();
    assert_eq!(fs::read_to_string(host.join("etc/dataiku/boot.conf")).unwrap(), "boot");
    assert!(!host.join("etc/passwd").exists());
}

#[test]
fn a_directory_read_from_another_place_keeps_its_attributes_and_is_known_again() {
    let lab = scene();
    let (data, outside) = (lab.path("data"), lab.path("outside"));
    back_up(&lab, assembled(&data, &data, &outside), &mut backup::Unattended).unwrap();
    // As a volume snapshot shows it: the same inodes under another path.
    let frozen = lab.path("frozen");
    fs::rename(&data, &frozen).unwrap();
    fs::create_dir(&data).unwrap();
    let report = back_up(&lab, assembled(&data, &frozen, &outside), &mut backup::Unattended).unwrap();
    assert_eq!(report.manifest.counts.files_read, 0);
    assert_eq!(differences(&frozen, &restored(&lab, &report.manifest, "datadir")), Vec::<String>::new());
}

/// Changes the source while it is at rest, as its last writes do, and keeps a record.
struct Keeper {
    data: PathBuf,
    calls: Vec<&'static str>,
    fails: bool,
}

impl Steward for Keeper {
    fn has_two_passes(&self) -> bool {
        true
    }

    fn rest(&mut self) -> Result<(), VaultError> {
        self.calls.push("rest");
        if self.fails {
            return Err(VaultError::Interrupted);
        }
        fs::write(self.data.join("config/a.json"), "at rest").unwrap();
        fs::write(self.data.join("new"), "new").unwrap();
        fs::remove_file(self.data.join("jobs/log")).unwrap();
        Ok(())
    }

    fn wake(&mut self) {
        self.calls.push("wake");
        fs::write(self.data.join("config/a.json"), "awake").unwrap();
    }

    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        self.calls.push("testify");
        manifest.consistency = Consistency::Stopped;
        Ok(())
    }
}

#[test]
fn the_second_pass_sees_the_source_at_rest_and_reads_only_what_changed() {
    let lab = scene();
    let (data, outside) = (lab.path("data"), lab.path("outside"));
    write(&data.join("large"), &"unchanged\n".repeat(100_000));
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut keeper = Keeper { data: data.clone(), calls: Vec::new(), fails: false };
    let report = back_up(&lab, assembled(&data, &data, &outside), &mut keeper).unwrap();
    assert_eq!(keeper.calls, ["rest", "wake", "testify"]);
    assert_eq!(report.manifest.consistency, Consistency::Stopped);
    let read = 1_000_000 + 1 + 3 + 4 + "at rest".len() as u64 + "new".len() as u64;
    assert_eq!(report.manifest.counts.bytes_read, read);
    let target = restored(&lab, &report.manifest, "datadir");
    assert_eq!(fs::read_to_string(target.join("config/a.json")).unwrap(), "at rest");
    assert_eq!(fs::read_to_string(target.join("new")).unwrap(), "new");
    assert!(!target.join("jobs/log").exists() && target.join("jobs").exists());
}

#[test]
fn a_source_that_cannot_be_brought_to_rest_makes_no_snapshot_and_is_not_woken() {
    let lab = scene();
    let (data, outside) = (lab.path("data"), lab.path("outside"));
    let mut keeper = Keeper { data: data.clone(), calls: Vec::new(), fails: true };
    assert!(back_up(&lab, assembled(&data, &data, &outside), &mut keeper).is_err());
    assert_eq!(keeper.calls, ["rest"]);
    assert!(backup_count(&lab) == 0);
}

fn backup_count(lab: &Lab) -> usize {
    use dssvault::repo::snapshot::{SnapshotRecord, list, load};
    let committed = |id| matches!(load(&lab.repository, id), Ok((_, SnapshotRecord::Committed(_))));
    list(&lab.repository).unwrap().iter().filter(|stored| committed(&stored.id)).count()
}
