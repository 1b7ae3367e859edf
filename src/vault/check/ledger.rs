//! The memory of which packs were read and found whole (`docs/format.md`, "Ledger").

use crate::base::clock::{CalendarSpan, Timestamp, Zone};
use crate::base::id::PackId;
use crate::repo::Repository;
use crate::repo::journal::{Entry, Ledger, PackFronts, State};
use crate::vault::VaultError;
use crate::vault::check::LedgerReport;
use crate::vault::check::data::StoredPack;

/// Packs whose last verification lies before this are due. One that lies in the future was written by a clock that was
/// wrong, and says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    now: Timestamp,
    before: Timestamp,
}

impl Due {
    /// What was not verified within `age` is due.
    pub fn within(age: CalendarSpan, now: Timestamp) -> Result<Self, VaultError> {
        let before = Zone::default().before(now, age).ok_or_else(|| VaultError::Request {
            what: format!("{age} ago is before the calendar"),
            hint: Some("name a shorter time, like `--max-age 30d`".to_owned()),
        })?;
        Ok(Self { now, before })
    }

    /// Whether a pack with this last verification is to be read again.
    pub fn is_due(self, last: Option<Timestamp>) -> bool {
        last.is_none_or(|last| last <= self.before || last > self.now)
    }
}

/// When a pack was last verified, by name.
pub fn last(ledger: &Ledger, pack: &PackId) -> Option<Timestamp> {
    ledger.of(pack).map(|done| done.time)
}

/// Writes down that these packs were read and found whole.
fn record(repository: &Repository, packs: &[PackId]) -> Result<(), VaultError> {
    for packs in packs.chunks(PackFronts::MAX) {
        let entry = Entry::Verified(packs.iter().collect(), repository.opened_by.slot);
        let decide = |_: &State| Ok(Some(entry.clone()));
        repository.journal().append(&repository.secrets, &*repository.seams.clock, decide)?;
    }
    Ok(())
}

/// Writes them down if that is wanted and possible. A store that refuses it takes nothing from what was verified: it is
/// said, and the ledger stays as it was.
pub fn keep(repository: &Repository, wanted: bool, packs: &[PackId]) -> LedgerReport {
    let mut report = LedgerReport::default();
    if wanted && !packs.is_empty() {
        match record(repository, packs) {
            Ok(()) => report.recorded = packs.len() as u64,
            Err(error) => report.note = Some(format!("the ledger was left as it was: {error}")),
        }
    }
    report
}

/// What the ledger says of all packs, those verified just now included.
pub fn sum_up(report: &mut LedgerReport, ledger: &Ledger, stored: &[StoredPack], now_verified: &[PackId]) {
    let fresh: std::collections::HashSet<&PackId> =
        if report.recorded > 0 { now_verified.iter().collect() } else { Default::default() };
    for pack in stored.iter().filter(|pack| !fresh.contains(&pack.id)) {
        match last(ledger, &pack.id) {
            None => report.never_verified += 1,
            Some(time) => report.oldest = Some(report.oldest.map_or(time, |oldest| oldest.min(time))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp { seconds: 1_763_812_800 + day * 86_400, nanos: 0 }
    }

    #[test]
    fn what_was_not_verified_for_that_long_is_due_and_so_is_what_a_wrong_clock_wrote() {
        let due = Due::within(CalendarSpan::hours(24 * 30), day(100)).unwrap();
        assert!(due.is_due(None));
        assert!(due.is_due(Some(day(70))) && !due.is_due(Some(day(71))));
        assert!(due.is_due(Some(day(101))));
        assert!(Due::within("20000y".parse().unwrap(), day(0)).is_err());
    }
}
