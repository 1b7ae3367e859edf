//! Variables of the environment, and the log they steer.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::base::variables;
pub use crate::base::variables::{
    DATABASE_PASSWORD, DATABASE_PASSWORD_COMMAND, NEW_PASSWORD, PASSWORD, PASSWORD_COMMAND,
};

/// Names the repository when `-r` does not.
pub const REPO: &str = "DSSVAULT_REPO";
/// Names a file that holds the password.
pub const PASSWORD_FILE: &str = "DSSVAULT_PASSWORD_FILE";
/// Names the repository copied to.
pub const TO_REPO: &str = "DSSVAULT_TO_REPO";
/// The cache folder.
pub const CACHE_DIR: &str = "DSSVAULT_CACHE_DIR";
/// Names a file that holds a key of DSS's public API.
pub const DSS_KEY_FILE: &str = "DSSVAULT_DSS_KEY_FILE";
/// Names a file that holds the password of databases.
pub const DATABASE_PASSWORD_FILE: &str = "DSSVAULT_DATABASE_PASSWORD_FILE";
/// Names the folder of PostgreSQL's client programs.
pub const PG_BIN: &str = "DSSVAULT_PG_BIN";
/// What is logged, in the notation of `tracing` (`debug`, `dssvault::vault=trace`).
pub const LOG: &str = "DSSVAULT_LOG";

/// Where the password of a second repository is looked for.
pub struct SecretVariables {
    /// What its options begin with.
    pub option: &'static str,
    /// Names a file.
    pub file: &'static str,
    /// A command.
    pub command: &'static str,
    /// The password itself.
    pub password: &'static str,
}

/// Of the repository copied to.
pub const TO: SecretVariables = SecretVariables {
    option: "--to",
    file: "DSSVAULT_TO_PASSWORD_FILE",
    command: variables::TO_PASSWORD_COMMAND,
    password: variables::TO_PASSWORD,
};
/// Of the repository a new one is to be like.
pub const LIKE: SecretVariables = SecretVariables {
    option: "--like",
    file: "DSSVAULT_LIKE_PASSWORD_FILE",
    command: variables::LIKE_PASSWORD_COMMAND,
    password: variables::LIKE_PASSWORD,
};

/// Sends the library's log to stderr. Without a wish only warnings appear, as bare lines.
pub fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let wish = std::env::var(LOG).ok().filter(|wish| !wish.is_empty());
    let filter = EnvFilter::try_new(wish.as_deref().unwrap_or(level)).unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(verbose > 1 || wish.is_some());
    // A second logger in one process (tests of this module) is no reason to fail.
    let _ = if verbose > 1 || !std::io::stderr().is_terminal() {
        lines.try_init()
    } else {
        lines.without_time().try_init()
    };
}
