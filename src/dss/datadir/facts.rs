//! What is known about a data directory: the values `inspect` shows and every snapshot of a DSS node carries, so that
//! a restore needs nothing of a source machine that is gone. No secret is among them.

use serde::{Deserialize, Serialize};

use crate::dss::datadir::classes::Situation;
use crate::dss::datadir::concern::{Concern, Severity};
use crate::dss::datadir::databases::Database;
use crate::dss::datadir::integrations::Integration;
use crate::dss::datadir::links::LeavingLink;
use crate::dss::datadir::markers::{self, Marker};
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::outside::Outside;
use crate::dss::datadir::service::Service;
use crate::dss::datadir::version::DssVersion;

/// Number of this form. New fields may come without changing it; old ones keep their meaning.
pub const FACTS_FORM: u32 = 1;

/// Everything a data directory tells about itself. Paths are those of the machine it belongs to; where one is not
/// UTF-8 it is shown, not exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// [`FACTS_FORM`].
    pub form: u32,
    /// The directory itself, with all links on the way to it resolved.
    pub path: String,
    /// How it was named, where that was or went through a symbolic link.
    pub given_path: Option<String>,
    /// `install-support/expected-dip-home.txt`: where DSS was told it lives. Written last by the installer.
    pub installed_path: Option<String>,
    /// What it is for.
    pub node_type: NodeType,
    /// `dss-version.json`, `product_version`.
    pub version: Option<DssVersion>,
    /// `dss-version.json`, `conf_version`: the form of the configuration.
    pub conf_version: Option<u64>,
    /// `dss-version.json`, `product_commitid`.
    pub commit_id: Option<String>,
    /// `install.ini`, `[general] installid`: names the installation, also in a copy of it.
    pub install_id: Option<String>,
    /// `install.ini`, `[general] nodeid`: how Govern knows it.
    pub node_id: Option<String>,
    /// The ports it takes.
    pub ports: Option<Ports>,
    /// The software it runs on.
    pub kit: Option<Kit>,
    /// Who owns the directory: the account DSS runs as.
    pub owner: Account,
    /// Permission bits of the directory, 0 to 0o7777.
    pub mode: u32,
    /// Its Python.
    pub python: Option<Python>,
    /// Its Java.
    pub java: Option<Java>,
    /// Who starts and stops it.
    pub service: Service,
    /// The installer's own last arguments.
    pub installer_arguments: Option<Vec<String>>,
    /// What was installed on top.
    pub integrations: Vec<Integration>,
    /// Databases that belong to it.
    pub databases: Vec<Database>,
    /// State files that mean trouble.
    pub markers: Vec<Marker>,
    /// What belongs to it and lies elsewhere, so that a backup of the directory does not hold it.
    pub outside: Vec<Outside>,
    /// Symbolic links that lead out of it.
    pub links: Vec<LeavingLink>,
    /// What somebody should know before a backup or restore.
    pub concerns: Vec<Concern>,
    /// What could not be found out, and why.
    pub gaps: Vec<Gap>,
}

impl Facts {
    /// What of this decides which entries may be left out of a backup.
    pub fn situation(&self) -> Situation {
        let migration_unfinished = markers::migration_unfinished(&self.markers);
        Situation { node: self.node_type.clone(), migration_unfinished }
    }

    /// Whether something must be mended before anything else is done with this directory.
    pub fn must_stop(&self) -> bool {
        self.concerns.iter().any(|concern| concern.severity == Severity::Stop)
    }
}

/// Something that could not be found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The file, below the data directory or absolute.
    pub path: String,
    /// Why.
    pub cause: String,
}

/// A user and its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the user, if the number has one here.
    pub user: Option<String>,
    /// Name of the group, if the number has one here.
    pub group: Option<String>,
}

/// Ports, all derived from the first one. Source: kit, envfiles.py; DSS docs, installation/custom/requirements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// What users connect to: nginx.
    pub base: u16,
    /// The back end (`apimain`, `fmmain` or `ghserver` on other nodes).
    pub backend: u16,
    /// Jupyter; only where projects live.
    pub jupyter: Option<u16>,
    /// The proxy of Hadoop user interfaces; only where projects live.
    pub hproxy: Option<u16>,
    /// The event server; only where projects live.
    pub event_server: Option<u16>,
    /// Last of the ten ports DSS asks to be left alone.
    pub last_reserved: u16,
}

impl Ports {
    /// The ports of a node; `None` if they do not fit above `base`.
    pub fn new(base: u16, node: &NodeType) -> Option<Self> {
        let last_reserved = base.checked_add(9).filter(|_| base >= 1024)?;
        let own = |offset| node.has_project_layout().then_some(base + offset);
        let (jupyter, hproxy, event_server) = (own(2), own(3), own(4));
        Some(Self { base, backend: base + 1, jupyter, hproxy, event_server, last_reserved })
    }
}

/// The unpacked software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kit {
    /// `DKUINSTALLDIR` in `bin/env-default.sh`.
    pub path: String,
    /// Whether it is there; `None` if this account may not look.
    pub exists: Option<bool>,
    /// Its own version; differs from that of the data directory before an upgrade was finished.
    pub version: Option<DssVersion>,
    /// The program that starts and stops DSS, below the data directory: `bin/dss`.
    pub control_program: String,
    /// Whether that can be called: `false` where its link leads nowhere, as after a restore onto a new machine; `None`
    /// if this account may not look.
    pub control_program_works: Option<bool>,
}

/// The Python DSS itself uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// Its environment below the data directory: `pyenv` (or `condaenv`).
    pub environment: String,
    /// Its version, as the environment names it.
    pub version: Option<String>,
    /// The interpreter of the machine it was made from.
    pub base: Option<String>,
    /// Whether that interpreter is there. Without it `installer.sh -u` fails until the environment is moved away.
    pub base_exists: Option<bool>,
}

/// The Java DSS uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Java {
    /// `DKUJAVABIN` in `bin/env-default.sh`.
    pub path: String,
    /// Whether it is there; `None` if this account may not look.
    pub exists: Option<bool>,
    /// What its `release` file says.
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_from_the_first_one() {
        let ports = Ports::new(11000, &NodeType::Design).unwrap();
        assert_eq!((ports.backend, ports.jupyter, ports.event_server), (11001, Some(11002), Some(11004)));
        assert_eq!(ports.last_reserved, 11009);
        assert_eq!(Ports::new(12000, &NodeType::Api).unwrap().jupyter, None);
        assert!(Ports::new(65530, &NodeType::Design).is_none() && Ports::new(80, &NodeType::Design).is_none());
    }
}
