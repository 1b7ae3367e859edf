//! Whatever byte of a stored object changes, whoever reads it is told, and nothing panics.

use dssvault::base::id::WriterId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::codec::kdf::plain_hash;
use dssvault::repo::keys::slot::Slot;
use dssvault::repo::sealed::{self, Target};
use dssvault::repo::session::{Session, SessionStart};
use dssvault::repo::{RepoError, Repository};
use proptest::prelude::*;

use crate::journal_session::{manifest, sealer};
use crate::keys_fixture::{Memory, open, password, repository};

/// A store with an object of every kind this module knows, the last one a segment-like object named by its hash.
fn full() -> (Memory, Repository, Vec<ObjectName>) {
    let (store, repository) = repository();
    let sealer = sealer(&repository);
    let start = SessionStart { node: manifest(sealer.session()).node, parent: None, host: String::new() };
    let session = Session::begin(&repository, &sealer, start).unwrap();
    session.commit(manifest(session.id()), &[]).unwrap();
    let Repository { secrets, seams, .. } = &repository;
    let target = Target::ByHash(ObjectKind::Index);
    let body = b"segment ".repeat(40);
    let (name, bytes) =
        sealed::encode(&sealer, &secrets.signing(), &*seams.entropy, target, Vec::new(), &body).unwrap();
    store.tamper(&name, bytes);
    let names = ObjectKind::ALL.into_iter().flat_map(|kind| store.names(kind)).collect();
    (store, repository, names)
}

/// Reads one object as its reader would, from bytes that may be anything.
fn read(repository: &Repository, name: &ObjectName, stored: &[u8]) -> Result<(), RepoError> {
    let owner = repository.secrets.owner_public();
    let alone = Memory::default();
    match name.kind() {
        ObjectKind::Config => {
            alone.tamper(name, stored.to_vec());
            dssvault::repo::config::RepositoryConfig::load(&alone, repository.id(), &owner).map(drop)
        }
        ObjectKind::Key => match Slot::parse(name, stored, &[(repository.id(), owner)])? {
            Some(_) => Ok(()),
            None => Err(RepoError::damaged(name, "not signed by the owner")),
        },
        ObjectKind::Journal => {
            alone.tamper(name, stored.to_vec());
            dssvault::repo::journal::Journal::new(&alone, repository.id(), owner).load().map(drop)
        }
        _ => {
            let signer = |writer: WriterId| repository.signer(writer);
            sealed::decode(&repository.opener, &signer, name, stored).map(drop)
        }
    }
}

#[test]
fn a_flipped_bit_in_any_byte_is_damage() {
    let (store, repository, names) = full();
    assert_eq!(names.len(), 8, "config, two slots, journal, record, lease, snapshot, segment");
    for name in &names {
        let good = store.bytes(name);
        read(&repository, name, &good).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let error = read(&repository, name, &bytes).expect_err("a flip must be noticed");
            assert!(matches!(error, RepoError::Damaged { .. }), "{name} byte {at}: {error}");
        }
    }
}

#[test]
fn a_flipped_bit_under_a_mended_checksum_is_still_refused() {
    let (store, repository, names) = full();
    for name in names.iter().filter(|name| !name.kind().is_named_by_hash()) {
        let good = store.bytes(name);
        for at in 0..good.len() - 32 {
            let mut bytes = good[..good.len() - 32].to_vec();
            bytes[at] ^= 1 << (at % 8);
            bytes.extend_from_slice(&plain_hash(&bytes));
            assert!(read(&repository, name, &bytes).is_err(), "{name} byte {at}");
        }
    }
}

#[test]
fn a_torn_object_of_any_length_is_refused() {
    let (store, repository, names) = full();
    for name in &names {
        let good = store.bytes(name);
        for length in 0..good.len() {
            assert!(read(&repository, name, &good[..length]).is_err(), "{name} cut to {length}");
        }
        assert!(read(&repository, name, &[&good[..], b"x"].concat()).is_err());
    }
}

#[test]
fn an_object_under_the_name_of_another_is_refused() {
    let (store, repository, names) = full();
    for name in &names {
        for other in names.iter().filter(|other| *other != name) {
            assert!(read(&repository, name, &store.bytes(other)).is_err(), "{other} as {name}");
        }
    }
}

#[test]
fn two_seals_of_the_same_body_share_neither_salt_nor_bytes() {
    let (_, repository) = repository();
    let sealer = sealer(&repository);
    let (first, _) = sealer.object(ObjectKind::Pack, Vec::new());
    let (second, _) = sealer.object(ObjectKind::Pack, Vec::new());
    assert_ne!(first.salt, second.salt);
    assert_ne!(first.commitment, second.commitment);
    assert_eq!(first.encapsulation, second.encapsulation);
}

#[test]
fn bodies_beyond_the_bound_of_their_kind_are_refused_by_the_writer() {
    let (_, repository) = repository();
    let sealer = sealer(&repository);
    let name = dssvault::repo::session::object_name(sealer.session(), 0);
    let seal = |plain: usize, body: usize| {
        let Repository { secrets, seams, .. } = &repository;
        let (signing, target) = (secrets.signing(), Target::Named(&name));
        sealed::encode(&sealer, &signing, &*seams.entropy, target, vec![0; plain], &vec![0; body]).is_ok()
    };
    assert!(seal(0, 1 << 20), "shrinks well below the bound");
    assert!(!seal(0, (1 << 20) + 1));
    assert!(!seal(1 << 20, 0), "fits the section, not the object");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn noise_behind_a_fitting_checksum_never_panics(kind in 0usize..6, mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let kind = ObjectKind::ALL[kind];
        let name = ObjectName::numbered(kind, 1);
        let mut framed = b"DSSVAULT".to_vec();
        framed.push(kind.code());
        framed.push(1);
        framed.append(&mut bytes);
        framed.extend_from_slice(&plain_hash(&framed));
        let (store, _) = repository();
        let repository = open(&store, &password("correct")).unwrap();
        prop_assert!(read(&repository, &name, &framed).is_err());
    }
}
