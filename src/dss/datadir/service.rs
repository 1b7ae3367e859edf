//! Who starts and stops a DSS installation: a systemd unit, a boot script of older versions, or somebody by hand.
//! Source: DSS docs, installation/custom/initial-install; kit, install-boot.sh.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dss::datadir::concern::{Concern, ConcernKind};
use crate::dss::datadir::install::{Basis, shown};
use crate::dss::datadir::look::Look;
use crate::dss::datadir::shell;

/// Who starts and stops DSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// A systemd unit. `bin/dss` must not be used beside it.
    Systemd,
    /// A script in `/etc/init.d`.
    InitScript,
    /// Nobody: `bin/dss` is called by hand.
    Hand,
}

/// Who starts and stops DSS, and what tells so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Who.
    pub manager: Manager,
    /// Units or scripts that name this directory: `dataiku.service`. More than one is a mistake.
    pub units: Vec<String>,
    /// The account the boot files name.
    pub user: Option<String>,
    /// Files that tell so, on that machine.
    pub evidence: Vec<String>,
}

impl Service {
    /// The only unit or script.
    pub fn unit(&self) -> Option<&str> {
        match self.units.as_slice() {
            [unit] => Some(unit),
            _ => None,
        }
    }

    /// Several units for one directory.
    pub fn concern(&self) -> Option<Concern> {
        (self.units.len() > 1).then(|| {
            Concern::warning(
                ConcernKind::SeveralServices,
                format!("several services claim this directory: {}", self.units.join(", ")),
                "remove all but the one that starts DSS",
            )
        })
    }
}

/// Looks through the boot files of the machine.
pub fn find(look: &Look<'_>, basis: &Basis) -> Service {
    let mut service = Service { manager: Manager::Hand, units: Vec::new(), user: None, evidence: Vec::new() };
    let Boot { own: own_boot, is_of_another } = boot_files(look, basis, &mut service);
    // A clone has its original's id: the id alone speaks for this directory only if no boot file of it names another.
    let own_id = basis.install_id.as_ref().filter(|_| !is_of_another);
    for path in look.host_list("/etc/systemd/system", |name| name.starts_with("dataiku") && name.ends_with(".service"))
    {
        let text = look.host_text(&path).unwrap_or_default();
        let named = mentions(&text, &shown(&basis.path))
            || own_id.is_some_and(|id| mentions(&text, id))
            || own_boot.iter().any(|boot| mentions(&text, &shown(boot)));
        if named {
            claim(&mut service, Manager::Systemd, &path);
        }
    }
    if service.manager == Manager::Hand {
        init_scripts(look, basis, &mut service);
    }
    service
}

/// Boot files of the machine.
#[derive(Default)]
struct Boot {
    /// Those of this directory.
    own: Vec<PathBuf>,
    /// Whether that of this install id is for another directory.
    is_of_another: bool,
}

/// `/etc/dataiku/<installid>/dataiku-boot.conf` of this directory.
fn boot_files(look: &Look<'_>, basis: &Basis, service: &mut Service) -> Boot {
    let mut boot = Boot::default();
    for folder in look.host_list("/etc/dataiku", |_| true) {
        let path = folder.join("dataiku-boot.conf");
        let Some(text) = look.host_text(&path) else { continue };
        let set = shell::assignments(&text);
        let same_id = basis.install_id.as_deref().is_some_and(|id| folder.file_name().is_some_and(|name| name == id));
        // The directory named inside decides, the id only where none is.
        if set.get("DSS_DATADIR").map_or(same_id, |named| is_here(look, basis, named)) {
            service.manager = Manager::Systemd;
            service.user = set.get("DSS_USER").cloned();
            service.evidence.push(shown(&path));
            boot.own.push(path);
        } else {
            boot.is_of_another |= same_id;
        }
    }
    boot
}

/// Scripts of before version 13 and the files that tell them where DSS is.
fn init_scripts(look: &Look<'_>, basis: &Basis, service: &mut Service) {
    for folder in ["/etc/default", "/etc/sysconfig"] {
        for path in look.host_list(folder, |name| name.starts_with("dataiku")) {
            let set = look.host_text(&path).map(|text| shell::assignments(&text)).unwrap_or_default();
            if !set.get("DIP_HOME").is_some_and(|named| is_here(look, basis, named)) {
                continue;
            }
            service.user = set.get("DIP_USER").cloned();
            service.evidence.push(shown(&path));
            let script = Path::new("/etc/init.d").join(path.file_name().unwrap_or_default());
            if look.host.exists(&script) == Some(true) {
                claim(service, Manager::InitScript, &script);
            }
        }
    }
}

