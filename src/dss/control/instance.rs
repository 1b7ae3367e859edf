//! The node to be controlled, as far as control needs to know it.

use std::path::{Path, PathBuf};

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
    /// `bin/dss`: called by its path in the data directory, for it derives the directory from that (measured).
    pub fn program(&self) -> PathBuf {
        self.data_dir.join("bin/dss")
    }

    /// The ports a running node listens on: base to base + 4 (kit, `envfiles.py`).
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.base_port.into_iter().flat_map(|base| base..=base.saturating_add(4))
    }

    /// A short name for files about this node in the state directory: the same for the same directory.
    pub fn key(&self) -> String {
        key_of(&self.data_dir)
    }
}

/// The key of a data directory given by its path without links.
pub fn key_of(data_dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = crate::codec::kdf::plain_hash(data_dir.as_os_str().as_bytes());
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}
