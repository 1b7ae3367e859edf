//! What belongs to an installation and lies outside of its data directory, so that a backup of the directory does not
//! hold it. Source: DSS docs and kit, as named at each kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dss::datadir::install::{Basis, shown};
use crate::dss::datadir::look::{Look, text_at};
use crate::dss::datadir::service::Service;

/// Connections looked at; a hostile file may hold any number.
const CONNECTIONS_MAX: usize = 10_000;

/// What a thing outside is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideKind {
    /// The DSS software. Comes from Dataiku again, in the same version.
    Kit,
    /// Hadoop or Spark libraries unpacked into the kit.
    StandaloneLibraries,
    /// The certificate nginx shows.
    TlsCertificate,
    /// Its private key.
    TlsKey,
    /// The Kerberos keytab.
    Keytab,
    /// `/etc/dataiku-security/<installid>`: user isolation.
    SecurityConfig,
    /// Rules that let DSS become other users.
    Sudoers,
    /// Units, boot files and scripts.
    Boot,
    /// `~/.ssh` of the account: keys for git and SFTP.
    SshFolder,
    /// The root of a filesystem connection: data.
    ConnectionRoot,
}

impl OutsideKind {
    /// Whether it is small enough, and of the kind, to be kept beside a backup of the directory (`--include-host`).
    pub fn is_worth_including(self) -> bool {
        !matches!(self, Self::Kit | Self::StandaloneLibraries | Self::ConnectionRoot)
    }
}

/// A thing outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// What it is for.
    pub kind: OutsideKind,
    /// Where it is, on that machine.
    pub path: String,
    /// Whether it is there; `None` if this account may not look.
    pub exists: Option<bool>,
    /// What names it.
    pub named_by: String,
    /// Whether `--include-host` is proposed for it.
    pub propose: bool,
}

/// Everything outside that belongs to this directory.
pub fn find(look: &Look<'_>, basis: &Basis, service: &Service) -> Vec<Outside> {
    let mut found = Found { look, list: Vec::new() };
    found.kit(basis);
    let tls = [("ssl_certificate", OutsideKind::TlsCertificate), ("ssl_certificate_key", OutsideKind::TlsKey)];
    for (key, kind) in tls {
        let named = basis.ini.get("server", key);
        found.configured(kind, named, &format!("install.ini: [server] {key}"));
    }
    let keytab = text_at(&basis.settings, &["hadoopSettings", "dssKeytabPath"]);
    found.configured(OutsideKind::Keytab, keytab, "general-settings.json: hadoopSettings.dssKeytabPath");
    if let Some(id) = &basis.install_id {
        found.security(id);
    }
    for path in &service.evidence {
        found.add(OutsideKind::Boot, Path::new(path), "it names this directory");
    }
    if let Some(home) = look.host.home(basis.uid) {
        found.if_there(OutsideKind::SshFolder, &home.join(".ssh"), "home of the account that owns the directory");
    }
    found.connections();
    found.list
}

struct Found<'a, 'l> {
    look: &'a Look<'l>,
    list: Vec<Outside>,
}

impl Found<'_, '_> {
    fn add(&mut self, kind: OutsideKind, path: &Path, named_by: impl Into<String>) {
        let exists = self.look.host.exists(path);
        let propose = kind.is_worth_including() && exists != Some(false);
        self.list.push(Outside { kind, path: shown(path), exists, named_by: named_by.into(), propose });
    }

    fn if_there(&mut self, kind: OutsideKind, path: &Path, named_by: impl Into<String>) {
        if self.look.host.exists(path) != Some(false) {
            self.add(kind, path, named_by);
        }
    }

    /// A path some setting names: absolute and not below the data directory, else it is in the backup anyway.
    fn configured(&mut self, kind: OutsideKind, named: Option<&str>, named_by: &str) {
        let Some(path) = named.map(Path::new).filter(|path| path.is_absolute()) else { return };
        if !self.is_inside(path) {
            self.add(kind, path, named_by);
        }
    }

    fn is_inside(&self, path: &Path) -> bool {
        let here = self.look.host.path(path);
        without_dots(&here).starts_with(&self.look.root)
            || here.canonicalize().is_ok_and(|real| real.starts_with(&self.look.root))
    }

    fn kit(&mut self, basis: &Basis) {
        let Some(path) = &basis.install_dir else { return };
        self.add(OutsideKind::Kit, Path::new(path), "bin/env-default.sh: DKUINSTALLDIR");
        for name in ["hadoop-standalone-libs", "spark-standalone-home"] {
            let libraries = Path::new(path).join(name);
            if self.look.host.exists(&libraries) == Some(true) {
                self.add(OutsideKind::StandaloneLibraries, &libraries, "unpacked into the kit");
            }
        }
    }

    fn security(&mut self, id: &str) {
        // The id comes from a file: it must not lead anywhere else.
        if id.contains('/') || id == ".." {
            return;
        }
        let folder = Path::new("/etc/dataiku-security").join(id);
        if self.look.host.exists(&folder) == Some(false) {
            return;
        }
        self.add(OutsideKind::SecurityConfig, &folder, "install.ini: installid");
        // Readable by root alone: looked at only where user isolation is set up, so that others are not told in vain.
        for path in self.look.host_list("/etc/sudoers.d", |name| name.starts_with("dataiku-dss") && name.contains(id)) {
            self.add(OutsideKind::Sudoers, &path, "install.ini: installid");
        }
    }

