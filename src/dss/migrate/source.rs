//! What a snapshot knows of its node: enough to bring it up anywhere, with the source machine gone.

use std::io::{self, Write};

use crate::base::id::SnapshotId;
use crate::dss::backup::{DATADIR, FACTS_FILE, HOST};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::facts::Facts;
use crate::dss::datadir::host::Host;
use crate::dss::migrate::error::MigrateError;
use crate::repo::Repository;
use crate::repo::snapshot::{Manifest, NodeRecord};
use crate::sys::names::Names;
use crate::vault::restore::{self, RestoreOptions};
use crate::vault::{Context, VaultError, browse, dump};

/// Longer files of the snapshot are not taken into memory.
const FILE_BYTES_MAX: usize = 16 << 20;
/// Where descriptions of code environments are, below the data directory; one folder for each language below.
const ENVIRONMENTS: [&str; 2] = ["code-envs/desc", "acode-envs/desc"];
/// Files that tell how a node was installed; a leading `/` is the data directory.
const DESCRIBING: [&str; 13] = [
    "/dss-version.json",
    "/install.ini",
    "/bin",
    "/install-support",
    "/config/general-settings.json",
    "/config/dip.properties",
    "/config/settings.json",
    "/config/server.json",
    "/run/install.log",
    "/jupyter-run/jupyter/kernels",
    "/lib/sparkling-water",
    "/pyenv/pyvenv.cfg",
    "/pyenv/bin",
];
/// Packages of the built-in Python environment, as they were at backup time.
pub const PACKAGES: &str = "pip/builtin.txt";

/// A code environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeEnv {
    /// `python` or `R`.
    pub language: String,
    /// Its name.
    pub name: String,
}

/// A node as its snapshot knows it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it was made.
    pub host: String,
    /// The record of the backup.
    pub record: NodeRecord,
    /// Everything found out about it then.
    pub facts: Facts,
    /// Its code environments.
    pub environments: Vec<CodeEnv>,
    /// `pip freeze` of its built-in environment, if there is anything in it.
    pub packages: Option<String>,
    /// Why that is not known, if it could not be had.
    pub packages_unknown: Option<String>,
    /// Bytes of content.
    pub bytes: u64,
}

impl Source {
    /// Reads a snapshot.
    pub fn read(
        repository: &Repository,
        snapshot: SnapshotId,
        manifest: &Manifest,
        context: Context<'_>,
    ) -> Result<Self, MigrateError> {
        let record = manifest.dss.as_deref().ok_or(MigrateError::NoNode)?.clone();
        let host_file = |name: &str| file(repository, manifest, &format!("{HOST}/{name}"), context);
        let facts = match host_file(FACTS_FILE)? {
            Some(facts) => serde_json::from_slice(&facts).map_err(no_facts)?,
            // Made from an archive: its files tell nearly as much.
            None => facts_of_files(repository, snapshot, manifest, &record, context)?,
        };
        let listed = host_file(PACKAGES)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (packages, packages_unknown) = packages(listed.unwrap_or_default());
        let environments = environments(repository, manifest, context)?;
        let (host, bytes) = (home_of(manifest), manifest.counts.bytes);
        Ok(Self { host, record, facts, environments, packages, packages_unknown, bytes })
    }
}

/// A list of packages; of one that holds nothing but comments, why it could not be had.
fn packages(text: String) -> (Option<String>, Option<String>) {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().any(|line| !line.starts_with('#')) {
        return (Some(text), None);
    }
    let why: Vec<&str> = lines().map(|line| line.trim_start_matches('#').trim()).collect();
    (None, Some(why.join(" ")).filter(|why| !why.is_empty()))
}

/// The machine it lived on. Whichever imported an archive is not that.
fn home_of(manifest: &Manifest) -> String {
    if manifest.imported.is_some() { String::new() } else { manifest.host.clone() }
}

fn no_facts(why: impl ToString) -> MigrateError {
    MigrateError::NoFacts { why: why.to_string() }
}

/// What the files that describe a node tell, brought back for a moment to a folder that only this account can enter.
fn facts_of_files(
    repository: &Repository,
    snapshot: SnapshotId,
    manifest: &Manifest,
    record: &NodeRecord,
    context: Context<'_>,
) -> Result<Facts, MigrateError> {
    let state = &context.folders.state;
    let root =
        tempfile::Builder::new().prefix("facts-").tempdir_in(state).map_err(MigrateError::local("make", state))?;
    let host = Host::new(Some(root.path().to_owned()));
    let data_dir = host.path(if record.data_dir.is_empty() { "/unknown" } else { &record.data_dir });
    let options = RestoreOptions {
        target: data_dir.clone(),
        target_is_subpath: true,
        subpath: Some(DATADIR.as_bytes().to_vec()),
        include: DESCRIBING.map(str::to_owned).to_vec(),
        ..RestoreOptions::default()
    };
    let report = restore::run(repository, snapshot, manifest, &options, context)?;
    if let Some(failure) = report.failures.first() {
        return Err(no_facts(format!("{}: {}", failure.path, failure.cause)));
    }
    let mut facts = DataDir::open(&data_dir, &host)?.facts;
    // The folder has no accounts of its own: owners were brought back as accounts of this machine.
    let names = Names::default();
    (facts.owner.user, facts.owner.group) = (names.user(facts.owner.uid), names.group(facts.owner.gid));
    Ok(facts)
}

/// The content of a file of the snapshot; `None` if it has none of this name.
fn file(
    repository: &Repository,
    manifest: &Manifest,
    path: &str,
    context: Context<'_>,
) -> Result<Option<Vec<u8>>, VaultError> {
    let mut bytes = Bounded(Vec::new());
    match dump::run(repository, manifest, path.as_bytes(), context, &mut bytes) {
        Ok(_) => Ok(Some(bytes.0)),
        Err(VaultError::Request { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large to be what it should be"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn environments(
    repository: &Repository,
    manifest: &Manifest,
    context: Context<'_>,
) -> Result<Vec<CodeEnv>, VaultError> {
    let mut found = Vec::new();
    for folder in ENVIRONMENTS {
        let top = format!("{DATADIR}/{folder}");
        let walked = browse::walk(repository, manifest, top.as_bytes(), context, &mut |path, entry| {
            let below = path.get(top.len()..).unwrap_or_default();
            let names: Vec<_> = below.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
            if let ([language, name], true) = (names.as_slice(), entry.tree.is_some()) {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                found.push(CodeEnv { language: text(language), name: text(name) });
            }
            Ok(names.len() < 2)
        });
        match walked {
            // Most nodes have none, or only one of the two.
            Ok(()) | Err(VaultError::Request { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nothing_but_comments_is_none_and_says_why() {
        let list = "# made by pip\nnumpy==2\n".to_owned();
        assert_eq!(packages(list.clone()), (Some(list), None));
        let none = "# the list could not be had:\n# bin/pip: exit status: 1\n".to_owned();
        assert_eq!(packages(none), (None, Some("the list could not be had: bin/pip: exit status: 1".to_owned())));
        assert_eq!(packages(String::new()), (None, None));
    }
}
