//! Whether the node may be stopped, replaced and started: all that can be told before anything is touched.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::evidence::{Evidence, Running, Signal};
use crate::dss::control::instance::Instance;
use crate::dss::control::service::{START_LIMIT, Service};
use crate::dss::control::{ControlError, proc};
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::{Place, PristineOptions};
use crate::repo::snapshot::NodeRecord;
use crate::sys::xattr::holds_acls;

/// How often it is looked whether nobody starts or stops it any more.
const POLL: Duration = Duration::from_millis(100);

/// Whether it runs and must be stopped; refused if it may not be.
pub fn stopped_or_stoppable(instance: Option<&Instance>, may_stop: bool) -> Result<bool, RestoreError> {
    let Some(instance) = instance else { return Ok(false) };
    let evidence = proc::look(instance);
    match evidence.running() {
        Running::Stopped => Ok(false),
        Running::Running if may_stop => Service::of(instance).map(|_| true).map_err(RestoreError::from),
        Running::Running => Err(RestoreError::Runs { evidence: evidence.summary() }),
        Running::Unknown => Err(match only_port(&evidence) {
            Some(port) => RestoreError::PortTaken { data_dir: instance.data_dir.clone(), port },
            None => ControlError::Unclear { data_dir: instance.data_dir.clone(), evidence }.into(),
        }),
    }
}

/// Proves, right before something is replaced, that the node does not run: somebody may have started it meanwhile. A
/// program that is starting or stopping it at this moment (the guard of a killed run, say) is waited for.
pub fn still_stopped(instance: Option<&Instance>, cancel: &Cancel) -> Result<(), RestoreError> {
    let Some(instance) = instance else { return Ok(()) };
    let since = Instant::now();
    while proc::is_being_controlled(instance) && since.elapsed() < START_LIMIT {
        if !cancel.rest(POLL) {
            return Err(ControlError::Interrupted.into());
        }
    }
    let evidence = proc::look(instance);
    match evidence.running() {
        Running::Stopped => Ok(()),
        Running::Running => Err(RestoreError::Runs { evidence: evidence.summary() }),
        Running::Unknown => Err(ControlError::Unclear { data_dir: instance.data_dir.clone(), evidence }.into()),
    }
}

/// The port, if nothing but ports speaks for a running node: all processes could be looked at, and none is the node's.
fn only_port(evidence: &Evidence) -> Option<u16> {
    let ports = evidence.signals.iter().map(|signal| match signal {
        Signal::Port { port } => Some(*port),
        _ => None,
    });
    ports.collect::<Option<Vec<u16>>>()?.first().copied()
}

/// Whether it could be started afterwards. Its own ports are taken while it runs.
pub fn startable(
    place: &Place,
    record: &NodeRecord,
    instance: Option<&Instance>,
    runs: bool,
) -> Result<(), RestoreError> {
    // Its program comes back with the content.
    instance.map_or(Ok(()), Service::is_allowed)?;
    if let Some(kit) = missing_kit(record) {
        let version = record.version.clone().unwrap_or_else(|| "of the snapshot".to_owned());
        return Err(RestoreError::NoKit { kit, version });
    }
    // The same five as of a running node (kit, `envfiles.py`).
    let ports = record.port.into_iter().flat_map(|base| base..=base.saturating_add(4));
    match proc::taken(ports).first() {
        Some(&port) if !runs => Err(RestoreError::PortTaken { data_dir: place.data_dir.clone(), port }),
        _ => Ok(()),
    }
}

/// What whoever restores should know, as sentences.
pub fn cautions(place: &Place, record: &NodeRecord, options: &PristineOptions) -> Vec<String> {
    let mut cautions: Vec<String> = record.caveats.iter().map(|caveat| format!("of the snapshot: {caveat}")).collect();
    let volume = place.data_dir.ancestors().find(|above| above.is_dir()).unwrap_or(&place.data_dir);
    if !holds_acls(volume) {
        let volume = volume.display();
        cautions.push(format!(
            "the file system of {volume} keeps no ACLs: with user isolation, code of users will not run"
        ));
    }
    if let Some(kit) = missing_kit(record).filter(|_| !options.start) {
        cautions.push(format!("the software of the node is not in {kit}: unpack it there before you start the node"));
    }
    cautions
}

fn missing_kit(record: &NodeRecord) -> Option<String> {
    let kit = record.install_dir.clone()?;
    // What this account may not look at is not missing.
    Path::new(&kit).try_exists().is_ok_and(|there| !there).then_some(kit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::control::instance::Owner;

    #[test]
    fn whoever_starts_or_stops_it_is_waited_for_before_it_counts_as_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().canonicalize().unwrap();
        let owner = Owner { uid: rustix::process::geteuid().as_raw(), name: "dataiku".to_owned() };
        let program = "bin/dss".to_owned();
        let instance = Instance { data_dir, owner, base_port: None, is_api: false, program, unit: None };
        still_stopped(None, &Cancel::default()).unwrap();
        let begin = |seconds: &str, home: &Path| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &format!("sleep {seconds}; true"), "sh"]).arg(instance.program()).env("DIP_HOME", home);
            proc::seen(&mut shell)
        };
        let since = Instant::now();
        let mut controlling = begin("1", Path::new("/elsewhere"));
        still_stopped(Some(&instance), &Cancel::default()).unwrap();
        assert!(since.elapsed() > Duration::from_millis(800));
        controlling.wait().unwrap();
        let mut sleeping = std::process::Command::new("sleep");
        let mut running = proc::seen(sleeping.arg("60").env("DIP_HOME", &instance.data_dir));
        let outcome = still_stopped(Some(&instance), &Cancel::default());
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(matches!(outcome, Err(RestoreError::Runs { .. })), "{outcome:?}");
    }

    #[test]
    fn a_port_is_somebody_elses_only_if_nothing_else_speaks_for_the_node() {
        let seen = |signals: &[Signal]| only_port(&Evidence { signals: signals.to_vec() });
        let port = Signal::Port { port: 11001 };
        assert_eq!(seen(std::slice::from_ref(&port)), Some(11001));
        assert_eq!(seen(&[port, Signal::Hidden { pid: 7 }]), None);
        assert_eq!(seen(&[]), None);
    }
}
