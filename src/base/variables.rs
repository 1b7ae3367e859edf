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

/// Holds the password of the repository copied to.
pub const TO_PASSWORD: &str = "DSSVAULT_TO_PASSWORD";
/// A command that prints it.
pub const TO_PASSWORD_COMMAND: &str = "DSSVAULT_TO_PASSWORD_COMMAND";
/// Holds the password of the repository a new one is to be like.
pub const LIKE_PASSWORD: &str = "DSSVAULT_LIKE_PASSWORD";
/// A command that prints it.
pub const LIKE_PASSWORD_COMMAND: &str = "DSSVAULT_LIKE_PASSWORD_COMMAND";

/// All of them.
pub const SECRET: [&str; 9] = [
    PASSWORD,
    NEW_PASSWORD,
    PASSWORD_COMMAND,
    DATABASE_PASSWORD,
    DATABASE_PASSWORD_COMMAND,
    TO_PASSWORD,
    TO_PASSWORD_COMMAND,
    LIKE_PASSWORD,
    LIKE_PASSWORD_COMMAND,
];
