//! An exchange that a killed restore left half done: the next restore of that snapshot completes it, `--undo` turns it
//! round, and everything else is refused until one of them was chosen.

use crate::base::id::SnapshotId;
use crate::dss::control::swap_journal::{Swap, SwapJournal};
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::{Place, inside};

/// Where it shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The snapshot takes the place.
    Complete,
    /// What was there comes back.
    Undo,
}

/// An exchange that was left half done.
#[derive(Debug)]
pub struct Unfinished {
    journal: SwapJournal,
    /// As the journal has it.
    pub swap: Swap,
    place: Place,
}

/// The unfinished exchange at a place, if there is one; one of another snapshot is an error.
pub fn find(journal: SwapJournal, place: &Place, snapshot: &SnapshotId) -> Result<Option<Unfinished>, RestoreError> {
    let Some(swap) = journal.read()? else { return Ok(None) };
    if swap.snapshot != snapshot.short() {
        let (data_dir, snapshot) = (swap.data_dir, swap.snapshot);
        return Err(RestoreError::HalfExchanged { data_dir, snapshot, cause: None });
    }
    Ok(Some(Unfinished { journal, swap, place: place.inside(snapshot) }))
}

impl Unfinished {
    /// Brings it to an end.
    pub fn end(self, wish: Wish) -> Result<Place, RestoreError> {
        let Self { journal, swap, place } = self;
        let heads_for = if swap.fill_from == place.before { Wish::Undo } else { Wish::Complete };
        let swap = if heads_for == wish { swap } else { swap.turned() };
        inside::go_on_with(&journal, swap)?;
        if wish == Wish::Undo {
            inside::sweep(&place.data_dir, &place.beside)?;
        }
        Ok(place)
    }

    /// The refusal of everything but the two.
    pub fn refusal(self) -> RestoreError {
        RestoreError::HalfExchanged { data_dir: self.swap.data_dir, snapshot: self.swap.snapshot, cause: None }
    }
}
