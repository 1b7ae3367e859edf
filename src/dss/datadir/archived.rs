//! A data directory in an archive: recognised by the same files as one on a disk, and understood from them alone. What
//! only the machine could tell stays unknown.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dss::datadir::VERSION_FILE;
use crate::dss::datadir::facts::Ports;
use crate::dss::datadir::ini::Ini;
use crate::dss::datadir::install::{ENVIRONMENT, INSTALL_INI, INSTALLED_PATH, conf_version};
use crate::dss::datadir::look::text_at;
use crate::dss::datadir::node::NodeType;
use crate::dss::datadir::shell;
use crate::dss::datadir::version::DssVersion;

/// What is read of a data directory.
const FILES: [&str; 4] = [VERSION_FILE, INSTALL_INI, ENVIRONMENT, INSTALLED_PATH];
/// Copies the installer makes before it migrates: they hold the same files and are no data directories. Source: kit,
/// migration_backup.py.
const COPIES: [&[u8]; 2] = [b"_pre_migration_backup_", b"_broken_migration_backup_"];

/// Small files of an archive, by path.
pub type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// Whether a file tells something of a data directory it may be in.
pub fn is_telling(path: &[u8]) -> bool {
    FILES.iter().any(|file| folder_of(path, file).is_some())
}

/// A data directory in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its folder; empty if it is all of the archive.
    pub folder: Vec<u8>,
    /// What it is for.
    pub node_type: NodeType,
    /// `dss-version.json`, `product_version`.
    pub version: Option<DssVersion>,
    /// `dss-version.json`, `conf_version`.
    pub conf_version: Option<u64>,
    /// `install.ini`, `[general] installid`.
    pub install_id: Option<String>,
    /// `install.ini`, `[general] nodeid`.
    pub node_id: Option<String>,
    /// Its first port.
    pub port: Option<u16>,
    /// `DKUINSTALLDIR` in `bin/env-default.sh`.
    pub install_dir: Option<String>,
    /// `install-support/expected-dip-home.txt`.
    pub installed_path: Option<String>,
}

impl Archived {
    /// The data directory of an archive; `None` if there is none, or none of several is above the others.
    pub fn find(files: &Files) -> Option<Self> {
        let mut folders: Vec<&[u8]> = files
            .keys()
            .filter_map(|path| folder_of(path, VERSION_FILE))
            .filter(|folder| !is_copy(folder) && files.contains_key(&join(folder, INSTALL_INI)))
            .collect();
        folders.sort_by_key(|folder| depth(folder));
        match folders.as_slice() {
            [first, second, ..] if depth(first) == depth(second) => None,
            [first, ..] => Some(Self::read(first, files)),
            [] => None,
        }
    }

    /// Whether all it can tell was seen.
    pub fn is_whole(&self, files: &Files) -> bool {
        FILES.iter().all(|file| files.contains_key(&join(&self.folder, file)))
    }

    fn read(folder: &[u8], files: &Files) -> Self {
        let text = |file: &str| files.get(&join(folder, file)).map(|bytes| String::from_utf8_lossy(bytes));
        let ini = text(INSTALL_INI).and_then(|text| Ini::parse(&text).ok()).unwrap_or_default();
        let environment = text(ENVIRONMENT).map(|text| shell::assignments(&text)).unwrap_or_default();
        let version: Value = text(VERSION_FILE)
            .and_then(|text| serde_json::from_str(text.trim_start_matches('\u{feff}')).ok())
            .unwrap_or_default();
        let set = |name: &str| environment.get(name).map(String::as_str);
        let told = ini.get("general", "nodetype").or(set("DKU_NODE_TYPE"));
        let node_type = NodeType::from_install(told, ini.flag("modules", "projects").unwrap_or(true));
        let base = ini.get("server", "port").or(set("DKU_BASE_PORT")).and_then(|port| port.parse().ok());
        Self {
            folder: folder.to_vec(),
            version: text_at(&version, &["product_version"]).and_then(|text| text.parse().ok()),
            conf_version: conf_version(&version),
            install_id: ini.get("general", "installid").filter(|id| *id != "notattributed").map(str::to_owned),
            node_id: ini.get("general", "nodeid").map(str::to_owned),
            port: base.filter(|base| Ports::new(*base, &node_type).is_some()),
            install_dir: set("DKUINSTALLDIR").filter(|path| path.starts_with('/')).map(str::to_owned),
            installed_path: text(INSTALLED_PATH)
                .map(|text| text.trim().to_owned())
                .filter(|text| text.starts_with('/')),
            node_type,
        }
    }
}

