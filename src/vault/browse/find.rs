//! Choosing one snapshot by what the user wrote.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::repo::error::SnapshotLookup;
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::{RepoError, Repository};
use crate::vault::VaultError;
use crate::vault::browse::{Filter, Listed, Which, list};

/// Ids named when several match.
const NAMED_MAX: usize = 8;

/// See [`super::find()`].
pub fn run(repository: &Repository, wanted: &str, filter: &Filter) -> Result<Listed, VaultError> {
    match parse(wanted) {
        Some(Wanted::Latest { before }) => latest(repository, wanted, before, filter),
        Some(Wanted::Prefix(prefix)) => by_prefix(repository, wanted, &prefix, filter),
        None => Err(lookup(SnapshotLookup::None(wanted.to_owned()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// The one so many before the latest.
    Latest { before: usize },
    /// Lower-case digits.
    Prefix(String),
}

fn parse(text: &str) -> Option<Wanted> {
    if text == "latest" {
        return Some(Wanted::Latest { before: 0 });
    }
    if let Some(before) = text.strip_prefix("latest~") {
        return before.parse().ok().map(|before| Wanted::Latest { before });
    }
    let prefix = text.to_ascii_lowercase();
    let is_prefix = !prefix.is_empty() && prefix.len() <= 32 && prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_prefix.then_some(Wanted::Prefix(prefix))
}

/// Whether the text is of one of the forms.
#[cfg(feature = "testing")]
pub fn is_understood(text: &str) -> bool {
    parse(text).is_some()
}

fn lookup(why: SnapshotLookup) -> VaultError {
    VaultError::Repo(RepoError::Snapshot(why))
}

fn by_prefix(repository: &Repository, wanted: &str, prefix: &str, filter: &Filter) -> Result<Listed, VaultError> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    list::each(
        repository,
        Which::Shown,
        |stored| stored.id.to_string().starts_with(prefix),
        |seen| match seen.manifest {
            Ok(manifest) if filter.matches(&manifest) => found.push(seen.id),
            Ok(_) => {}
            Err(error) => unreadable.push((seen.id, error)),
        },
    )?;
    let ids: Vec<SnapshotId> = found.iter().chain(unreadable.iter().map(|(id, _)| id)).copied().collect();
    match (ids.as_slice(), unreadable.pop()) {
        ([], _) => Err(lookup(SnapshotLookup::None(wanted.to_owned()))),
        ([_], Some((_, error))) => Err(error.into()),
        ([id], None) => read(repository, *id),
        (several, _) => {
            let mut short: Vec<String> = several.iter().take(NAMED_MAX).map(SnapshotId::to_string).collect();
            short.sort();
            if several.len() > NAMED_MAX {
                short.push("…".to_owned());
            }
            Err(lookup(SnapshotLookup::Several { wanted: wanted.to_owned(), found: short.join(", ") }))
        }
    }
}

/// What `latest` keeps of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    time: Timestamp,
    id: SnapshotId,
    received: Timestamp,
}

fn latest(repository: &Repository, wanted: &str, before: usize, filter: &Filter) -> Result<Listed, VaultError> {
    let mut candidates = Vec::new();
    let mut nodes: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut unreadable: Vec<(Timestamp, RepoError)> = Vec::new();
    list::each(
        repository,
        Which::Shown,
        |_| true,
        |seen| match seen.manifest {
            Ok(manifest) if filter.matches(&manifest) => {
                candidates.push(Candidate { time: manifest.time, id: seen.id, received: seen.created });
                nodes.entry(manifest.node).or_insert(manifest.label);
            }
            Ok(_) => {}
            Err(error) => unreadable.push((seen.created, error)),
        },
    )?;
    if filter.node.is_none() && filter.host.is_none() && nodes.len() > 1 {
        let mut labels: Vec<String> = nodes.iter().map(|(node, label)| format!("{label} ({})", node.short())).collect();
        labels.sort();
        return Err(lookup(SnapshotLookup::SeveralNodes(labels.join(", "))));
    }
    candidates.sort_unstable();
    let chosen = candidates.iter().rev().nth(before);
    // Both times are the store's own, so that they may be compared.
    let doubtful = |(received, _): &(Timestamp, RepoError)| chosen.is_none_or(|chosen| *received >= chosen.received);
    if let Some((_, error)) = unreadable.into_iter().find(doubtful) {
        return Err(lookup(SnapshotLookup::Doubtful { wanted: wanted.to_owned(), cause: error.to_string() }));
    }
    match chosen {
        Some(chosen) => read(repository, chosen.id),
        None => Err(lookup(SnapshotLookup::None(wanted.to_owned()))),
    }
}

fn read(repository: &Repository, id: SnapshotId) -> Result<Listed, VaultError> {
    match snapshot::load(repository, &id)?.1 {
        SnapshotRecord::Committed(manifest) => Ok(Listed { id, manifest: *manifest }),
        SnapshotRecord::Aborted(_) => Err(lookup(SnapshotLookup::None(id.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_counts_back_and_everything_else_is_the_front_of_an_id() {
        assert_eq!(parse("latest"), Some(Wanted::Latest { before: 0 }));
        assert_eq!(parse("latest~3"), Some(Wanted::Latest { before: 3 }));
        assert_eq!(parse("A7"), Some(Wanted::Prefix("a7".to_owned())));
    }

    #[test]
    fn what_names_no_snapshot_is_told_apart_before_anything_is_read() {
        for text in ["", "latest~", "latest~-1", "late", "xyz", "é", &"a".repeat(33)] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
