//! LVM volumes are frozen, classic and thin, in an emulated machine of their own (`tests/support/lvm/machine`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use dssvault::fsnap::{Frozen, FsnapError, Options, Provider, detect, recover};

use crate::fsnap_killed::Holder;
use crate::in_step::{self, Writes};
use crate::skip::skip;
use crate::volume::{mount, run};

const INSIDE: &str = "DSSVAULT_TEST_LVM_MACHINE";

#[test]
fn volumes_are_frozen_in_a_machine_with_lvm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(root.join("tests/support/lvm/machine"))
        .arg(root.join("target/tests-run/lvm"))
        .arg(std::env::current_exe().unwrap())
        .args(["fsnap_lvm::inside_", "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.code() == Some(77) {
        return skip("fsnap_lvm::volumes_are_frozen_in_a_machine_with_lvm", err.trim());
    }
    assert!(done.status.success(), "{out}\n{err}");
    assert!(out.contains("test result: ok. 7 passed;"), "not every test ran in there: {out}");
}

/// A logical volume with a file system, mounted.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None` outside of the machine: there the outer test speaks for all of these.
    fn make(thin: bool, fs_type: &str) -> Option<Self> {
        std::env::var_os(INSIDE)?;
        let dir = tempfile::tempdir().unwrap();
        static GROUP: Once = Once::new();
        GROUP.call_once(|| {
            run("pvcreate", ["--yes", "-ff", "/dev/vda"]).unwrap();
            run("vgcreate", ["--yes", "g-0", "/dev/vda"]).unwrap();
        });
        if thin {
            run("lvcreate", ["--yes", "-L", "600M", "--thinpool", "pool", "g-0"]).unwrap();
            run("lvcreate", ["--yes", "-V", "400M", "--thin", "-n", "data", "g-0/pool"]).unwrap();
        } else {
            run("lvcreate", ["--yes", "-L", "400M", "-n", "data", "g-0"]).unwrap();
        }
        run(&format!("mkfs.{fs_type}"), ["-q", DEVICE]).unwrap();
        let disk = Self { dir };
        fs::create_dir(disk.top()).unwrap();
        mount(DEVICE, &disk.top(), "noatime").unwrap();
        fs::create_dir_all(disk.data()).unwrap();
        Some(disk)
    }

    fn top(&self) -> PathBuf {
        self.dir.path().join("top")
    }

    fn data(&self) -> PathBuf {
        self.top().join("deeper/data")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    fn freeze(&self, options: &Options) -> Frozen {
        let candidate = detect(&self.data(), options).unwrap().best().unwrap();
        assert_eq!(candidate.provider(), Provider::Lvm);
        candidate.create("a node", &self.journal()).unwrap()
    }

    fn volumes(&self) -> Vec<String> {
        let said = run("lvs", ["--noheadings", "-o", "lv_name", "-S", "lv_name!=pool", "g-0"]).unwrap();
        said.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[track_caller]
    fn require_clean(&self) {
        assert_eq!(self.volumes(), ["data"]);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(self.journal().to_str().unwrap()), "{table}");
        assert_eq!(fs::read_dir(self.journal()).unwrap().count(), 0);
    }

    fn require_then_not_now(&self, options: &Options) {
        fs::write(self.data().join("file"), b"then").unwrap();
        let frozen = self.freeze(options);
        fs::write(self.data().join("file"), b"now").unwrap();
        run("sync", [""; 0]).unwrap();
        assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then");
        assert!(fs::write(frozen.read_path().join("file"), b"x").is_err(), "it can be written");
        frozen.verify().unwrap();
        frozen.finish().unwrap();
        self.require_clean();
    }
}

const DEVICE: &str = "/dev/mapper/g--0-data";

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.top()).output();
        let _ = Command::new("lvremove").args(["--force", "--force", "--yes", "g-0"]).output();
    }
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_classic_snapshot_of_ext4_holds_then() {
    let Some(disk) = Disk::make(false, "ext4") else { return };
    disk.require_then_not_now(&Options::default());
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_classic_snapshot_of_xfs_holds_then() {
    let Some(disk) = Disk::make(false, "xfs") else { return };
    disk.require_then_not_now(&Options::default());
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_thin_snapshot_holds_then() {
    let Some(disk) = Disk::make(true, "xfs") else { return };
    disk.require_then_not_now(&Options::default());
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_what_is_read_is_one_moment_even_of_writes_nobody_made_durable() {
    let Some(disk) = Disk::make(false, "ext4") else { return };
    in_step::require_one_moment(&disk.data(), Writes::Cached, 3, || disk.freeze(&Options::default()));
    disk.require_clean();
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_snapshot_that_overflows_is_invalid_although_its_files_can_still_be_read() {
    let Some(disk) = Disk::make(false, "ext4") else { return };
    fs::write(disk.data().join("file"), b"then").unwrap();
    let frozen = disk.freeze(&Options { lvm_reserve_bytes: Some(8 << 20), ..Options::default() });
    assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then");
    frozen.verify().unwrap();
    fs::write(disk.top().join("much"), vec![7; 100 << 20]).unwrap();
    run("sync", [""; 0]).unwrap();
    assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then", "no cached read: this proves less");

    let error = frozen.verify().unwrap_err();

    assert!(matches!(error, FsnapError::Invalid { .. }), "{error}");
    frozen.finish().unwrap();
    disk.require_clean();
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_killed_process_leaves_a_snapshot_that_the_next_run_removes() {
    let Some(disk) = Disk::make(false, "ext4") else { return };
    let mut holder = Holder::start(&disk.data(), &disk.journal());
    holder.until("frozen ");
    holder.kill();
    assert_eq!(disk.volumes().len(), 2, "nothing was left: this proves nothing");
    let found = recover(&disk.journal()).unwrap();
    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0), "{found:?}");
    disk.require_clean();
}

#[test]
#[ignore = "run in the machine by the first test"]
fn inside_a_group_without_room_is_refused_with_the_reason() {
    let Some(disk) = Disk::make(false, "ext4") else { return };
    run("lvcreate", ["--yes", "-l", "100%FREE", "-n", "ballast", "g-0"]).unwrap();
    let error = detect(&disk.data(), &Options::default()).unwrap().best().unwrap_err();
    assert!(error.to_string().contains("g-0 has 0 bytes free"), "{error}");
}
