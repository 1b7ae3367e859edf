//! Which marked packs may be doomed now, and what holds the others up: D5 to D7, and the grace time.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::repo::journal::Since;
use crate::vault::prune::census::{Census, Pack};
use crate::vault::prune::held::Held;
use crate::vault::prune::look::Look;
use crate::vault::prune::report::{Tally, WaitingFor};
use crate::vault::prune::sessions::Found;

/// What may go, and what waits.
#[derive(Debug, Default)]
pub struct Due {
    /// Packs that may be doomed, by number, as far as time and sessions are concerned.
    pub going: HashSet<u32>,
    /// Marked packs that may not.
    pub waiting: Tally,
    /// When the first of them may, as far as time is concerned.
    pub until: Option<Timestamp>,
    /// Sessions that have not seen a mark.
    pub sessions: Vec<WaitingFor>,
}

/// Sorts the marked packs, those that are held aside.
pub fn due(look: &Look, census: &Census, held: &Held, grace: Duration, now: Timestamp) -> Due {
    let (mut due, mut holding) = (Due::default(), BTreeMap::<SessionId, &Found>::new());
    for (pack, since) in census.packs().filter_map(|pack| Some((pack, pack.mark?))) {
        if held.has(&pack.id) {
            continue;
        }
        let ripe = after(since.time, grace);
        if ripe > now {
            due.until = Some(due.until.map_or(ripe, |until| until.min(ripe)));
            due.waiting += pack.tally();
            continue;
        }
        let blind: Vec<&Found> = look.live().filter(|found| !has_seen(found, since)).collect();
        if blind.is_empty() {
            due.going.insert(pack.number);
        } else {
            due.waiting += pack.tally();
            holding.extend(blind.into_iter().map(|found| (found.id, found)));
        }
    }
    due.sessions = holding.into_values().map(waiting_for).collect();
    due
}

/// Whether any mark is old enough, as far as the journal alone tells.
pub fn any_ripe(marks: impl IntoIterator<Item = Since>, grace: Duration, now: Timestamp) -> bool {
    marks.into_iter().any(|since| after(since.time, grace) <= now)
}

/// A session without a lease has seen nothing (D6); what counts is the mark that stands now (D7).
fn has_seen(found: &Found, since: Since) -> bool {
    found.seen.is_some_and(|seen| seen >= since.number)
}

/// A moment so much later.
pub fn after(time: Timestamp, span: Duration) -> Timestamp {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds: time.seconds.saturating_add(seconds), nanos: time.nanos }
}

fn waiting_for(found: &Found) -> WaitingFor {
    let record = &found.record;
    WaitingFor { session: found.id, host: record.host.clone(), pid: record.pid, started: record.started }
}

/// Stored bytes of packs.
pub fn tally<'p>(packs: impl IntoIterator<Item = &'p Pack>) -> Tally {
    packs.into_iter().map(Pack::tally).sum()
}
