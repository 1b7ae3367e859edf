//! What each kind of damage to each class of object does to each command: the table of `docs/check.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::repo::config::CreateMethod;
use dssvault::repo::index::segment::Segment;
use dssvault::repo::secrets::Content;
use dssvault::repo::{RepoError, Repository};
use dssvault::storage::Storage;
use dssvault::storage::local::LocalStore;
use dssvault::vault::backup::{self, BackupOptions, Source};
use dssvault::vault::browse::{self, Filter, Listed};
use dssvault::vault::check::{self, CheckReport, ReadData};
use dssvault::vault::context::Folders;
use dssvault::vault::repair::index::{self, Extent};
use dssvault::vault::restore::{self, OwnerMode, RestoreOptions};
use dssvault::vault::retention::Guards;
use dssvault::vault::{Context, VaultError, forget};

use crate::check_fixture::{Vault, noise};

const DOCUMENT: &str = include_str!("../../docs/check.md");

const COMMANDS: [&str; 8] =
    ["backup", "restore", "check --read-data", "check --storage-only", "snapshots", "ls", "repair index", "forget"];
const KINDS: [&str; 6] = ["flipped byte", "truncated", "missing", "empty", "other's bytes", "stray file"];
const CLASSES: [&str; 8] =
    ["config", "key slot", "journal entry", "snapshot", "index segment", "data pack", "tree pack", "session record"];

/// What a cell says.
type Outcome = Result<&'static str, VaultError>;

/// Two snapshots in a directory, and what of them is to be damaged.
struct Scene {
    vault: Vault,
    objects: BTreeMap<ObjectName, Arc<[u8]>>,
    /// In the order of `CLASSES`.
    victims: Vec<ObjectName>,
    latest: BTreeMap<PathBuf, Vec<u8>>,
}

impl Scene {
    fn new() -> Self {
        let vault = Vault::new(3);
        vault.write("one", &noise(1, 60_000));
        vault.backup();
        vault.write("two", &noise(2, 200_000));
        let snapshot = vault.backup();
        let files = [("one", noise(1, 60_000)), ("two", noise(2, 200_000))];
        let latest =
            files.map(|(name, bytes)| (vault.source().join(name).strip_prefix("/").unwrap().to_owned(), bytes));
        let first = |kind| vault.names(kind).remove(0);
        let pack = |content| Self::pack(&vault, content);
        let victims = vec![
            first(ObjectKind::Config),
            first(ObjectKind::Key),
            first(ObjectKind::Journal),
            ObjectName::of(ObjectKind::Snapshot, snapshot),
            Self::segment_of(&vault, &pack(Content::Data)),
            pack(Content::Data),
            pack(Content::Tree),
            first(ObjectKind::Session),
        ];
        let objects = vault.store.contents();
        Self { vault, objects, victims, latest: latest.into() }
    }

    /// The pack with the most content of a kind that the latest snapshot needs.
    fn pack(vault: &Vault, content: Content) -> ObjectName {
        let repository = vault.open();
        let listed = browse::find(&repository, "latest", &Filter::default()).unwrap();
        let index = browse::open_index(&repository, vault.context()).unwrap();
        if content == Content::Tree {
            let place = index.places(&listed.manifest.root).unwrap()[0];
            return ObjectName::of(ObjectKind::Pack, index.pack(place.pack).unwrap().id);
        }
        let packs = index.packs().map(|pack| pack.unwrap().1).filter(|pack| pack.domain.content == content);
        ObjectName::of(ObjectKind::Pack, packs.max_by_key(|pack| pack.bytes).unwrap().id)
    }

    fn segment_of(vault: &Vault, pack: &ObjectName) -> ObjectName {
        let repository = vault.open();
        let lists = |name: &ObjectName| {
            let segment = Segment::load(&repository, name.text().parse().unwrap()).unwrap();
            segment.packs().any(|listed| listed.unwrap().0.to_string() == pack.text())
        };
        vault.names(ObjectKind::Index).into_iter().find(lists).unwrap()
    }

