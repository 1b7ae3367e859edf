//! Does it answer? The back end's ping, and somebody listening where users come in: `bin/dss start` ends well even if
//! nginx does not run (measured).

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::http::{self, Question};
use crate::dss::control::instance::Instance;

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
        match ask(base, instance.is_api) {
            Ok(()) => return Ok(()),
            Err(why) if since.elapsed() >= limit || cancel.is_requested() => return Err(why),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn ask(base: u16, is_api: bool) -> Result<(), String> {
    ping(base, is_api)?;
    let front = SocketAddr::from(([127, 0, 0, 1], base));
    TcpStream::connect_timeout(&front, TIMEOUT).map_err(|error| format!("port {base}: {error}"))?;
    Ok(())
}

/// Whether the main process answers and says that all is well: also how an API node says that it serves.
pub fn ping(base: u16, is_api: bool) -> Result<(), String> {
    let path = if is_api { "isAlive" } else { "dip/api/ping" };
    let url = format!("http://127.0.0.1:{}/{path}", base.saturating_add(1));
    let answer = http::get(&Question { url: &url, bearer: None, ca: None, limit: TIMEOUT });
    match answer.map_err(|error| error.to_string())?.status {
        200..=299 => Ok(()),
        status => Err(format!("{url}: status {status}")),
    }
}
