//! Bringing the files of a node to their new place: beside it first, then by one rename, so that there is never half a
//! node; right into it where it is a mount point.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::id::SnapshotId;
use crate::dss::backup::DATADIR;
use crate::dss::datadir::install::INSTALL_INI;
use crate::dss::datadir::{markers, ours};
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::source::Source;
use crate::dss::migrate::step::Plan;
use crate::dss::restore::{Place, RestoreError, made, stale, swap};
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::sys::names::Names;
use crate::vault::Context;
use crate::vault::restore::{self, OwnerMode, OwnerRule, RestoreOptions, RestoreReport};

/// The report, or `None` if a killed run had done it already; and the directory that was there before.
type Restored = (Option<RestoreReport>, Option<PathBuf>);

/// What is needed for it.
pub struct Files<'f> {
    pub repository: &'f Repository,
    pub manifest: &'f Manifest,
    pub snapshot: SnapshotId,
    pub source: &'f Source,
    pub verify: bool,
    pub context: Context<'f>,
    /// Proves that nothing runs at the place.
    pub rest: &'f dyn Fn() -> Result<(), MigrateError>,
}

impl Files<'_> {
    /// Brings them. `begun_before`: a killed run may have done any part of it.
    pub fn bring(&self, plan: &Plan, begun_before: bool) -> Result<Restored, MigrateError> {
        let place = Place::at(&plan.data_dir, &self.snapshot)?;
        let Place { data_dir, beside, before, .. } = &place;
        let state = &self.context.folders.state;
        made::settle(state, &place)?;
        let kept = || before.symlink_metadata().is_ok().then(|| before.clone());
        if let Some(parent) = data_dir.parent() {
            std::fs::create_dir_all(parent).map_err(MigrateError::local("make", parent))?;
        }
        if plan.into {
            (self.rest)()?;
            let report = self.restore(data_dir, plan)?;
            stale::remove(data_dir);
            return Ok((Some(report), None));
        }
        // What is there may have come by an earlier restore; then nothing is kept of what this one was to replace.
        let is_whole = begun_before && made::has_arrived(state, &place);
        if is_whole && (kept().is_some() || !plan.replaces) {
            return Ok((None, kept()));
        }
        made::make(state, beside)?;
        let report = self.restore(beside, plan)?;
        stale::remove(beside);
        (self.rest)()?;
        if plan.replaces && data_dir.join(INSTALL_INI).exists() {
            swap::exchange(data_dir, beside, before)?;
        } else {
            swap::put(beside, data_dir)?;
        }
        Ok((Some(report), kept()))
    }

    fn restore(&self, target: &Path, plan: &Plan) -> Result<RestoreReport, MigrateError> {
        let (owner, owner_map) = self.owners(plan);
        let options = RestoreOptions {
            target: target.to_owned(),
            target_is_subpath: true,
            subpath: Some(DATADIR.as_bytes().to_vec()),
            verify: self.verify,
            owner,
            owner_map,
            ..RestoreOptions::default()
        };
        let report = restore::run(self.repository, self.snapshot, self.manifest, &options, self.context)?;
        match report.failures.first() {
            None => Ok(report),
            Some(first) => Err(MigrateError::Files {
                count: report.failures.len(),
                first: format!("{}: {}", first.path, first.cause),
                beside: target.to_owned(),
            }),
        }
    }

    /// The account's files become those of the new one. Others, of end users under user isolation, keep their owners.
    fn owners(&self, plan: &Plan) -> (OwnerMode, Vec<OwnerRule>) {
        let old = &self.source.facts.owner;
        let account = Names::account(&plan.account).filter(|_| rustix::process::geteuid().is_root());
        let Some(account) = account else { return (OwnerMode::Current, Vec::new()) };
        if old.user.as_deref() == Some(plan.account.as_str()) {
            return (OwnerMode::Names, Vec::new());
        }
        let rule = |group, from: String, to: u32| OwnerRule { group, from, to: to.to_string() };
        let mut rules =
            vec![rule(false, old.uid.to_string(), account.uid), rule(true, old.gid.to_string(), account.gid)];
        rules.extend(old.user.clone().map(|name| rule(false, name, account.uid)));
        rules.extend(old.group.clone().map(|name| rule(true, name, account.gid)));
        (OwnerMode::Names, rules)
    }
}

/// Whether an installer died in the middle of a migration there.
pub fn has_broken_migration(data_dir: &Path) -> bool {
    data_dir.join(markers::MIGRATION).exists()
}

/// Removes a directory that we restored, so that it can be restored again. One that cannot be renamed is emptied.
pub fn discard(plan: &Plan) -> Result<(), MigrateError> {
    let data_dir = &plan.data_dir;
    if !plan.into {
        return Ok(swap::sweep(data_dir)?);
    }
    let failed = |path: &Path| MigrateError::local("remove", path);
    let entries = std::fs::read_dir(data_dir).map_err(failed(data_dir))?.flatten();
    for entry in entries.filter(|entry| !ours::is_ours(entry.file_name().as_bytes())) {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_dir { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(failed(&path))?;
    }
    Ok(())
}

/// What an earlier restore of the same snapshot replaced must be put back or removed first.
pub fn nothing_kept(plan: &Plan, snapshot: &SnapshotId) -> Result<(), MigrateError> {
    let Place { before, .. } = Place::at(&plan.data_dir, snapshot)?;
    if plan.replaces && before.symlink_metadata().is_ok() {
        return Err(RestoreError::KeptBefore { before }.into());
    }
    Ok(())
}
