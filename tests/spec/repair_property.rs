//! Mending never worsens: whatever was damaged, and in whatever order it is mended, every file of every snapshot that
//! came back before comes back after, bit for bit.

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::Repository;
use dssvault::storage::Storage;
use dssvault::vault::VaultError;
use dssvault::vault::check::ReadData;
use dssvault::vault::repair::index::{self, Extent};
use dssvault::vault::repair::{packs, snapshots};
use proptest::prelude::*;

use crate::check_fixture::Vault;
use crate::repair_fixture::{forget_cache, restorable, snapshot_ids, vault};

/// Harm to one object: which, what, and where in it.
#[derive(Debug, Clone)]
struct Harm {
    object: prop::sample::Index,
    kind: HarmKind,
    at: prop::sample::Index,
}

#[derive(Debug, Clone, Copy)]
enum HarmKind {
    Flip,
    Cut,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mend {
    Index,
    WholeIndex,
    Packs,
    Snapshots,
}

/// Mostly packs, segments and snapshots, for damage to the others is refused.
fn harm() -> impl Strategy<Value = Harm> {
    let kind = prop_oneof![Just(HarmKind::Flip), Just(HarmKind::Cut), Just(HarmKind::Delete)];
    (any::<prop::sample::Index>(), kind, any::<prop::sample::Index>()).prop_map(|(object, kind, at)| Harm {
        object,
        kind,
        at,
    })
}

fn mends() -> impl Strategy<Value = Vec<Mend>> {
    let mend = prop_oneof![Just(Mend::Index), Just(Mend::WholeIndex), Just(Mend::Packs), Just(Mend::Snapshots)];
    prop::collection::vec(mend, 1..5)
}

fn strike(vault: &Vault, harm: &Harm) {
    let names: Vec<ObjectName> = vault.store.contents().into_keys().collect();
    if names.is_empty() {
        return;
    }
    let name = harm.object.get(&names);
    let mut bytes = vault.bytes(name);
    let at = if bytes.is_empty() { 0 } else { harm.at.index(bytes.len()) };
    match harm.kind {
        HarmKind::Flip if !bytes.is_empty() => {
            bytes[at] ^= 0x10;
            vault.store.replace(name, bytes);
        }
        HarmKind::Flip => {}
        HarmKind::Cut => {
            bytes.truncate(at);
            vault.store.replace(name, bytes);
        }
        HarmKind::Delete => vault.store.delete(name).unwrap(),
    }
}

fn apply(vault: &Vault, repository: &Repository, mend: Mend) -> Result<(), VaultError> {
    let context = vault.context();
    let extent = if mend == Mend::WholeIndex { Extent::All } else { Extent::Damaged };
    match mend {
        Mend::Index | Mend::WholeIndex => {
            index::apply(repository, index::plan(repository, extent, context)?, context).map(|_| ())
        }
        Mend::Packs => packs::apply(repository, packs::plan(repository, &[], context)?, context).map(|_| ()),
        Mend::Snapshots => snapshots::apply(repository, ReadData::All, context).map(|_| ()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_came_back_before_a_repair_comes_back_after(
        harms in prop::collection::vec(harm(), 1..5), mends in mends(),
    ) {
        let vault = vault();
        // Opened before: what opens a repository refuses much of this at once.
        let repository = vault.open();
        let ids = snapshot_ids(&vault);
        harms.iter().for_each(|harm| strike(&vault, harm));
        forget_cache(&vault);
        let before = restorable(&repository, &ids, vault.context());
        let readable_journal = repository.journal().load().is_ok();
        for mend in &mends {
            forget_cache(&vault);
            let stored = vault.store.contents();
            let outcome = apply(&vault, &repository, *mend);
            // What decides over everything else is never mended, only refused.
            if !readable_journal {
                prop_assert!(outcome.is_err(), "{mend:?} on a damaged journal");
                prop_assert_eq!(&stored, &vault.store.contents());
            }
            let small = |kind| matches!(kind, ObjectKind::Config | ObjectKind::Key | ObjectKind::Snapshot | ObjectKind::Pack);
            let kept = stored.iter().filter(|(name, _)| small(name.kind()));
            let now = vault.store.contents();
            kept.for_each(|(name, bytes)| assert_eq!(now.get(name), Some(bytes), "{mend:?} took {name} away"));
        }
        forget_cache(&vault);
        let after = restorable(&repository, &ids, vault.context());
        for (place, bytes) in &before {
            prop_assert_eq!(after.get(place), Some(bytes), "{:?} after {:?}", place, &mends);
        }
    }
}
