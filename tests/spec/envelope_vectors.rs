//! Known-answer vectors of the envelope: `tests/vectors/crypto/*.json`, good and bad, described in its `README.md`.
//!
//! `DSSVAULT_WRITE_VECTORS=1` writes them anew (seeded, so that equal code writes equal bytes); `check.py` beside
//! them checks them without this crate.

use std::path::PathBuf;

use dssvault::base::id::WriterId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::random::SeededEntropy;
use dssvault::codec::kdf::{Purpose, SecretKey, plain_hash};
use dssvault::codec::sign::{SIGNATURE_BYTES, SigningSecret, Subject};
use dssvault::codec::wire::Reader;
use dssvault::repo::config::{RepositoryConfig, Survey};
use dssvault::repo::header::Header;
use dssvault::repo::journal::Journal;
use dssvault::repo::keys::{self, Credential, slot};
use dssvault::repo::sealed::{self, Target};
use dssvault::repo::session::{Session, SessionStart};
use dssvault::repo::{RepoError, Repository, crypt, plain};
use dssvault::storage::Storage;
use serde_json::{Value, json};

use crate::journal_session::{manifest, sealer};
use crate::keys_fixture::{Memory, init, open, password, words};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/crypto")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn load(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(file)).unwrap()).unwrap()
}

/// The repository all object vectors belong to, read from its own vectors.
fn vector_repository() -> (Memory, Repository) {
    let store = Memory::default();
    for file in ["config.json", "slot_password.json", "slot_recovery.json", "journal_checkpoint.json"] {
        let vector = load(file);
        store.tamper(&name_of(&vector), unhex(&vector["stored"]));
    }
    let repository = open(&store, &password("correct horse")).unwrap();
    (store, repository)
}

fn name_of(vector: &Value) -> ObjectName {
    let (kind, text) = vector["name"].as_str().unwrap().split_once('/').unwrap();
    let kind = ObjectKind::ALL.into_iter().find(|known| known.folder() == kind).unwrap();
    ObjectName::new(kind, text).unwrap()
}

#[test]
fn every_vector_of_the_folder_gives_what_it_says() {
    if std::env::var_os("DSSVAULT_WRITE_VECTORS").is_some() {
        write_all();
    }
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let vector = load(&file);
        match vector["test"].as_str().unwrap() {
            "object" => run_object(&file, &vector),
            "derivation" => run_derivation(&vector),
            "public_key" => run_public_key(&vector),
            other => panic!("{file}: unknown test {other}"),
        }
        if vector.get("error").is_some() { bad += 1 } else { good += 1 }
    }
    assert!(good >= 8 && bad >= 13, "{good} good and {bad} bad vectors");
}

fn run_object(file: &str, vector: &Value) {
    let outcome = read(vector);
    match (vector.get("error"), outcome) {
        (None, Ok(body)) => assert_eq!(hex(&body), vector["body"].as_str().unwrap(), "{file}"),
        (Some(wanted), Err(error)) => {
            let found = variant(&error);
            assert_eq!(found, wanted.as_str().unwrap(), "{file}: {error}");
            let says = vector["says"].as_str().unwrap();
            assert!(error.to_string().contains(says), "{file}: `{error}` should say `{says}`");
        }
        (None, Err(error)) => panic!("{file} should be readable: {error}"),
        (Some(_), Ok(_)) => panic!("{file} should be refused"),
    }
}

fn variant(error: &RepoError) -> &'static str {
    match error {
        RepoError::WrongPasswordOrDamaged { first, .. } => variant(first),
        RepoError::WrongPassword { .. } => "WrongPassword",
        RepoError::Damaged { .. } => "Damaged",
        RepoError::TooNew { .. } => "TooNew",
        RepoError::KeyCost { .. } => "KeyCost",
        _ => "other",
    }
}

/// Reads the vector's object as its reader does; gives its body.
fn read(vector: &Value) -> Result<Vec<u8>, RepoError> {
    let (store, repository) = vector_repository();
    let (name, stored) = (name_of(vector), unhex(&vector["stored"]));
    store.names(name.kind()).iter().for_each(|other| store.delete(other).unwrap());
    store.tamper(&name, stored.clone());
    let owner = repository.secrets.owner_public();
    let plain_body = || plain::Unverified::parse(&name, &stored)?.verify(&owner, repository.id()).map(<[u8]>::to_vec);
    match name.kind() {
        ObjectKind::Config => Survey::read(&store).and_then(|_| plain_body()),
        ObjectKind::Key => keys::unlock(&store, &credential(vector)).map(|opened| opened.secrets.to_cbor().to_vec()),
        ObjectKind::Journal => Journal::new(&store, repository.id(), owner).load().and_then(|_| plain_body()),
        _ => {
            let signer = |writer: WriterId| repository.signer(writer);
            sealed::decode(&repository.opener, &signer, &name, &stored).map(|unsealed| unsealed.body)
        }
    }
}

