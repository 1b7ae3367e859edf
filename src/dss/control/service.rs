//! Stopping and starting a node by whoever owns it: its systemd unit, else `bin/dss` as its account. The docs forbid to
//! mix the two.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::{Evidence, Running};
use crate::dss::control::instance::{Instance, systemd_runs};
use crate::dss::control::proc;
use crate::dss::control::sudo::{self, SYSTEMCTL};
use crate::sys::names::Names;
use crate::sys::process::{self, Started};

/// `bin/dss stop` waits 20 s for the supervisor and then gives up, though it may still be stopping (kit); so does the
/// unit's default.
pub const STOP_LIMIT: Duration = Duration::from_secs(120);
/// `bin/dss start` waits up to 140 s for the back end (kit).
pub const START_LIMIT: Duration = Duration::from_secs(300);
/// How often it is looked whether it has stopped.
const POLL: Duration = Duration::from_millis(100);

/// How this account switches a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Through its unit, as root.
    Unit(String),
    /// Through its unit, with a rule of sudo.
    SudoUnit(String),
    /// By its program, as its own account.
    Program,
    /// By its program, in a login session of this account, which root opens.
    Login(String),
}

/// A node's on and off switch.
#[derive(Debug, Clone)]
pub struct Service<'i> {
    instance: &'i Instance,
    way: Way,
}

/// The way of an account to switch a node; an error if it has none. `sudo` is asked only if the answer matters.
pub fn way_of(uid: u32, instance: &Instance, sudo: impl FnOnce() -> String) -> Result<Way, ControlError> {
    let Instance { owner, unit, .. } = instance;
    let not_allowed = |sudo_rule| ControlError::NotAllowed {
        data_dir: instance.data_dir.clone(),
        owner: owner.name.clone(),
        sudo_rule,
    };
    match unit {
        Some(unit) if uid == 0 => Ok(Way::Unit(unit.clone())),
        Some(unit) if sudo::permits(&sudo(), unit) => Ok(Way::SudoUnit(unit.clone())),
        Some(unit) => {
            let account = Names::default().user(uid).unwrap_or_else(|| format!("#{uid}"));
            Err(not_allowed(Some(sudo::rule(&account, unit))))
        }
        None if uid == 0 && owner.uid != 0 => Ok(Way::Login(owner.name.clone())),
        None if uid == 0 || uid == owner.uid => Ok(Way::Program),
        None => Err(not_allowed(None)),
    }
}

impl Way {
    /// What is run for a verb, word by word.
    fn words(&self, program: &Path, verb: &str) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match self {
            Self::Unit(unit) => words(&["systemctl", verb, unit]),
            Self::SudoUnit(unit) => words(&["sudo", "-n", SYSTEMCTL, verb, unit]),
            Self::Program => words(&[&program.to_string_lossy(), verb]),
            Self::Login(account) => process::login_words(account, program, &[verb]),
        }
    }

    /// What starts a node outside of everything this process belongs to, where systemd runs and the node has no unit.
    ///
    /// A transient *service*, not a scope: the processes of a scope are children of whoever asks, so they would inherit
    /// what a unit of a backup is hardened and limited with, and a read-only view of the disk would break DSS. A service
    /// is begun by systemd itself, with nothing of ours. In it the account logs in as always, for its limits and its
    /// environment. `forking`, for `bin/dss start` ends and leaves the supervisor behind; no main process is guessed, so
    /// that the unit lives as long as any process of DSS, and no name is given, so that a left over process of an earlier
    /// start cannot be in the way.
    fn apart(&self, program: &Path) -> Option<Vec<String>> {
        let Self::Login(_) = self else { return None };
        let options = ["--quiet", "--collect", "--no-ask-password", "--service-type=forking"];
        let properties = ["--property=GuessMainPID=no", "--property=TimeoutStartSec=infinity"];
        let mut words = vec!["systemd-run".to_owned()];
        words.extend(options.into_iter().chain(properties).map(ToOwned::to_owned));
        words.extend(["--description=DSS, started by dssvault".to_owned(), "--".to_owned()]);
        words.extend(self.words(program, "start"));
        Some(words)
    }
}

