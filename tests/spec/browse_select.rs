//! Which snapshots are listed, and which one a name means.

use dssvault::base::hint::Hint;
use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::RepoError;
use dssvault::repo::error::SnapshotLookup;
use dssvault::repo::journal::Entry;
use dssvault::storage::Storage;
use dssvault::vault::backup::BackupOptions;
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::{VaultError, stats};

use crate::check_fixture::{Vault, noise};

fn options(node: &str, tags: &[&str]) -> BackupOptions {
    BackupOptions {
        node: Some(node.to_owned()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..BackupOptions::default()
    }
}

fn node(label: &str) -> Filter {
    Filter { node: Some(label.to_owned()), ..Filter::default() }
}

fn listed(vault: &Vault, filter: &Filter) -> Vec<SnapshotId> {
    browse::list(&vault.open(), filter).unwrap().snapshots.iter().map(|listed| listed.id).collect()
}

fn found(vault: &Vault, wanted: &str, filter: &Filter) -> Result<SnapshotId, VaultError> {
    browse::find(&vault.open(), wanted, filter).map(|listed| listed.id)
}

/// Three snapshots of node `a`.
fn three() -> (Vault, [SnapshotId; 3]) {
    let vault = Vault::new(2);
    let ids = [1, 2, 3].map(|number| {
        vault.write("file", &noise(number, 100));
        vault.backup_with(&options("a", if number == 2 { &["odd"] } else { &[] }))
    });
    (vault, ids)
}

#[test]
fn snapshots_are_listed_oldest_first() {
    let (vault, ids) = three();
    assert_eq!(listed(&vault, &Filter::default()), ids);
}

#[test]
fn only_what_matches_label_id_host_and_every_tag_is_listed() {
    let (vault, ids) = three();
    let other = vault.backup_with(&options("b", &["odd", "x"]));
    assert_eq!(listed(&vault, &node("b")), [other]);
    let id = browse::find(&vault.open(), &other.to_string(), &Filter::default()).unwrap().manifest.node;
    assert_eq!(listed(&vault, &node(&id.to_string())), [other]);
    let tags = |tags: &[&str]| Filter { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..Filter::default() };
    assert_eq!(listed(&vault, &tags(&["odd"])), [ids[1], other]);
    assert_eq!(listed(&vault, &tags(&["odd", "x"])), [other]);
    assert!(listed(&vault, &Filter { host: Some("no such host".to_owned()), ..Filter::default() }).is_empty());
}

#[test]
fn forgotten_snapshots_are_not_listed_and_shown_again_when_undeleted() {
    let (vault, ids) = three();
    let repository = vault.open();
    let say = |entry: &Entry| {
        let decide = |_: &_| Ok(Some(entry.clone()));
        let mut once = Some(decide);
        repository
            .journal()
            .append(&repository.secrets, &*repository.seams.clock, |state| match once.take() {
                Some(decide) => decide(state),
                None => Ok(None),
            })
            .unwrap();
    };
    say(&Entry::Forget(vec![ids[2]]));
    assert_eq!(listed(&vault, &Filter::default()), ids[..2]);
    assert_eq!(found(&vault, "latest", &Filter::default()).unwrap(), ids[1]);
    assert!(found(&vault, &ids[2].to_string(), &Filter::default()).is_err());
    say(&Entry::Undelete(vec![ids[2]]));
    assert_eq!(listed(&vault, &Filter::default()), ids);
}

#[test]
fn a_damaged_snapshot_is_listed_as_unreadable_with_the_reason() {
    let (vault, ids) = three();
    let name = ObjectName::of(ObjectKind::Snapshot, ids[0]);
    vault.flip(&name, 300);
    let listing = browse::list(&vault.open(), &Filter::default()).unwrap();
    assert_eq!(listing.snapshots.iter().map(|listed| listed.id).collect::<Vec<_>>(), ids[1..]);
    let [(object, reason)] = listing.unreadable.as_slice() else { panic!("{:?}", listing.unreadable) };
    assert_eq!(*object, name.to_string());
    assert!(reason.contains("its checksum does not fit its bytes"), "{reason}");
}

#[test]
fn a_unique_front_of_an_id_is_enough() {
    let (vault, ids) = three();
    for id in ids {
        let text = id.to_string();
        let unique =
            (1..32).find(|&digits| ids.iter().filter(|id| id.to_string().starts_with(&text[..digits])).count() == 1);
        assert_eq!(found(&vault, &text[..unique.unwrap()], &Filter::default()).unwrap(), id);
        assert_eq!(found(&vault, &text.to_uppercase(), &Filter::default()).unwrap(), id);
    }
}

#[test]
fn a_front_of_several_ids_names_them_all() {
    let vault = Vault::new(2);
    vault.write("file", b"content");
    // Of 17 ids two begin with the same digit.
    let ids: Vec<String> = (0..17).map(|_| vault.backup().to_string()).collect();
    let shared = ids.iter().map(|id| &id[..1]).find(|digit| ids.iter().filter(|id| id.starts_with(digit)).count() > 1);
    let error = found(&vault, shared.unwrap(), &Filter::default()).unwrap_err();
    let VaultError::Repo(RepoError::Snapshot(SnapshotLookup::Several { found, .. })) = &error else {
        panic!("{error}")
    };
    assert!(found.matches(", ").count() >= 1, "{found}");
}

#[test]
fn latest_counts_back_from_the_newest() {
    let (vault, ids) = three();
    let all = Filter::default();
    assert_eq!(found(&vault, "latest", &all).unwrap(), ids[2]);
    assert_eq!(found(&vault, "latest~0", &all).unwrap(), ids[2]);
    assert_eq!(found(&vault, "latest~2", &all).unwrap(), ids[0]);
    let error = found(&vault, "latest~3", &all).unwrap_err();
    assert!(matches!(&error, VaultError::Repo(RepoError::Snapshot(SnapshotLookup::None(_)))), "{error}");
    assert_eq!(error.hint().as_deref(), Some("`dssvault snapshots` lists what there is"));
}

#[test]
fn latest_of_several_nodes_asks_which() {
    let (vault, ids) = three();
    let other = vault.backup_with(&options("b", &[]));
    let error = found(&vault, "latest", &Filter::default()).unwrap_err();
    let VaultError::Repo(RepoError::Snapshot(SnapshotLookup::SeveralNodes(labels))) = &error else { panic!("{error}") };
    assert!(labels.starts_with("a (") && labels.contains(", b ("), "{labels}");
    assert_eq!(found(&vault, "latest", &node("a")).unwrap(), ids[2]);
    assert_eq!(found(&vault, "latest", &node("b")).unwrap(), other);
}

#[test]
fn latest_is_refused_when_a_newer_snapshot_cannot_be_read() {
    let (vault, ids) = three();
    vault.flip(&ObjectName::of(ObjectKind::Snapshot, ids[2]), 300);
    let error = found(&vault, "latest", &Filter::default()).unwrap_err();
    assert!(error.to_string().contains(&ids[2].to_string()), "{error}");
    assert_eq!(found(&vault, &ids[1].to_string(), &Filter::default()).unwrap(), ids[1]);
    let (vault, ids) = three();
    vault.flip(&ObjectName::of(ObjectKind::Snapshot, ids[0]), 300);
    assert_eq!(found(&vault, "latest", &Filter::default()).unwrap(), ids[2]);
}

#[test]
fn stats_count_equal_content_once_and_agree_with_the_store() {
    let vault = Vault::new(2);
    vault.write("one", &noise(1, 5000));
    vault.write("same", &noise(1, 5000));
    vault.backup();
    vault.write("two", &noise(2, 7000));
    vault.backup();
    let report = stats::run(&vault.open(), vault.context()).unwrap();
    assert_eq!((report.snapshots, report.logical_bytes), (2, 10_000 + 17_000));
    assert!((12_000..20_000).contains(&report.unique_bytes), "{report:?}");
    let stored: u64 = vault.store.contents().values().map(|bytes| bytes.len() as u64).sum();
    assert_eq!(report.stored_bytes, stored);
    let packs = report.classes.iter().find(|class| class.kind == "packs").unwrap();
    assert_eq!(packs.objects, vault.store.list(ObjectKind::Pack).unwrap().len() as u64);
    assert!((report.ratio() - 27_000.0 / stored as f64).abs() < 1e-9);
}
