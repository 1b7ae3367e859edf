//! Brings databases into a snapshot whose files somebody else looks after.

use crate::base::cancel::Cancel;
use crate::base::clock::{Clock, Timestamp};
use crate::postgres::backup::Databases;
use crate::postgres::error::PgError;
use crate::repo::Repository;
use crate::repo::snapshot::{Consistency, DatabaseRecord, Manifest};
use crate::vault::backup::{self, BackupOptions, BackupReport, Source, Steward, StreamSink, Unattended};
use crate::vault::{Context, VaultError};

/// Stands between a backup and the steward of its files.
pub struct Dumping<'s> {
    files: &'s mut dyn Steward,
    databases: &'s mut Databases,
    clock: &'s dyn Clock,
    cancel: &'s Cancel,
    /// When the last dump had ended, and the pass over the files that counts began.
    brought: Option<Timestamp>,
    error: Option<PgError>,
}

impl<'s> Dumping<'s> {
    /// Besides what `files` does.
    pub fn new(
        files: &'s mut dyn Steward,
        databases: &'s mut Databases,
        clock: &'s dyn Clock,
        cancel: &'s Cancel,
    ) -> Self {
        Self { files, databases, clock, cancel, brought: None, error: None }
    }

    /// Why a database could not be dumped, which the engine cannot carry.
    pub fn into_error(self) -> Option<PgError> {
        self.error
    }
}

impl Steward for Dumping<'_> {
    fn has_two_passes(&self) -> bool {
        self.files.has_two_passes()
    }

    fn rest(&mut self) -> Result<(), VaultError> {
        self.files.rest()
    }

    fn bring(&mut self, sink: &mut dyn StreamSink) -> Result<(), VaultError> {
        self.files.bring(sink)?;
        if let Err(error) = self.databases.bring(sink, self.clock, self.cancel) {
            self.error = Some(error);
            return Err(VaultError::Interrupted);
        }
        self.brought = Some(self.clock.now());
        Ok(())
    }

    fn wake(&mut self) {
        self.files.wake();
    }

    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        self.files.testify(manifest)?;
        if !self.databases.is_empty() {
            let files_at = moment_of_files(manifest, self.brought);
            let records = self.databases.records.iter().cloned();
            let skewed = |record: DatabaseRecord| DatabaseRecord {
                skew_ms: files_at.map(|files| record.began.millis_since(files)),
                ..record
            };
            manifest.databases = Some(records.map(skewed).collect());
        }
        Ok(())
    }
}

/// The moment the files show, where it can be another than that of the databases.
fn moment_of_files(manifest: &Manifest, brought: Option<Timestamp>) -> Option<Timestamp> {
    manifest.dss.as_ref()?;
    match manifest.consistency {
        Consistency::Frozen => Some(manifest.time),
        Consistency::Live => brought,
        Consistency::Stopped | Consistency::Unknown => None,
    }
}

/// Backs databases up in a snapshot of their own.
pub fn run(
    repository: &Repository,
    databases: &mut Databases,
    options: &BackupOptions,
    context: Context<'_>,
) -> Result<BackupReport, PgError> {
    let source = Source::Attended(databases.members());
    let mut unattended = Unattended;
    let mut steward = Dumping::new(&mut unattended, databases, &*repository.seams.clock, context.cancel);
    let report = backup::run_attended(repository, &[source], options, context, &mut steward);
    match steward.into_error() {
        Some(error) => Err(error),
        None => Ok(report?),
    }
}