    /// The repository as files, with one of them damaged. Gives the name of what is wrong.
    fn damaged(&self, class: usize, kind: usize, folder: &Path) -> String {
        for (name, bytes) in &self.objects {
            let path = file_of(folder, name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let victim = &self.victims[class];
        let (path, bytes) = (file_of(folder, victim), &self.objects[victim]);
        match kind {
            0 => {
                let mut bytes = bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(path, bytes).unwrap();
            }
            1 => std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
            2 => std::fs::remove_file(path).unwrap(),
            3 => std::fs::write(path, b"").unwrap(),
            4 => {
                // Of the same kind if there is another one, for then more of it looks right.
                let like = |name: &&ObjectName| name.kind() == victim.kind() && *name != victim;
                let other =
                    self.objects.keys().find(like).or(self.objects.keys().find(|name| *name != victim)).unwrap();
                std::fs::write(path, &self.objects[other]).unwrap();
            }
            _ => std::fs::write(path.with_file_name("stray"), b"hello").unwrap(),
        }
        if kind == 5 { "stray".to_owned() } else { victim.text().to_owned() }
    }
}

fn file_of(folder: &Path, name: &ObjectName) -> PathBuf {
    let inner = match name.kind() {
        ObjectKind::Pack | ObjectKind::Index => folder.join(name.kind().folder()).join(&name.text()[..2]),
        kind => folder.join(kind.folder()),
    };
    inner.join(name.text())
}

/// One run of one command on a machine that has never seen the repository.
struct Run<'a> {
    scene: &'a Scene,
    storage: Arc<dyn Storage>,
    home: PathBuf,
    cancel: Cancel,
    folders: Folders,
    /// What is damaged.
    name: String,
}

impl Run<'_> {
    fn context(&self) -> Context<'_> {
        Context { progress: &Silent, cancel: &self.cancel, folders: &self.folders }
    }

    fn open(&self) -> Result<Repository, VaultError> {
        Ok(self.scene.vault.open_with(Arc::clone(&self.storage))?)
    }

    fn latest(&self, repository: &Repository) -> Result<Listed, VaultError> {
        browse::find(repository, "latest", &Filter::default())
    }

    fn command(&self, command: &str) -> Outcome {
        match command {
            "backup" => {
                let sources = [Source::Path(self.scene.vault.source())];
                let report = backup::run(&self.open()?, &sources, &BackupOptions::default(), self.context())?;
                assert_eq!(report.manifest.problem_count, 0);
                Ok("ok")
            }
            "restore" => self.restore(),
            "check --read-data" => Ok(self.verdict(&check::run(&self.open()?, ReadData::All, self.context())?)),
            "check --storage-only" => Ok(self.verdict(&check::storage_only(&self.storage, self.context())?)),
            "snapshots" => {
                let listing = browse::list(&self.open()?, &Filter::default())?;
                Ok(if listing.unreadable.is_empty() { "ok" } else { "finds" })
            }
            "ls" => {
                let repository = self.open()?;
                let manifest = self.latest(&repository)?.manifest;
                browse::walk(&repository, &manifest, b"", self.context(), &mut |_, _| Ok(true)).map(|()| "ok")
            }
            "repair index" => {
                let repository = self.open()?;
                let plan = index::plan(&repository, Extent::Damaged, self.context())?;
                let repair = index::apply(&repository, plan, self.context())?;
                let whole = repair.plan.unreadable.is_empty() && repair.kept.is_empty();
                Ok(if !whole {
                    "finds"
                } else if repair.plan.is_empty() {
                    "ok"
                } else {
                    "mends"
                })
            }
            _ => {
                let guards = Guards { min_snapshots: 1, max_drop: 100, max_drift: None };
                let (wanted, filter) = (["latest~1".to_owned()], Filter::default());
                forget::named(&self.open()?, &wanted, &filter, &guards, false, self.context()).map(|_| "ok")
            }
        }
    }

    fn restore(&self) -> Outcome {
        let repository = self.open()?;
        let Listed { id, manifest } = self.latest(&repository)?;
        let target = self.home.join("target");
        let options = RestoreOptions { target: target.clone(), owner: OwnerMode::Current, ..Default::default() };
        let report = restore::run(&repository, id, &manifest, &options, self.context())?;
        if !report.failures.is_empty() {
            return Ok("finds");
        }
        for (path, bytes) in &self.scene.latest {
            // With the latest snapshot missing the one before is the latest, and has only one of the files.
            let there = std::fs::read(target.join(path)).ok();
            assert!(there.as_ref() == Some(bytes) || there.is_none() && path.ends_with("two"), "{}", path.display());
        }
        Ok("ok")
    }

    /// Damage must be named: the object itself, or its folder if it is the last one there.
    fn verdict(&self, report: &CheckReport) -> &'static str {
        let folder = |finding: &check::Finding| !finding.object.contains('/') && !finding.object.contains(' ');
        let named = |finding: &check::Finding| finding.object.contains(&self.name) || folder(finding);
        match report.findings.as_slice() {
            [] => "ok",
            // What a lost segment listed is told, and that nothing lists it; the segment itself nobody knows.
            _ if report.is_clean() => "warns",
            findings => {
                assert!(findings.iter().any(named), "nothing names {}: {findings:#?}", self.name);
                "finds"
            }
        }
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Ok(word) => word,
        Err(VaultError::Repo(RepoError::NoRepository { .. })) => "no repository",
        Err(VaultError::Repo(RepoError::WrongPassword { .. } | RepoError::WrongPasswordOrDamaged { .. })) => "no key",
        Err(_) => "refused",
    }
}

