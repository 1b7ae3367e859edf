//! Reading a node from a frozen volume, while it runs.

use std::path::Path;

use crate::dss::backup::error::NodeError;
use crate::dss::backup::{NodeOptions, Subject};
use crate::dss::datadir::databases::DatabaseKind;
use crate::fsnap::{Candidate, Frozen, FsnapError, coverage, detect};
use crate::repo::snapshot::{Consistency, Manifest, NodeRecord};
use crate::vault::VaultError;
use crate::vault::backup::{BackupReport, Steward};

/// Who can freeze the volume, if nothing of the directory lies on another.
pub fn candidate(root: &Path, options: &NodeOptions) -> Result<Candidate, NodeError> {
    let candidate = detect(root, &options.freezing)?.best()?;
    coverage(root)?.require_complete(root)?;
    Ok(candidate)
}

/// Freezes, reads, lets go.
pub fn read_frozen(subject: &mut Subject<'_>, candidate: &Candidate) -> Result<BackupReport, NodeError> {
    let journal = subject.context.folders.state.join("frozen");
    let frozen = candidate.create(&subject.root.display().to_string(), &journal)?;
    let kept = frozen.snapshot_id().map_or_else(|| frozen.name(), ToOwned::to_owned);
    subject.record.frozen = Some(format!("{} {kept}", frozen.provider()));
    let embedded = subject.facts.databases.iter().any(|database| database.kind == DatabaseKind::Embedded);
    if embedded && !frozen.provider().keeps_order_of_cached_writes() {
        // Measured: of two writes without fsync the later one alone may be in the frozen volume.
        let caveat = format!(
            "H2 databases are not guaranteed: {} freezes writes in order only if they were synced",
            frozen.provider()
        );
        subject.record.caveats.push(caveat);
    }
    let mut steward = Icy { frozen: &frozen, record: &subject.record, error: None };
    let report = subject.back_up(frozen.read_path(), &mut steward);
    if let Some(error) = steward.error {
        return Err(error.into());
    }
    frozen.finish()?;
    report
}

struct Icy<'f> {
    frozen: &'f Frozen,
    record: &'f NodeRecord,
    error: Option<FsnapError>,
}

impl Steward for Icy<'_> {
    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        if let Err(error) = self.frozen.verify() {
            self.error = Some(error);
            return Err(VaultError::Interrupted);
        }
        manifest.consistency = Consistency::Frozen;
        manifest.dss = Some(Box::new(self.record.clone()));
        Ok(())
    }
}
