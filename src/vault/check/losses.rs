//! What is lost, for those who mend: the same walk as a check's, without its findings.

use std::collections::{HashMap, HashSet};

use crate::base::progress::Silent;
use crate::repo::Repository;
use crate::repo::index::{Index, Prefix};
use crate::repo::journal::State;
use crate::vault::check::damage::{Damage, LOST_MAX, Why};
use crate::vault::check::findings::Findings;
use crate::vault::check::objects::{self, Root};
use crate::vault::check::run::{Check, Followed};
use crate::vault::check::segments::Tables;
use crate::vault::check::treeset::TreeSet;
use crate::vault::check::{CheckReport, Kind, Request, packs};
use crate::vault::{Context, VaultError};

/// Chunks that snapshots need and that cannot be read.
pub struct Losses {
    /// All snapshots that count, forgotten ones too.
    pub roots: Vec<Root>,
    /// Snapshots that cannot be read themselves, and why.
    pub unreadable: Vec<(String, String)>,
    /// The tree chunks the index knows; none is seen.
    pub trees: TreeSet,
    /// Packs, by the index's number, that had a chunk which is lost.
    pub guilty: HashSet<u32>,
    lost: HashMap<Prefix, Why>,
}

impl Losses {
    /// Follows every reference of those snapshots that are `meant`, and reads what is asked for.
    pub fn find(
        repository: &Repository,
        index: &Index,
        journal: State,
        request: Request,
        meant: impl Fn(&State, &Root) -> bool,
        context: Context<'_>,
    ) -> Result<Self, VaultError> {
        let findings = Findings::new(&Silent);
        let (mut roots, _) = objects::snapshots(repository, &journal, &findings, context)?;
        roots.retain(|root| meant(&journal, root));
        let (damage, report) = (Damage::default(), CheckReport::default());
        let stored = packs::stored(repository, &journal, &findings);
        let mut check = Check { repository, request, journal, context, findings: &findings, damage, report };
        let Followed { mut trees, joined, lost, .. } = check.follow(index, &roots, &Tables::default(), stored)?;
        trees.reset();
        if let Some(what) = check.damage.doubted() {
            let hint = "nothing was changed; run the command again when the store answers".to_owned();
            return Err(VaultError::Undecided { what, hint });
        }
        let findings = findings.into_sorted();
        // What could not be listed may all be there.
        if let Some(finding) = findings.iter().find(|finding| finding.kind == Kind::Unlistable) {
            return Err(VaultError::Undecided {
                what: format!("{} cannot be listed: {}", finding.object, finding.cause),
                hint: "nothing was changed; run the command again when the store answers".to_owned(),
            });
        }
        let unreadable = findings.into_iter().filter(|finding| finding.object.starts_with("snapshots/"));
        let unreadable = unreadable.map(|finding| (finding.object, finding.cause)).collect();
        Ok(Self { roots, unreadable, trees, guilty: joined.guilty, lost })
    }

    /// Whether a chunk is lost.
    pub fn holds(&self, prefix: &Prefix) -> bool {
        self.lost.contains_key(prefix)
    }

    /// Lost chunks of which the index knows no copy at all.
    pub fn unknown(&self) -> u64 {
        self.lost.values().filter(|why| matches!(why, Why::NotIndexed)).count() as u64
    }

    /// Refuses to go on where so much is lost that it is not all remembered.
    pub fn require_all_known(&self) -> Result<(), VaultError> {
        if self.lost.len() < LOST_MAX {
            return Ok(());
        }
        Err(VaultError::Request {
            what: format!("more than {LOST_MAX} chunks are lost; marking what needs them would be no help"),
            hint: Some("bring the store back from a copy, or begin a new repository".to_owned()),
        })
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty()
    }
}