/// What users type for a command.
fn arguments(scene: &Scene, command: &str, home: &Path) -> Vec<String> {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let more = match command {
        "backup" => vec![path(&scene.vault.source())],
        "restore" => vec!["latest".to_owned(), "--target".to_owned(), path(&home.join("target"))],
        "ls" => vec!["latest".to_owned()],
        "forget" => {
            ["latest~1", "--min-snapshots=1", "--max-drop=100%", "--max-drift=none"].map(str::to_owned).to_vec()
        }
        _ => Vec::new(),
    };
    command.split(' ').map(str::to_owned).chain(more).collect()
}

/// The program itself, on the same damage and as new to it: its exit code must be the word's, and whoever is refused
/// is told why.
fn program(scene: &Scene, command: &str, home: &Path, word: &str, cell: &str, name: &str) {
    let done = Command::new(env!("CARGO_BIN_EXE_dssvault"))
        .args(arguments(scene, command, home))
        .env_clear()
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("DSSVAULT_REPO", home.join("repository"))
        .env("DSSVAULT_PASSWORD", "correct")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let expected = match word {
        "ok" | "warns" | "mends" => 0,
        "finds" | "refused" => 1,
        "no repository" => 10,
        "no key" => 12,
        other => panic!("{other} has no exit code"),
    };
    assert_eq!(done.status.code(), Some(expected), "{cell}: {word}: {said}");
    // What is missing is told by what needs it.
    if word == "refused" && !cell.ends_with("missing") {
        assert!(said.contains("error: ") && said.contains(name), "{cell} does not name {name}: {said}");
    }
}

fn row(scene: &Scene, class: usize, kind: usize) -> String {
    let cells = COMMANDS.map(|command| {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("repository");
        let name = scene.damaged(class, kind, &folder);
        let run = Run {
            scene,
            storage: Arc::new(LocalStore::open(&folder, CreateMethod::HardLink).unwrap()),
            home: home.path().to_owned(),
            cancel: Cancel::default(),
            folders: Folders { cache: home.path().join("cache"), state: home.path().join("state") },
            name,
        };
        let word = word(run.command(command));
        let name = run.name;
        let home = tempfile::tempdir().unwrap();
        scene.damaged(class, kind, &home.path().join("repository"));
        program(scene, command, home.path(), word, &format!("{command}, {} {}", CLASSES[class], KINDS[kind]), &name);
        word
    });
    format!("| {} | {} | {} |", CLASSES[class], KINDS[kind], cells.join(" | "))
}

#[test]
fn the_table_of_damage_is_what_happens() {
    let scene = Scene::new();
    let header = format!("| object | damage | {} |", COMMANDS.map(|command| format!("`{command}`")).join(" | "));
    let rows = std::thread::scope(|scope| {
        let scene = &scene;
        // A thread for each class: threads of a pool that wait would begin another row on the same stack.
        let classes: Vec<_> = (0..CLASSES.len())
            .map(|class| scope.spawn(move || (0..KINDS.len()).map(|kind| row(scene, class, kind)).collect::<Vec<_>>()))
            .collect();
        classes.into_iter().flat_map(|class| class.join().unwrap()).collect::<Vec<String>>()
    });
    let table = format!("{header}\n|{}\n{}\n", "---|".repeat(COMMANDS.len() + 2), rows.join("\n"));
    assert!(DOCUMENT.contains(&table), "docs/check.md should have this table:\n{table}");
}
