//! A real file system on a loop device, gone with the value: what volume snapshots are tried on.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system. Its top (of btrfs: subvolume 5) is mounted at [`top`](Self::top).
pub struct Volume {
    dir: TempDir,
    device: String,
}

impl Volume {
    /// Makes one with btrfs; the error says what this machine lacks for it.
    pub fn btrfs(megabytes: u64, options: &[&str]) -> Result<Self, String> {
        Self::made("mkfs.btrfs", megabytes, options)
    }

    /// Makes one with ext4.
    pub fn ext4(megabytes: u64) -> Result<Self, String> {
        // Blocks as large as on any disk: on small devices it would take smaller ones.
        Self::made("mkfs.ext4", megabytes, &["-b", "4096"])
    }

    fn made(mkfs: &str, megabytes: u64, options: &[&str]) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|why| why.to_string())?;
        // Accounts without rights must come to what lies on it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).map_err(|why| why.to_string())?;
        // The kernel names mounts without symbolic links.
        assert_eq!(dir.path(), dir.path().canonicalize().unwrap());
        let image = dir.path().join("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(megabytes << 20)).map_err(|why| why.to_string())?;
        run(mkfs, [&["-q"], options, &[image.to_str().unwrap()]].concat())?;
        let device = attach(&image)?;
        let volume = Self { dir, device };
        std::fs::create_dir(volume.top()).unwrap();
        mount(&volume.device, &volume.top(), "defaults")?;
        Ok(volume)
    }

    /// Where the file system is mounted.
    pub fn top(&self) -> PathBuf {
        self.dir.path().join("top")
    }

    /// A place outside of the file system.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The journal of frozen volumes.
    pub fn journal(&self) -> PathBuf {
        self.beside("state/frozen")
    }

    /// Mounts the file system at a folder below its own.
    pub fn mount_at(&self, place: &Path) {
        assert!(place.starts_with(self.dir.path()), "it would not be unmounted");
        mount(&self.device, place, "defaults").unwrap();
    }

    /// A new folder beside the file system, which goes with it.
    pub fn folder_beside(&self) -> TempDir {
        tempfile::tempdir_in(self.dir.path()).unwrap()
    }

    /// A new subvolume.
    pub fn subvolume(&self, name: &str) -> PathBuf {
        let path = self.top().join(name);
        run("btrfs", [OsStr::new("subvolume"), OsStr::new("create"), path.as_os_str()]).unwrap();
        path
    }

    /// Mounts the file system at another place, too.
    pub fn mount_also(&self, name: &str, options: &str) -> PathBuf {
        let place = self.beside(name);
        std::fs::create_dir_all(&place).unwrap();
        mount(&self.device, &place, options).unwrap();
        place
    }

    /// Takes everything away and brings it back as after a reboot: other mounts, another device.
    pub fn reboot(&mut self) {
        self.unmount_all();
        let image = self.dir.path().join("image");
        // While the old device is still attached the new one gets another number.
        let old = std::mem::replace(&mut self.device, attach(&image).unwrap());
        assert_ne!(old, self.device);
        run("losetup", ["--detach", &old]).unwrap();
        mount(&self.device, &self.top(), "defaults").unwrap();
    }

    /// Every mount below this volume's own folder, but the top.
    pub fn mounts(&self) -> Vec<PathBuf> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = table.lines().map(|line| PathBuf::from(line.split(' ').nth(4).unwrap()));
        points.filter(|point| point.starts_with(self.dir.path()) && *point != self.top()).collect()
    }

    /// Paths of all subvolumes, as the file system lists them.
    pub fn subvolumes(&self) -> Vec<String> {
        let said = run("btrfs", [OsStr::new("subvolume"), OsStr::new("list"), self.top().as_os_str()]).unwrap();
        said.lines().map(|line| line.split_once(" path ").unwrap().1.to_owned()).collect()
    }

    /// Nothing of a frozen volume is left: neither snapshot nor mount nor record.
    #[track_caller]
    pub fn require_clean(&self, subvolumes: &[&str]) {
        assert_eq!(self.subvolumes(), subvolumes);
        assert!(self.mounts().is_empty(), "{:?}", self.mounts());
        let records = std::fs::read_dir(self.journal()).map_or(0, Iterator::count);
        assert_eq!(records, 0, "records are left in the journal");
    }

    fn unmount_all(&self) {
        let mut points = self.mounts();
        points.insert(0, self.top());
        for point in points.iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(point).output();
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount_all();
        let _ = Command::new("losetup").args(["--detach", &self.device]).output();
    }
}

fn attach(image: &Path) -> Result<String, String> {
    let said = run("losetup", [OsStr::new("--find"), OsStr::new("--show"), image.as_os_str()])?;
    Ok(said.trim().to_owned())
}

pub fn mount(device: &str, place: &Path, options: &str) -> Result<(), String> {
    let arguments = [OsStr::new("-o"), OsStr::new(options), OsStr::new(device), place.as_os_str()];
    run("mount", arguments).map(drop)
}

/// Runs a tool to its end; what it wrote, or what went wrong.
pub fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Result<String, String> {
    match Command::new(program).args(arguments).output() {
        Ok(done) if done.status.success() => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        Ok(done) => Err(format!("{program} failed: {}", String::from_utf8_lossy(&done.stderr).trim())),
        Err(why) => Err(format!("{program} cannot be run: {why}")),
    }
}