    /// Filesystem connections whose root is an absolute path elsewhere.
    fn connections(&mut self) {
        let connections = self.look.json("config/connections.json").unwrap_or_default();
        // The file is `{"connections": {NAME: …}}`, in old versions the inner part alone.
        let listed = connections.get("connections").unwrap_or(&connections);
        let Value::Object(listed) = listed else { return };
        let mut roots: BTreeMap<PathBuf, Vec<&str>> = BTreeMap::new();
        for (name, connection) in listed.iter().take(CONNECTIONS_MAX) {
            if let Some(root) = text_at(connection, &["params", "root"]).filter(|root| root.starts_with('/')) {
                roots.entry(PathBuf::from(root)).or_default().push(name);
            }
        }
        for (root, names) in roots {
            let named_by = format!("connections.json: {}", names.join(", "));
            self.configured(OutsideKind::ConnectionRoot, root.to_str(), &named_by);
        }
    }
}

/// A path with `..` taken out, as far as names tell.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::testing::Sample;

    fn outside(sample: &Sample) -> Vec<(OutsideKind, String, Option<bool>)> {
        let found = sample.facts().outside.into_iter().filter(|found| found.kind != OutsideKind::SshFolder);
        found.map(|found| (found.kind, found.path, found.exists)).collect()
    }

    #[test]
    fn the_kit_is_always_outside() {
        let sample = Sample::design();
        assert_eq!(outside(&sample), [(OutsideKind::Kit, "/opt/kit".to_owned(), Some(true))]);
    }

    #[test]
    fn keys_keytab_and_security_files_are_named_and_proposed() {
        let sample = Sample::design();
        sample.ini("[server]\nssl_certificate = /etc/ssl/dss.crt\nssl_certificate_key = /data/dss/config/own.key\n");
        sample.settings(r#""hadoopSettings": {"dssKeytabPath": "/etc/dss.keytab"}"#);
        for file in [
            "etc/ssl/dss.crt",
            "etc/dataiku-security/AbCdEf/security-config.ini",
            "etc/sudoers.d/dataiku-dss-AbCdEf",
            "etc/sudoers.d/dataiku-dss-Other",
        ] {
            sample.host(file, "");
        }
        let found = outside(&sample);
        assert_eq!(
            found[1..],
            [
                (OutsideKind::TlsCertificate, "/etc/ssl/dss.crt".to_owned(), Some(true)),
                (OutsideKind::Keytab, "/etc/dss.keytab".to_owned(), Some(false)),
                (OutsideKind::SecurityConfig, "/etc/dataiku-security/AbCdEf".to_owned(), Some(true)),
                (OutsideKind::Sudoers, "/etc/sudoers.d/dataiku-dss-AbCdEf".to_owned(), Some(true)),
            ]
        );
        let facts = sample.facts();
        let proposed = |kind| facts.outside.iter().find(|found| found.kind == kind).unwrap().propose;
        assert!(proposed(OutsideKind::TlsCertificate) && !proposed(OutsideKind::Keytab) && !proposed(OutsideKind::Kit));
    }

    #[test]
    fn connections_rooted_elsewhere_are_named_once_for_each_root() {
        let sample = Sample::design();
        sample.write(
            "config/connections.json",
            r#"{"connections": {
            "home": {"type": "Filesystem", "params": {"root": "${dip.home}/managed_datasets"}},
            "inside": {"params": {"root": "/data/dss/uploads"}}, "sneaky": {"params": {"root": "/data/dss/../other"}},
            "a": {"params": {"root": "/big"}}, "b": {"params": {"root": "/big"}},
            "odd": {"params": {"root": 7}}, "pg": {"params": {"password": "hunter2"}}, "null": null}}"#,
        );
        let found = outside(&sample);
        let roots: Vec<&str> = found[1..].iter().map(|(_, path, _)| path.as_str()).collect();
        assert_eq!(roots, ["/big", "/data/dss/../other"]);
        assert_eq!(
            sample.facts().outside.iter().find(|found| found.path == "/big").unwrap().named_by,
            "connections.json: a, b"
        );
    }

    #[test]
    fn the_ssh_folder_of_the_owner_is_named_if_it_is_there() {
        let sample = Sample::design();
        let uid = rustix::process::geteuid().as_raw();
        sample.host("etc/passwd", &format!("dss:x:{uid}:{uid}::/home/dss:/bin/sh\n"));
        assert_eq!(sample.facts().outside.len(), 1);
        sample.host("home/dss/.ssh/id_ed25519", "");
        let facts = sample.facts();
        assert_eq!((facts.outside[1].kind, facts.outside[1].path.as_str()), (OutsideKind::SshFolder, "/home/dss/.ssh"));
        assert!(facts.outside[1].propose && facts.owner.user.as_deref() == Some("dss"));
    }

    #[test]
    fn an_install_id_that_is_a_path_leads_nowhere() {
        let sample = Sample::design();
        sample.write("install.ini", "[general]\ninstallid = ../../etc\n[server]\nport = 11000\n");
        assert_eq!(outside(&sample).len(), 1);
    }
}
