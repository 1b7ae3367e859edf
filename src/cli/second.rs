//! A second repository on the command line, with a password of its own.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::app::open::{self, Location, Opened};
use crate::app::password::PasswordSource;
use crate::cli::environment::{self, SecretVariables};
use crate::cli::error::CliError;
use crate::cli::prompt;
use crate::cli::session::Session;
use crate::repo::keys::Credential;

/// How the repository copied to is opened.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The other repository")]
pub struct ToArgs {
    /// Read the password of the other repository from this file [env: DSSVAULT_TO_PASSWORD_FILE=]
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
    /// Run this shell command and take its output as that password [env: DSSVAULT_TO_PASSWORD_COMMAND=]
    #[arg(long, value_name = "CMD", conflicts_with = "to_password_file")]
    to_password_command: Option<String>,
    /// Open the other repository with the recovery words in this file
    #[arg(long, value_name = "FILE")]
    to_recovery_key_file: Option<PathBuf>,
}

impl ToArgs {
    /// The repository in this place, opened.
    pub fn open(self, location: OsString, session: &Session) -> Result<Opened, CliError> {
        let Self { to_password_file, to_password_command, to_recovery_key_file } = self;
        let typed = Typed { words: to_recovery_key_file, file: to_password_file, command: to_password_command };
        typed.open(location, &environment::TO, session)
    }
}

/// How the repository that a new one is to be like is opened.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The repository it is like")]
pub struct LikeArgs {
    /// Read the password of that repository from this file [env: DSSVAULT_LIKE_PASSWORD_FILE=]
    #[arg(long, value_name = "FILE", requires = "like")]
    like_password_file: Option<PathBuf>,
    /// Run this shell command and take its output as that password [env: DSSVAULT_LIKE_PASSWORD_COMMAND=]
    #[arg(long, value_name = "CMD", requires = "like", conflicts_with = "like_password_file")]
    like_password_command: Option<String>,
    /// Open that repository with the recovery words in this file
    #[arg(long, value_name = "FILE", requires = "like")]
    like_recovery_key_file: Option<PathBuf>,
}

impl LikeArgs {
    /// The repository in this place, opened.
    pub fn open(self, location: OsString, session: &Session) -> Result<Opened, CliError> {
        let Self { like_password_file, like_password_command, like_recovery_key_file } = self;
        let typed = Typed { words: like_recovery_key_file, file: like_password_file, command: like_password_command };
        typed.open(location, &environment::LIKE, session)
    }
}

/// What was typed. Recovery words go before passwords, options before the environment.
struct Typed {
    words: Option<PathBuf>,
    file: Option<PathBuf>,
    command: Option<String>,
}

impl Typed {
    fn open(self, location: OsString, variables: &SecretVariables, session: &Session) -> Result<Opened, CliError> {
        let location = Location::parse(&location)?;
        location.existing_store()?;
        let credential = match self.source(variables) {
            Some(source) => source.credential()?,
            None if prompt::is_possible() => {
                Credential::Password(prompt::password(&format!("password for {}", location.text()))?)
            }
            None => return Err(no_password(&location.text(), variables)),
        };
        Ok(open::open(&location, &credential, &session.folder_roots()?)?)
    }

    fn source(self, variables: &SecretVariables) -> Option<PasswordSource> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let command_set = || set(variables.command).map(|command| command.to_string_lossy().into_owned());
        let typed = self.words.map(PasswordSource::RecoveryKeyFile).or(self.file.map(PasswordSource::File));
        typed
            .or(self.command.map(PasswordSource::Command))
            .or_else(|| set(variables.file).map(|file| PasswordSource::File(file.into())))
            .or_else(|| command_set().map(PasswordSource::Command))
            // Set but empty is refused later, by name, instead of asking: a script lost its secret.
            .or_else(|| std::env::var_os(variables.password).map(|_| PasswordSource::Variable(variables.password)))
    }
}

fn no_password(location: &str, variables: &SecretVariables) -> CliError {
    let SecretVariables { option, password, .. } = variables;
    CliError::usage(
        format!("no password was given for {location}, and there is no terminal to ask for it"),
        format!("use `{option}-password-file FILE`, `{option}-password-command CMD` or ${password}"),
    )
}
