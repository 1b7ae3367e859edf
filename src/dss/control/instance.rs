//! The node to be controlled, as far as control needs to know it.

use std::path::{Path, PathBuf};

use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::service::Manager;

/// One installed node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Instance {
    /// Its data directory, without links in the path.
    pub data_dir: PathBuf,
    /// The account that owns it: number and name.
    pub owner: Owner,
    /// The first of its ports, if the directory tells.
    pub base_port: Option<u16>,
    /// Whether it is an API node, which answers to other calls than all others.
    pub is_api: bool,
    /// What starts and stops it, below the data directory: `bin/dss`.
    pub program: String,
    /// The systemd unit that owns it, if one does.
    pub unit: Option<String>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// Number.
    pub uid: u32,
    /// Name; the number as text if it has none.
    pub name: String,
}

impl Instance {
    /// What starts and stops it, by its path in the data directory, for it derives the directory from that (measured).
    pub fn program(&self) -> PathBuf {
        self.data_dir.join(&self.program)
    }

    /// The ports a running node listens on: base to base + 4 (kit, `envfiles.py`).
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.base_port.into_iter().flat_map(|base| base..=base.saturating_add(4))
    }
}

/// The key of a data directory given by its path without links.
pub fn key_of(data_dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = crate::codec::kdf::plain_hash(data_dir.as_os_str().as_bytes());
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

impl Instance {
    /// The node of a data directory, `root` being its path without links. A systemd unit counts only where systemd runs:
    /// in a container it is a mere file.
    pub fn new(root: &Path, facts: &Facts) -> Self {
        let account = &facts.owner;
        let unit = facts.service.unit().filter(|_| facts.service.manager == Manager::Systemd && systemd_runs());
        Self {
            data_dir: root.to_owned(),
            owner: Owner { uid: account.uid, name: account.user.clone().unwrap_or_else(|| account.uid.to_string()) },
            base_port: facts.ports.as_ref().map(|ports| ports.base),
            is_api: facts.node_type == NodeType::Api,
            program: facts.node_type.control_program().to_owned(),
            unit: unit.map(ToOwned::to_owned),
        }
    }

    /// The same, owned by the unit its processes were seen under.
    #[must_use]
    pub fn under(mut self, unit: Option<&str>) -> Self {
        if let Some(unit) = unit {
            self.unit = Some(unit.to_owned());
        }
        self
    }
}

/// Whether systemd is the init of this machine: sd_booted(3).
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}
