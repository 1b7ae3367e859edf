//! Whether the node may be stopped, replaced and started: all that can be told before anything is touched.

use std::path::Path;

use crate::dss::control::evidence::{Evidence, Running, Signal};
use crate::dss::control::instance::Instance;
use crate::dss::control::service::Service;
use crate::dss::control::{ControlError, proc};
use crate::dss::restore::error::RestoreError;
use crate::dss::restore::{Place, PristineOptions};
use crate::repo::snapshot::NodeRecord;
use crate::sys::xattr::holds_acls;

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

/// The port, if nothing but ports speaks for a running node: all processes could be looked at, and none is the node's.
fn only_port(evidence: &Evidence) -> Option<u16> {
    let ports = evidence.signals.iter().map(|signal| match signal {
        Signal::Port { port } => Some(*port),
        _ => None,
    });
    ports.collect::<Option<Vec<u16>>>()?.first().copied()
}

/// Whether it could be started afterwards. Its own ports are taken while it runs.
pub fn startable(place: &Place, record: &NodeRecord, runs: bool) -> Result<(), RestoreError> {
    if let Some(kit) = missing_kit(record) {
        let version = record.version.clone().unwrap_or_else(|| "of the snapshot".to_owned());
        return Err(RestoreError::NoKit { kit, version });
    }
    // The same five as of a running node (kit, `envfiles.py`).
    let ports = record.port.into_iter().flat_map(|base| base..=base.saturating_add(4));
    match proc::first_taken(ports).filter(|_| !runs) {
        Some(port) => Err(RestoreError::PortTaken { data_dir: place.data_dir.clone(), port }),
        None => Ok(()),
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

    #[test]
    fn a_port_is_somebody_elses_only_if_nothing_else_speaks_for_the_node() {
        let seen = |signals: &[Signal]| only_port(&Evidence { signals: signals.to_vec() });
        let port = Signal::Port { port: 11001 };
        assert_eq!(seen(std::slice::from_ref(&port)), Some(11001));
        assert_eq!(seen(&[port, Signal::Hidden { pid: 7 }]), None);
        assert_eq!(seen(&[]), None);
    }
}
