//! The snapshots a policy is applied to, as they are read.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::id::NodeId;
use crate::repo::Repository;
use crate::repo::journal::{Arrival, State};
use crate::repo::snapshot::{self, Manifest};
use crate::vault::VaultError;
use crate::vault::browse::{self, Filter, Seen};
use crate::vault::retention::Candidate;

/// What there is.
#[derive(Debug)]
pub struct Survey {
    /// Readable snapshots that match.
    pub candidates: Vec<Candidate>,
    /// The label of each node, as its newest snapshot has it.
    pub labels: BTreeMap<NodeId, String>,
    /// Object and reason: what cannot be read is not judged, and so never dropped.
    pub unreadable: Vec<(String, String)>,
    /// Snapshots the journal does not know yet, whether they match or not.
    pub arrivals: Vec<Arrival>,
    /// The journal all of this rests on.
    pub journal: State,
}

impl Survey {
    /// Reads all snapshots that match and are not forgotten.
    pub fn read(repository: &Repository, filter: &Filter) -> Result<Self, VaultError> {
        let (mut candidates, mut unreadable, mut arrivals) = (Vec::new(), Vec::new(), Vec::new());
        let mut newest: BTreeMap<NodeId, (Timestamp, String)> = BTreeMap::new();
        let journal = browse::each_seen(repository, |Seen { id, received, manifest, .. }| {
            arrivals.push(Arrival { snapshot: id, time: received });
            match manifest {
                Ok(manifest) if filter.matches(&manifest) => {
                    let label = newest.entry(manifest.node).or_default();
                    if label.0 <= manifest.time || label.1.is_empty() {
                        *label = (manifest.time, manifest.label.clone());
                    }
                    candidates.push(Candidate {
                        id,
                        node: manifest.node,
                        time: manifest.time,
                        // A copy was seen by the repository it was made for, not by this one.
                        first_seen: manifest.origin.map_or(received, |origin| origin.received),
                        complete: is_complete(&manifest) && manifest.repaired.is_none(),
                        old_by_nature: manifest.imported.is_some() || manifest.repaired.is_some(),
                        paths: manifest.members.into_iter().map(|member| member.name).collect(),
                        host: manifest.host,
                        tags: manifest.tags,
                        pin: None,
                    });
                }
                Ok(_) => {}
                Err(error) => unreadable.push((snapshot::name(&id).to_string(), error.to_string())),
            }
        })?;
        arrivals.retain(|arrival| !journal.arrived.contains_key(&arrival.snapshot));
        for candidate in &mut candidates {
            candidate.pin = journal.pins.get(&candidate.id).cloned();
        }
        let labels = newest.into_iter().map(|(node, (_, label))| (node, label)).collect();
        Ok(Self { candidates, labels, unreadable, arrivals, journal })
    }

    /// The label of a node.
    pub fn label(&self, node: &NodeId) -> &str {
        self.labels.get(node).map_or("", String::as_str)
    }
}

/// Whether the backup ended without exit code 3. Problems beyond those that are named count as losses.
fn is_complete(manifest: &Manifest) -> bool {
    let all_named = manifest.problem_count <= manifest.problems.len() as u64;
    all_named && !manifest.problems.iter().any(|problem| problem.lost)
}
