//! Who looks after what is being read: brings it to rest in time, wakes it again, and says how it was read.

use crate::repo::snapshot::Manifest;
use crate::vault::VaultError;
use crate::vault::backup::grafts::StreamSink;

/// Accompanies one backup. Every call comes from the thread that runs the backup.
pub trait Steward {
    /// Whether there is a first pass while the sources are in use, [`rest`](Self::rest), and a second pass.
    fn has_two_passes(&self) -> bool {
        false
    }

    /// Nearly everything is stored: the sources must not change from now on. An error ends the backup; what was
    /// done until then must be undone already.
    fn rest(&mut self) -> Result<(), VaultError> {
        Ok(())
    }

    /// Brings what belongs to the snapshot and is no file: dumps of databases. Called once, before the pass that
    /// counts and after [`rest`](Self::rest). An error keeps the snapshot from being committed.
    fn bring(&mut self, sink: &mut dyn StreamSink) -> Result<(), VaultError> {
        let _ = sink;
        Ok(())
    }

    /// The last byte was read, or reading failed: the sources may change again. Called once after each `rest`.
    fn wake(&mut self) {}

    /// Completes the manifest. An error keeps the snapshot from being committed.
    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        let _ = manifest;
        Ok(())
    }
}

/// Nobody: the sources are read once as they are.
pub struct Unattended;

impl Steward for Unattended {}
