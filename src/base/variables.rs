//! Variables of the environment that open a repository, or a database for us. No program we start is given one of them.

/// Holds the password itself.
pub const PASSWORD: &str = "DSSVAULT_PASSWORD";
/// Holds the new password of `key add` and `key change-password`.
pub const NEW_PASSWORD: &str = "DSSVAULT_NEW_PASSWORD";
/// A command that prints the password, and may have it in its text.
pub const PASSWORD_COMMAND: &str = "DSSVAULT_PASSWORD_COMMAND";

/// Holds the password of databases.
pub const DATABASE_PASSWORD: &str = "DSSVAULT_DATABASE_PASSWORD";
/// A command that prints the password of databases.
pub const DATABASE_PASSWORD_COMMAND: &str = "DSSVAULT_DATABASE_PASSWORD_COMMAND";

/// All of them.
pub const SECRET: [&str; 5] = [PASSWORD, NEW_PASSWORD, PASSWORD_COMMAND, DATABASE_PASSWORD, DATABASE_PASSWORD_COMMAND];
