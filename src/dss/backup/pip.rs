//! What is installed in the Python environments of a node: kept beside a snapshot, because an environment that was moved
//! to another path, machine or Python is built again from that list (DSS docs, installation/custom/migrations).
//!
//! Programs of the data directory run only as the account that owns it, never as root. A list that cannot be had is a
//! note in its place; no backup fails for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::instance::Instance;
use crate::sys::process::{self, Captured};

/// For one environment. A large one takes seconds; a broken one may wait for a network for ever.
const LIMIT: Duration = Duration::from_secs(30);
/// For all of them together: the backup waits for it.
const ALL_LIMIT: Duration = Duration::from_mins(3);
/// Environments asked at a time.
const AT_ONCE: usize = 4;
/// Environments asked of each folder, the first by name; of more there is no list.
const ENVIRONMENTS_MAX: usize = 1000;
/// More than the longest list.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// Where code environments are: the second on automation nodes (DSS docs, operations/datadir).
const FOLDERS: [&str; 2] = ["code-envs", "acode-envs"];

/// The list of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageList {
    /// Where it is kept, below `host/pip`: `builtin.txt`, `code-envs/NAME.txt`.
    pub place: PathBuf,
    /// One package a line as pip prints it, or why there is none, as comments.
    pub text: Vec<u8>,
    /// Whether it is a list.
    pub is_known: bool,
}

/// An environment and how it is asked: the first way that works counts.
struct Environment {
    place: PathBuf,
    ways: Vec<Vec<OsString>>,
}

/// Who may run programs of the data directory here.
enum Runner {
    /// This account: it is the owner.
    Itself,
    /// Root, as this account.
    Root(String),
    /// Nobody; why not.
    Nobody(&'static str),
}

/// Asks every Python environment of a node what is in it.
pub fn freeze_all(instance: &Instance, cancel: &Cancel) -> Vec<PackageList> {
    let environments = find(&instance.data_dir);
    let uid = rustix::process::geteuid().as_raw();
    let asker = Asker { runner: runner(uid, instance), began: Instant::now(), cancel };
    let next = AtomicUsize::new(0);
    let lists = Mutex::new(Vec::with_capacity(environments.len()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(environments.len()) {
            scope.spawn(|| {
                while let Some(environment) = environments.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let list = asker.list(environment);
                    lists.lock().unwrap_or_else(PoisonError::into_inner).push(list);
                }
            });
        }
    });
    let mut lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
    lists.sort_by(|a, b| a.place.cmp(&b.place));
    lists
}

/// One sentence about the environments whose list is not known, if there are any.
pub fn caveat(lists: &[PackageList]) -> Option<String> {
    let lacking: Vec<&PackageList> = lists.iter().filter(|list| !list.is_known).collect();
    let first = lacking.first()?;
    let more = if lacking.len() > 1 { format!(" and {} more", lacking.len() - 1) } else { String::new() };
    let name = first.place.with_extension("");
    Some(format!("the packages of the Python environment {}{more} are not known: see host/pip", name.display()))
}

/// DSS's own environment, then the code environments by name.
fn find(data_dir: &Path) -> Vec<Environment> {
    let mut found = Vec::new();
    let builtin = data_dir.join("bin/pip");
    if builtin.exists() {
        found.push(Environment { place: "builtin.txt".into(), ways: vec![way(&builtin, &["freeze", "-l"])] });
    }
    for folder in FOLDERS {
        let listed = std::fs::read_dir(data_dir.join(folder).join("python")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = listed.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().take(ENVIRONMENTS_MAX) {
            let (pip, python) = (path.join("bin/pip"), path.join("bin/python"));
            if !pip.exists() && python.symlink_metadata().is_err() {
                continue;
            }
            let mut place = path.file_name().unwrap_or_default().to_owned();
            place.push(".txt");
            // The first line of a `pip` names the place it was made at; the interpreter finds the module by itself.
            let ways = vec![way(&pip, &["freeze", "-l"]), way(&python, &["-m", "pip", "freeze", "-l"])];
            found.push(Environment { place: Path::new(folder).join(place), ways });
        }
    }
    found
}

fn way(program: &Path, arguments: &[&str]) -> Vec<OsString> {
    std::iter::once(program.into()).chain(arguments.iter().map(OsString::from)).collect()
}

fn runner(uid: u32, instance: &Instance) -> Runner {
    match (uid, instance.owner.uid) {
        (_, 0) => Runner::Nobody("the data directory belongs to root, and as root nothing of it is run"),
        (uid, owner) if uid == owner => Runner::Itself,
        (0, _) => Runner::Root(instance.owner.name.clone()),
        _ => Runner::Nobody("only root or the owner of the data directory may ask"),
    }
}

impl Runner {
    fn command(&self, words: &[OsString]) -> Option<Command> {
        let mut command = match (self, words) {
            (Self::Nobody(_), _) | (_, []) => return None,
            (Self::Itself, [program, arguments @ ..]) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            (Self::Root(account), words) => {
                let mut command = Command::new("runuser");
                command.args(["-u", account, "--"]).args(words);
                command
            }
        };
        // Neither our environment nor the account's settings: what counts is what is installed.
        command.env_clear().current_dir("/");
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8");
        command.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_NO_INPUT", "1").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        // Asking must leave no compiled files behind.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONNOUSERSITE", "1");
        Some(command)
    }
}

