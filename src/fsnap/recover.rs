//! Removing what killed runs left.

use std::path::Path;

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Entry, leftovers};
use crate::fsnap::tool::{SystemTools, Tools};
use crate::fsnap::{LIMIT, Provider, frozen};

/// A leftover that is gone now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The random id in its name.
    pub id: String,
    /// What it was made for.
    pub label: String,
    /// Who had frozen.
    pub provider: Provider,
}

/// A leftover that could not be removed; its record stays, and the next call tries again.
#[derive(Debug)]
pub struct Stuck {
    /// The random id in its name.
    pub id: String,
    /// Why.
    pub cause: FsnapError,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Gone now.
    pub removed: Vec<Removed>,
    /// Still there.
    pub stuck: Vec<Stuck>,
}

/// Removes what runs that live no more left according to the journal in `folder`; what living ones hold is not
/// touched, nor anything that is not in the journal. Fails only if the journal itself cannot be read.
pub fn recover(folder: &Path) -> Result<Recovery, FsnapError> {
    let mut recovery = Recovery::default();
    for entry in leftovers(folder)? {
        let id = entry.id().to_owned();
        match remove(entry, &SystemTools) {
            Ok(Some(removed)) => recovery.removed.push(removed),
            Ok(None) => {}
            Err(cause) => recovery.stuck.push(Stuck { id, cause }),
        }
    }
    Ok(recovery)
}

fn remove(entry: Entry, tools: &dyn Tools) -> Result<Option<Removed>, FsnapError> {
    let Some(record) = entry.read()? else {
        // Its maker died before it wrote the record, so nothing was made.
        return entry.end().map(|()| None);
    };
    let (id, label, provider) = (record.id.clone(), record.label.clone(), record.plan.provider());
    frozen::remove(&record, entry, tools, LIMIT)?;
    Ok(Some(Removed { id, label, provider }))
}