/// The folder in which `path` is `file`.
fn folder_of<'p>(path: &'p [u8], file: &str) -> Option<&'p [u8]> {
    match path.strip_suffix(file.as_bytes())? {
        b"" => Some(b""),
        rest => rest.strip_suffix(b"/"),
    }
}

fn join(folder: &[u8], file: &str) -> Vec<u8> {
    if folder.is_empty() { file.into() } else { [folder, b"/", file.as_bytes()].concat() }
}

fn depth(folder: &[u8]) -> usize {
    if folder.is_empty() { 0 } else { 1 + folder.iter().filter(|&&byte| byte == b'/').count() }
}

fn is_copy(folder: &[u8]) -> bool {
    folder.split(|&byte| byte == b'/').any(|name| COPIES.iter().any(|copy| name.starts_with(copy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(path, text)| (path.as_bytes().to_vec(), text.as_bytes().to_vec())).collect()
    }

    const VERSION: &str = r#"{"conf_version": "14220", "product_version": "14.2.2"}"#;
    const INI: &str = "[general]\nnodetype = automation\ninstallid = AbCd\n[server]\nport = 11000\n";

    #[test]
    fn the_files_of_a_data_directory_tell_what_it_is_wherever_it_lies() {
        for folder in ["", "dss_data/", "data/dss/"] {
            let path = |file: &str| format!("{folder}{file}");
            let all = files(&[
                (&path("dss-version.json"), VERSION),
                (&path("install.ini"), INI),
                (&path("bin/env-default.sh"), "export DKUINSTALLDIR=\"/opt/kit\"\n"),
                (&path("install-support/expected-dip-home.txt"), "/data/dss\n"),
                (&path("_pre_migration_backup_20250101-000000/dss-version.json"), VERSION),
                (&path("_pre_migration_backup_20250101-000000/install.ini"), INI),
            ]);
            assert!(all.keys().all(|path| is_telling(path)));
            let found = Archived::find(&all).unwrap();
            assert_eq!(found.folder, folder.trim_end_matches('/').as_bytes());
            assert_eq!((found.node_type.word(), found.port), ("automation", Some(11000)));
            assert_eq!((found.install_id.as_deref(), found.conf_version), (Some("AbCd"), Some(14220)));
            assert_eq!(found.installed_path.as_deref(), Some("/data/dss"));
            assert_eq!(found.install_dir.as_deref(), Some("/opt/kit"));
            assert!(found.is_whole(&all));
        }
    }

    #[test]
    fn an_archive_of_something_else_or_of_several_nodes_is_no_data_directory() {
        assert!(Archived::find(&files(&[("kit/dss-version.json", VERSION)])).is_none(), "a kit has no install.ini");
        let several = [
            ("a/dss-version.json", VERSION),
            ("a/install.ini", INI),
            ("b/dss-version.json", VERSION),
            ("b/install.ini", INI),
        ];
        assert!(Archived::find(&files(&several)).is_none());
        assert!(!is_telling(b"config/other.json") && !is_telling(b"myinstall.ini"));
    }

    #[test]
    fn broken_files_leave_gaps() {
        let found = Archived::find(&files(&[("dss-version.json", "{"), ("install.ini", "[general\nx")])).unwrap();
        assert_eq!((found.version, found.install_id, found.port), (None, None, None));
    }
}
