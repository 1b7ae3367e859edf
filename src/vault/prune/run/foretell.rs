//! What a dry run tells.

use crate::base::id::PackId;
use crate::repo::journal::{Since, State};
use crate::repo::pack;
use crate::vault::VaultError;
use crate::vault::prune::census::Census;
use crate::vault::prune::doom;
use crate::vault::prune::look::Look;
use crate::vault::prune::plan::Plan;
use crate::vault::prune::report::{PruneReport, Tally};
use crate::vault::prune::run::Prune;

impl Prune<'_> {
    /// What would be deleted, or waits, if nothing changed.
    pub(super) fn foretell(mut self, look: &Look, census: Census, plan: &Plan) -> Result<PruneReport, VaultError> {
        self.report.deleted = self.doomed(&look.journal)?;
        let now = self.now();
        let census = census.after(plan, Since { number: look.journal.head + 1, time: now });
        let due = doom::due(look, &census, &self.held, self.options.grace, now);
        let going = due.going.iter().filter_map(|number| census.pack(*number));
        self.report.deleted += doom::tally(going.filter(|pack| pack.used == 0 || plan.repack.contains(&pack.number)));
        self.report.marked += self.report.repacked;
        self.wait(due);
        Ok(self.conclude())
    }

    /// What an earlier prune decided to delete, and is there still.
    fn doomed(&self, journal: &State) -> Result<Tally, VaultError> {
        let listed = pack::copies::list(&*self.repository.storage)?;
        let is_doomed = |name: &str| name.parse::<PackId>().is_ok_and(|id| journal.is_doomed(&id));
        let doomed = listed.iter().filter(|entry| is_doomed(entry.name.text()));
        Ok(doomed.map(|entry| Tally::one(entry.bytes)).sum())
    }
}