/// Whether `systemd-run` failed before it began anything: those are its own words, while a start that failed is told as
/// `Job for … failed`.
fn began_nothing(output: &str) -> bool {
    output.starts_with("Failed to ")
}

impl<'i> Service<'i> {
    /// The switch of a node, if it is there and this account may use it.
    pub fn of(instance: &'i Instance) -> Result<Self, ControlError> {
        let way = Self::way(instance)?;
        let program = instance.program();
        if matches!(way, Way::Program | Way::Login(_)) && program.try_exists().is_ok_and(|there| !there) {
            return Err(ControlError::NoProgram { data_dir: instance.data_dir.clone(), program });
        }
        Ok(Self { instance, way })
    }

    /// Whether this account may use it, be it there or not.
    pub fn is_allowed(instance: &'i Instance) -> Result<(), ControlError> {
        Self::way(instance).map(|_| ())
    }

    fn way(instance: &Instance) -> Result<Way, ControlError> {
        way_of(rustix::process::geteuid().as_raw(), instance, sudo::listing)
    }

    /// Stops it and proves that it has stopped. What the program says is not believed: it may say "failed" of a node
    /// that stops a moment later, and "not running" of one that runs.
    pub fn stop(&self, limit: Duration) -> Result<(), ControlError> {
        let since = Instant::now();
        let words = self.way.words(&self.instance.program(), "stop");
        let (mut command, shown) = (process::command(&words), process::line(&words));
        let said = process::run(&mut command, limit)
            .map_err(|source| ControlError::Spawn { command: shown.clone(), source })?;
        let mut evidence = proc::look(self.instance);
        while evidence.running() != Running::Stopped && since.elapsed() < limit && said.is_success() {
            std::thread::sleep(POLL);
            evidence = proc::look(self.instance);
        }
        // One that said it failed gets a moment too: it may still be stopping.
        let grace = Instant::now();
        while evidence.running() != Running::Stopped && !said.is_success() && grace.elapsed() < Duration::from_secs(15)
        {
            std::thread::sleep(POLL);
            evidence = proc::look(self.instance);
        }
        match evidence.running() {
            Running::Stopped => Ok(()),
            _ if said.is_success() => Err(self.still_running(since.elapsed(), evidence)),
            _ => Err(failed(shown, &said)),
        }
    }

    fn still_running(&self, waited: Duration, evidence: Evidence) -> ControlError {
        ControlError::StillRunning { data_dir: self.instance.data_dir.clone(), seconds: waited.as_secs(), evidence }
    }

    /// Tells it to start; does not wait.
    pub fn begin_start(&self) -> Result<Starting, ControlError> {
        let program = self.instance.program();
        let plain = self.way.words(&program, "start");
        let apart = self.way.apart(&program).filter(|_| systemd_runs());
        if let Some(words) = apart
            && let Ok(started) = process::start(&mut process::command(&words))
        {
            return Ok(Starting { started, shown: process::line(&words), otherwise: Some(plain) });
        }
        Starting::begin(&plain)
    }
}

/// A node that was told to start.
pub struct Starting {
    started: Started,
    shown: String,
    /// What is run if that could not even begin.
    otherwise: Option<Vec<String>>,
}

impl Starting {
    fn begin(words: &[String]) -> Result<Self, ControlError> {
        let shown = process::line(words);
        match process::start(&mut process::command(words)) {
            Ok(started) => Ok(Self { started, shown, otherwise: None }),
            Err(source) => Err(ControlError::Spawn { command: shown, source }),
        }
    }

