//! Ctrl-C and its relatives: the first asks every stage to stop, the second ends the process at once.

use std::io;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::base::cancel::Cancel;
use crate::cli::exit;

/// Connects SIGINT, SIGTERM and SIGHUP with the request to stop. A signal the starter of this process chose to
/// ignore (`nohup`, a background job of a script) stays ignored.
pub fn connect(cancel: &Cancel) -> io::Result<()> {
    let ignored = ignored_signals();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored & (1 << (signal - 1)) == 0 {
            // Order matters: on the first signal the flag is still down when the shutdown looks at it.
            flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), cancel.flag())?;
            flag::register(signal, cancel.flag())?;
        }
    }
    Ok(())
}

/// One bit for each ignored signal, from the lowest for signal 1; none where `/proc` is not there to tell.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
