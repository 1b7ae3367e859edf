//! Who wins the periods of the rules, newest first.
//!
//! Each rule counts twice: once among complete snapshots alone, which decides about those, and once among all
//! that compete, which decides about the incomplete ones. So a snapshot that lacks files never costs a complete one
//! its place, neither by being newer in a period, nor by using up a count, nor by moving a window. What does not compete
//! is held against the places as the others left them, and leaves no trace.

use crate::base::clock::{Timestamp, Zone};
use crate::base::id::SnapshotId;
use crate::vault::retention::bucket::Bucket;
use crate::vault::retention::policy::{Extent, Rule};
use crate::vault::retention::verdict::{Keep, Loss, Why};
use crate::vault::retention::{Candidate, Standing, Terms};

/// One rule on its way from the newest snapshot to the oldest.
struct Track {
    rule: Rule,
    /// The window begins after this.
    after: Option<Timestamp>,
    /// The period taken last, and by whom.
    taken: Option<(Bucket, SnapshotId)>,
    /// How many are taken.
    count: u32,
}

impl Track {
    fn new(rule: Rule, newest: Option<Timestamp>, zone: &Zone) -> Self {
        let after = match (rule.extent, newest) {
            (Extent::Within(span), Some(newest)) => zone.before(newest, span),
            _ => None,
        };
        Self { rule, after, taken: None, count: 0 }
    }

    /// Whether a snapshot gets a place; the oldest also gets one in a period that is taken, so that history
    /// reaches back as far as it can until there is enough of it.
    fn place(&self, bucket: Bucket, time: Timestamp, oldest: bool) -> Result<Keep, Loss> {
        let rule = self.rule;
        if self.after.is_some_and(|after| time <= after) {
            return Err(Loss::TooOld(rule));
        }
        if matches!(rule.extent, Extent::Count(most) if self.count >= most) {
            return Err(Loss::Enough(rule));
        }
        match self.taken {
            Some((taken, by)) if taken == bucket && !oldest => Err(Loss::Newer(rule, by)),
            Some((taken, _)) if taken == bucket => Ok(Keep { rule, oldest: true }),
            _ => Ok(Keep { rule, oldest: false }),
        }
    }

    fn take(&mut self, bucket: Bucket, id: SnapshotId) {
        self.taken = Some((bucket, id));
        self.count += 1;
    }
}

/// One group's contest.
pub struct Contest<'a> {
    zone: &'a Zone,
    rules: Vec<Rule>,
    full: Vec<Track>,
    all: Vec<Track>,
    oldest_full: Option<usize>,
    oldest: Option<usize>,
}

impl<'a> Contest<'a> {
    /// Begins the contest of a group that is ordered newest first.
    pub fn new(group: &[&Candidate], standings: &[Standing], terms: &'a Terms) -> Self {
        let rules = terms.policy.rules.clone();
        let is_full = |at: &usize| standings[*at] == Standing::Full;
        let competes = |at: &usize| standings[*at].competes();
        let tracks = |newest: Option<usize>| {
            let newest = newest.map(|at| group[at].time);
            rules.iter().map(|rule| Track::new(*rule, newest, &terms.zone)).collect()
        };
        Self {
            zone: &terms.zone,
            full: tracks((0..group.len()).find(is_full)),
            all: tracks((0..group.len()).find(competes)),
            oldest_full: (0..group.len()).rfind(is_full),
            oldest: (0..group.len()).rfind(competes),
            rules,
        }
    }

    /// The places the next older snapshot gets, and those it does not.
    pub fn place(&mut self, at: usize, snapshot: &Candidate, standing: Standing) -> (Vec<Why>, Vec<Loss>) {
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        let among_full = standing == Standing::Full || (!standing.competes() && snapshot.complete);
        for (position, rule) in self.rules.iter().enumerate() {
            let bucket = Bucket::of(rule.period, at, snapshot.time, self.zone);
            let (full, all) = (&mut self.full[position], &mut self.all[position]);
            let (track, oldest) = if among_full { (&*full, self.oldest_full) } else { (&*all, self.oldest) };
            match track.place(bucket, snapshot.time, standing.competes() && oldest == Some(at)) {
                Ok(place) => kept.push(Why::Rule(place)),
                Err(loss) => lost.push(loss),
            }
            // Each contest takes notice of its own winners alone.
            if standing == Standing::Full && full.place(bucket, snapshot.time, false).is_ok() {
                full.take(bucket, snapshot.id);
            }
            if standing.competes() && all.place(bucket, snapshot.time, false).is_ok() {
                all.take(bucket, snapshot.id);
            }
        }
        (kept, lost)
    }
}
