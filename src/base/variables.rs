//! Variables of the environment that open a repository. No program we start is given one of them.

/// Holds the password itself.
pub const PASSWORD: &str = "DSSVAULT_PASSWORD";
/// Holds the new password of `key add` and `key change-password`.
pub const NEW_PASSWORD: &str = "DSSVAULT_NEW_PASSWORD";
/// A command that prints the password, and may have it in its text.
pub const PASSWORD_COMMAND: &str = "DSSVAULT_PASSWORD_COMMAND";

/// All of them.
pub const SECRET: [&str; 3] = [PASSWORD, NEW_PASSWORD, PASSWORD_COMMAND];
