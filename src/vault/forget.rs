//! Forgetting snapshots, by policy or by name, and bringing them back. Both are journal entries; no data goes.
//!
//! A decision holds for the state it was made on. If somebody else writes the journal first, everything is read again
//! and decided again.

mod survey;

use std::collections::BTreeSet;

use crate::base::clock::{CalendarSpan, Timestamp};
use crate::base::id::SnapshotId;
use crate::repo::error::SnapshotLookup;
use crate::repo::journal::{Arrival, Entry, State};
use crate::repo::snapshot;
use crate::repo::{RepoError, Repository};
use crate::vault::browse::{self, Filter};
use crate::vault::retention::{self, Breach, Decision, Guards, Judged, Loss, Simulation, Terms, Verdict};
use crate::vault::{Context, VaultError};

pub use survey::Survey;

/// What forgetting did, or would do.
#[derive(Debug)]
pub struct ForgetReport {
    /// Every snapshot that was judged. Of snapshots that were named: those alone.
    pub judged: Vec<Judged>,
    /// What was read.
    pub survey: Survey,
    /// Those that were forgotten just now; none in a dry run, or when a guard stands in the way.
    pub forgotten: Vec<SnapshotId>,
    /// The guard that stands in the way of all of it.
    pub breach: Option<Breach>,
}

/// Forgets what a policy drops among the snapshots that match. With a guard in the way nothing is forgotten, and the
/// report says so.
pub fn by_policy(
    repository: &Repository,
    filter: &Filter,
    terms: &Terms,
    dry_run: bool,
    context: Context<'_>,
) -> Result<ForgetReport, VaultError> {
    loop {
        let mut survey = Survey::read(repository, filter)?;
        let now = repository.seams.clock.now();
        let Decision { judged, breach } = retention::decide(&survey.candidates, terms, now);
        let dropped: Vec<SnapshotId> =
            judged.iter().filter(|judged| !judged.is_kept()).map(|judged| judged.id).collect();
        if dry_run || breach.is_some() {
            return Ok(ForgetReport { judged, survey, forgotten: Vec::new(), breach });
        }
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        if !note_arrivals(repository, &mut survey)? {
            continue;
        }
        if dropped.is_empty() || write(repository, &survey.journal, &dropped)? {
            return Ok(ForgetReport { judged, survey, forgotten: dropped, breach });
        }
    }
}

/// Forgets snapshots named one by one: by the beginning of an id, `latest` or `latest~N`. With a guard in the way
/// nothing is forgotten, and the report says so.
pub fn named(
    repository: &Repository,
    wanted: &[String],
    filter: &Filter,
    guards: &Guards,
    dry_run: bool,
    context: Context<'_>,
) -> Result<ForgetReport, VaultError> {
    // Once: after somebody else has forgotten it, `latest` is another one.
    let ids = wanted
        .iter()
        .map(|wanted| browse::find(repository, wanted, filter).map(|listed| listed.id))
        .collect::<Result<BTreeSet<SnapshotId>, VaultError>>()?;
    loop {
        // Guards look at all snapshots of a node, whatever the filter says.
        let mut survey = Survey::read(repository, &Filter::default())?;
        let now = repository.seams.clock.now();
        let breach = retention::check_named(&survey.candidates, &ids, guards, now).err();
        let judged = judge_named(&survey, &ids, guards, now);
        let forgotten: Vec<SnapshotId> = judged.iter().map(|judged| judged.id).collect();
        if dry_run || breach.is_some() || forgotten.is_empty() {
            return Ok(ForgetReport { judged, survey, forgotten: Vec::new(), breach });
        }
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        if !note_arrivals(repository, &mut survey)? {
            continue;
        }
        if write(repository, &survey.journal, &forgotten)? {
            return Ok(ForgetReport { judged, survey, forgotten, breach: None });
        }
    }
}

fn judge_named(survey: &Survey, ids: &BTreeSet<SnapshotId>, guards: &Guards, now: Timestamp) -> Vec<Judged> {
    let named = survey.candidates.iter().filter(|snapshot| ids.contains(&snapshot.id));
    let judge = |snapshot: &retention::Candidate| Judged {
        id: snapshot.id,
        node: snapshot.node,
        time: snapshot.time,
        standing: snapshot.standing(guards.max_drift, now),
        verdict: Verdict::Drop(vec![Loss::Named]),
    };
    named.map(judge).collect()
}

