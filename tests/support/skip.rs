//! How a test says that this machine cannot run it. Never silently: the runner prints the list, and CI compares
//! it with `tests/expected-skips`.

use std::io::Write;

/// Notes that `test` did not run and why. The caller returns afterwards.
#[allow(dead_code, reason = "each test binary uses what it needs of the support files")]
pub fn skip(test: &str, reason: &str) {
    println!("SKIP {test}: {reason}");
    let Some(log) = std::env::var_os("DSSVAULT_SKIP_LOG") else { return };
    // One short write in append mode: lines of tests that run at once do not mix.
    let line = format!("{test}: {reason}\n");
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(written.is_ok(), "the skip of {test} could not be noted in {}: {written:?}", log.display());
}