fn claim(service: &mut Service, manager: Manager, file: &Path) {
    service.manager = manager;
    service.units.push(file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
    service.evidence.push(shown(file));
}

/// Whether a path named in a file of that machine is this directory.
fn is_here(look: &Look<'_>, basis: &Basis, named: &str) -> bool {
    let named = named.trim_end_matches('/');
    Path::new(named) == basis.path || look.host.path(named).canonicalize().is_ok_and(|real| real == look.root)
}

/// Whether text holds `wanted` as a whole: `/data/dss` is not in `/data/dss2`.
fn mentions(text: &str, wanted: &str) -> bool {
    let part_of_name = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.');
    !wanted.is_empty()
        && text.match_indices(wanted).any(|(at, _)| {
            let before = text.get(..at).and_then(|head| head.chars().next_back());
            let after = text.get(at + wanted.len()..).and_then(|tail| tail.chars().next());
            !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::testing::Sample;

    #[test]
    fn a_boot_file_of_the_install_id_and_a_unit_that_names_it_mean_systemd() {
        let sample = Sample::design();
        sample.host(
            "etc/dataiku/AbCdEf/dataiku-boot.conf",
            &format!("DSS_DATADIR={}\nDSS_USER=dataiku\n", sample.path()),
        );
        sample.host(
            "etc/systemd/system/dataiku.service",
            "[Service]\nEnvironmentFile=/etc/dataiku/AbCdEf/dataiku-boot.conf\n",
        );
        sample.host("etc/systemd/system/dataiku.other.service", &format!("ExecStart={}2/bin/dss run\n", sample.path()));
        let service = sample.facts().service;
        assert_eq!(
            (service.manager, service.unit(), service.user.as_deref()),
            (Manager::Systemd, Some("dataiku.service"), Some("dataiku"))
        );
        assert_eq!(service.evidence.len(), 2);
        assert!(service.concern().is_none());
    }

    #[test]
    fn the_boot_file_of_the_original_says_nothing_about_its_clone() {
        let sample = Sample::design();
        sample.host("etc/dataiku/AbCdEf/dataiku-boot.conf", "DSS_DATADIR=/data/original\nDSS_USER=dataiku\n");
        assert_eq!(sample.facts().service.manager, Manager::Hand);
    }

    #[test]
    fn the_unit_of_the_original_is_not_its_clones() {
        let sample = Sample::design();
        sample.host("etc/dataiku/AbCdEf/dataiku-boot.conf", "DSS_DATADIR=/data/original\nDSS_USER=dataiku\n");
        let unit = "[Service]\nEnvironmentFile=/etc/dataiku/AbCdEf/dataiku-boot.conf\nExecStart=/opt/kit/dss run\n";
        sample.host("etc/systemd/system/dataiku.service", unit);
        let service = sample.facts().service;
        assert_eq!((service.manager, service.units), (Manager::Hand, Vec::new()));
    }

    #[test]
    fn a_unit_that_names_the_install_id_counts_where_no_boot_file_says_otherwise() {
        let sample = Sample::design();
        sample.host("etc/systemd/system/dataiku.service", "[Service]\nEnvironmentFile=/etc/dataiku/AbCdEf/boot\n");
        assert_eq!(sample.facts().service.unit(), Some("dataiku.service"));
    }

    #[test]
    fn older_versions_have_a_boot_script() {
        let sample = Sample::design();
        sample.host("etc/default/dataiku.prod", &format!("DIP_HOME=\"{}/\"\nDIP_USER='dss'\n", sample.path()));
        sample.host("etc/default/dataiku", "DIP_HOME=/elsewhere\n");
        sample.host("etc/init.d/dataiku.prod", "#!/bin/sh\n");
        let service = sample.facts().service;
        assert_eq!(
            (service.manager, service.unit(), service.user.as_deref()),
            (Manager::InitScript, Some("dataiku.prod"), Some("dss"))
        );
    }

    #[test]
    fn two_units_for_one_directory_are_a_concern() {
        let sample = Sample::design();
        for name in ["dataiku.service", "dataiku.prod.service"] {
            sample.host(&format!("etc/systemd/system/{name}"), &format!("ExecStart={}/bin/dss run\n", sample.path()));
        }
        let facts = sample.facts();
        assert!(
            facts.concerns.iter().any(|concern| concern.kind == ConcernKind::SeveralServices),
            "{:?}",
            facts.concerns
        );
        assert_eq!(facts.service.unit(), None);
    }
}
