//! Who is backed up: the node's random id, kept in the state folder of this machine.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::id::{NodeId, RepositoryId};
use crate::base::random::{Entropy, array};
use crate::sys::durable;
use crate::vault::VaultError;

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The account this process runs as.
pub fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    crate::sys::meta::Names::default().user(uid).unwrap_or_else(|| uid.to_string())
}

/// The id of the node known here by `label`; drawn and remembered at its first backup.
///
/// Ids are kept in `nodes.json`: label to id, for each repository. Losing the file costs storing trees again.
pub fn node_id(
    state: &Path,
    repository: RepositoryId,
    label: &str,
    entropy: &dyn Entropy,
) -> Result<NodeId, VaultError> {
    let path = state.join("nodes.json");
    let mut known = load(&path)?;
    let nodes = known.entry(repository.to_string()).or_default();
    if let Some(id) = nodes.get(label).and_then(|id| id.parse().ok()) {
        return Ok(id);
    }
    let id = NodeId::from_bytes(array(entropy));
    nodes.insert(label.to_owned(), id.to_string());
    durable::write_json(&path, &known).map_err(|error| VaultError::local("write", &path, error))?;
    Ok(id)
}

/// Remembers the id under which a repository knows a node that this machine has not met yet, so that its snapshots
/// continue one row. A node that is known here keeps its id.
pub fn adopt(state: &Path, repository: RepositoryId, label: &str, id: NodeId) -> Result<(), VaultError> {
    let path = state.join("nodes.json");
    let mut known = load(&path)?;
    let nodes = known.entry(repository.to_string()).or_default();
    if nodes.contains_key(label) {
        return Ok(());
    }
    nodes.insert(label.to_owned(), id.to_string());
    durable::write_json(&path, &known).map_err(|error| VaultError::local("write", &path, error))
}

/// Labels to ids, for each repository.
type Known = BTreeMap<String, BTreeMap<String, String>>;

fn load(path: &Path) -> Result<Known, VaultError> {
    let known = durable::read_json(path).map_err(|error| VaultError::local("read", path, error))?;
    Ok(known.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemEntropy;

    #[test]
    fn a_node_keeps_its_id_and_labels_and_repositories_have_their_own() {
        let state = tempfile::tempdir().unwrap();
        let id = |repository: u8, label: &str| {
            node_id(state.path(), RepositoryId::from_bytes([repository; 16]), label, &SystemEntropy).unwrap()
        };
        let first = id(1, "design");
        assert_eq!(first, id(1, "design"));
        assert_ne!(first, id(1, "automation"));
        assert_ne!(first, id(2, "design"));
    }

    #[test]
    fn a_node_of_another_machine_is_adopted_and_a_known_one_is_not_renamed() {
        let state = tempfile::tempdir().unwrap();
        let repository = RepositoryId::from_bytes([1; 16]);
        let id = |label: &str| node_id(state.path(), repository, label, &SystemEntropy).unwrap();
        let (known, other) = (id("known"), NodeId::from_bytes([9; 16]));
        for label in ["known", "met"] {
            adopt(state.path(), repository, label, other).unwrap();
        }
        assert_eq!((id("known"), id("met")), (known, other));
    }

    #[test]
    fn a_damaged_memory_is_an_error_and_not_a_new_node() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("nodes.json"), "{").unwrap();
        assert!(node_id(state.path(), RepositoryId::from_bytes([1; 16]), "x", &SystemEntropy).is_err());
    }
}
