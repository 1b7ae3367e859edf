//! Old backups: archives made by the script DSS documents (`tar -zcvf` of the data directory) become snapshots with
//! their own dates, which look as a backup of that node would.

mod moment;

use std::path::{Path, PathBuf};

use crate::base::clock::{Timestamp, Zone};
use crate::dss::backup::{DATADIR, HOST};
use crate::dss::datadir::archived::{Archived, is_telling};
use crate::repo::Repository;
use crate::repo::snapshot::{Manifest, Member, NodeRecord};
use crate::vault::archive::survey::{self, Survey, Wanted};
use crate::vault::backup::{self, Archive, BackupOptions, BackupReport, Layout, Source, Steward};
use crate::vault::{Context, VaultError, browse};

pub use moment::{TimeFrom, ToldBy};

/// Kind of a member that is an archive of plain files.
const ARCHIVE: &str = "archive";

/// How archives are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What every backup is asked; only labels, tags and whether it is a dry run count.
    pub backup: BackupOptions,
    /// Where the time of a snapshot comes from.
    pub time: TimeFrom,
    /// Where a day in a name begins.
    pub zone: Zone,
}

/// An archive and the time its snapshot will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The archive.
    pub path: PathBuf,
    /// When it was made.
    pub time: Timestamp,
    /// What says so.
    pub told_by: ToldBy,
}

/// What became of one archive.
#[derive(Debug)]
pub struct Import {
    /// The archive.
    pub planned: Planned,
    /// The node it is of; `None` if it is no data directory.
    pub node: Option<Box<NodeRecord>>,
    /// As every backup.
    pub backup: BackupReport,
}

/// The archives, oldest first. Nothing of their content is read.
pub fn plan(paths: &[PathBuf], options: &ImportOptions) -> Result<Vec<Planned>, VaultError> {
    if matches!(options.time, TimeFrom::At(_)) && paths.len() > 1 {
        return Err(VaultError::Request {
            what: "one time cannot be that of several archives".to_owned(),
            hint: Some("import them one by one, or say `--time from-name` or `--time from-mtime`".to_owned()),
        });
    }
    let mut planned = Vec::with_capacity(paths.len());
    for path in paths {
        let (time, told_by) = moment::of(path, options.time, &options.zone)?;
        planned.push(Planned { path: path.clone(), time, told_by });
    }
    planned.sort_by(|a, b| (a.time, &a.path).cmp(&(b.time, &b.path)));
    Ok(planned)
}

/// Imports one archive. An error means that nothing of it was imported.
pub fn run(
    repository: &Repository,
    planned: &Planned,
    options: &ImportOptions,
    context: Context<'_>,
) -> Result<Import, VaultError> {
    let survey = look(&planned.path, options.backup.dry_run, context)?;
    let found = Archived::find(&survey.kept);
    let mut backup = BackupOptions { time: Some(planned.time), ..options.backup.clone() };
    let node = found.as_ref().map(record);
    if let Some(found) = &found {
        let earlier = match &found.install_id {
            Some(id) => newest_of(repository, id)?,
            None => None,
        };
        backup.identity = found.install_id.as_ref().map(|id| format!("dss {id}"));
        if let (Some(known_by), Some(earlier)) = (&backup.identity, &earlier) {
            backup::adopt_node(&context.folders.state, repository.id(), known_by, earlier.node)?;
        }
        backup.node = backup.node.or_else(|| earlier.map(|earlier| earlier.label)).or_else(|| Some(label(found)));
    }
    let source = Source::Archive(Archive {
        path: planned.path.clone(),
        layout: found.as_ref().map_or_else(Layout::default, layout),
        members: members(&planned.path, found.as_ref()),
        counted: survey.counts(),
    });
    let mut witness = Witness(node.clone().map(Box::new));
    let backup = backup::run_attended(repository, &[source], &backup, context, &mut witness)?;
    Ok(Import { planned: planned.clone(), node: node.map(Box::new), backup })
}

/// Reads as far as is needed to know what the archive is of; for a dry run to its end, for that is all the reading it does.
fn look(path: &Path, to_its_end: bool, context: Context<'_>) -> Result<Survey, VaultError> {
    // Of an archive that begins with the data directory itself everything else lies in it.
    let is_enough = |survey: &Survey| {
        if to_its_end {
            return false;
        }
        let found = Archived::find(&survey.kept);
        found.is_some_and(|found| Some(&found.folder) == survey.first.as_ref() && found.is_whole(&survey.kept))
    };
    survey::run(path, &Wanted { keep: &is_telling, is_enough: &is_enough }, context)
}

