//! What there is on this machine for the node to stand on. Looked at once, before anything is planned.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::base::hint::Hint;
use crate::dss::control::evidence::Running;
use crate::dss::control::instance::Instance;
use crate::dss::control::proc;
use crate::dss::control::service::Service;
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::ours;
use crate::dss::datadir::version::DssVersion;
use crate::dss::migrate::source::Source;
use crate::dss::restore::{can_rename, kit_version};
use crate::sys::names::{Account, Names};
use crate::sys::xattr::holds_acls;

/// Ports a node asks to be left alone, from its first one (DSS docs, installation/custom/requirements).
pub const PORTS: u16 = 10;

/// What lies at the place the node shall come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupancy {
    /// Nothing, or an empty directory.
    Free,
    /// The same installation.
    Same(Running),
    /// Something else; the text says what.
    Other(String),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Its name.
    pub host: String,
    /// Whether we are root.
    pub is_root: bool,
    /// The account DSS shall run as, if it exists here.
    pub account: Option<Account>,
    /// Whether that is the account we are.
    pub is_account: bool,
    /// The version of the kit, if there is one.
    pub kit: Option<DssVersion>,
    /// What lies at the place.
    pub place: Occupancy,
    /// Whether the place is a mount point or cannot be renamed to: the files are restored right into it.
    pub into: bool,
    /// Bytes free there.
    pub free: u64,
    /// Whether programs may not be run there.
    pub noexec: bool,
    /// Whether ACLs are kept there.
    pub acls: bool,
    /// Ports of the node that somebody else listens on.
    pub taken_ports: Vec<u16>,
    /// Interpreters and programs asked about that are there.
    pub present: Vec<PathBuf>,
    /// Why this account may not start and stop the node that lies at the place, and what would help.
    pub barred: Option<(String, String)>,
    /// The node this is a copy of, if it is on this machine.
    pub original: Option<Running>,
}

/// What is asked about.
#[derive(Debug)]
pub struct Questions<'q> {
    /// Where to.
    pub data_dir: &'q Path,
    /// On which software.
    pub kit: &'q Path,
    /// For which account.
    pub user: &'q str,
    /// From which port.
    pub port: Option<u16>,
    /// Whether that is another port than it had.
    pub port_is_new: bool,
    /// Whether these are there.
    pub files: Vec<PathBuf>,
}

impl Ground {
    /// Looks.
    pub fn look(questions: &Questions<'_>, source: &Source) -> Self {
        let Questions { data_dir, kit, user, port, port_is_new, files } = questions;
        let parent = existing(data_dir);
        let volume = statvfs(&parent);
        let account = Names::account(user);
        let (place, barred) = occupancy(data_dir, source);
        let uid = rustix::process::geteuid();
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            is_root: uid.is_root(),
            is_account: account.as_ref().is_some_and(|account| account.uid == uid.as_raw()),
            account,
            kit: kit.join("installer.sh").is_file().then(|| kit_version(kit)).flatten(),
            into: data_dir.is_dir() && !can_rename(data_dir),
            free: volume.as_ref().map_or(u64::MAX, |volume| volume.f_bavail.saturating_mul(volume.f_frsize)),
            acls: holds_acls(&parent),
            noexec: volume.is_ok_and(|volume| volume.f_flag.contains(StatVfsMountFlags::NOEXEC)),
            taken_ports: match (port, &place) {
                // Its own ports are no hindrance: it is stopped first, or must be.
                (Some(_), Occupancy::Same(_)) if !port_is_new => Vec::new(),
                (Some(base), _) => taken(*base),
                (None, _) => Vec::new(),
            },
            place,
            barred,
            present: files.iter().filter(|file| file.exists()).cloned().collect(),
            original: original(data_dir, source),
        }
    }

    /// Whether a program that was asked about is there.
    pub fn has(&self, file: &Path) -> bool {
        self.present.iter().any(|present| present == file)
    }
}

/// The nearest directory above a path that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// What lies there, and why this account may not start and stop it.
fn occupancy(data_dir: &Path, source: &Source) -> (Occupancy, Option<(String, String)>) {
    let other = |what: String| (Occupancy::Other(what), None);
    let entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Occupancy::Free, None),
        Err(error) => return other(error.to_string()),
    };
    if entries.flatten().all(|entry| ours::is_ours(entry.file_name().as_bytes())) {
        return (Occupancy::Free, None);
    }
    match DataDir::open(data_dir, &Host::new(None)) {
        Ok(there) if there.facts.install_id.is_some() && there.facts.install_id == source.facts.install_id => {
            let instance = Instance::new(&there.root, &there.facts);
            let barred = Service::is_allowed(&instance).err();
            let barred = barred.map(|error| (error.to_string(), error.hint().unwrap_or_default()));
            (Occupancy::Same(proc::look(&instance).running()), barred)
        }
        Ok(there) => other(format!(
            "it is the installation {}",
            there.facts.install_id.unwrap_or_else(|| "without an id".to_owned())
        )),
        Err(error) => other(error.to_string()),
    }
}

/// The node the snapshot was made of, if it still is on this machine at another place.
pub fn original(data_dir: &Path, source: &Source) -> Option<Running> {
    let path = Path::new(&source.record.data_dir);
    if path == data_dir {
        return None;
    }
    let there = DataDir::open(path, &Host::new(None)).ok()?;
    (there.facts.install_id == source.facts.install_id)
        .then(|| proc::look(&Instance::new(&there.root, &there.facts)).running())
}

/// Those of the ten ports that somebody listens on.
pub fn taken(base: u16) -> Vec<u16> {
    proc::taken(base..=base.saturating_add(PORTS - 1))
}

/// The first ten free ports above a node's own.
pub fn free_base(port: u16) -> Option<u16> {
    (1..=200).map_while(|step| port.checked_add(step * PORTS)).find(|base| *base <= 65526 && taken(*base).is_empty())
}
