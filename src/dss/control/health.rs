//! Does it answer? The back end's ping, and somebody listening where users come in: `bin/dss start` ends well even if
//! nginx does not run (measured).

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::http::{self, Question};
use crate::dss::control::instance::Instance;
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