struct Asker<'a> {
    runner: Runner,
    began: Instant,
    cancel: &'a Cancel,
}

impl Asker<'_> {
    fn list(&self, environment: &Environment) -> PackageList {
        let mut reasons = Vec::new();
        for words in &environment.ways {
            match self.ask(words) {
                Ok(text) => return PackageList { place: environment.place.clone(), text, is_known: true },
                Err(why) => reasons.push(why),
            }
        }
        PackageList { place: environment.place.clone(), text: comments(&reasons), is_known: false }
    }

    fn ask(&self, words: &[OsString]) -> Result<Vec<u8>, String> {
        if let Runner::Nobody(why) = self.runner {
            return Err(why.to_owned());
        }
        let limit = LIMIT.min(ALL_LIMIT.saturating_sub(self.began.elapsed()));
        if limit.is_zero() {
            return Err(format!("not asked: all environments together took more than {} s", ALL_LIMIT.as_secs()));
        }
        let shown = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let Some(mut command) = self.runner.command(words) else { return Err(format!("{shown} cannot be run")) };
        let done = process::capture(&mut command, limit, LIST_BYTES_MAX, self.cancel);
        match done {
            Err(error) => Err(format!("{shown}: {error}")),
            Ok(Captured { stdout: None, .. }) => Err(format!("{shown}: it says too much")),
            Ok(Captured { status: None, .. }) => Err(format!("{shown}: no answer within {} s", limit.as_secs())),
            Ok(Captured { status: Some(status), stdout: Some(text), .. }) if status.success() => Ok(text),
            Ok(Captured { status: Some(status), stderr, .. }) => Err(format!("{shown}: {status}\n{stderr}")),
        }
    }
}

/// A list that is none: pip reads past it.
fn comments(reasons: &[String]) -> Vec<u8> {
    let lines = reasons.iter().flat_map(|reason| reason.lines());
    let head = "# the list could not be had:\n".to_owned();
    lines.fold(head, |text, line| format!("{text}# {line}\n")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::control::instance::Owner;

    fn instance(data_dir: &Path, uid: u32) -> Instance {
        Instance {
            data_dir: data_dir.to_owned(),
            owner: Owner { uid, name: "dataiku".to_owned() },
            base_port: None,
            is_api: false,
            program: "bin/dss".to_owned(),
            unit: None,
        }
    }

    fn words(runner: &Runner) -> Option<String> {
        let command = runner.command(&way(Path::new("/data/dss/bin/pip"), &["freeze", "-l"]))?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        Some(words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn nothing_of_a_data_directory_is_run_as_root() {
        let dir = Path::new("/data/dss");
        let as_seen_by = |uid, owner| words(&runner(uid, &instance(dir, owner)));
        assert_eq!(as_seen_by(0, 1000).unwrap(), "runuser -u dataiku -- /data/dss/bin/pip freeze -l");
        assert_eq!(as_seen_by(1000, 1000).unwrap(), "/data/dss/bin/pip freeze -l");
        for (uid, owner) in [(0, 0), (1001, 1000), (1000, 0)] {
            assert_eq!(as_seen_by(uid, owner), None, "{uid} {owner}");
        }
    }

    #[test]
    fn what_fails_is_a_comment_with_its_reason_and_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["code-envs/python/one/bin", "acode-envs/python/two/bin", "code-envs/python/empty"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("code-envs/python/one/bin/pip"), "").unwrap();
        std::fs::write(dir.path().join("acode-envs/python/two/bin/python"), "").unwrap();
        // Whoever runs this is neither root nor the owner for `runner`.
        let lists = freeze_all(&instance(dir.path(), 0), &Cancel::default());
        let places: Vec<_> = lists.iter().map(|list| list.place.to_str().unwrap()).collect();
        assert_eq!(places, ["acode-envs/two.txt", "code-envs/one.txt"]);
        assert!(lists.iter().all(|list| !list.is_known && list.text.starts_with(b"# ")));
        let caveat = caveat(&lists).unwrap();
        assert_eq!(
            caveat,
            "the packages of the Python environment acode-envs/two and 1 more are not known: see host/pip"
        );
        assert_eq!(super::caveat(&[]), None);
    }
}