fn layout(found: &Archived) -> Layout {
    Layout { folder: found.folder.clone(), becomes: DATADIR.into(), rest: HOST.into() }
}

fn members(path: &Path, found: Option<&Archived>) -> Vec<Member> {
    let (kind, name) = match found {
        Some(found) => {
            let folder = || String::from_utf8_lossy(&found.folder).into_owned();
            (DATADIR, found.installed_path.clone().unwrap_or_else(folder))
        }
        None => (ARCHIVE, path.display().to_string()),
    };
    vec![Member { kind: kind.to_owned(), name }]
}

fn record(found: &Archived) -> NodeRecord {
    NodeRecord {
        node_type: found.node_type.word().to_owned(),
        version: found.version.as_ref().map(ToString::to_string),
        conf_version: found.conf_version,
        install_id: found.install_id.clone(),
        // Empty where the archive does not tell: a restore then asks for it.
        data_dir: found.installed_path.clone().unwrap_or_default(),
        install_dir: found.install_dir.clone(),
        port: found.port,
        caveats: vec![
            "from an archive: H2 databases are not guaranteed unless DSS was stopped when it was made".to_owned(),
            "databases on a server, if the node had any, are not in an archive".to_owned(),
        ],
        ..NodeRecord::default()
    }
}

/// What a node is called if nobody says and no earlier snapshot does.
fn label(found: &Archived) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    found.node_id.clone().unwrap_or_else(|| format!("{host}-{}", found.node_type.word()))
}

/// The newest snapshot of an installation: its row is continued.
fn newest_of(repository: &Repository, install_id: &str) -> Result<Option<Manifest>, VaultError> {
    let mut newest: Option<Manifest> = None;
    browse::each(repository, |_, manifest| {
        let Ok(manifest) = manifest else { return };
        let id = manifest.dss.as_ref().and_then(|dss| dss.install_id.as_deref());
        if id == Some(install_id) && newest.as_ref().is_none_or(|newest| newest.time < manifest.time) {
            newest = Some(manifest);
        }
    })?;
    Ok(newest)
}

/// Says what the archive is of.
struct Witness(Option<Box<NodeRecord>>);

impl Steward for Witness {
    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        manifest.dss.clone_from(&self.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::progress::{Event, Progress};
    use crate::repo::index::testing::Fixture;
    use crate::repo::snapshot::Consistency;
    use crate::vault::context::Folders;

    #[derive(Default)]
    struct Members(AtomicU64);

    impl Progress for Members {
        fn on(&self, event: Event<'_>) {
            if let Event::Advanced { files, .. } = event {
                self.0.fetch_add(files, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_dry_run_reads_an_archive_once_and_says_of_it_what_its_snapshot_would_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2025-11-03.tar");
        for (name, content) in
            [("dss-version.json", "{\"product_version\": \"14.2.2\"}"), ("install.ini", ""), ("a", "1")]
        {
            std::fs::create_dir_all(folder.path().join("dss")).unwrap();
            std::fs::write(folder.path().join("dss").join(name), content).unwrap();
        }
        let mut tar = std::process::Command::new("tar");
        assert!(tar.current_dir(&folder).arg("-cf").args([&path, Path::new("dss")]).status().unwrap().success());
        let folders = Folders { cache: folder.path().join("cache"), state: folder.path().join("state") };
        let (progress, cancel) = (Members::default(), Cancel::default());
        let context = Context { progress: &progress, cancel: &cancel, folders: &folders };
        let backup = BackupOptions { dry_run: true, ..BackupOptions::default() };
        let options = ImportOptions { backup, ..ImportOptions::default() };
        let planned = plan(&[path], &options).unwrap();
        let report = run(&Fixture::new(1).repository, &planned[0], &options, context).unwrap().backup;
        assert_eq!((progress.0.load(Ordering::Relaxed), report.manifest.counts.files), (4, 3));
        assert_eq!(report.manifest.consistency, Consistency::Unknown);
        let imported = report.manifest.imported.unwrap();
        assert_eq!((imported.archive.as_str(), imported.packing.as_str()), ("2025-11-03.tar", "plain"));
    }
}