    /// Waits for the program to end, at most until `limit` after its start.
    pub fn wait(self, limit: Duration) -> Result<(), ControlError> {
        let Self { started, shown, otherwise } = self;
        let said = match started.wait(limit) {
            Ok(said) => said,
            Err(source) => return Err(ControlError::Spawn { command: shown, source }),
        };
        match otherwise {
            _ if said.is_success() => Ok(()),
            // A node in the wrong control group is better than one that is down.
            Some(plain) if began_nothing(&said.output) => Self::begin(&plain)?.wait(limit),
            _ => Err(failed(shown, &said)),
        }
    }
}

fn failed(command: String, said: &process::Finished) -> ControlError {
    let how = match said.status {
        Some(status) => status.to_string(),
        None => "it did not end in time".to_owned(),
    };
    let output = if said.output.is_empty() { "it said nothing".to_owned() } else { said.output.clone() };
    ControlError::Program { command, how, output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hint::Hint;
    use crate::dss::control::instance::Owner;

    fn instance(unit: Option<&str>) -> Instance {
        Instance {
            data_dir: "/data/my dss".into(),
            owner: Owner { uid: 1000, name: "dataiku".to_owned() },
            base_port: Some(11000),
            is_api: false,
            program: "bin/dss".to_owned(),
            unit: unit.map(ToOwned::to_owned),
        }
    }

    fn stop_line(uid: u32, unit: Option<&str>, sudo: &str) -> Result<String, ControlError> {
        let instance = instance(unit);
        let way = way_of(uid, &instance, || sudo.to_owned())?;
        Ok(process::line(&way.words(&instance.program(), "stop")))
    }

    const UNIT: &str = "dataiku.service";

    #[test]
    fn whoever_owns_the_node_is_told_to_stop_it() {
        assert_eq!(stop_line(0, Some(UNIT), "").unwrap(), "systemctl stop dataiku.service");
        assert_eq!(stop_line(1000, None, "").unwrap(), "'/data/my dss/bin/dss' stop");
        let login = stop_line(0, None, "").unwrap();
        assert!(login.starts_with("runuser --login --shell /bin/sh dataiku --command "), "{login}");
        assert!(login.contains("/data/my dss/bin/dss"), "{login}");
    }

    #[test]
    fn an_account_without_the_right_is_told_the_line_that_gives_it() {
        let error = stop_line(3_999_999_999, Some(UNIT), "").unwrap_err();
        let ControlError::NotAllowed { sudo_rule: Some(rule), .. } = &error else { panic!("{error:?}") };
        assert_eq!(
            rule,
            "#3999999999 ALL=(root) NOPASSWD: /usr/bin/systemctl stop dataiku.service, \
             /usr/bin/systemctl start dataiku.service"
        );
        assert!(error.hint().unwrap().contains(rule));
        let granted = rule.split_once('=').unwrap().1;
        let line = stop_line(3_999_999_999, Some(UNIT), granted).unwrap();
        assert_eq!(line, "sudo -n /usr/bin/systemctl stop dataiku.service");
        // Without a unit only its own account and root may.
        assert!(matches!(stop_line(1001, None, granted), Err(ControlError::NotAllowed { sudo_rule: None, .. })));
    }

    #[test]
    fn a_node_without_a_unit_is_started_by_systemd_and_not_by_us() {
        let program = Path::new("/data/dss/bin/dss");
        let login = Way::Login("dataiku".to_owned());
        let words = login.apart(program).unwrap();
        let (options, started) = words.split_at(words.iter().position(|word| word == "--").unwrap() + 1);
        assert_eq!(
            options.join(" "),
            "systemd-run --quiet --collect --no-ask-password --service-type=forking --property=GuessMainPID=no \
             --property=TimeoutStartSec=infinity --description=DSS, started by dssvault --"
        );
        assert_eq!(started, login.words(program, "start"));
        for way in [Way::Unit(UNIT.to_owned()), Way::SudoUnit(UNIT.to_owned()), Way::Program] {
            assert_eq!(way.apart(program), None, "{way:?}");
        }
        assert!(began_nothing("Failed to connect to bus: No such file or directory"));
        assert!(!began_nothing("Job for run-u1.service failed because the control process exited"));
    }
}