/// What the policy would keep of each node as time goes on.
pub fn simulate(
    repository: &Repository,
    filter: &Filter,
    terms: &Terms,
    span: CalendarSpan,
) -> Result<(Vec<Simulation>, Survey), VaultError> {
    let survey = Survey::read(repository, filter)?;
    let now = repository.seams.clock.now();
    let drawn = retention::simulate(&survey.candidates, terms, now, span).ok_or_else(|| VaultError::Request {
        what: format!("{span} from now is beyond the calendar"),
        hint: Some("draw a shorter time, like `--simulate 400d`".to_owned()),
    })?;
    Ok((drawn, survey))
}

/// The error a guard makes.
pub fn refusal(breach: Breach) -> VaultError {
    VaultError::Guarded { what: breach.to_string(), hint: breach.hint() }
}

/// Writes down which snapshots there are, and since when; `false` if the journal is no longer as it was read. Later the
/// store may give them another age: it was moved, or somebody with access to it wants good ones to be dropped.
fn note_arrivals(repository: &Repository, survey: &mut Survey) -> Result<bool, VaultError> {
    let (secrets, clock, journal) = (&repository.secrets, &*repository.seams.clock, &survey.journal);
    let mut arrivals = std::mem::take(&mut survey.arrivals);
    // What may be brought back must be known, too: else it would look as if it had come then.
    if journal.forgotten.keys().any(|id| !journal.arrived.contains_key(id)) {
        let is_new = |id: &SnapshotId| journal.forgotten.contains_key(id) && !journal.arrived.contains_key(id);
        let forgotten = snapshot::list(repository)?.into_iter().filter(|stored| is_new(&stored.id));
        let arrival = |snapshot, created| Arrival { snapshot, time: journal.arrival(&snapshot, created) };
        arrivals.extend(forgotten.map(|stored| arrival(stored.id, stored.created)));
    }
    // Of two clocks one is wrong; the next run may tell.
    arrivals.retain(|arrival| arrival.time <= clock.now());
    if arrivals.is_empty() {
        return Ok(true);
    }
    let entry = Entry::Arrived(arrivals);
    let Some(state) = repository.journal().append_at(secrets, clock, &survey.journal, entry)? else { return Ok(false) };
    survey.journal = state;
    Ok(true)
}

/// Writes that these are forgotten, if the journal is still as it was read. Pins that have ended are taken off first:
/// the journal knows no clock, and refuses to forget what is pinned.
fn write(repository: &Repository, read: &State, dropped: &[SnapshotId]) -> Result<bool, VaultError> {
    let ended: Vec<SnapshotId> = dropped.iter().filter(|id| read.pins.contains_key(id)).copied().collect();
    let (journal, clock) = (repository.journal(), &*repository.seams.clock);
    let append = |state: &State, entry| journal.append_at(&repository.secrets, clock, state, entry);
    let forget = Entry::Forget(dropped.to_vec());
    if ended.is_empty() {
        return Ok(append(read, forget)?.is_some());
    }
    match append(read, Entry::Unpin(ended))? {
        Some(state) => Ok(append(&state, forget)?.is_some()),
        None => Ok(false),
    }
}

/// Shows forgotten snapshots again: those whose id begins like that. Gives their ids.
pub fn undelete(repository: &Repository, wanted: &[String]) -> Result<Vec<SnapshotId>, VaultError> {
    let mut found = BTreeSet::new();
    repository.journal().append(&repository.secrets, &*repository.seams.clock, |state| {
        found = among(state.forgotten.keys(), wanted, SnapshotLookup::NoneForgotten)?;
        Ok((!found.is_empty()).then(|| Entry::Undelete(found.iter().copied().collect())))
    })?;
    Ok(found.into_iter().collect())
}

/// The ids that begin like one of these texts; each text must fit exactly one.
pub(super) fn among<'a>(
    ids: impl Iterator<Item = &'a SnapshotId> + Clone,
    wanted: &[String],
    none: impl Fn(String) -> SnapshotLookup,
) -> Result<BTreeSet<SnapshotId>, RepoError> {
    let one = |wanted: &String| {
        let prefix = wanted.to_ascii_lowercase();
        let fits = |id: &&SnapshotId| !prefix.is_empty() && id.to_string().starts_with(&prefix);
        let fitting: Vec<SnapshotId> = ids.clone().filter(fits).take(9).copied().collect();
        match fitting.as_slice() {
            [only] => Ok(*only),
            [] => Err(RepoError::Snapshot(none(wanted.clone()))),
            several => {
                let found = several.iter().map(SnapshotId::to_string).collect::<Vec<_>>().join(", ");
                Err(RepoError::Snapshot(SnapshotLookup::Several { wanted: wanted.clone(), found }))
            }
        }
    };
    wanted.iter().map(one).collect()
}
