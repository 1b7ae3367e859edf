//! Waiting until nothing is at work.

use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::jobs::Seen;
use crate::dss::jobs::error::{JobsError, named};
use crate::dss::jobs::policy::{OnWork, Verdict, judge};
use crate::dss::running::RunningJob;

/// Between two looks: short at first, for work that is about to end, and then longer, to leave DSS alone.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

/// Tells what is at work.
pub trait Lookout {
    /// One look. An error ends the waiting; not to know is none.
    fn look(&mut self) -> Result<Seen, JobsError>;
}

/// A look before the first pass: what no waiting can mend is told before hours of reading. Work that runs now may have
/// ended when the stop is near, so it counts only if nobody wants to wait.
pub fn begin(on_work: OnWork, lookout: &mut dyn Lookout) -> Result<Seen, JobsError> {
    if on_work == OnWork::Ignore {
        return Ok(Seen::default());
    }
    let seen = lookout.look()?;
    match judge(on_work, &seen, Duration::ZERO, false) {
        Verdict::Unknown => Err(not_known(&seen)),
        Verdict::Busy if on_work == OnWork::Refuse => Err(busy(&seen, None)),
        Verdict::Busy | Verdict::Free | Verdict::Later => Ok(seen),
    }
}

/// Returns when two looks in a row have seen nothing at work: the second sees what began while the first was under
/// way. What is still there then, kernels of notebooks, is told.
pub fn until_idle(on_work: OnWork, lookout: &mut dyn Lookout, cancel: &Cancel) -> Result<Vec<RunningJob>, JobsError> {
    if on_work == OnWork::Ignore {
        return Ok(Vec::new());
    }
    let since = Instant::now();
    let (mut was_free, mut answered, mut pause) = (false, false, PAUSE_FIRST);
    let mut told = String::new();
    loop {
        let seen = lookout.look()?;
        let waited = since.elapsed();
        match judge(on_work, &seen, waited, answered) {
            Verdict::Free if was_free => return Ok(seen.work),
            Verdict::Free => was_free = true,
            Verdict::Busy => {
                let waited = matches!(on_work, OnWork::Wait(_)).then_some(waited);
                return Err(busy(&seen, waited));
            }
            Verdict::Unknown => return Err(not_known(&seen)),
            Verdict::Later => {
                was_free = false;
                tell(&seen, &mut told);
                rest(pause.min(remaining(on_work, waited)), cancel)?;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
        answered |= seen.unknown.is_none();
    }
}

/// Says what is waited for whenever that changes: a run that seems to hang is soon killed.
fn tell(seen: &Seen, told: &mut String) {
    let busy: Vec<RunningJob> = seen.busy().cloned().collect();
    let line = match &seen.unknown {
        Some(why) if busy.is_empty() => format!("it is not known what is at work ({why})"),
        _ => named(&busy),
    };
    if *told != line {
        tracing::warn!("before the node is stopped it is waited for: {line}");
        *told = line;
    }
}

fn remaining(on_work: OnWork, waited: Duration) -> Duration {
    match on_work {
        OnWork::Wait(limit) => limit.saturating_sub(waited),
        OnWork::Refuse | OnWork::Ignore => Duration::ZERO,
    }
}

fn rest(pause: Duration, cancel: &Cancel) -> Result<(), JobsError> {
    if cancel.rest(pause) { Ok(()) } else { Err(JobsError::Interrupted) }
}

fn busy(seen: &Seen, waited: Option<Duration>) -> JobsError {
    JobsError::Busy { work: seen.busy().cloned().collect(), waited }
}

fn not_known(seen: &Seen) -> JobsError {
    JobsError::Unknown { why: seen.unknown.clone().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::running::{FoundBy, WorkKind};

    /// Sees what the script says, and at its end nothing.
    struct Script(Vec<Seen>);

    impl Lookout for Script {
        fn look(&mut self) -> Result<Seen, JobsError> {
            Ok(if self.0.is_empty() { Seen::default() } else { self.0.remove(0) })
        }
    }

    fn running(kind: WorkKind) -> Seen {
        let work = RunningJob { kind, project: None, id: "x".to_owned(), found_by: FoundBy::Api };
        Seen { work: vec![work], ..Seen::default() }
    }

    fn unknown() -> Seen {
        Seen { unknown: Some("no answer".to_owned()), ..Seen::default() }
    }

    #[test]
    fn what_begins_between_two_looks_is_seen_and_waited_for() {
        let mut script = Script(vec![Seen::default(), running(WorkKind::Scenario)]);
        until_idle(OnWork::default(), &mut script, &Cancel::default()).unwrap();
        let mut script = Script(vec![Seen::default(), running(WorkKind::Scenario)]);
        let error = until_idle(OnWork::Refuse, &mut script, &Cancel::default()).unwrap_err();
        assert_eq!(error.to_string(), "the node is at work: scenario x; it was not stopped");
    }

    #[test]
    fn the_limit_ends_the_waiting() {
        let mut script = Script(vec![running(WorkKind::Job); 100]);
        let limit = OnWork::Wait(Duration::from_millis(100));
        let error = until_idle(limit, &mut script, &Cancel::default()).unwrap_err();
        assert!(matches!(error, JobsError::Busy { waited: Some(_), .. }) && script.0.len() > 95, "{error}");
    }

    #[test]
    fn a_node_that_answered_before_is_asked_again() {
        let mut script = Script(vec![running(WorkKind::Job), unknown()]);
        until_idle(OnWork::default(), &mut script, &Cancel::default()).unwrap();
        let mut script = Script(vec![unknown()]);
        assert!(matches!(
            until_idle(OnWork::default(), &mut script, &Cancel::default()),
            Err(JobsError::Unknown { .. })
        ));
    }

    #[test]
    fn a_request_to_stop_ends_it_at_once() {
        let cancel = Cancel::default();
        cancel.request();
        let mut script = Script(vec![running(WorkKind::Job)]);
        assert!(matches!(until_idle(OnWork::default(), &mut script, &cancel), Err(JobsError::Interrupted)));
    }

    #[test]
    fn at_the_beginning_work_counts_only_for_who_does_not_wait() {
        let busy = || Script(vec![running(WorkKind::Job)]);
        begin(OnWork::default(), &mut busy()).unwrap();
        begin(OnWork::Wait(Duration::ZERO), &mut busy()).unwrap();
        begin(OnWork::Ignore, &mut Script(vec![unknown()])).unwrap();
        assert!(matches!(begin(OnWork::Refuse, &mut busy()), Err(JobsError::Busy { waited: None, .. })));
        assert!(matches!(begin(OnWork::default(), &mut Script(vec![unknown()])), Err(JobsError::Unknown { .. })));
    }
}
