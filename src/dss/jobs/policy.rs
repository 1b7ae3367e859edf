//! Whether a node may be stopped, given what is at work in it. Pure.

use std::str::FromStr;
use std::time::Duration;

use crate::dss::jobs::Seen;

/// What is done about running work before a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWork {
    /// Wait for its end, at most so long.
    Wait(Duration),
    /// Do not stop the node.
    Refuse,
    /// Stop it all the same: what runs is killed.
    Ignore,
}

impl OnWork {
    /// How long is waited if nobody says: longer than most jobs, shorter than most nights.
    pub const WAIT: Duration = Duration::from_mins(30);
}

impl Default for OnWork {
    fn default() -> Self {
        Self::Wait(Self::WAIT)
    }
}

/// A word that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of wait, wait=30m, refuse, ignore")]
pub struct BadWord(String);

impl FromStr for OnWork {
    type Err = BadWord;

    fn from_str(word: &str) -> Result<Self, BadWord> {
        let bad = || BadWord(word.to_owned());
        match word.split_once('=') {
            None if word == "wait" => Ok(Self::default()),
            None if word == "refuse" => Ok(Self::Refuse),
            None if word == "ignore" => Ok(Self::Ignore),
            Some(("wait", span)) => {
                let span: jiff::SignedDuration = span.parse().map_err(|_| bad())?;
                Duration::try_from(span).map(Self::Wait).map_err(|_| bad())
            }
            _ => Err(bad()),
        }
    }
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is in the way of a stop.
    Free,
    /// Look again later.
    Later,
    /// Something is at work, and it was waited long enough or is not waited for.
    Busy,
    /// It is not known what is at work.
    Unknown,
}

/// Judges a look, `waited` after the first one. A node that answered before and does not now may be in trouble for a
/// moment and is asked again; one that never answered was asked in the wrong way, which no waiting mends.
pub fn judge(on_work: OnWork, seen: &Seen, waited: Duration, answered_before: bool) -> Verdict {
    let limit = match on_work {
        OnWork::Ignore => return Verdict::Free,
        OnWork::Refuse => Duration::ZERO,
        OnWork::Wait(limit) => limit,
    };
    let is_busy = seen.busy().next().is_some();
    match (is_busy, seen.unknown.is_some()) {
        (false, false) => Verdict::Free,
        (true, _) if waited < limit => Verdict::Later,
        (true, _) => Verdict::Busy,
        (false, true) if answered_before && waited < limit => Verdict::Later,
        (false, true) => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::running::{FoundBy, RunningJob, WorkKind};

    const WAIT: OnWork = OnWork::Wait(Duration::from_secs(60));

    fn seen(kinds: &[WorkKind], unknown: Option<&str>) -> Seen {
        let work =
            |kind: &WorkKind| RunningJob { kind: *kind, project: None, id: "x".to_owned(), found_by: FoundBy::Api };
        Seen { work: kinds.iter().map(work).collect(), blind: None, unknown: unknown.map(ToOwned::to_owned) }
    }

    fn at(seconds: u64, on_work: OnWork, seen: &Seen) -> Verdict {
        judge(on_work, seen, Duration::from_secs(seconds), false)
    }

    #[test]
    fn jobs_scenarios_and_tasks_count_and_notebooks_do_not() {
        for kind in [WorkKind::Job, WorkKind::Scenario, WorkKind::Task] {
            assert_eq!(at(0, OnWork::Refuse, &seen(&[kind], None)), Verdict::Busy);
            assert_eq!(at(0, OnWork::Ignore, &seen(&[kind], None)), Verdict::Free);
        }
        assert_eq!(at(0, OnWork::Refuse, &seen(&[WorkKind::Notebook], None)), Verdict::Free);
    }

    #[test]
    fn work_is_waited_for_until_the_limit() {
        let busy = seen(&[WorkKind::Job], None);
        assert_eq!((at(59, WAIT, &busy), at(60, WAIT, &busy)), (Verdict::Later, Verdict::Busy));
        assert_eq!(at(0, OnWork::Wait(Duration::ZERO), &busy), Verdict::Busy);
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_rest() {
        let unknown = seen(&[], Some("no answer"));
        assert_eq!((at(0, WAIT, &unknown), at(0, OnWork::Refuse, &unknown)), (Verdict::Unknown, Verdict::Unknown));
        assert_eq!(at(0, OnWork::Ignore, &unknown), Verdict::Free);
        let after = |seconds| judge(WAIT, &unknown, Duration::from_secs(seconds), true);
        assert_eq!((after(59), after(60)), (Verdict::Later, Verdict::Unknown));
        assert_eq!(at(0, WAIT, &seen(&[WorkKind::Job], Some("slow"))), Verdict::Later, "what is known counts");
    }

    #[test]
    fn words_are_read_as_the_help_says() {
        assert_eq!("wait".parse(), Ok(OnWork::Wait(Duration::from_secs(1800))));
        assert_eq!("wait=90s".parse(), Ok(OnWork::Wait(Duration::from_secs(90))));
        assert_eq!(("refuse".parse(), "ignore".parse()), (Ok(OnWork::Refuse), Ok(OnWork::Ignore)));
        for word in ["", "stop", "wait=", "wait=-1s", "refuse=1s", "wait=soon"] {
            assert_eq!(word.parse::<OnWork>(), Err(BadWord(word.to_owned())));
        }
    }
}