fn credential(vector: &Value) -> Credential {
    match vector.get("words") {
        Some(phrase) => words(phrase.as_str().unwrap()),
        None => password(vector["password"].as_str().unwrap()),
    }
}

fn run_derivation(vector: &Value) {
    let root = SecretKey::from_bytes(unhex(&vector["root"]).try_into().unwrap());
    let parts = unhex(&vector["parts"]);
    let purpose = purposes().into_iter().find(|(name, _)| *name == vector["purpose"]).unwrap().1;
    assert_eq!(hex(root.derive(purpose, &[&parts]).expose()), vector["derived"].as_str().unwrap());
}

fn run_public_key(vector: &Value) {
    let seed = SecretKey::from_bytes(unhex(&vector["seed"]).try_into().unwrap());
    assert_eq!(hex(&crypt::public_key(&seed).unwrap()), vector["public_key"].as_str().unwrap());
}

fn purposes() -> [(&'static str, Purpose); 7] {
    [
        ("object_key", Purpose::ObjectKey),
        ("commitment", Purpose::Commitment),
        ("data_ids", Purpose::DataIds),
        ("tree_ids", Purpose::TreeIds),
        ("node_ids", Purpose::NodeIds),
        ("gear", Purpose::Gear),
        ("slot", Purpose::Slot),
    ]
}

// Writing, from here on.

fn write(file: &str, vector: Value) {
    let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
    std::fs::write(folder().join(file), text).unwrap();
}

fn object(about: &str, name: &ObjectName, stored: &[u8]) -> Value {
    json!({ "test": "object", "about": about, "name": name.to_string(), "stored": hex(stored) })
}

fn with(mut vector: Value, more: Value) -> Value {
    vector.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    vector
}

fn write_all() {
    for (name, purpose) in purposes() {
        let (root, parts) = ([0x0b; 32], [0x0c; 33]);
        let derived = SecretKey::from_bytes(root).derive(purpose, &[&parts]);
        write(
            &format!("derive_{name}.json"),
            json!({ "test": "derivation", "purpose": name, "root": hex(&root), "parts": hex(&parts),
                    "derived": hex(derived.expose()) }),
        );
    }
    let store = Memory::default();
    let phrase = init(&store, "correct horse", 2026).unwrap().recovery_words.unwrap();
    let repository = open(&store, &password("correct horse")).unwrap();
    let secrets = hex(&repository.secrets.to_cbor());
    write_plain(&store, &repository, &phrase, &secrets);
    write_bad_slots(&repository);
    let name = write_sealed(&store, &repository);
    write_bad_plain(&store, &repository);
    write_bad_sealed(&repository, &name, &store.bytes(&name));
}

fn write_plain(store: &Memory, repository: &Repository, phrase: &str, secrets: &str) {
    for name in store.names(ObjectKind::Key) {
        let stored = store.bytes(&name);
        if repository.opened_by.slot.to_string() == name.text() {
            let more = json!({ "password": "correct horse", "body": secrets });
            write("slot_password.json", with(object("Argon2id slot of 8 MiB, 1 pass, 1 lane", &name, &stored), more));
        } else {
            let more = json!({ "words": phrase, "body": secrets });
            write("slot_recovery.json", with(object("slot of recovery words", &name, &stored), more));
        }
    }
    let plain_kinds = [
        ("config.json", "the configuration", ObjectKind::Config),
        ("journal_checkpoint.json", "the first journal entry", ObjectKind::Journal),
    ];
    for (file, about, kind) in plain_kinds {
        let name = ObjectName::numbered(kind, 1);
        let stored = store.bytes(&name);
        let body = hex(plain::Unverified::parse(&name, &stored).unwrap().body);
        write(file, with(object(about, &name, &stored), json!({ "body": body })));
    }
}

fn write_sealed(store: &Memory, repository: &Repository) -> ObjectName {
    let sealer = sealer(repository);
    let start = SessionStart { node: manifest(sealer.session()).node, parent: None, host: "host".to_owned() };
    // The writer's process number is all that differs from run to run.
    let session = Session::begin(repository, &sealer, start).unwrap();
    let id = session.commit(manifest(session.id()), &[]).unwrap();
    let name = ObjectName::of(ObjectKind::Snapshot, id);
    let body = hex(&repository.unseal(&name).unwrap().body);
    let about = "a snapshot: X-Wing recipe, raw payload, plain section of no links";
    write("snapshot.json", with(object(about, &name, &store.bytes(&name)), json!({ "body": body })));

    let entropy = &*repository.seams.entropy;
    let signing = repository.secrets.signing();
    let target = Target::ByHash(ObjectKind::Index);
    let body = b"as an index segment would be ".repeat(9);
    let (index, stored) = sealed::encode(&sealer, &signing, entropy, target, Vec::new(), &body).unwrap();
    let about = "an object under the index key: named by its hash, zstd payload";
    write("index.json", with(object(about, &index, &stored), json!({ "body": hex(&body) })));
    name
}

fn write_bad_slots(repository: &Repository) {
    let spoiled = |spoil: fn(&mut Vec<u8>)| {
        let costs = keys::SlotCosts::MIN;
        let plan = keys::SlotPlan { costs, label: String::new(), host: String::new(), created: Default::default() };
        let (secrets, credential) = (&repository.secrets, password("correct horse"));
        let entropy = SeededEntropy::new(5);
        let (_, name, stored) = slot::seal(secrets, repository.id(), &credential, plan, &entropy).unwrap();
        let mut body = plain::Unverified::parse(&name, &stored).unwrap().body.to_vec();
        spoil(&mut body);
        let stored = plain::encode(&secrets.signing(), &name, repository.id(), 1, &body);
        (name, stored)
    };
    // 8192 KiB is encoded as 19 20 00; the same width holds 65,535, so passes (byte 01 behind it) become the hog.
    let (name, stored) = spoiled(|body| {
        let at = body.windows(5).position(|bytes| bytes == [0x19, 0x20, 0x00, 0x01, 0x01]).unwrap();
        body[at + 1..at + 3].copy_from_slice(&[0x00, 0x01]);
    });
    let more = json!({ "password": "correct horse", "error": "KeyCost", "says": "1 KiB of memory" });
    write("bad_slot_cost_tiny.json", with(object("a signed slot that asks for 1 KiB", &name, &stored), more));
    let (name, stored) = huge_slot(repository);
    let more = json!({ "password": "correct horse", "error": "KeyCost", "says": "4294967295 KiB of memory" });
    write("bad_slot_cost_huge.json", with(object("a signed slot that asks for 4 TiB", &name, &stored), more));
    let (name, stored) = spoiled(|body| *body.last_mut().unwrap() ^= 1);
    let more = json!({ "password": "correct horse", "error": "Damaged", "says": "sealed bytes are damaged" });
    write("bad_slot_tag.json", with(object("a signed slot whose seal is broken", &name, &stored), more));
    let (name, stored) = spoiled(|body| {
        // The commitment is the first byte string of 32 after the public part.
        let at = body.windows(2).rposition(|bytes| bytes == [0x58, 0x20]).unwrap();
        body[at + 2] ^= 1;
    });
    let more = json!({ "password": "correct horse", "error": "WrongPassword", "says": "wrong password" });
    write("bad_slot_commitment.json", with(object("a signed slot with another commitment", &name, &stored), more));
}

/// A slot with a memory cost no machine has; built by hand, for the program refuses to write it.
fn huge_slot(repository: &Repository) -> (ObjectName, Vec<u8>) {
    let costs = keys::SlotCosts { memory_kib: u32::MAX, passes: 1, lanes: 1 };
    let id = dssvault::base::id::SlotId::from_bytes([0x5a; 16]);
    let info = keys::SlotInfo {
        slot: id,
        role: keys::Role::Owner,
        method: keys::Method::Password(costs),
        salt: [1; 32],
        label: String::new(),
        created: Default::default(),
        host: String::new(),
    };
    let mut body = Vec::new();
    let mut e = minicbor::Encoder::new(&mut body);
    e.array(3).unwrap().bytes(&plain::encode_body(&info)).unwrap().bytes(&[0; 32]).unwrap().bytes(&[0; 300]).unwrap();
    let name = ObjectName::of(ObjectKind::Key, id);
    let stored = plain::encode(&repository.secrets.signing(), &name, repository.id(), 1, &body);
    (name, stored)
}

fn write_bad_plain(store: &Memory, repository: &Repository) {
    let name = ObjectName::numbered(ObjectKind::Config, 1);
    let good = store.bytes(&name);
    let bad = |file: &str, about: &str, name: &ObjectName, stored: &[u8], error: &str, says: &str| {
        write(file, with(object(about, name, stored), json!({ "error": error, "says": says })));
    };
    let mut torn = good.clone();
    torn.truncate(60);
    bad("bad_config_truncated.json", "cut to 60 bytes", &name, &torn, "Damaged", "checksum");
    let mut other = good[..good.len() - 32].to_vec();
    let at = other.len() - 1;
    other[at] ^= 1;
    other.extend_from_slice(&plain_hash(&other));
    bad("bad_config_signature.json", "signature altered, checksum mended", &name, &other, "Damaged", "signature");
    let mut newer = good[..good.len() - 32].to_vec();
    newer[9] = 2;
    newer.extend_from_slice(&plain_hash(&newer));
    bad("bad_config_version.json", "layout version 2", &name, &newer, "TooNew", "format version 2");
    let featured = RepositoryConfig { features: 1 << 63, ..repository.config.clone() };
    let scratch = Memory::default();
    featured.store(&scratch, 1, &repository.secrets.signing()).unwrap();
    let about = "an unknown feature bit, signed";
    bad("bad_config_feature.json", about, &name, &scratch.bytes(&name), "TooNew", "feature bits");
    let second = ObjectName::numbered(ObjectKind::Journal, 2);
    let entry = store.bytes(&ObjectName::numbered(ObjectKind::Journal, 1));
    bad("bad_journal_number.json", "entry 1 under number 2", &second, &entry, "Damaged", "signature");
}

fn write_bad_sealed(repository: &Repository, name: &ObjectName, good: &[u8]) {
    let signing = repository.secrets.signing();
    let bad = |file: &str, about: &str, stored: &[u8], error: &str, says: &str| {
        write(file, with(object(about, name, stored), json!({ "error": error, "says": says })));
    };
    let spoil = |spoil: &dyn Fn(&mut Header)| resign(&signing, name, good, spoil);
    let mut torn = good[..150].to_vec();
    torn.extend_from_slice(&plain_hash(&torn));
    bad("bad_header_truncated.json", "cut within the header, checksum mended", &torn, "Damaged", "end too early");
    let stored = spoil(&|header| header.commitment[0] ^= 1);
    bad("bad_commitment.json", "another commitment, signed", &stored, "Damaged", "another key");
    let stored = spoil(&|header| header.features = 1 << 63);
    bad("bad_feature.json", "an unknown feature bit, signed", &stored, "TooNew", "feature bits");
    let other = dssvault::base::id::RepositoryId::from_bytes([7; 16]);
    let stored = spoil(&|header| header.repository = other);
    bad("bad_repository.json", "of another repository, signed", &stored, "Damaged", "another repository");
    let stored = spoil(&|header| header.epoch = 9);
    bad("bad_epoch.json", "of an epoch nobody knows, signed", &stored, "Damaged", "epoch 9");
    let stored = spoil(&|header| header.plain.push(0));
    bad("bad_plain_section.json", "another plain section, signed", &stored, "Damaged", "sealed bytes are damaged");
    let stored = spoil(&|header| header.recipient = dssvault::base::id::RecipientId::from_bytes([7; 16]));
    bad("bad_recipient.json", "sealed to another key, signed", &stored, "Damaged", "another public key");
    let stored = spoil(&|header| {
        header.recipe = dssvault::repo::header::Recipe::IndexKey;
        header.encapsulation.clear();
    });
    bad("bad_recipe.json", "a snapshot under the index key, signed", &stored, "Damaged", "not made as for objects");
    let mut newer = good[..good.len() - 32].to_vec();
    newer[9] = 2;
    newer.extend_from_slice(&plain_hash(&newer));
    bad("bad_version.json", "layout version 2", &newer, "TooNew", "format version 2");
    let mut unsigned = good[..good.len() - 32].to_vec();
    let at = unsigned.len() - 1;
    unsigned[at] ^= 1;
    unsigned.extend_from_slice(&plain_hash(&unsigned));
    bad("bad_signature.json", "signature altered, checksum mended", &unsigned, "Damaged", "signature");
}

/// The object with another header, signed by the owner again.
fn resign(signing: &SigningSecret, name: &ObjectName, good: &[u8], spoil: &dyn Fn(&mut Header)) -> Vec<u8> {
    let mut reader = Reader::new(&good[..good.len() - 32 - SIGNATURE_BYTES]);
    let mut header = Header::parse(&mut reader, name.kind()).unwrap();
    spoil(&mut header);
    let mut bytes = header.to_bytes();
    bytes.extend_from_slice(reader.rest());
    let subject = Subject { repository: header.repository, kind: name.kind(), epoch: header.epoch, name: name.text() };
    let signature = signing.sign(subject, &plain_hash(&bytes));
    bytes.extend_from_slice(&signature);
    bytes.extend_from_slice(&plain_hash(&bytes));
    bytes
}
