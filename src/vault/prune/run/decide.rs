//! Steps 5 to 7: which marked packs are doomed, decided on one state of the journal.

use std::collections::HashSet;

use crate::base::id::PackId;
use crate::repo::Repository;
use crate::repo::index::Index;
use crate::repo::journal::{Entry, Objects, State};
use crate::repo::pack;
use crate::vault::VaultError;
use crate::vault::prune::census::{Census, Pack};
use crate::vault::prune::copies::{self, BadBlocks, Copies};
use crate::vault::prune::live::Live;
use crate::vault::prune::look::Look;
use crate::vault::prune::report::Tally;
use crate::vault::prune::run::Prune;
use crate::vault::prune::{doom, marks};

/// How often a decision is made again because others wrote the journal meanwhile.
const ATTEMPTS: u32 = 16;

impl Prune<'_> {
    /// Steps 5 to 7, made again from the beginning when somebody else wrote the journal meanwhile (D11).
    pub(super) fn doom(&mut self, mut live: Live, packs: &HashSet<PackId>) -> Result<(), VaultError> {
        let mut bad = BadBlocks::new();
        for _ in 0..ATTEMPTS {
            let look = self.look()?;
            if !look.journal.segments.marked.is_empty() {
                // A copy counts only while a segment that stays lists its pack (D9).
                marks::unmark_segments(self.repository)?;
                continue;
            }
            // A mark stands for ever on a pack that is gone: only of those that are there, time is asked.
            let marks = || look.journal.packs.marked.iter().filter(|(id, _)| packs.contains(id) && !self.held.has(id));
            if !doom::any_ripe(marks().map(|(_, since)| *since), self.options.grace, self.now()) {
                self.wait_for_time(&look, packs);
                return Ok(());
            }
            let index = self.open(&look.journal)?;
            if look.roots.values().any(|tree| !self.walked.contains(tree)) {
                live = live.and(&self.walk(&index, &look)?)?;
            }
            let census = Census::take(&index, &look.journal)?;
            let due = doom::due(&look, &census, &self.held, self.options.grace, self.now());
            let copies = Copies {
                repository: self.repository,
                index: &index,
                census: &census,
                live: &live,
                context: self.context,
            };
            bad.clear();
            let needed = copies.needed(&due.going, &mut bad)?;
            for block in &bad {
                let problem = copies::problem(&index, *block)?;
                if !self.report.problems.contains(&problem) {
                    self.report.problems.push(problem);
                }
            }
            if !needed.is_empty() {
                self.take_back(needed.iter().filter_map(|number| census.pack(*number)), &index)?;
                continue;
            }
            let going: Vec<PackId> =
                due.going.iter().filter_map(|number| census.pack(*number)).map(|pack| pack.id).collect();
            self.wait(due);
            if going.is_empty() || self.append_doom(&look.journal, going)? {
                return Ok(());
            }
        }
        Err(VaultError::Undecided {
            what: "other processes wrote the journal each time before this one could".to_owned(),
            hint: "run `dssvault prune` again when fewer of them are at work".to_owned(),
        })
    }

    fn append_doom(&self, journal: &State, mut packs: Vec<PackId>) -> Result<bool, VaultError> {
        let Repository { secrets, seams, .. } = self.repository;
        packs.sort_unstable();
        // The rest is the next prune's: kept copies lie outside of all that may go.
        packs.truncate(marks::PACKS_PER_ENTRY);
        let entry = Entry::Doom(Objects::packs(packs));
        Ok(self.repository.journal().append_at(secrets, &*seams.clock, journal, entry)?.is_some())
    }

    /// Takes marks back, but not those of damaged packs.
    fn take_back<'p>(&mut self, needed: impl Iterator<Item = &'p Pack>, index: &Index) -> Result<(), VaultError> {
        // That census was not weighed; whatever of them is needed is missed if it cannot be read.
        let mut needed: Vec<Pack> = needed.map(|pack| Pack { used: 1, ..*pack }).collect();
        self.held.take(self.repository, index, &needed, self.context)?;
        needed.retain(|pack| !self.held.has(&pack.id));
        self.report.unmarked += doom::tally(&needed);
        Ok(marks::unmark(self.repository, &needed.iter().map(|pack| pack.id).collect::<Vec<_>>())?)
    }

    pub(super) fn wait(&mut self, due: doom::Due) {
        (self.report.waiting, self.report.waiting_until, self.report.waiting_for) =
            (due.waiting, due.until, due.sessions);
    }

    /// Notes what waits when nothing is ripe; the packs' sizes are those of the store's listing.
    fn wait_for_time(&mut self, look: &Look, packs: &HashSet<PackId>) {
        let marks = &look.journal.packs.marked;
        let waits = |id: &PackId| packs.contains(id) && !self.held.has(id);
        let listed = pack::copies::list(&*self.repository.storage).unwrap_or_default();
        let waiting = listed
            .iter()
            .filter(|entry| entry.name.text().parse::<PackId>().is_ok_and(|id| marks.contains_key(&id) && waits(&id)));
        self.report.waiting = waiting.map(|entry| Tally::one(entry.bytes)).sum();
        let first = marks.iter().filter(|(id, _)| waits(id)).map(|(_, since)| since.time).min();
        self.report.waiting_until = first.map(|time| doom::after(time, self.options.grace));
    }
}
