//! Does it answer? The back end's ping, and somebody listening where users come in: `bin/dss start` ends well even if
//! nginx does not run (measured).

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::Running;
use crate::dss::control::http::{self, Question};
use crate::dss::control::instance::Instance;
use crate::dss::control::proc;
use crate::dss::control::rotation;

/// One question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks until it is healthy, the limit has passed or a stop was requested. `Err` says what was not well at last. A node
/// whose port is not known cannot be asked and counts as healthy.
pub fn wait(instance: &Instance, limit: Duration, cancel: &Cancel) -> Result<(), String> {
    let Some(base) = instance.base_port else { return Ok(()) };
    let since = Instant::now();
    loop {
        match ask(base, instance) {
            Ok(()) => return Ok(()),
            Err(why) if since.elapsed() >= limit || cancel.is_requested() => return Err(why),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// What became of a start, of what its program said and of the health that was waited for. Health decides. `Ok(Err)`: it
/// was started and does not answer; `Err`: it could not be started.
pub fn verdict(
    instance: &Instance,
    started: Result<(), ControlError>,
    healthy: Result<(), String>,
) -> Result<Result<(), String>, ControlError> {
    match (started, healthy) {
        (_, Ok(())) => Ok(Ok(())),
        // It said that it started: it may come up later, and nothing better is owed to it.
        (Ok(()), Err(why)) => Ok(Err(why)),
        // It gave up waiting, as `bin/dss start` does after two minutes, and did not end what it had started.
        (Err(error), Err(why)) if proc::look(instance).running() == Running::Running => {
            Ok(Err(format!("{error}; its processes are there, and it may still come up ({why})")))
        }
        (Err(error), Err(_)) => Err(error),
    }
}

fn ask(base: u16, instance: &Instance) -> Result<(), String> {
    // An administrator's wish that it serves nobody is no illness; with which status it says so is not documented.
    let may_refuse = instance.is_api && rotation::is_out(&instance.data_dir);
    match status(base, instance.is_api)? {
        200..=299 => {}
        _ if may_refuse => {}
        status => return Err(format!("{}: status {status}", url(base, instance.is_api))),
    }
    let front = SocketAddr::from(([127, 0, 0, 1], base));
    TcpStream::connect_timeout(&front, TIMEOUT).map_err(|error| format!("port {base}: {error}"))?;
    Ok(())
}

/// Whether an API node says that it serves.
pub fn serves(base: u16) -> bool {
    matches!(status(base, true), Ok(200..=299))
}

fn status(base: u16, is_api: bool) -> Result<u16, String> {
    let url = url(base, is_api);
    let answer = http::get(&Question { url: &url, bearer: None, ca: None, limit: TIMEOUT });
    answer.map(|answer| answer.status).map_err(|error| error.to_string())
}

fn url(base: u16, is_api: bool) -> String {
    let path = if is_api { "isAlive" } else { "dip/api/ping" };
    format!("http://127.0.0.1:{}/{path}", base.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::control::instance::Owner;

    #[test]
    fn health_decides_and_then_whether_there_is_anything_that_may_still_come_up() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().canonicalize().unwrap();
        let owner = Owner { uid: rustix::process::geteuid().as_raw(), name: "dataiku".to_owned() };
        let program = "bin/dss".to_owned();
        let instance = Instance { data_dir, owner, base_port: None, is_api: false, program, unit: None };
        let (said_no, ill) = (|| Err(ControlError::Interrupted), || Err("it is ill".to_owned()));
        assert_eq!(verdict(&instance, said_no(), Ok(())).unwrap(), Ok(()));
        assert_eq!(verdict(&instance, Ok(()), ill()).unwrap(), Err("it is ill".to_owned()));
        verdict(&instance, said_no(), ill()).unwrap_err();
        let mut sleeping = std::process::Command::new("sleep");
        let mut child = proc::seen(sleeping.arg("60").env("DIP_HOME", &instance.data_dir));
        let outcome = verdict(&instance, said_no(), ill());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(outcome.unwrap().unwrap_err().contains("may still come up"));
    }
}
