//! What a restore replaced and keeps: putting it back, or letting it go.

use std::path::PathBuf;

use crate::base::id::SnapshotId;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::StopJournal;
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::recover::{Recovered, recover};
use crate::dss::control::swap_journal::{Phase, Swap, SwapJournal};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::unfinished::{self, Wish};
use crate::dss::restore::{Place, Way, inside, made, place, ready, swap};
use crate::repo::snapshot::Manifest;
use crate::vault::Context;

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Whether the node was started because a killed restore had stopped it.
    pub started: bool,
}

/// Puts back what a restore of this snapshot replaced, or was about to replace when it was interrupted.
pub fn undo(manifest: &Manifest, snapshot: SnapshotId, context: Context<'_>) -> Result<Undone, RestoreError> {
    let (place, _lock) = place_of(manifest, snapshot, context)?;
    let journal = SwapJournal::of(&context.folders.state, &place.data_dir);
    if let Some(unfinished) = unfinished::find(journal.clone(), &place, &snapshot)? {
        let instance = unfinished.swap.instance.clone();
        ready::stopped_or_stoppable(instance.as_ref(), false)?;
        ready::still_stopped(instance.as_ref(), context.cancel)?;
        let data_dir = unfinished.end(Wish::Undo)?.data_dir;
        let owed = instance.map(|instance| StopJournal::of(&context.folders.state, &instance));
        let recovered = owed.map_or(Ok(Recovered::Nothing), |owed| recover(&owed, context.cancel))?;
        return Ok(Undone { data_dir, started: !matches!(recovered, Recovered::Nothing | Recovered::Rejoined) });
    }
    made::settle(&context.folders.state, &place)?;
    let place = keeping(place, snapshot)?;
    let there = DataDir::open(&place.data_dir, &Host::new(None)).ok();
    let instance = there.map(|there| Instance::new(&there.root, &there.facts));
    ready::stopped_or_stoppable(instance.as_ref(), false)?;
    ready::still_stopped(instance.as_ref(), context.cancel)?;
    match place.way {
        Way::Inside => put_back_inside(&place, snapshot, instance, &journal)?,
        Way::Beside | Way::InPlace => made::put_back(&context.folders.state, &place)?,
    }
    Ok(Undone { data_dir: place.data_dir, started: false })
}

fn put_back_inside(
    place: &Place,
    snapshot: SnapshotId,
    instance: Option<Instance>,
    journal: &SwapJournal,
) -> Result<(), RestoreError> {
    let Place { data_dir, beside, before, .. } = place;
    inside::sweep(data_dir, beside)?;
    let swap = Swap {
        data_dir: data_dir.clone(),
        snapshot: snapshot.short(),
        instance,
        clear_to: beside.clone(),
        fill_from: before.clone(),
        phase: Phase::Clearing,
        outgoing: inside::dress_of(data_dir)?,
        incoming: inside::dress_of(before)?,
    };
    inside::exchange(journal, swap)?;
    inside::sweep(data_dir, beside)
}

/// Removes what a restore of this snapshot replaced.
pub fn forget_old(manifest: &Manifest, snapshot: SnapshotId, context: Context<'_>) -> Result<PathBuf, RestoreError> {
    let (place, _lock) = place_of(manifest, snapshot, context)?;
    let journal = SwapJournal::of(&context.folders.state, &place.data_dir);
    if let Some(unfinished) = unfinished::find(journal, &place, &snapshot)? {
        return Err(unfinished.refusal());
    }
    made::settle(&context.folders.state, &place)?;
    for place in [&place, &place.inside(&snapshot)] {
        // One that an earlier call had begun to remove.
        if forgotten(place).symlink_metadata().is_ok() && place.before.symlink_metadata().is_err() {
            forget(place)?;
            return Ok(place.before.clone());
        }
    }
    let place = keeping(place, snapshot)?;
    forget(&place)?;
    Ok(place.before)
}

/// What is kept, while it is removed: half of it must not be put back.
fn forgotten(place: &Place) -> PathBuf {
    let mut name = place.before.clone().into_os_string();
    name.push(".forgotten");
    name.into()
}

fn forget(place: &Place) -> Result<(), RestoreError> {
    let forgotten = forgotten(place);
    let remove = || {
        swap::sweep(&forgotten)?;
        match std::fs::rename(&place.before, &forgotten) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(RestoreError::Local { action: "rename", path: place.before.clone(), source }),
            Ok(()) => swap::sweep(&forgotten),
        }
    };
    match place.way {
        Way::Inside => inside::untouched(&place.data_dir, remove),
        Way::Beside | Way::InPlace => remove(),
    }
}

fn place_of(
    manifest: &Manifest,
    snapshot: SnapshotId,
    context: Context<'_>,
) -> Result<(Place, DataDirLock), RestoreError> {
    let record = manifest.dss.as_deref().ok_or(RestoreError::NoNode)?;
    let place = Place::of(record, &snapshot)?;
    place::is_own(&place, record)?;
    let lock = DataDirLock::take(&context.folders.state, &place.data_dir)?;
    Ok((place, lock))
}

/// The place in the way the restore took.
fn keeping(place: Place, snapshot: SnapshotId) -> Result<Place, RestoreError> {
    let inside = place.inside(&snapshot);
    match place.kept(&snapshot) {
        Some(before) if before == inside.before => Ok(inside),
        Some(_) => Ok(place),
        None => Err(RestoreError::NothingKept { before: place.before }),
    }
}
