//! Which way a node is read. Pure but for the question whether its volume can be frozen, which is asked only if the
//! answer matters.

use crate::dss::backup::error::NodeError;
use crate::dss::control::evidence::{Evidence, Running};
use crate::fsnap::Candidate;

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Asked {
    /// Stopped if it is stopped, else frozen, else nothing: production is never stopped unasked.
    #[default]
    Auto,
    /// Stop it, read what changed since a first pass, start it.
    Stopped,
    /// From a frozen volume, while it runs.
    Frozen,
    /// While it runs: H2 databases may be torn.
    Live,
}

/// A word that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no consistency: auto, stopped, frozen or live")]
pub struct UnknownConsistency(String);

impl std::str::FromStr for Asked {
    type Err = UnknownConsistency;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::Auto),
            "stopped" => Ok(Self::Stopped),
            "frozen" => Ok(Self::Frozen),
            "live" => Ok(Self::Live),
            other => Err(UnknownConsistency(other.to_owned())),
        }
    }
}

/// What is done.
#[derive(Debug)]
pub enum Choice {
    /// Read it: it is stopped, and stays so.
    Plain,
    /// Stop it between two passes.
    Stop,
    /// Freeze its volume.
    Freeze(Candidate),
    /// Read it while it runs.
    Live,
}

/// Chooses.
pub fn choose(
    asked: Asked,
    running: Running,
    evidence: &Evidence,
    candidate: impl FnOnce() -> Result<Candidate, NodeError>,
) -> Result<Choice, NodeError> {
    match (asked, running) {
        (Asked::Live, _) => Ok(Choice::Live),
        (Asked::Frozen, _) => candidate().map(Choice::Freeze),
        (Asked::Auto | Asked::Stopped, Running::Stopped) => Ok(Choice::Plain),
        (Asked::Stopped, Running::Running) => Ok(Choice::Stop),
        (Asked::Stopped, Running::Unknown) => Err(NodeError::Unclear { evidence: evidence.summary() }),
        (Asked::Auto, Running::Running | Running::Unknown) => match candidate() {
            Ok(candidate) => Ok(Choice::Freeze(candidate)),
            Err(why) => Err(NodeError::NotUnasked { evidence: evidence.summary(), why: why.to_string() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(asked: Asked, running: Running) -> Result<Choice, NodeError> {
        let no = || Err(NodeError::Unclear { evidence: "no volume manager".to_owned() });
        choose(asked, running, &Evidence::default(), no)
    }

    #[test]
    fn production_is_never_stopped_unasked() {
        for running in [Running::Running, Running::Unknown] {
            assert!(matches!(chosen(Asked::Auto, running), Err(NodeError::NotUnasked { .. })));
        }
        assert!(matches!(chosen(Asked::Auto, Running::Stopped), Ok(Choice::Plain)));
        assert!(matches!(chosen(Asked::Stopped, Running::Running), Ok(Choice::Stop)));
    }

    #[test]
    fn what_cannot_be_told_is_not_stopped_either() {
        assert!(matches!(chosen(Asked::Stopped, Running::Unknown), Err(NodeError::Unclear { .. })));
        assert!(matches!(chosen(Asked::Live, Running::Unknown), Ok(Choice::Live)));
    }
}
