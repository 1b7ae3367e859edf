//! Which configuration is in force.

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::codec::chunk::ChunkSizes;
use dssvault::codec::sign::SigningSecret;
use dssvault::repo::RepoError;
use dssvault::repo::config::RepositoryConfig;

use crate::keys_fixture::{open, password, repository};

fn number(number: u64) -> ObjectName {
    ObjectName::numbered(ObjectKind::Config, number)
}

#[test]
fn the_highest_valid_number_wins() {
    let (store, repository) = repository();
    let files = ChunkSizes { min: 1 << 10, average: 8 << 10, max: 64 << 10 };
    let second = RepositoryConfig { files, ..repository.config.clone() };
    assert!(second.store(&store, 2, &repository.secrets.signing()).unwrap());
    assert!(!second.store(&store, 2, &repository.secrets.signing()).unwrap(), "a number is given once");
    let reopened = open(&store, &password("correct")).unwrap();
    assert_eq!((reopened.config_number, reopened.config.files), (2, files));
}

#[test]
fn a_damaged_higher_number_is_a_warning_that_names_it() {
    let (store, _) = repository();
    store.tamper(&number(7), b"torn".to_vec());
    let reopened = open(&store, &password("correct")).unwrap();
    assert_eq!(reopened.config_number, 1);
    assert!(reopened.warnings[0].to_string().contains("config/0000000007"));
}

#[test]
fn a_stranger_cannot_take_the_repository_over_by_a_higher_number() {
    let (store, repository) = repository();
    let stranger = SigningSecret::from_seed(&[66; 32]);
    let planted = RepositoryConfig { owner: stranger.public().to_bytes(), ..repository.config.clone() };
    planted.store(&store, 9, &stranger).unwrap();
    // Nor by one that names the owner but is signed by the stranger.
    repository.config.store(&store, 8, &stranger).unwrap();
    let reopened = open(&store, &password("correct")).unwrap();
    assert_eq!(reopened.config, repository.config);
    assert_eq!(reopened.warnings.len(), 2);
}

#[test]
fn unknown_features_and_newer_layouts_are_refused_politely() {
    let (store, repository) = repository();
    let newer = RepositoryConfig { features: 1 << 40, ..repository.config.clone() };
    newer.store(&store, 2, &repository.secrets.signing()).unwrap();
    let error = open(&store, &password("correct")).err().unwrap();
    assert!(matches!(&error, RepoError::TooNew { name, .. } if *name == number(2)), "{error}");
}

#[test]
fn values_out_of_bounds_are_damage_even_when_signed() {
    let bad = ChunkSizes { min: 0, average: 0, max: u32::MAX };
    type Spoil = fn(&mut RepositoryConfig, ChunkSizes);
    let spoils: [Spoil; 6] = [
        |config, bad| config.files = bad,
        |config, bad| config.database = bad,
        |config, bad| config.large_files = bad,
        |config, _| config.epoch = 0,
        |config, _| config.public_key.truncate(10),
        |config, _| config.public_key[0] ^= 1,
    ];
    for spoil in spoils {
        let (store, repository) = repository();
        let mut config = repository.config.clone();
        spoil(&mut config, bad);
        let name = number(1);
        dssvault::storage::Storage::delete(&store, &name).unwrap();
        config.store(&store, 1, &repository.secrets.signing()).unwrap();
        let error = open(&store, &password("correct")).err().unwrap();
        assert!(matches!(&error, RepoError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_configuration_copied_to_another_number_does_not_count() {
    let (store, _) = repository();
    store.tamper(&number(2), store.bytes(&number(1)));
    let reopened = open(&store, &password("correct")).unwrap();
    assert_eq!((reopened.config_number, reopened.warnings.len()), (1, 1));
}
